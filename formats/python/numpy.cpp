// numpy arrays, scalars, dtypes and random states.
//
// Source: numpy/_core/src/multiarray/methods.c (array_reduce, array_setstate), scalartypes.c.src
// (gentype_reduce), numeric.py (_frombuffer), random/_pickle.py; layouts as written by numpy 1.11 … 2.4.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "formats/python/interpret.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::python {
namespace {

constexpr std::int64_t kListItemsMax = 1 << 20;  // texts and records become Python values, one node each

// --- dtypes

NumpyDType parse_type_code(const Call& call, std::string_view code) {
  NumpyDType type;
  if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
    type.big_endian = code[0] == '>';
    code.remove_prefix(1);
  }
  if (code.empty()) call.fail("has an empty type code");
  type.kind = code[0];
  if (code == "?") {
    type.kind = 'b';
    code = "b1";
  }
  if (type.kind == 'O') {
    type.itemsize = 8;
    return type;
  }
  const auto end = std::from_chars(code.data() + 1, code.data() + code.size(), type.itemsize);
  if (end.ptr != code.data() + code.size() ||
      std::string_view("biufcSUVMma").find(type.kind) == std::string_view::npos)
    call.fail("has an unknown type code " + quote(code, 40));
  if (type.kind == 'a') type.kind = 'S';
  if (type.kind == 'U') type.itemsize *= 4;
  return type;
}

const NumpyDType& dtype_of(const Call& call, NodeId node) {
  const auto found = call.context.numpy_dtypes.find(node);
  if (found == call.context.numpy_dtypes.end()) call.fail("is called with a value that is no numpy.dtype");
  return found->second;
}

void read_fields(Call& call, NumpyDType& type, NodeId names, NodeId fields) {
  for (const NodeId name : call.graph.items(names)) {
    const auto text = call.graph.as_text(name);
    const NodeId field = text ? call.graph.find(fields, *text) : kNoNode;
    const auto parts = field == kNoNode ? std::span<const NodeId>() : call.graph.items(field);
    const auto offset = parts.size() >= 2 ? call.graph.as_integer(parts[1]) : std::nullopt;
    if (!offset) call.fail("has a field without type and offset");
    const NumpyDType& inner = dtype_of(call, parts[0]);
    if (*offset < 0 || *offset > type.itemsize - inner.itemsize) call.fail("has a field outside its items");
    type.fields.push_back({std::string(*text), inner, *offset});
  }
}

// The unit of dates and spans of time: ({}, ('ns', 1, 1, 1)), "25s" for more than one.
std::string unit_of(const ValueGraph& graph, NodeId metadata) {
  const auto outer = graph.items(metadata);
  if (graph.kind(metadata) != Kind::tuple || outer.size() != 2) return "";
  const auto parts = graph.items(outer[1]);
  const auto unit = parts.size() < 2 ? std::nullopt : octets(graph, parts[0]);
  const auto count = parts.size() < 2 ? std::nullopt : graph.as_integer(parts[1]);
  if (!unit || !count) return "";
  return (*count == 1 ? "" : std::to_string(*count)) + *unit;
}

bool make_dtype(Call& call) {
  call.need_arguments(1, 3);
  const auto code = call.graph.as_text(call.arguments[0]);
  if (!code) call.fail("takes a type code");
  NumpyDType type = parse_type_code(call, *code);
  const auto state = call.state == kNoNode ? std::span<const NodeId>() : call.graph.items(call.state);
  if (state.size() >= 5) {
    const std::vector<NodeId> parts(state.begin(), state.end());
    const auto order = call.graph.as_text(parts[1]);
    if (order == ">") type.big_endian = true;
    if (call.graph.kind(parts[2]) != Kind::none)
      throw Error(Code::unsupported_value, "a numpy dtype with a shape of its own is not supported")
          .at(call.graph.at(call.id));
    if (parts.size() >= 6 && (type.kind == 'V' || type.kind == 'S' || type.kind == 'U'))
      if (const auto size = call.graph.as_integer(parts[5]); size && *size > 0) type.itemsize = *size;
    if (parts.size() >= 9) type.unit = unit_of(call.graph, parts[8]);
    if (call.graph.kind(parts[3]) == Kind::tuple) read_fields(call, type, parts[3], parts[4]);
  }
  const std::string name = type.name();
  call.become_text(name);
  call.context.numpy_dtypes.emplace(call.id, std::move(type));
  return true;
}

