#include "src/core/globals.h"

#include <array>
#include <cctype>
#include <utility>

namespace ferry {
namespace {

using enum Role;

struct Row {
  std::string_view module, name;
  Role role;
};

// The allow-list, under the names of Python 3 and of today's torch and numpy.  Names of dtypes and storage
// classes come from the table of dtypes; whole packages of classes, whose instances become their state, are
// in kClassPackages.
constexpr auto kRows = std::to_array<Row>({
    {"collections", "OrderedDict", ordered_dict},
    {"collections", "Counter", counter},
    {"collections", "defaultdict", default_dict},
    {"collections", "deque", deque},
    {"builtins", "dict", dict_type},
    {"builtins", "list", list_type},
    {"builtins", "tuple", tuple_type},
    {"builtins", "set", set_type},
    {"builtins", "frozenset", frozen_set},
    {"builtins", "object", object_type},
    {"builtins", "str", text_type},
    {"builtins", "bytes", bytes_type},
    {"builtins", "bytearray", byte_array},
    {"builtins", "bool", boolean_type},
    {"builtins", "int", integer_type},
    {"builtins", "float", real_type},
    {"builtins", "complex", complex_type},
    {"builtins", "range", range},
    {"builtins", "slice", slice},
    {"builtins", "getattr", getattr},
    {"_codecs", "encode", encode},
    {"copyreg", "_reconstructor", reconstructor},
    {"copyreg", "__newobj__", new_object},
    {"copyreg", "__newobj_ex__", new_object_ex},
    {"builtins", "type", type_of},
    {"builtins", "Ellipsis", typing_name},
    {"builtins", "NotImplemented", typing_name},
    {"collections", "ChainMap", name_space},
    {"collections", "UserDict", user_container},
    {"collections", "UserList", user_container},
    {"collections", "UserString", user_container},
    {"array", "array", std_array},
    {"array", "_array_reconstructor", std_array_reconstruct},
    {"time", "struct_time", struct_time},
    {"zoneinfo", "ZoneInfo", zone_info},
    {"zoneinfo", "ZoneInfo._unpickle", zone_info},
    {"pytz", "_UTC", zone_info},
    {"pytz", "_p", zone_info},
    {"dateutil.tz.tz", "tzutc", zone_info},
    {"dateutil.tz.tz", "tzoffset", zone_info},
    {"argparse", "Namespace", name_space},
    {"types", "SimpleNamespace", name_space},
    {"functools", "partial", partial},
    {"datetime", "datetime", date_time},
    {"datetime", "date", date},
    {"datetime", "time", time},
    {"datetime", "timedelta", time_delta},
    {"datetime", "timezone", time_zone},
    {"pathlib", "PosixPath", path},
    {"pathlib", "PurePosixPath", path},
    {"pathlib", "WindowsPath", path},
    {"pathlib", "PureWindowsPath", path},
    {"pathlib", "Path", path},
    {"pathlib", "PurePath", path},
    {"uuid", "UUID", uuid},
    {"uuid", "SafeUUID", standard_enum},
    {"decimal", "Decimal", decimal},
    {"fractions", "Fraction", fraction},
    {"torch._utils", "_rebuild_tensor", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor_v2},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_parameter_with_state},
    {"torch._utils", "_rebuild_sparse_tensor", rebuild_sparse},
    {"torch._utils", "_rebuild_sparse_csr_tensor", rebuild_sparse_csr},
    {"torch._utils", "_rebuild_qtensor", rebuild_quantized},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", rebuild_meta},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", rebuild_from_numpy},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", rebuild_from_cpu},
    {"torch._utils", "_rebuild_xla_tensor", rebuild_from_numpy},
    {"torch._utils", "_rebuild_nested_tensor", rebuild_nested},
    {"torch.nested._internal.nested_tensor", "_rebuild_njt", rebuild_jagged},
    {"torch._utils", "_rebuild_wrapper_subclass", rebuild_wrapper},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type},
    {"torch._tensor", "_rebuild_from_type", rebuild_from_type},
    {"torch.nn.parameter", "Parameter", parameter_type},
    {"torch.nn.parameter", "Buffer", parameter_type},
    {"torch.autograd.variable", "Variable", parameter_type},
    {"torch.nn.parameter", "UninitializedParameter", parameter_type},
    {"torch.nn.parameter", "UninitializedBuffer", parameter_type},
    {"torch", "ScriptObject", torch_class},
    {"torch", "Tensor", tensor_type},
    {"torch._tensor", "Tensor", tensor_type},
    {"torch", "Size", size},
    {"torch", "device", device},
    {"torch.serialization", "_get_layout", layout},
    {"torch.storage", "UntypedStorage", untyped_storage},
    {"torch.storage", "TypedStorage", untyped_storage},
    {"torch.storage", "_load_from_bytes", load_from_bytes},
    {"torch", "Generator", generator},
    {"torch._C", "Generator", generator},
    {"torch", "contiguous_format", memory_format},
    {"torch", "channels_last", memory_format},
    {"torch", "preserve_format", memory_format},
    {"torch", "per_tensor_affine", quantization_scheme},
    {"torch", "per_tensor_symmetric", quantization_scheme},
    {"torch", "per_channel_affine", quantization_scheme},
    {"torch", "per_channel_symmetric", quantization_scheme},
    {"torch", "per_channel_affine_float_qparams", quantization_scheme},
    {"torch.torch_version", "TorchVersion", torch_version},
    {"torch.nn.backends.thnn", "_get_thnn_function_backend", thnn_backend},
    {"torch.cuda.amp.grad_scaler", "_refresh_per_optimizer_state", thnn_backend},
    {"torch.amp.grad_scaler", "_refresh_per_optimizer_state", thnn_backend},
    {"torch.jit._pickle", "build_intlist", build_list},
    {"torch.jit._pickle", "build_doublelist", build_list},
    {"torch.jit._pickle", "build_boollist", build_list},
    {"torch.jit._pickle", "build_tensorlist", build_list},
    {"torch.jit._pickle", "build_tensor_from_id", build_tensor_from_id},
    {"torch.jit._pickle", "restore_type_tag", restore_type_tag},
    {"torch.cuda.amp.grad_scaler", "GradScaler", scaler_class},
    {"torch.amp.grad_scaler", "GradScaler", scaler_class},
    {"torch.cpu.amp.grad_scaler", "GradScaler", scaler_class},
    {"torch.distributed.fsdp.sharded_grad_scaler", "ShardedGradScaler", scaler_class},
    {"numpy.core.multiarray", "_reconstruct", array_reconstruct},
    {"numpy.core.multiarray", "scalar", scalar},
    {"numpy.core.numeric", "_frombuffer", array_from_buffer},
    {"numpy", "ndarray", array_type},
    {"numpy", "dtype", numpy_dtype},
    {"numpy.random", "__RandomState_ctor", random_state},
    {"numpy.random._pickle", "__randomstate_ctor", random_state},
    {"numpy.random._pickle", "__bit_generator_ctor", random_state},
    {"numpy.random._pickle", "__generator_ctor", random_state},
    {"numpy.random._mt19937", "MT19937", random_state},
    {"numpy.random._pcg64", "PCG64", random_state},
    {"numpy.random._pcg64", "PCG64DXSM", random_state},
    {"numpy.random._philox", "Philox", random_state},
    {"numpy.random._sfc64", "SFC64", random_state},
    {"numpy.random.bit_generator", "SeedSequence", random_state},
    {"numpy.random.bit_generator", "__pyx_unpickle_SeedSequence", random_state},
    {"numpy.random._bit_generator", "__pyx_unpickle_SeedSequence", random_state},
    {"numpy.ma.core", "_mareconstruct", masked_array},
    {"numpy.ma.core", "MaskedArray", array_type},
    {"numpy.ma", "MaskedArray", array_type},
});

