// Names that a pickle may mention: the allow-list, and the rule for everything that is not on it.
//
// One table serves the classifier (may this file be converted?), the passes (what does the name mean?), the
// encoder and the judgement of what torch.load(weights_only=True) accepts.  The rule is in classify(): there
// is no deny-list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/core/dtype.h"

namespace ferry {

// What a name on the allow-list means to us.
enum class Role : std::uint8_t {
  // Containers and plain types.
  ordered_dict,
  counter,
  default_dict,
  dict_type,
  list_type,
  tuple_type,
  set_type,
  frozen_set,
  deque,
  object_type,
  text_type,
  bytes_type,
  byte_array,
  boolean_type,
  integer_type,
  real_type,
  complex_type,
  range,
  slice,
  encode,
  reconstructor,
  getattr,
  // Standard-library values.
  name_space,
  partial,
  date_time,
  date,
  time,
  time_delta,
  time_zone,
  path,
  uuid,
  decimal,
  fraction,
  typing_name,
  user_container,
  std_array,
  std_array_reconstruct,
  zone_info,
  standard_enum,
  struct_time,
  new_object,
  new_object_ex,
  type_of,
  // torch.
  rebuild_tensor,
  rebuild_tensor_v2,
  rebuild_tensor_v3,
  rebuild_parameter,
  rebuild_parameter_with_state,
  rebuild_from_type,
  rebuild_meta,
  rebuild_from_numpy,
  rebuild_from_cpu,
  rebuild_sparse,
  rebuild_sparse_csr,
  rebuild_quantized,
  rebuild_nested,
  rebuild_jagged,
  rebuild_wrapper,
  parameter_type,
  tensor_type,
  storage_type,
  untyped_storage,
  size,
  device,
  dtype,
  layout,
  memory_format,
  quantization_scheme,
  torch_version,
  thnn_backend,
  module_class,
  optimizer_class,
  scheduler_class,
  scaler_class,
  torch_class,
  load_from_bytes,
  generator,
  // numpy.
  array_reconstruct,
  array_type,
  array_from_buffer,
  scalar,
  numpy_dtype,
  numpy_scalar_type,
  random_state,
  masked_array,
  // torch.jit.
  build_list,
  build_tensor_from_id,
  restore_type_tag,
};

// How a pickle uses a name.
struct GlobalUse {
  std::string module, name;   // as written
  std::uint64_t at = 0;       // offset in the pickle of the first mention
  bool called = false;        // by REDUCE: any function could be
  bool instantiated = false;  // by NEWOBJ, OBJ, INST, _reconstructor: only a class can be
  std::string dotted() const { return module + "." + name; }
};

// The names that a pickle mentions, in order of their first mention.  It outlives a decoder that fails
// half-way.
class GlobalLog {
 public:
  std::size_t note(std::string_view module, std::string_view name, std::uint64_t at);
  GlobalUse& operator[](std::size_t i) { return uses_[i]; }
  const std::vector<GlobalUse>& uses() const { return uses_; }

 private:
  std::vector<GlobalUse> uses_;
  std::unordered_map<std::string, std::size_t> index_;
};

// The row of the allow-list for a name, under all names that it had (__builtin__, copy_reg, torch.tensor,
// numpy._core …).
struct KnownGlobal {
  Role role;
  std::optional<DType> dtype = std::nullopt;  // of storage classes and dtypes
};
std::optional<KnownGlobal> find_global(std::string_view module, std::string_view name);

// The name under which today's Python knows it ("__builtin__ xrange" → "builtins.range").
std::string modern_name(std::string_view module, std::string_view name);

// True when torch 2.13 accepts the name in a weights_only pickle (torch/_weights_only_unpickler.py).
bool weights_only_accepts(std::string_view module, std::string_view name);

enum class Trust : std::uint8_t { allowed, foreign, refused };
struct Classification {
  Trust trust;
  std::string_view why;  // of a refusal
};
// The rule.  allowed: on the list; foreign: no library code, becomes plain data; refused: exit 3.
Classification classify(const GlobalUse& use);
std::vector<const GlobalUse*> refused_globals(const GlobalLog& log);

bool is_dotted_identifier(std::string_view text);
bool is_standard_module(std::string_view root);  // in any case of letters, Python 2 or 3
bool is_cap_words(std::string_view name);        // the last part starts with a capital: by custom, a class

}  // namespace ferry