// --- items as Python values

std::string swapped(std::string_view item, std::size_t unit, bool big_endian) {
  std::string out(item);
  if (big_endian && unit > 1)
    for (std::size_t i = 0; i + unit <= out.size(); i += unit)
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(i),
                   out.begin() + static_cast<std::ptrdiff_t>(i + unit));
  return out;
}

template <typename T>
T load(const std::string& octets, std::size_t at = 0) {
  T value;
  std::memcpy(&value, octets.data() + at, sizeof value);
  return value;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31)
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent == 0
                     ? mantissa * 0x1p-24
                     : (1024 + mantissa) *
                           std::bit_cast<double>(static_cast<std::uint64_t>(exponent - 25 + 1023) << 52));
}

NodeId make_unsigned(ValueGraph& graph, std::uint64_t value) {
  std::array<std::byte, 9> octets{};
  store_le(octets.data(), value);
  return graph.make_big_integer(octets);
}

[[noreturn]] void throw_unsupported(const Call& call, const NumpyDType& type) {
  throw Error(Code::unsupported_value, "numpy values of type " + type.name() + " are not supported")
      .at(call.graph.at(call.id));
}

NodeId item_value(const Call& call, const NumpyDType& type, std::string_view raw);

NodeId number_value(const Call& call, const NumpyDType& type, const std::string& octets) {
  ValueGraph& graph = call.graph;
  switch (type.kind) {
    case 'b':
      return graph.make_boolean(octets[0] != 0);
    case 'i':
      switch (type.itemsize) {
        case 1:
          return graph.make_integer(load<std::int8_t>(octets));
        case 2:
          return graph.make_integer(load<std::int16_t>(octets));
        case 4:
          return graph.make_integer(load<std::int32_t>(octets));
        case 8:
          return graph.make_integer(load<std::int64_t>(octets));
        default:
          break;
      }
      break;
    case 'u':
      switch (type.itemsize) {
        case 1:
          return graph.make_integer(load<std::uint8_t>(octets));
        case 2:
          return graph.make_integer(load<std::uint16_t>(octets));
        case 4:
          return graph.make_integer(load<std::uint32_t>(octets));
        case 8:
          return make_unsigned(graph, load<std::uint64_t>(octets));
        default:
          break;
      }
      break;
    case 'f':
      if (type.itemsize == 2) return graph.make_real(half_to_double(load<std::uint16_t>(octets)));
      if (type.itemsize == 4) return graph.make_real(static_cast<double>(load<float>(octets)));
      if (type.itemsize == 8) return graph.make_real(load<double>(octets));
      break;
    case 'c':
      if (type.itemsize == 8)
        return graph.make_complex(static_cast<double>(load<float>(octets)),
                                  static_cast<double>(load<float>(octets, 4)));
      if (type.itemsize == 16) return graph.make_complex(load<double>(octets), load<double>(octets, 8));
      break;
    case 'M':
    case 'm':
      if (type.itemsize == 8) return graph.make_integer(load<std::int64_t>(octets));
      break;
    default:
      break;
  }
  throw_unsupported(call, type);
}

NodeId text_value(const Call& call, const NumpyDType& type, std::string_view raw) {
  if (type.kind == 'S') {
    while (!raw.empty() && raw.back() == '\0') raw.remove_suffix(1);
    return call.graph.make_bytes(Kind::bytes, as_bytes(raw));
  }
  const std::string octets = swapped(raw, 4, type.big_endian);
  std::string text;
  std::size_t points = octets.size() / 4;
  while (points > 0 && load<std::uint32_t>(octets, 4 * (points - 1)) == 0) --points;
  for (std::size_t i = 0; i < points; ++i) {
    const auto point = load<std::uint32_t>(octets, 4 * i);
    if (point > 0x10ffff) call.fail("holds a text that is no Unicode");
    append_utf8(text, point);
  }
  return call.graph.make_text(text);
}

