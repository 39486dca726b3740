#include <algorithm>
#include <array>

#include "formats/pickle/scan.h"
#include "formats/torch/interpret.h"
#include "formats/torch/legacy_layout.h"
#include "formats/torch/losses.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kMagicProgramMax = 128;  // 15 bytes as torch writes it, more in text protocols

// The five programs of a stream, one after the other, and where the next one starts.
class Stream {
 public:
  Stream(Checkpoint& checkpoint, const Limits& limits) : checkpoint_(checkpoint), limits_(limits) {}

  pickle::Decoded next(const char* what) {
    try {
      pickle::Decoded decoded = decode_program_at(*checkpoint_.source, offset_, limits_, checkpoint_.globals);
      begin_ = offset_;
      offset_ += decoded.size;
      return decoded;
    } catch (Error& error) {
      error.in("of the " + std::string(what) + " pickle, which starts at byte " + std::to_string(offset_));
      throw;
    }
  }
  std::uint64_t offset() const { return offset_; }
  std::uint64_t begin() const { return begin_; }  // of the program that came last

 private:
  Checkpoint& checkpoint_;
  const Limits& limits_;
  std::uint64_t offset_ = 0, begin_ = 0;
};

[[noreturn]] void fail(const std::string& what, std::uint64_t at) {
  throw Error(Code::bad_legacy_stream, what).at(at);
}

void check_header(Stream& stream) {
  const pickle::Decoded magic = stream.next("magic number");
  const NodeId root = magic.graph.root();
  if (magic.graph.kind(root) != Kind::big_integer || magic.graph.integer_text(root) != legacy::kMagic)
    fail("the magic number is wrong", 0);
  const std::uint64_t at = stream.offset();
  const pickle::Decoded version = stream.next("protocol version");
  const auto number = version.graph.as_integer(version.graph.root());
  if (number != legacy::kProtocol)
    throw Error(Code::bad_version, "the protocol version is " +
                                       (number ? std::to_string(*number) : "no number") + " where " +
                                       std::to_string(legacy::kProtocol) + " is known")
        .at(at);
}

void check_system(Stream& stream) {
  const std::uint64_t at = stream.offset();
  const pickle::Decoded system = stream.next("system info");
  const ValueGraph& graph = system.graph;
  if (graph.kind(graph.root()) != Kind::dict) fail("the system info is no dict", at);
  const NodeId little = graph.find(graph.root(), "little_endian");
  if (little != kNoNode && graph.kind(little) == Kind::boolean && !graph.boolean(little))
    throw Error(Code::bad_byte_order,
                "the stream was written on a big-endian machine, which is not supported")
        .at(at);
}

std::vector<std::string> read_keys(Stream& stream) {
  const std::uint64_t at = stream.offset();
  const pickle::Decoded list = stream.next("storage key");
  const ValueGraph& graph = list.graph;
  if (graph.kind(graph.root()) != Kind::list) fail("the keys of the storages are no list", at);
  std::vector<std::string> keys;
  for (const NodeId item : graph.items(graph.root())) {
    const auto key = graph.as_text(item);
    if (!key) fail("the key of a storage is no text", at);
    keys.emplace_back(*key);
  }
  return keys;
}

// After the keys: for each, the number of elements as int64, then the elements.
void place_storages(Checkpoint& checkpoint, StorageTable& table, const std::vector<std::string>& keys,
                    std::uint64_t offset) {
  WindowReader reader(*checkpoint.source, 4096);
  for (const std::string& key : keys) {
    Storage* storage = table.find(key);
    if (storage == nullptr)
      fail("storage " + quote(key) + " is delivered, but the pickle does not name it", offset);
    if (storage->bytes.source != nullptr) fail("storage " + quote(key) + " is delivered twice", offset);
    std::uint64_t count = 0;
    try {
      count = load_le<std::uint64_t>(reader.view(offset, 8).data());
    } catch (Error& error) {
      throw std::move(error.in("in the size of storage " + quote(key)));
    }
    if (count != static_cast<std::uint64_t>(storage->numel))
      fail("storage " + quote(key) + " is delivered with " +
               std::to_string(static_cast<std::int64_t>(count)) + " elements, the pickle says " +
               std::to_string(storage->numel),
           offset);
    offset += 8;
    if (!fits(offset, storage->bytes.size, checkpoint.source->size()))
      throw Error(Code::truncated, "storage " + quote(key) + " has " + std::to_string(storage->bytes.size) +
                                       " bytes where " + std::to_string(checkpoint.source->size() - offset) +
                                       " are left in the file")
          .at(offset);
    storage->bytes.source = checkpoint.source;
    storage->bytes.offset = offset;
    storage->bytes.stored_size = storage->bytes.size;
    checkpoint.container.records.push_back({key, offset, storage->bytes.size, storage->bytes.size, 0});
    offset += storage->bytes.size;
  }
  for (const Storage& storage : checkpoint.storages)
    if (storage.bytes.source == nullptr)
      fail("storage " + quote(storage.key) + " is not in the stream", offset);
  if (offset != checkpoint.source->size())
    checkpoint.note(checkpoint.values.root(), Code::trailing_bytes,
                    std::to_string(checkpoint.source->size() - offset) +
                        " bytes follow the last storage; nothing refers to them");
}

