#include "formats/numpy/arrays.h"

#include <algorithm>
#include <array>

#include "formats/python/interpret.h"
#include "formats/torch/program.h"
#include "formats/zip/crc32.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::numpy {
namespace {

// Texts become Python values, several nodes each, and are read when the file is opened.
constexpr std::uint64_t kTextBytesMax = std::uint64_t{64} << 20;
constexpr std::int64_t kTextItemsMax = 1 << 20;
constexpr std::string_view kFromBuffer = "numpy.core.numeric._frombuffer";

ByteRange data_range(const ArrayPlace& place, const ArrayHeader& header) {
  const std::uint64_t before = header.bytes.size();
  return {place.range.offset + before, place.range.size - before};
}

// The CRC of the data alone.  With C(n) the CRC of A shifted by n zero bytes, crc(A B) = C(|B|) xor crc(B).
std::optional<std::uint32_t> data_crc(const ArrayPlace& place, const ArrayHeader& header) {
  if (!place.crc) return std::nullopt;
  const std::uint32_t shifted =
      zip::crc32_combine(zip::crc32(0, header.bytes), 0, data_range(place, header).size);
  return *place.crc ^ shifted;
}

// The bytes of the data, which must agree with the CRC.
std::vector<std::byte> read_data(const ArrayPlace& place, const ArrayHeader& header, std::uint64_t size_max) {
  const ByteRange range = data_range(place, header);
  if (range.size > size_max)
    throw Error(Code::limit_exceeded,
                "the array has " + grouped(range.size) + " bytes, the limit is " + grouped(size_max))
        .at(range.offset);
  std::vector<std::byte> bytes = place.source->read(range);
  if (const auto crc = data_crc(place, header); crc && *crc != zip::crc32(0, bytes))
    throw Error(Code::checksum_mismatch,
                "the bytes of the array do not give the CRC-32 that was stored with them")
        .at(range.offset);
  return bytes;
}

// Elements, when they take just the bytes that are there.
std::int64_t checked_elements(const ArrayPlace& place, const ArrayHeader& header, const ElementType& type) {
  const auto numel = checked_numel(header.shape);
  const auto size = numel ? checked_mul(*numel, type.itemsize) : std::nullopt;
  if (!size) throw Error(Code::bad_npy, "the shape has more elements than fit in 63 bits");
  const ByteRange range = data_range(place, header);
  if (static_cast<std::uint64_t>(*size) != range.size)
    throw Error(static_cast<std::uint64_t>(*size) > range.size ? Code::truncated : Code::bad_npy,
                "type and shape need " + std::to_string(*size) + " bytes, " + std::to_string(range.size) +
                    " follow the header")
        .at(range.offset);
  return *numel;
}

std::vector<std::int64_t> strides_of(const ArrayHeader& header) {
  const std::size_t rank = header.shape.size();
  std::vector<std::int64_t> strides(rank);
  std::int64_t step = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t axis = header.fortran ? i : rank - 1 - i;
    strides[axis] = step;
    // No overflow: checked_numel has multiplied all sizes but the zeros.
    step *= std::max<std::int64_t>(header.shape[axis], 1);
  }
  return strides;
}

// An empty array is never read later, so its CRC is compared now: it is the header's alone.
void check_empty(const std::optional<std::uint32_t>& crc) {
  if (crc && *crc != 0)
    throw Error(Code::checksum_mismatch, "the header does not give the CRC-32 that was stored with it");
}

NodeId make_global(ValueGraph& graph, std::string_view module, std::string_view name) {
  const NodeId module_text = graph.make_text(module);
  return graph.make_global(module_text, graph.make_text(name), 0);
}

}  // namespace

NodeId ArrayReader::add(const ArrayPlace& place) {
  const ArrayHeader header = read_array_header(place.head, place.range.size);
  const ElementType type = parse_element_type(header.descr);
  if (type.kind == 'O') {
    torch::decode_program(object_program(place, header, limits_), 0, checkpoint_.globals);
    throw Error(Code::unsupported_value, "arrays of Python objects in an archive are not supported");
  }
  const std::int64_t numel = checked_elements(place, header, type);
  return type.dtype ? add_tensor(place, header, type, numel) : add_text(place, header, numel);
}