NodeId item_value(const Call& call, const NumpyDType& type, std::string_view raw) {
  if (!type.fields.empty()) {
    std::vector<NodeId> values;
    for (const NumpyField& field : type.fields)
      values.push_back(item_value(
          call, field.type,
          raw.substr(static_cast<std::size_t>(field.offset), static_cast<std::size_t>(field.type.itemsize))));
    return call.graph.make_tuple(values);
  }
  if (type.kind == 'U' || type.kind == 'S') return text_value(call, type, raw);
  const std::size_t unit = static_cast<std::size_t>(type.kind == 'c' ? type.itemsize / 2 : type.itemsize);
  return number_value(call, type, swapped(raw, unit, type.big_endian));
}

// Items in C order as nested lists, as ndarray.tolist() gives them; the item itself for no dimensions.
NodeId nested_lists(const Call& call, std::span<const std::int64_t> shape, std::vector<NodeId> items) {
  if (shape.empty()) return items.at(0);
  // Axes of size 0 and 1 make lists without making items: (2^40, 0) holds nothing, in 2^40 lists.
  std::int64_t lists_in_all = 0, lists_at_axis = 1;
  for (std::size_t axis = 0; axis + 1 < shape.size(); ++axis) {
    const auto rows = checked_mul(lists_at_axis, shape[axis]);
    if (!rows || *rows > kListItemsMax - lists_in_all)
      throw Error(Code::unsupported_value, "a numpy array whose shape makes too many lists is not supported")
          .at(call.graph.at(call.id));
    lists_at_axis = *rows;
    lists_in_all += *rows;
  }
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    const auto width = static_cast<std::size_t>(shape[axis]);
    std::int64_t rows = 1;
    for (std::size_t i = 0; i < axis; ++i) rows *= shape[i];
    std::vector<NodeId> lists;
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
      lists.push_back(call.graph.make_list(std::span(items).subspan(row * width, width)));
    items = std::move(lists);
  }
  return call.graph.make_list(items);
}

// --- arrays

std::vector<std::int64_t> shape_of(const Call& call, NodeId node) {
  std::vector<std::int64_t> shape;
  if (const auto one = call.graph.as_integer(node)) return {*one};
  for (const NodeId item : call.graph.items(node)) {
    const auto size = call.graph.as_integer(item);
    if (!size || *size < 0) call.fail("has a shape that is none");
    shape.push_back(*size);
  }
  if (shape.size() > call.context.limits.rank_max) call.fail("has too many dimensions");
  return shape;
}

// The order of items in C order among items in Fortran order.
std::vector<std::size_t> fortran_places(std::span<const std::int64_t> shape, std::int64_t count) {
  std::vector<std::size_t> places;
  std::vector<std::int64_t> index(shape.size());
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t place = 0, step = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      place += index[axis] * step;
      step *= shape[axis];
    }
    places.push_back(static_cast<std::size_t>(place));
    for (std::size_t axis = shape.size(); axis-- > 0 && ++index[axis] == shape[axis];) index[axis] = 0;
  }
  return places;
}

void become_list_of_items(Call& call, const NumpyDType& type, std::span<const std::int64_t> shape,
                          std::int64_t count, std::string_view raw, bool fortran) {
  if (count > kListItemsMax)
    throw Error(Code::unsupported_value, "a numpy array of " + std::to_string(count) + " values of type " +
                                             type.name() + " is not supported")
        .at(call.graph.at(call.id));
  std::vector<NodeId> items;
  const auto places = fortran ? fortran_places(shape, count) : std::vector<std::size_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::size_t place = fortran ? places[static_cast<std::size_t>(i)] : static_cast<std::size_t>(i);
    items.push_back(item_value(call, type,
                               raw.substr(place * static_cast<std::size_t>(type.itemsize),
                                          static_cast<std::size_t>(type.itemsize))));
  }
  call.become(nested_lists(call, shape, std::move(items)));
  call.note_data("list of " + std::to_string(count) + " values (" + type.name() + ")");
}

