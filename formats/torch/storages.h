// Persistent ids of PyTorch: which storage a pickle means.
//
// zip:    ('storage', type, key, location, numel)
// legacy: ('storage', type, key, location, numel, None | (view_key, offset, view_numel))
// script: as zip, in PyTorch 1.3 … 1.5 with a None behind
// Source: torch/serialization.py, persistent_id and persistent_load of _legacy_save/_save, versions 0.1.10
// … 2.13.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::torch {

// A storage as a pickle refers to it: all of one in the checkpoint, or (legacy only) a part of it.
struct StorageView {
  std::uint32_t storage;
  std::int64_t offset;  // elements
  std::int64_t numel;
};

// Storages by key.  Since 1.9 keys are 0, 1, 2 …: those are found by counting, others by hashing.
class StorageKeys {
 public:
  void reserve(std::size_t count);  // keys expected: small numbers among them are found quickly

  // The place of the storage with this key, which is kNoStorage when the key is new.  Valid until the next
  // call.
  std::uint32_t& operator[](std::string_view key);

 private:
  std::vector<std::uint32_t> numbered_;
  std::unordered_map<std::string, std::uint32_t> named_;
};

class StorageTable {
 public:
  enum class Layout : std::uint8_t { zip, legacy, script };
  StorageTable(Checkpoint& checkpoint, Layout layout) : checkpoint_(checkpoint), layout_(layout) {}

  // Replaces every persistent id of the graph: storages become Kind::storage with an index into views(),
  // classes of modules that torch ≤ 1.5 wrote with their source become the class.  Equal keys must mean equal
  // storages. Throws Code::bad_storage.
  void resolve();

  const std::vector<StorageView>& views() const { return views_; }
  // All of a storage that no persistent id names; returns the index of the view.
  std::uint32_t add_view(std::uint32_t storage) {
    views_.push_back({storage, 0, checkpoint_.storages[storage].numel});
    return static_cast<std::uint32_t>(views_.size() - 1);
  }
  // The storage with this key, or nullptr.
  Storage* find(const std::string& key);

  // For tables of storages that are no persistent ids: a storage of its own, and a view of one.
  std::uint32_t add_storage(Storage storage);  // returns its index in Checkpoint::storages
  std::uint32_t add_view(StorageView view);    // returns its index in views()

  // After the tensors are made, storages that are values by themselves point into Checkpoint::storages.
  void settle_bare_storages(std::span<const NodeId> nodes);

 private:
  void resolve_one(NodeId id);
  void keep_source(std::span<const NodeId> parts);
  std::uint32_t root_storage(NodeId id, std::span<const NodeId> parts);
  StorageView view_of(NodeId id, std::uint32_t storage, NodeId view);

  Checkpoint& checkpoint_;
  Layout layout_;
  std::vector<StorageView> views_;
  StorageKeys by_key_;
  std::unordered_map<NodeId, std::optional<KnownGlobal>> types_;  // by node of the name
};

// Bytes of a storage, by its numel and type; nullopt when they do not fit in 63 bits.
std::optional<std::uint64_t> storage_size(const Storage& storage);

}  // namespace ferry::torch
