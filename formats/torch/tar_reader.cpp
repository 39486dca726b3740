// The tar archives of PyTorch ≤ 0.1.9: sys_info, pickle, tensors, storages.
//
// Source: torch/serialization.py, legacy_load in 0.1.10 … 2.x, and _save of 0.1.x.
#include <algorithm>
#include <functional>

#include "formats/tar/archive.h"
#include "formats/torch/interpret.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/torch/tar_tables.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kPaddingSearched = 64 << 10;  // tarfile fills up to 10,240 bytes

const tar::Member& need(const tar::Archive& archive, std::string_view name) {
  const tar::Member* member = archive.find(name);
  if (member == nullptr) throw Error(Code::missing_record, "the tar archive has no member " + quote(name));
  return *member;
}

// An archive of other things: the person should hear what is in it.
void refuse_other_archives(const tar::Archive& archive) {
  static constexpr std::string_view kOwn[] = {"sys_info", "pickle", "tensors", "storages"};
  std::vector<std::string> names;
  for (const tar::Member& member : archive.members()) {
    if (std::find(std::begin(kOwn), std::end(kOwn), member.name) != std::end(kOwn)) return;
    names.push_back(member.name);
  }
  throw Error(Code::not_a_checkpoint,
              names.empty()
                  ? "this is an empty tar archive"
                  : "this is a tar archive of other files, not a checkpoint: it holds " + listed(names, 3))
      .with_hint("unpack it with tar -xf; the checkpoints may be inside");
}

// The parts of a file are read one after the other, and what is refused in a later one outranks what is
// broken in an earlier one.
class Attempts {
 public:
  void operator()(const std::function<void()>& part) {
    try {
      part();
    } catch (const Error& error) {
      if (error.fault() == Fault::refused) throw;
      if (!first_) first_ = error;
    }
  }
  void end() const {
    if (first_) throw *first_;
  }

 private:
  std::optional<Error> first_;
};

class TarReader {
 public:
  TarReader(SourcePtr source, const Limits& limits, Losses* losses)
      : limits_(limits),
        losses_(losses),
        storages_(checkpoint_, StorageTable::Layout::legacy),
        tables_(checkpoint_, storages_, limits, losses),
        archive_(losses == nullptr ? tar::Archive::open(source, limits)
                                   : tar::Archive::open_broken(source, limits, broken_)) {
    checkpoint_.source = std::move(source);
    checkpoint_.container.format = "legacy tar";
  }

  Checkpoint read() {
    if (broken_ && archive_.members().empty()) throw *broken_;
    refuse_other_archives(archive_);
    const tar::Member& pickle = need(archive_, "pickle");
    for (const tar::Member& member : archive_.members())
      if (member.is_file)
        checkpoint_.container.records.push_back(
            {member.name, member.data_offset, member.size, member.size, 0});
    Attempts attempt;
    attempt([&] { within("sys_info", [&] { check_system(); }); });
    attempt([&] { within("pickle", [&] { decode(pickle); }); });
    attempt([&] { within("storages", [&] { read_storages(); }); });
    attempt([&] { within("tensors", [&] { read_tensors(); }); });
    attempt.end();
    within("pickle", [&] {
      resolve();
      if (losses_ != nullptr) tell_damage();
      interpret(checkpoint_, storages_, limits_);
    });
    note_oddities();
    return std::move(checkpoint_);
  }

 private:
  static void within(std::string_view member, const std::function<void()>& step) {
    try {
      step();
    } catch (Error& error) {
      error.in(tar::in_member(member));
      throw;
    }
  }

  void check_system() {
    const tar::Member* member = archive_.find("sys_info");
    if (member == nullptr) return;  // nothing but the byte order is needed of it
    const SourcePtr part = archive_.bytes_of(*member);
    const pickle::Decoded system = decode_program_at(*part, 0, limits_, checkpoint_.globals);
    const ValueGraph& graph = system.graph;
    if (graph.kind(graph.root()) != Kind::dict) throw Error(Code::bad_tar, "the system info is no dict");
    const NodeId little = graph.find(graph.root(), "little_endian");
    if (little != kNoNode && graph.kind(little) == Kind::boolean && !graph.boolean(little))
      throw Error(Code::bad_byte_order,
                  "the file was written on a big-endian machine, which is not supported");
  }

  void decode(const tar::Member& member) {
    const SourcePtr part = archive_.bytes_of(member);
    describe_program(checkpoint_, decode_program_at(*part, 0, limits_, checkpoint_.globals));
    const std::uint64_t rest = member.size - checkpoint_.container.pickle_size;
    if (rest > 0)
      checkpoint_.note(checkpoint_.values.root(), Code::trailing_bytes,
                       std::to_string(rest) + " bytes follow the end of the pickle; nothing refers to them");
  }

  void read_storages() {
    const tar::Member* member = archive_.find("storages");
    if (member == nullptr && losses_ != nullptr) return;  // all of them are lost then
    if (member == nullptr) throw Error(Code::missing_record, "the tar archive has no such member");
    tables_.read_storages(*archive_.bytes_of(*member), member->data_offset);
  }