// The bytes of an array: where they lie in the file, or in memory where the pickle has them in another form.
StorageBytes bytes_of(Call& call, NodeId data, std::uint64_t size, const std::string& name) {
  StorageBytes bytes;
  bytes.size = bytes.stored_size = size;
  const auto plain = plain_octets(call.graph, data);
  const auto latin1 = plain ? std::nullopt : octets(call.graph, data);
  if ((plain ? plain->size() : latin1 ? latin1->size() : size + 1) != size)
    call.fail("has not as many bytes as its shape and type say");
  if (const auto place = plain ? call.context.origin.find(*plain) : std::nullopt) {
    bytes.source = call.context.origin.source;
    bytes.offset = *place;
    return bytes;
  }
  SourcePtr& kept = call.context.buffers[data];  // arrays of one text share it
  if (kept == nullptr) {
    const Bytes octets = as_bytes(plain ? *plain : std::string_view(*latin1));
    kept = std::make_shared<MemorySource>(name, std::vector<std::byte>(octets.begin(), octets.end()));
  }
  bytes.source = kept;
  return bytes;
}

void become_tensor(Call& call, const NumpyDType& type, DType dtype, const std::vector<std::int64_t>& shape,
                   NodeId data, std::uint64_t size, bool fortran) {
  const std::string name = "numpy array at byte " + std::to_string(call.graph.at(call.id));
  StorageBytes bytes = bytes_of(call, data, size, name);
  bytes.big_endian = type.big_endian && info(dtype).swap_unit > 1;
  call.become_tensor(call.context.checkpoint.add_tensor(dtype, shape, std::move(bytes), fortran, name));
  call.note_data("tensor (" + type.name() + ")");
  if (type.kind == 'M' || type.kind == 'm')
    call.note(Code::lost_value, "the unit of " + type.name() + ": its numbers are kept as integers");
}

void become_array(Call& call, const NumpyDType& type, const std::vector<std::int64_t>& shape, NodeId data,
                  bool fortran) {
  const auto count = checked_numel(shape);
  if (!count) call.fail("has a shape that is none");
  if (type.kind == 'O') {
    const auto items = call.graph.items(data);
    if (call.graph.kind(data) != Kind::list || items.size() != static_cast<std::size_t>(*count))
      call.fail("has not as many objects as its shape says");
    std::vector<NodeId> ordered(items.begin(), items.end());
    if (fortran) {
      const auto places = fortran_places(shape, *count);
      for (std::size_t i = 0; i < places.size(); ++i) ordered[i] = call.graph.items(data)[places[i]];
    }
    call.become(nested_lists(call, shape, ordered));
    call.note_data("list of " + std::to_string(*count) + " objects");
    return;
  }
  const auto size = checked_mul(*count, type.itemsize);
  if (const auto torch_type = type.torch_dtype(); torch_type && size)
    return become_tensor(call, type, *torch_type, shape, data, static_cast<std::uint64_t>(*size), fortran);
  const auto raw = octets(call.graph, data);
  if (!raw || !size || raw->size() != static_cast<std::size_t>(*size))
    call.fail("has not as many bytes as its shape and type say");
  become_list_of_items(call, type, shape, *count, *raw, fortran);
}

// _reconstruct(ndarray, (0,), b'b') and a state of (version, shape, dtype, is_fortran, data).
bool make_array(Call& call) {
  call.need_arguments(3, 3);
  if (call.state == kNoNode) {  // never filled: the array of nothing that _reconstruct starts with
    NumpyDType octet;
    octet.kind = 'i';
    octet.itemsize = 1;
    become_array(call, octet, shape_of(call, call.arguments[1]), call.graph.make_bytes(Kind::bytes, {}),
                 false);
    return true;
  }
  const auto parts = call.graph.items(call.state);
  if (parts.size() != 5 && parts.size() != 4) call.fail("has no state of shape, type, order and data");
  const std::vector<NodeId> state(parts.end() - 4, parts.end());
  if (call.graph.kind(state[2]) != Kind::boolean && !call.graph.as_integer(state[2]))
    call.fail("has an order that is none");
  const NumpyDType type = dtype_of(call, state[1]);
  become_array(call, type, shape_of(call, state[0]), state[3], call.graph.as_integer(state[2]) != 0);
  return true;
}