// The same of a stream that is damaged or cut.  Each size must be where the sizes before it put it.  Where
// one is not, bytes may be missing before it, so the storage before it is lost with it.
class BrokenStream {
 public:
  BrokenStream(Checkpoint& checkpoint, Losses& losses) : checkpoint_(checkpoint), losses_(losses) {}

  void place(StorageTable& table, const std::vector<std::string>& keys, std::uint64_t offset) {
    for (const std::string& key : keys) {
      Storage* storage = table.find(key);
      if (storage == nullptr || storage->bytes.source != nullptr)
        fail("storage " + quote(key) + " is delivered twice, or unknown to the pickle", offset);
      offset = place_one(*storage, offset);
    }
    for (std::uint32_t i = 0; i < checkpoint_.storages.size(); ++i)
      if (checkpoint_.storages[i].bytes.source == nullptr) lose(i, "is not in the stream", offset);
    if (!losses_.storages.empty())
      losses_.story = grouped(checkpoint_.storages.size() - losses_.storages.size()) + " of " +
                      grouped(checkpoint_.storages.size()) +
                      " storages are whole; the first that is not begins at byte " +
                      std::to_string(breaks_at_);
    take_bytes_away(checkpoint_, losses_);
  }

 private:
  // Returns where the next one is to begin.
  std::uint64_t place_one(Storage& storage, std::uint64_t offset) {
    const ByteSource& source = *checkpoint_.source;
    const auto index = static_cast<std::uint32_t>(&storage - checkpoint_.storages.data());
    storage.bytes.source = checkpoint_.source;
    storage.bytes.stored_size = storage.bytes.size;
    if (!fits(offset, 8, source.size())) {
      lose(index, "lies behind the end of the file", offset);
      return source.size();
    }
    std::array<std::byte, 8> count;
    source.read_at(offset, count);
    const std::uint64_t begin = offset + count.size(), left = source.size() - begin;
    storage.bytes.offset = begin;
    checkpoint_.container.records.push_back({storage.key, begin, storage.bytes.size, storage.bytes.size, 0});
    if (load_le<std::int64_t>(count.data()) != storage.numel) {
      if (before_ != kNoStorage)
        lose(before_, "is followed by something else: bytes of it may be missing", offset);
      lose(index, "does not begin with its size", offset);
    } else if (storage.bytes.size > left) {
      lose(index,
           "has " + std::to_string(storage.bytes.size) + " bytes where " + std::to_string(left) +
               " are left in the file",
           offset);
    }
    before_ = index;
    return begin + std::min(storage.bytes.size, left);
  }

  void lose(std::uint32_t storage, const std::string& what, std::uint64_t offset) {
    if (losses_.storages.empty()) breaks_at_ = offset;
    losses_.add(storage, "storage " + quote(checkpoint_.storages[storage].key) + " " + what);
  }

  Checkpoint& checkpoint_;
  Losses& losses_;
  std::uint32_t before_ = kNoStorage;
  std::uint64_t breaks_at_ = 0;
};
// torch.save kept the source of every class of a whole module that it could find.
void note_sources(Checkpoint& checkpoint) {
  const std::size_t count = checkpoint.class_sources.size();
  if (count == 0) return;
  std::string what = "the source of " + checkpoint.class_sources.front().class_name;
  if (count > 1) what += " and " + std::to_string(count - 1) + " more classes";
  checkpoint.note(checkpoint.values.root(), Code::code_left_out, what + "; inspect --code shows it");
}

}  // namespace

bool starts_like_legacy(const ByteSource& source) {
  const auto size = pickle::find_program_size(source, 0, kMagicProgramMax);
  if (!size) return false;
  try {
    GlobalLog globals;
    const auto bytes = std::make_shared<const std::vector<std::byte>>(source.read({0, *size}));
    const pickle::Decoded first = pickle::decode(bytes, 0, globals);
    return first.graph.kind(first.graph.root()) == Kind::big_integer &&
           first.graph.integer_text(first.graph.root()) == legacy::kMagic;
  } catch (const Error&) {
    return false;
  }
}

namespace {

Checkpoint read_legacy(SourcePtr source, const Limits& limits, Losses* losses) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  checkpoint.container.format = "legacy stream";
  Stream stream(checkpoint, limits);
  check_header(stream);
  check_system(stream);
  pickle::Decoded main = stream.next("main");
  const pickle::Program program = main.program;
  const std::uint64_t begin = stream.begin();
  describe_program(checkpoint, std::move(main));
  StorageTable table(checkpoint, StorageTable::Layout::legacy);
  const std::vector<std::string> keys = read_keys(stream);
  try {
    table.resolve();
    if (losses != nullptr)
      BrokenStream(checkpoint, *losses).place(table, keys, stream.offset());
    else
      place_storages(checkpoint, table, keys, stream.offset());
    interpret(checkpoint, table, limits, {source, begin, *program});
  } catch (Error& error) {
    error.in("of the main pickle");
    throw;
  }
  note_sources(checkpoint);
  checkpoint.note(checkpoint.values.root(), Code::no_checksums,
                  "a legacy stream carries no checksums: a flipped bit in a weight cannot be seen");
  return checkpoint;
}

}  // namespace

Checkpoint open_legacy(SourcePtr source, const Limits& limits) {
  return read_legacy(std::move(source), limits, nullptr);
}

Checkpoint salvage_legacy(SourcePtr source, const Limits& limits, Losses& losses) {
  return read_legacy(std::move(source), limits, &losses);
}

}  // namespace ferry::torch