// Old module names → the ones in the table (Python's own _compat_pickle, moves inside torch and numpy).
constexpr auto kMoved = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"__builtin__", "builtins"},
    {"copy_reg", "copyreg"},
    {"pathlib2", "pathlib"},
    {"UserDict", "collections"},
    {"UserList", "collections"},
    {"UserString", "collections"},
    {"pathlib._local", "pathlib"},
    {"torch.tensor", "torch._tensor"},
    {"torch.cuda", "torch"},
    {"numpy._core.multiarray", "numpy.core.multiarray"},
    {"numpy._core.numeric", "numpy.core.numeric"},
    {"numpy.random.mtrand", "numpy.random"},
});

// Names that moved one by one.
constexpr auto kRenamed = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"xrange", "range"},
    {"unicode", "str"},
    {"long", "int"},
    {"basestring", "str"},
});

// Packages of classes: an instance becomes its state; calling anything in them is refused.
constexpr auto kClassPackages = std::to_array<std::pair<std::string_view, Role>>({
    {"torch.optim.lr_scheduler.", scheduler_class},
    {"torch.optim.", optimizer_class},
    {"torch.nn.", module_class},
    {"torch.ao.nn.", module_class},
    {"torch.legacy.nn.", module_class},
    {"torch.utils.data.", torch_class},
    {"torch.utils.hooks.", torch_class},
    {"torch.distributions.", torch_class},
    {"torch._dynamo.decorators.", torch_class},
    {"torch.distributed.tensor.", torch_class},
    {"torch.distributed._tensor.", torch_class},
    {"torch.distributed.device_mesh.", torch_class},
});

