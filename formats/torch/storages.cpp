#include "formats/torch/storages.h"

#include <charconv>

#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

[[noreturn]] void fail(const ValueGraph& graph, NodeId id, const std::string& what) {
  throw Error(Code::bad_storage, what).at(graph.at(id));
}

}  // namespace

std::optional<std::uint64_t> storage_size(const Storage& storage) {
  const auto size = checked_mul(storage.numel, storage.untyped ? 1 : info(storage.dtype).itemsize);
  if (!size || *size < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*size);
}

void StorageKeys::reserve(std::size_t count) { numbered_.resize(count, kNoStorage); }

std::uint32_t& StorageKeys::operator[](std::string_view key) {
  std::size_t number = 0;
  const auto end = std::from_chars(key.data(), key.data() + key.size(), number);
  const bool canonical =
      end.ec == std::errc() && end.ptr == key.data() + key.size() && (key[0] != '0' || key.size() == 1);
  if (canonical && number < numbered_.size()) return numbered_[number];
  return named_.try_emplace(std::string(key), kNoStorage).first->second;
}

Storage* StorageTable::find(const std::string& key) {
  const std::uint32_t found = by_key_[key];
  return found == kNoStorage ? nullptr : &checkpoint_.storages[found];
}

std::uint32_t StorageTable::add_storage(Storage storage) {
  checkpoint_.storages.push_back(std::move(storage));
  return static_cast<std::uint32_t>(checkpoint_.storages.size() - 1);
}

std::uint32_t StorageTable::add_view(StorageView view) {
  views_.push_back(view);
  return static_cast<std::uint32_t>(views_.size() - 1);
}

void StorageTable::resolve() {
  ValueGraph& graph = checkpoint_.values;
  const auto count = static_cast<NodeId>(graph.node_count());
  std::size_t ids = 0;
  for (NodeId id = 0; id < count; ++id) ids += graph.kind(id) == Kind::persistent ? 1u : 0u;
  checkpoint_.storages.reserve(ids);
  views_.reserve(ids);
  checkpoint_.tensors.reserve(ids);       // nearly always as many
  checkpoint_.dims.reserve(ids * 2 * 2);  // of matrices
  by_key_.reserve(ids);
  for (NodeId id = 0; id < count; ++id)
    if (graph.kind(id) == Kind::persistent) resolve_one(id);
}

void StorageTable::resolve_one(NodeId id) {
  ValueGraph& graph = checkpoint_.values;
  const NodeId tuple = graph.items(id)[0];
  if (graph.kind(tuple) != Kind::tuple) fail(graph, id, "a persistent id is no tuple");
  const auto items = graph.items(tuple);
  const std::vector<NodeId> parts(items.begin(), items.end());
  const auto type = parts.empty() ? std::nullopt : graph.as_text(parts[0]);
  if (type == "module" && layout_ == Layout::legacy && parts.size() == 4 &&
      graph.kind(parts[1]) == Kind::global) {
    keep_source(parts);
    graph.become(id, parts[1]);
    return;
  }
  if (type != "storage")
    fail(graph, id, "a persistent id names no storage but " + (type ? quote(*type, 40) : "something else"));
  const std::size_t expected = layout_ == Layout::legacy ? 6 : 5;
  const bool with_none = layout_ == Layout::script && parts.size() == 6 && graph.kind(parts[5]) == Kind::none;
  if (parts.size() != expected && !with_none)
    fail(graph, id,
         "a persistent id has " + std::to_string(parts.size()) + " parts where " + std::to_string(expected) +
             " belong");
  const std::uint32_t storage = root_storage(id, parts);
  StorageView view{storage, 0, checkpoint_.storages[storage].numel};
  if (layout_ == Layout::legacy && graph.kind(parts[5]) != Kind::none) view = view_of(id, storage, parts[5]);
  views_.push_back(view);
  graph.become_indexed(id, Kind::storage, static_cast<std::uint32_t>(views_.size() - 1));
}

// ('module', class, file, source): what the report may show; the source is never parsed.
void StorageTable::keep_source(std::span<const NodeId> parts) {
  const ValueGraph& graph = checkpoint_.values;
  const auto file = graph.as_text(parts[2]);
  if (!file || !graph.as_text(parts[3])) return;
  checkpoint_.class_sources.push_back({graph.dotted_name(parts[1]), std::string(*file), parts[3]});
}