NodeId ArrayReader::add_tensor(const ArrayPlace& place, const ArrayHeader& header, const ElementType& type,
                               std::int64_t numel) {
  const ByteRange range = data_range(place, header);
  Storage storage;
  storage.key = place.key;
  storage.dtype = *type.dtype;
  storage.untyped = info(*type.dtype).storage_class.empty();
  storage.numel = storage.untyped ? static_cast<std::int64_t>(range.size) : numel;
  storage.bytes.source = place.source;
  storage.bytes.offset = range.offset;
  storage.bytes.size = storage.bytes.stored_size = range.size;
  storage.bytes.big_endian = type.big_endian && info(*type.dtype).swap_unit > 1;
  storage.bytes.crc = data_crc(place, header);
  if (range.size == 0) check_empty(storage.bytes.crc);
  checkpoint_.storages.push_back(std::move(storage));
  Tensor tensor;
  tensor.storage = static_cast<std::uint32_t>(checkpoint_.storages.size() - 1);
  tensor.dtype = *type.dtype;
  tensor.rank = static_cast<std::uint16_t>(header.shape.size());
  tensor.dims = checkpoint_.add_dims(header.shape, strides_of(header));
  checkpoint_.tensors.push_back(tensor);
  const NodeId node = checkpoint_.values.make_indexed(
      Kind::tensor, static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  if (type.kind == 'M' || type.kind == 'm')
    checkpoint_.note(node, Code::lost_value,
                     "the unit of " + quote(header.descr, 40) + ": its numbers are kept as integers");
  return node;
}

// The call that a pickled array of this text would hold: what text means is known in one place only.
NodeId ArrayReader::add_text(const ArrayPlace& place, const ArrayHeader& header, std::int64_t numel) {
  std::int64_t lists = 1;  // also a shape with a zero makes as many lists as its other sizes say
  for (const std::int64_t size : header.shape) lists *= std::max<std::int64_t>(size, 1);
  if (std::max(lists, numel) > kTextItemsMax)
    throw Error(Code::unsupported_value,
                "an array of more than " + grouped(kTextItemsMax) + " texts is not supported");
  const std::vector<std::byte> data = read_data(place, header, kTextBytesMax);
  ValueGraph& graph = checkpoint_.values;
  const NodeId descr = graph.make_text(header.descr);
  const NodeId type =
      graph.make_call(make_global(graph, "numpy", "dtype"), graph.make_tuple({{descr}}), CallForm::reduce, 0);
  std::vector<NodeId> sizes;
  for (const std::int64_t size : header.shape) sizes.push_back(graph.make_integer(size));
  const std::array<NodeId, 4> arguments = {graph.make_bytes(Kind::bytes, data), type, graph.make_tuple(sizes),
                                           graph.make_text(header.fortran ? "F" : "C")};
  return graph.make_call(make_global(graph, "numpy.core.numeric", "_frombuffer"), graph.make_tuple(arguments),
                         CallForm::reduce, 0);
}

void ArrayReader::finish() {
  python::Context context{checkpoint_, limits_, {}, {}, {}, {}};
  const std::size_t noted = checkpoint_.notes.size();
  python::interpret_calls(context, [](python::Call&) { return false; });
  // The function was never in the file.
  for (std::size_t i = noted; i < checkpoint_.notes.size(); ++i)
    if (std::string& what = checkpoint_.notes[i].what; what.starts_with(kFromBuffer))
      what.replace(0, kFromBuffer.size(), "numpy array");
}

pickle::Program object_program(const ArrayPlace& place, const ArrayHeader& header, const Limits& limits) {
  const std::uint64_t size_max = place.deflated ? limits.inflated_pickle_max : limits.pickle_bytes_max;
  return std::make_shared<const std::vector<std::byte>>(read_data(place, header, size_max));
}

}  // namespace ferry::numpy