  // Other programs leave the table out and describe tensors in the main pickle, as PyTorch does since 0.1.10.
  void read_tensors() {
    const tar::Member* member = archive_.find("tensors");
    if (member != nullptr) tables_.read_tensors(*archive_.bytes_of(*member));
  }

  // Persistent ids become what they name.
  void resolve() {
    const auto count = static_cast<NodeId>(checkpoint_.values.node_count());
    for (NodeId id = 0; id < count; ++id) {
      const Kind kind = checkpoint_.values.kind(id);
      if (kind == Kind::persistent) resolve_one(id);
      if (kind == Kind::call) resolve_first_argument(id);
    }
  }

  void resolve_one(NodeId id) {
    ValueGraph& graph = checkpoint_.values;
    const NodeId saved = graph.items(id)[0];
    if (graph.kind(saved) == Kind::tuple) {
      const auto parts = graph.items(saved);
      if (parts.size() == 3 && graph.kind(parts[0]) == Kind::global)  // (class, file, source)
        return graph.become(id, parts[0]);
      return become_storage(id, saved);
    }
    const auto number = tar_number(graph, saved);
    if (!number) fail(id, "a persistent id is no number");
    const TarObject* object = tables_.find(*number);
    if (object == nullptr && losses_ != nullptr) return become_lost(id, *number);
    if (object == nullptr) fail(id, "the pickle refers to " + *number + ", which no table holds");
    const Kind kind = object->kind == TarObject::Kind::tensor ? Kind::tensor : Kind::storage;
    graph.become_indexed(id, kind, object->index);
  }

  // _rebuild_tensor(('storage', type, key, location, size), …): written by other programs, with a plain tuple
  // where PyTorch has a persistent id.
  void resolve_first_argument(NodeId call) {
    ValueGraph& graph = checkpoint_.values;
    const NodeId callee = graph.callee(call);
    if (graph.kind(callee) != Kind::global) return;
    const auto known = find_global(graph.text(graph.module(callee)), graph.text(graph.attribute(callee)));
    if (!known || (known->role != Role::rebuild_tensor && known->role != Role::rebuild_tensor_v2)) return;
    const auto arguments = graph.items(graph.arguments(call));
    if (!arguments.empty() && graph.kind(arguments[0]) == Kind::tuple)
      become_storage(arguments[0], arguments[0]);
  }

  void become_storage(NodeId id, NodeId described) {
    ValueGraph& graph = checkpoint_.values;
    const auto parts = graph.items(described);
    if (parts.size() < 5 || graph.as_text(parts[0]) != "storage")
      fail(id, "a persistent id names neither a class nor a storage");
    const auto number = tar_number(graph, parts[2]);
    if (!number) fail(id, "the key of a storage is no number");
    const TarObject* object = tables_.find(*number);
    if (object == nullptr && losses_ != nullptr) return become_lost(id, *number);
    if (object == nullptr || object->kind != TarObject::Kind::storage)
      fail(id, "storage " + *number + " is not in the archive");
    const StorageView view = storages_.views()[object->index];
    if (graph.as_integer(parts[4]) != view.numel)
      fail(id, "storage " + *number + " has " + std::to_string(view.numel) +
                   " elements, the pickle says something else");
    graph.become_indexed(id, Kind::storage, object->index);
  }

  void tell_damage() {
    if (broken_ || !losses_->storages.empty())
      losses_->story =
          grouped(checkpoint_.storages.size() - losses_->storages.size()) + " of " +
          grouped(checkpoint_.storages.size()) + " storages are whole" +
          (broken_ && !broken_->where().empty() ? "; the archive breaks " + broken_->where().front() : "");
    take_bytes_away(checkpoint_, *losses_);
  }

  void become_lost(NodeId id, const std::string& number) {
    checkpoint_.values.become_indexed(id, Kind::storage, tables_.view_of_missing(number, DType::uint8));
  }

  [[noreturn]] void fail(NodeId id, const std::string& what) const {
    throw Error(Code::bad_storage, what).at(checkpoint_.values.at(id));
  }

  void note_oddities() {
    const NodeId root = checkpoint_.values.root();
    const std::uint64_t size = checkpoint_.source->size(), end = std::min(archive_.end(), size);
    const auto rest = checkpoint_.source->read({end, std::min(size - end, kPaddingSearched)});
    const bool padding = std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
    if (archive_.end() > 0 && (!padding || size - end > kPaddingSearched))
      checkpoint_.note(
          root, Code::trailing_bytes,
          std::to_string(size - end) + " bytes follow the end of the archive; nothing refers to them");
    checkpoint_.note(root, Code::no_checksums,
                     "a tar archive has no checksums of its data: a flipped bit in a weight cannot be seen");
  }

  const Limits& limits_;
  Losses* losses_;
  Checkpoint checkpoint_;
  StorageTable storages_;
  TarTables tables_;
  std::optional<Error> broken_;
  tar::Archive archive_;
};

}  // namespace

Checkpoint open_tar(SourcePtr source, const Limits& limits) {
  return TarReader(std::move(source), limits, nullptr).read();
}

Checkpoint salvage_tar(SourcePtr source, const Limits& limits, Losses& losses) {
  return TarReader(std::move(source), limits, &losses).read();
}

}  // namespace ferry::torch