std::uint32_t StorageTable::root_storage(NodeId id, std::span<const NodeId> parts) {
  const ValueGraph& graph = checkpoint_.values;
  Storage storage;
  if (graph.kind(parts[1]) != Kind::global) fail(graph, id, "a persistent id names no storage type");
  const auto [cached, fresh_type] = types_.try_emplace(parts[1]);
  if (fresh_type)
    cached->second = find_global(graph.text(graph.module(parts[1])), graph.text(graph.attribute(parts[1])));
  const std::optional<KnownGlobal>& known = cached->second;
  storage.untyped = known && known->role == Role::untyped_storage;
  if (known && known->role == Role::storage_type)
    storage.dtype = *known->dtype;
  else if (!storage.untyped)
    fail(graph, id, "unknown storage type " + quote(graph.dotted_name(parts[1])));
  const auto key = graph.as_text(parts[2]), location = graph.as_text(parts[3]);
  if (!key) fail(graph, id, "the key of a storage is no text");
  if (!location) fail(graph, id, "the location of storage " + quote(*key) + " is no text");
  if (graph.kind(parts[4]) != Kind::integer || graph.integer(parts[4]) < 0)
    fail(graph, id, "the size of storage " + quote(*key) + " is no count");
  storage.key = *key;
  storage.numel = graph.integer(parts[4]);
  storage.device = checkpoint_.device_index(*location);
  const auto size = storage_size(storage);
  if (!size) fail(graph, id, "storage " + quote(*key) + " has more bytes than can be counted");
  storage.bytes.size = *size;

  std::uint32_t& place = by_key_[storage.key];
  if (place == kNoStorage) {
    place = static_cast<std::uint32_t>(checkpoint_.storages.size());
    checkpoint_.storages.push_back(std::move(storage));
    return place;
  }
  const Storage& first = checkpoint_.storages[place];
  if (first.dtype != storage.dtype || first.untyped != storage.untyped)
    fail(graph, id,
         "storage " + quote(storage.key) + " is used with two types, " + std::string(info(first.dtype).name) +
             " and " + std::string(info(storage.dtype).name));
  if (first.numel != storage.numel)
    fail(graph, id,
         "storage " + quote(storage.key) + " is used with two sizes, " + std::to_string(first.numel) +
             " and " + std::to_string(storage.numel));
  return place;
}

StorageView StorageTable::view_of(NodeId id, std::uint32_t storage, NodeId view) {
  const ValueGraph& graph = checkpoint_.values;
  const auto parts = graph.items(view);
  if (graph.kind(view) != Kind::tuple || parts.size() != 3)
    fail(graph, id, "the view of a storage is no tuple of key, offset and size");
  if (graph.kind(parts[1]) != Kind::integer || graph.kind(parts[2]) != Kind::integer)
    fail(graph, id, "the view of a storage has no offset and size");
  const std::int64_t offset = graph.integer(parts[1]), size = graph.integer(parts[2]);
  const Storage& root = checkpoint_.storages[storage];
  if (offset < 0 || size < 0 ||
      !fits(static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(size),
            static_cast<std::uint64_t>(root.numel)))
    fail(graph, id,
         "a view of " + std::to_string(size) + " elements at " + std::to_string(offset) +
             " lies outside storage " + quote(root.key) + " of " + std::to_string(root.numel));
  return {storage, offset, size};
}

void StorageTable::settle_bare_storages(std::span<const NodeId> nodes) {
  ValueGraph& graph = checkpoint_.values;
  for (const NodeId id : nodes) {
    if (graph.kind(id) != Kind::storage) continue;
    const StorageView view = views_[graph.index(id)];
    std::uint32_t index = view.storage;
    if (view.offset != 0 || view.numel != checkpoint_.storages[index].numel) {
      Storage part = checkpoint_.storages[index];
      const std::uint64_t item = part.untyped ? 1 : info(part.dtype).itemsize;
      part.key.append("[").append(std::to_string(view.offset)).append("]");
      part.numel = view.numel;
      part.bytes.offset += static_cast<std::uint64_t>(view.offset) * item;
      part.bytes.size = part.bytes.stored_size = static_cast<std::uint64_t>(view.numel) * item;
      part.bytes.crc.reset();
      index = static_cast<std::uint32_t>(checkpoint_.storages.size());
      checkpoint_.storages.push_back(std::move(part));
    }
    graph.become_indexed(id, Kind::storage, index);
  }
}

}  // namespace ferry::torch
