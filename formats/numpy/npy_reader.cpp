#include "formats/numpy/arrays.h"
#include "formats/numpy/readers.h"
#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "src/core/error.h"

namespace ferry::numpy {
namespace {

// numpy pickles the whole array, whatever shape the header gives it.
void open_objects(Checkpoint& checkpoint, const ArrayPlace& place, const ArrayHeader& header,
                  const Limits& limits) {
  torch::describe_program(
      checkpoint, torch::decode_program(object_program(place, header, limits), 0, checkpoint.globals));
  torch::StorageTable table(checkpoint, torch::StorageTable::Layout::zip);
  table.resolve();
  if (!checkpoint.storages.empty())
    throw Error(Code::bad_storage, "the pickle names a storage, and a numpy file has none");
  const std::uint64_t unread = place.range.size - header.bytes.size() - checkpoint.container.pickle_size;
  torch::interpret(checkpoint, table, limits);
  if (unread > 0)
    checkpoint.note(checkpoint.values.root(), Code::trailing_bytes,
                    std::to_string(unread) + " bytes follow the end of the pickle; nothing refers to them");
}

}  // namespace

Likeness looks_like_npy(const ByteSource& source) {
  if (source.size() < kMagic.size()) return {false, "the file is shorter than numpy's magic bytes"};
  const auto head = source.read({0, kMagic.size()});
  if (as_text(Bytes(head)) == kMagic) return {true, "it begins with numpy's magic bytes"};
  return {false, "it does not begin with numpy's magic bytes"};
}

Checkpoint open_npy(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  const ArrayPlace place{.key = "array",
                         .source = source,
                         .range = {0, source->size()},
                         .crc = std::nullopt,
                         .head = [&](std::size_t size) {
                           return source->read({0, size});
                         }};
  const ArrayHeader header = read_array_header(place.head, place.range.size);
  if (parse_element_type(header.descr).kind == 'O') {
    open_objects(checkpoint, place, header, limits);
  } else {
    ArrayReader reader(checkpoint, limits);
    checkpoint.values.set_root(reader.add(place));
    reader.finish();
  }
  checkpoint.container.format = "npy";
  checkpoint.note(checkpoint.values.root(), Code::no_checksums,
                  "a .npy file carries no checksums: a flipped bit in a weight cannot be seen");
  return checkpoint;
}

}  // namespace ferry::numpy