bool is_of_joblib(const Call& call, std::string_view name) {
  return !call.known && call.instance && call.name() == name &&
         call.module().ends_with("joblib.numpy_pickle");
}

// {subclass, shape, order, dtype, …} and the data that the decoder found behind it.
bool make_joblib_array(Call& call) {
  const NodeId dtype = call.graph.find(call.state, "dtype"), shape = call.graph.find(call.state, "shape"),
               data = call.graph.find(call.state, "data"), order = call.graph.find(call.state, "order");
  if (dtype == kNoNode || shape == kNoNode || data == kNoNode || order == kNoNode)
    call.fail("has no description of an array");
  const bool understood = !plain_octets(call.graph, data);  // an array of objects is one by itself
  if (understood)
    call.become(data);
  else
    become_array(call, dtype_of(call, dtype), shape_of(call, shape), data, call.graph.as_text(order) == "F");
  return true;
}

bool make_array_from_buffer(Call& call) {
  call.need_arguments(4, 5);
  call.need_nothing_after();
  const NumpyDType type = dtype_of(call, call.arguments[1]);
  become_array(call, type, shape_of(call, call.arguments[2]), call.arguments[0],
               call.graph.as_text(call.arguments[3]) == "F");
  return true;
}

bool make_scalar(Call& call) {
  call.need_arguments(2, 2);
  call.need_nothing_after();
  const NumpyDType type = dtype_of(call, call.arguments[0]);
  if (type.kind == 'O') {
    call.become(call.arguments[1]);
    return true;
  }
  const auto raw = octets(call.graph, call.arguments[1]);
  if (!raw || raw->size() != static_cast<std::size_t>(type.itemsize) ||
      (raw->empty() && type.kind != 'U' && type.kind != 'S'))
    call.fail("has not as many bytes as its type");
  call.become(item_value(call, type, *raw));
  call.note_data("plain value (" + type.name() + ")");
  return true;
}

// The result of a call that become_array made, as a node of its own; the call is free for something else.
NodeId taken_from(Call& call) {
  const NodeId copy = call.graph.make_container(Kind::none, 0, call.graph.at(call.id));
  call.graph.become(copy, call.id);
  return copy;
}

// _mareconstruct(MaskedArray, base, shape, type) and a state of (version, shape, dtype, is_fortran, data,
// mask, fill value).
bool make_masked_array(Call& call) {
  call.need_arguments(4, 4);
  const auto parts = call.state == kNoNode ? std::span<const NodeId>() : call.graph.items(call.state);
  if (parts.size() != 7) call.fail("has no state of shape, type, order, data, mask and fill value");
  const std::vector<NodeId> state(parts.begin(), parts.end());
  const NumpyDType type = dtype_of(call, state[2]);
  const std::vector<std::int64_t> shape = shape_of(call, state[1]);
  const bool fortran = call.graph.as_integer(state[3]) == 1;
  NumpyDType flag;
  flag.kind = 'b';
  flag.itemsize = 1;
  become_array(call, type, shape, state[4], fortran);
  const NodeId data = taken_from(call);
  become_array(call, flag, shape, state[5], fortran);
  const NodeId mask = taken_from(call);
  const NodeId dict = call.graph.make_dict(DictFlavor::plain, call.graph.at(call.id));
  call.graph.set_entry(dict, "data", data);
  call.graph.set_entry(dict, "mask", mask);
  call.graph.set_entry(dict, "fill_value", state[6]);
  call.become(dict);
  call.note_data("dict of data, mask and fill_value");
  return true;
}