std::string_view moved_module(std::string_view module) {
  for (const auto& [old_name, new_name] : kMoved)
    if (module == old_name) return new_name;
  return module;
}

std::string_view moved_name(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "IterableUserDict") return "UserDict";
  if (module != "builtins") return name;
  for (const auto& [old_name, new_name] : kRenamed)
    if (name == old_name) return new_name;
  return name;
}

bool is_identifier(std::string_view text) {
  if (text.empty() || (std::isdigit(static_cast<unsigned char>(text[0])) != 0)) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Python 3 allows letters of every script; their bytes are above 0x7f, and the text is known to be UTF-8.
    if (!(std::isalnum(byte) != 0 || byte == '_' || byte > 0x7f)) return false;
  }
  return true;
}

std::string_view root_of(std::string_view dotted) { return dotted.substr(0, dotted.find('.')); }

// Constants of torch are pickled by their dotted name, under whatever module pickle finds torch in:
// ('torch._utils', 'torch.channels_last').
void take_torch_apart(std::string_view& module, std::string_view& name) {
  constexpr std::string_view kTorch = "torch.";
  if (!name.starts_with(kTorch) || root_of(module) != "torch") return;
  module = "torch";
  name.remove_prefix(kTorch.size());
}

bool is_tensor_class(std::string_view module, std::string_view name) {
  return (module == "torch" || module == "torch.sparse" || module == "torch.cuda.sparse") &&
         name.ends_with("Tensor");
}

// torch._tensor_classes of 2.13, and Tensor itself.
bool is_accepted_tensor_class(std::string_view module, std::string_view name) {
  if (name == "Tensor") return module == "torch";
  static constexpr std::string_view kTypes[] = {"BFloat16", "Bool", "Byte", "Char", "Double",
                                                "Float",    "Half", "Int",  "Long", "Short"};
  if (!name.ends_with("Tensor") || module == "torch._tensor") return false;
  name.remove_suffix(6);
  const bool sparse = module.find("sparse") != std::string_view::npos;
  for (const std::string_view type : kTypes)
    if (name == type) return !(sparse && type == "Bool");
  return false;
}

// Which roles mean something only when they are not called like a function.
bool only_instances(Role role) {
  return role == module_class || role == optimizer_class || role == scheduler_class || role == torch_class ||
         role == scaler_class;
}

}  // namespace

std::size_t GlobalLog::note(std::string_view module, std::string_view name, std::uint64_t at) {
  std::string key(module);
  key += '\n';
  key += name;
  const auto [found, fresh] = index_.try_emplace(std::move(key), uses_.size());
  if (fresh) uses_.push_back({std::string(module), std::string(name), at});
  return found->second;
}

