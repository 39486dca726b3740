// Values of the standard library beyond builtins and dates: user containers, arrays of numbers, enums.
//
// Source: CPython's Lib/collections/__init__.py, Modules/arraymodule.c (__reduce_ex__,
// _array_reconstructor), Lib/zoneinfo (__reduce__), Lib/uuid.py (SafeUUID), Modules/timemodule.c.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "formats/python/interpret.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::python {
namespace {

// UserDict, UserList, UserString hold what they are in one attribute.
bool make_user_container(Call& call) {
  const NodeId data = call.state == kNoNode ? kNoNode : call.graph.find(call.state, "data");
  if (data == kNoNode) call.fail("has no state with data");
  call.become(data);
  call.note_data("what it holds");
  return true;
}

// The machine formats of array._array_reconstructor.
struct MachineFormat {
  std::optional<DType> dtype;  // nothing: text
  bool big_endian;
  std::size_t unit;  // bytes of a character
};

constexpr auto kFormats = std::to_array<MachineFormat>({
    {DType::uint8, false, 1},  {DType::int8, false, 1},    {DType::uint16, false, 2},
    {DType::uint16, true, 2},  {DType::int16, false, 2},   {DType::int16, true, 2},
    {DType::uint32, false, 4}, {DType::uint32, true, 4},   {DType::int32, false, 4},
    {DType::int32, true, 4},   {DType::uint64, false, 8},  {DType::uint64, true, 8},
    {DType::int64, false, 8},  {DType::int64, true, 8},    {DType::float32, false, 4},
    {DType::float32, true, 4}, {DType::float64, false, 8}, {DType::float64, true, 8},
    {std::nullopt, false, 2},  {std::nullopt, true, 2},    {std::nullopt, false, 4},
    {std::nullopt, true, 4},
});

std::uint32_t character_at(std::string_view octets, std::size_t at, const MachineFormat& format) {
  std::uint32_t point = 0;
  for (std::size_t i = 0; i < format.unit; ++i) {
    const std::size_t shift = 8 * (format.big_endian ? format.unit - 1 - i : i);
    point |= static_cast<std::uint32_t>(static_cast<unsigned char>(octets[at + i])) << shift;
  }
  return point;
}

bool is_high(std::uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low(std::uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

NodeId characters(const Call& call, std::string_view octets, const MachineFormat& format) {
  std::string text;
  for (std::size_t at = 0; at < octets.size(); at += format.unit) {
    std::uint32_t point = character_at(octets, at, format);
    if (format.unit == 2 && is_high(point) && at + 2 < octets.size()) {
      const std::uint32_t low = character_at(octets, at + 2, format);
      if (is_low(low)) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        at += 2;
      }
    }
    if (point > 0x10ffff) call.fail("holds a text that is no Unicode");
    append_utf8(text, point);
  }
  return call.graph.make_text(text, call.graph.at(call.id));
}

// array._array_reconstructor(class, type code, machine format, bytes), since Python 3.2 in protocol 3.
bool reconstruct_array(Call& call) {
  call.need_arguments(4, 4);
  call.need_nothing_after();
  const auto number = call.graph.as_integer(call.arguments[2]);
  if (!number || *number < 0 || *number >= static_cast<std::int64_t>(kFormats.size()))
    call.fail("has an unknown machine format");
  const MachineFormat& format = kFormats[static_cast<std::size_t>(*number)];
  const auto octets = python::octets(call.graph, call.arguments[3]);
  if (!octets || octets->size() % format.unit != 0) call.fail("has not a whole number of items");
  if (!format.dtype) {
    call.become(characters(call, *octets, format));
    call.note_data("text");
    return true;
  }
  const auto bytes = as_bytes(*octets);
  become_tensor_of_bytes(call, *format.dtype, {bytes.begin(), bytes.end()}, format.big_endian);
  return true;
}

// The type codes of array.array on the machines that PyTorch runs on.
std::optional<DType> dtype_of_code(std::string_view code) {
  static constexpr std::pair<char, DType> kCodes[] = {
      {'b', DType::int8},  {'B', DType::uint8},  {'h', DType::int16},   {'H', DType::uint16},
      {'i', DType::int32}, {'I', DType::uint32}, {'l', DType::int64},   {'L', DType::uint64},
      {'q', DType::int64}, {'Q', DType::uint64}, {'f', DType::float32}, {'d', DType::float64}};
  for (const auto& [letter, dtype] : kCodes)
    if (code.size() == 1 && code[0] == letter) return dtype;
  return std::nullopt;
}

template <typename T>
void put_number(std::vector<std::byte>& out, T value) {
  std::byte octets[sizeof(T)];
  std::memcpy(octets, &value, sizeof value);
  out.insert(out.end(), octets, octets + sizeof octets);
}

void put_item(const Call& call, DType dtype, NodeId item, std::vector<std::byte>& out) {
  const ValueGraph& graph = call.graph;
  if (dtype == DType::float32 || dtype == DType::float64) {
    if (graph.kind(item) != Kind::real) call.fail("holds something that is no number");
    if (dtype == DType::float32)
      put_number(out, static_cast<float>(graph.real(item)));
    else
      put_number(out, graph.real(item));
    return;
  }
  std::uint64_t word = 0;
  if (const auto number = graph.as_integer(item))
    word = static_cast<std::uint64_t>(*number);
  else if (graph.kind(item) == Kind::big_integer && graph.text(item).size() <= 9)
    std::memcpy(&word, graph.text(item).data(), 8);
  else
    call.fail("holds something that is no number");
  std::byte octets[8];
  store_le(octets, word);
  out.insert(out.end(), octets, octets + info(dtype).itemsize);
}

// array.array(type code, list of items), or (type code, bytes) in Python 2.
bool make_typed_array(Call& call) {
  call.need_arguments(1, 2);
  call.need_nothing_after();
  const std::string code(call.graph.as_text(call.arguments[0]).value_or("?"));
  const NodeId items = call.arguments.size() == 2 ? call.arguments[1] : call.graph.make_list({});
  if (code == "u" || code == "w" || code == "c") {
    std::string text;
    for (const NodeId item : call.graph.items(items)) text += call.graph.as_text(item).value_or("");
    if (const auto whole = call.graph.as_text(items)) text = *whole;
    call.become_text(text);
    call.note_data("text");
    return true;
  }
  const auto dtype = dtype_of_code(code);
  if (!dtype) call.fail("has an unknown type code " + quote(code, 40));
  std::vector<std::byte> bytes;
  if (const auto octets = plain_octets(call.graph, items)) {
    if (octets->size() % info(*dtype).itemsize != 0) call.fail("has not a whole number of items");
    bytes.assign(as_bytes(*octets).begin(), as_bytes(*octets).end());
  } else if (call.graph.kind(items) == Kind::list) {
    for (const NodeId item : call.graph.items(items)) put_item(call, *dtype, item, bytes);
  } else {
    call.fail("takes a list of items");
  }
  become_tensor_of_bytes(call, *dtype, std::move(bytes), false);
  return true;
}

// ZoneInfo('Europe/Berlin'), ZoneInfo._unpickle('Europe/Berlin', True), pytz._p('Europe/Berlin', …),
// pytz._UTC(), and dateutil's tzutc() and tzoffset(name, seconds or timedelta).
bool make_zone_info(Call& call) {
  call.need_arguments(0, 4);
  call.need_nothing_after();
  if (call.name() == "tzoffset") {
    const NodeId offset = call.arguments.size() == 2 ? call.arguments[1] : kNoNode;
    if (offset == kNoNode || call.graph.kind(offset) == Kind::text) call.fail("takes an offset");
    const auto whole = call.graph.as_integer(offset);
    if (!whole && call.graph.kind(offset) != Kind::real) call.fail("takes an offset");
    call.become_text(utc_offset_text(call, whole ? static_cast<double>(*whole) : call.graph.real(offset)));
  } else if (call.arguments.empty()) {
    call.become_text("UTC");
  } else {
    if (!call.graph.as_text(call.arguments[0])) call.fail("takes the name of a zone");
    call.become(call.arguments[0]);
  }
  call.note_data("text");
  return true;
}

bool make_first_argument(Call& call, std::string_view became) {
  call.need_arguments(1, 2);
  call.need_nothing_after();
  call.become(call.arguments[0]);
  call.note_data(became);
  return true;
}

// type(None), which has no other name.
bool make_type_of(Call& call) {
  const bool none = call.arguments.size() == 1 && call.graph.kind(call.arguments[0]) == Kind::none;
  if (!none)
    throw Error(Code::unsafe_global, "unsafe global " + call.module() + "." + call.name() +
                                         ": it takes something that is not None")
        .at(call.graph.at(call.id));
  call.need_nothing_after();
  call.become_text("NoneType");
  call.note_data("its name as text");
  return true;
}

}  // namespace

void become_tensor_of_bytes(Call& call, DType dtype, std::vector<std::byte> bytes, bool big_endian) {
  const std::array<std::int64_t, 1> shape = {static_cast<std::int64_t>(bytes.size() / info(dtype).itemsize)};
  const std::string name = "array at byte " + std::to_string(call.graph.at(call.id));
  StorageBytes place;
  place.size = place.stored_size = bytes.size();
  place.big_endian = big_endian && info(dtype).swap_unit > 1;
  place.source = std::make_shared<MemorySource>(name, std::move(bytes));
  call.become_tensor(call.context.checkpoint.add_tensor(dtype, shape, std::move(place), false, name));
  call.note_data("tensor (" + std::string(info(dtype).name) + ")");
}

bool interpret_standard(Call& call) {
  if (!call.known) return false;
  switch (call.known->role) {
    case Role::user_container:
      return make_user_container(call);
    case Role::std_array:
      return make_typed_array(call);
    case Role::std_array_reconstruct:
      return reconstruct_array(call);
    case Role::zone_info:
      return make_zone_info(call);
    case Role::standard_enum:
      return make_first_argument(call, "the value that it was made from");
    case Role::struct_time:
      return make_first_argument(call, "tuple");
    case Role::type_of:
      return make_type_of(call);
    default:
      return false;
  }
}

}  // namespace ferry::python