// States of random number generators. A Generator is the state of its bit generator, which is the argument of
// its constructor; from 1.24 to 1.26 and in 2.x the state of a bit generator comes with its seed sequence.
bool make_random_state(Call& call) {
  const bool made_of_state =
      call.state == kNoNode && call.arguments.size() == 1 && call.graph.is_container(call.arguments[0]);
  call.become(call.state != kNoNode ? call.state
              : made_of_state       ? call.arguments[0]
                                    : call.graph.make_list(call.arguments));
  call.note_data("its state");
  return true;
}

}  // namespace

std::optional<DType> NumpyDType::torch_dtype() const {
  if (!fields.empty()) return std::nullopt;
  switch (kind) {
    case 'b':
      return itemsize == 1 ? std::optional(DType::boolean) : std::nullopt;
    case 'i': {
      static constexpr std::array kSigned = {DType::int8, DType::int16, DType::int32, DType::int64};
      return itemsize > 0 && itemsize <= 8 && std::has_single_bit(static_cast<std::uint64_t>(itemsize))
                 ? std::optional(kSigned[static_cast<std::size_t>(
                       std::countr_zero(static_cast<std::uint64_t>(itemsize)))])
                 : std::nullopt;
    }
    case 'u': {
      static constexpr std::array kUnsigned = {DType::uint8, DType::uint16, DType::uint32, DType::uint64};
      return itemsize > 0 && itemsize <= 8 && std::has_single_bit(static_cast<std::uint64_t>(itemsize))
                 ? std::optional(kUnsigned[static_cast<std::size_t>(
                       std::countr_zero(static_cast<std::uint64_t>(itemsize)))])
                 : std::nullopt;
    }
    case 'f':
      return itemsize == 2   ? std::optional(DType::float16)
             : itemsize == 4 ? std::optional(DType::float32)
             : itemsize == 8 ? std::optional(DType::float64)
                             : std::nullopt;
    case 'c':
      return itemsize == 8    ? std::optional(DType::complex64)
             : itemsize == 16 ? std::optional(DType::complex128)
                              : std::nullopt;
    case 'M':
    case 'm':
      return itemsize == 8 ? std::optional(DType::int64) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string NumpyDType::name() const {
  if (!fields.empty()) {
    std::string text = "[";
    for (const NumpyField& field : fields)
      text += (text.size() > 1 ? ", " : "") + field.name + ": " + field.type.name();
    return text + "]";
  }
  switch (kind) {
    case 'b':
      return "bool";
    case 'i':
      return "int" + std::to_string(itemsize * 8);
    case 'u':
      return "uint" + std::to_string(itemsize * 8);
    case 'f':
      return "float" + std::to_string(itemsize * 8);
    case 'c':
      return "complex" + std::to_string(itemsize * 8);
    case 'U':
      return "<U" + std::to_string(itemsize / 4);
    case 'S':
      return "|S" + std::to_string(itemsize);
    case 'O':
      return "object";
    case 'M':
      return "datetime64" + (unit.empty() ? "" : "[" + unit + "]");
    case 'm':
      return "timedelta64" + (unit.empty() ? "" : "[" + unit + "]");
    default:
      return "void" + std::to_string(itemsize * 8);
  }
}

bool interpret_numpy(Call& call) {
  if (is_of_joblib(call, "NumpyArrayWrapper") && call.state != kNoNode) return make_joblib_array(call);
  if (is_of_joblib(call, "NDArrayWrapper") || is_of_joblib(call, "ZNDArrayWrapper"))
    throw Error(Code::unsupported_value, "joblib before 0.10 kept this array in a file of its own")
        .at(call.graph.at(call.id))
        .with_hint("load it with that joblib and dump it again into one file");
  if (!call.known) return false;
  switch (call.known->role) {
    case Role::numpy_dtype:
      return make_dtype(call);
    case Role::array_reconstruct:
      return make_array(call);
    case Role::array_from_buffer:
      return make_array_from_buffer(call);
    case Role::scalar:
      return make_scalar(call);
    case Role::random_state:
      return make_random_state(call);
    case Role::masked_array:
      return make_masked_array(call);
    default:
      return false;
  }
}

}  // namespace ferry::python