std::optional<KnownGlobal> find_global(std::string_view old_module, std::string_view old_name) {
  take_torch_apart(old_module, old_name);
  const std::string_view module = moved_module(old_module), name = moved_name(module, old_name);
  for (const Row& row : kRows)
    if (row.module == module && row.name == name) return KnownGlobal{row.role};
  if (module == "torch") {
    if (name.ends_with("Storage"))
      if (const auto type = dtype_by_storage_class(name)) return KnownGlobal{storage_type, type};
    if (const auto type = dtype_by_name(name)) return KnownGlobal{dtype, type};
  }
  if (is_tensor_class(module, name)) return KnownGlobal{tensor_type};
  if (module == "typing" && is_identifier(name)) return KnownGlobal{typing_name};
  for (const auto& [package, role] : kClassPackages) {
    const bool inside = module.starts_with(package) || module == package.substr(0, package.size() - 1);
    if (inside && is_dotted_identifier(module) && is_identifier(name) && is_cap_words(name))
      return KnownGlobal{role};
  }
  return std::nullopt;
}

std::string modern_name(std::string_view old_module, std::string_view old_name) {
  take_torch_apart(old_module, old_name);
  const std::string_view module = moved_module(old_module);
  const bool same_module = module != "builtins" && module != "copyreg";
  return std::string(same_module ? old_module : module) + "." + std::string(moved_name(module, old_name));
}

bool weights_only_accepts(std::string_view module, std::string_view name) {
  // Integers of 1 to 7 bits are names to torch only; nothing is stored in them.
  if (module == "torch" && (name.starts_with("int") || name.starts_with("uint"))) {
    const std::string_view bits = name.substr(name.find('t') + 1);
    if (bits.size() == 1 && bits[0] >= '1' && bits[0] <= '7') return true;
  }
  const auto known = find_global(module, name);
  if (!known || module == "torch.tensor" || module.starts_with("pathlib")) return false;
  switch (known->role) {
    case ordered_dict:
    case counter:
    case layout:
    case encode:
    case byte_array:
    case set_type:
    case complex_type:
    case storage_type:
    case untyped_storage:
    case quantization_scheme:
    case rebuild_tensor:
    case rebuild_tensor_v2:
    case rebuild_tensor_v3:
    case rebuild_parameter:
    case rebuild_parameter_with_state:
    case rebuild_quantized:
    case rebuild_sparse:
    case rebuild_meta:
    case rebuild_nested:
    case rebuild_wrapper:
    case rebuild_from_cpu:
      return true;
    case size:
    case device:
      return module == "torch";
    case dtype:  // under its one name: torch.half is torch.float16
      return module == "torch" && info(*known->dtype).name == name;
    case parameter_type:
      return name == "Parameter";
    case tensor_type:
      return is_accepted_tensor_class(module, name);
    case rebuild_from_numpy:
      return name == "_rebuild_device_tensor_from_numpy";
    case rebuild_from_type:
      return name == "_rebuild_from_type_v2";
    default:
      return false;
  }
}

Classification classify(const GlobalUse& use) {
  if (!is_dotted_identifier(use.module) || !is_dotted_identifier(use.name))
    return {Trust::refused, "its name is no dotted identifier"};
  if (const auto known = find_global(use.module, use.name)) {
    if (use.called && only_instances(known->role))
      return {Trust::refused, "a class of torch is called as a function"};
    return {Trust::allowed, {}};
  }
  const std::string_view root = root_of(use.module);
  if (root == "torch" || root == "numpy") {
    if (use.called || use.instantiated)
      return {Trust::refused, "it is called, and is not on the list of known functions"};
    return {Trust::foreign, {}};
  }
  if (is_standard_module(root))
    return {Trust::refused, "the standard library has no place in a checkpoint but for known types"};
  if (use.called && !is_cap_words(use.name)) return {Trust::refused, "an unknown function is called"};
  return {Trust::foreign, {}};
}

std::vector<const GlobalUse*> refused_globals(const GlobalLog& log) {
  std::vector<const GlobalUse*> refused;
  for (const GlobalUse& use : log.uses())
    if (classify(use).trust == Trust::refused) refused.push_back(&use);
  return refused;
}

bool is_dotted_identifier(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_cap_words(std::string_view name) {
  name = name.substr(name.rfind('.') + 1);
  while (!name.empty() && name[0] == '_') name.remove_prefix(1);
  return !name.empty() && std::isupper(static_cast<unsigned char>(name[0])) != 0;
}

}  // namespace ferry
