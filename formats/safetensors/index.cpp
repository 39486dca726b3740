#include "formats/safetensors/index.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "formats/json/json.h"
#include "formats/safetensors/merge.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::safetensors {
namespace {

constexpr std::uint64_t kIndexMax = 64 << 20;  // of 100,000 tensors it has less than 20 MB
constexpr std::size_t kShardsMax = 10'000;

// The index as a source, which also knows when a shard has changed.
class ShardedSource final : public ByteSource {
 public:
  ShardedSource(SourcePtr index, std::vector<SourcePtr> shards)
      : index_(std::move(index)), shards_(std::move(shards)) {}
  const std::string& name() const override { return index_->name(); }
  std::uint64_t size() const override { return index_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    index_->read_at(offset, out);
  }
  void check_unchanged() const override {
    index_->check_unchanged();
    for (const SourcePtr& shard : shards_) shard->check_unchanged();
  }

 private:
  SourcePtr index_;
  std::vector<SourcePtr> shards_;
};

// A tensor of the index or of a shard; sorted by shard and name.
struct Place {
  std::uint32_t shard;
  std::string_view name;
  std::uint32_t item;  // its number in the list that it comes from
  bool operator<(const Place& other) const {
    return shard != other.shard ? shard < other.shard : name < other.name;
  }
  bool operator==(const Place& other) const { return shard == other.shard && name == other.name; }
};

// A tensor as a shard has it.
struct Found {
  std::uint32_t shard;
  std::string name;
  NodeId node;
};

struct Index {
  std::vector<std::pair<std::string, std::uint32_t>> tensors;  // name and shard, in order
  std::vector<std::string> shards;                             // file names, in order of their first mention
};

// A name of a file in the folder of the index and nothing else: an index must not open what lies elsewhere,
// nor itself.
void check_shard_name(const std::string& name) {
  const bool plain = !name.empty() && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
  if (!plain)
    throw Error(Code::bad_json, "the shard " + quote(name) + " is no name of a file in the same folder");
  if (name.ends_with(".json")) throw Error(Code::bad_json, "the shard " + quote(name) + " is no checkpoint");
}

Index read_index(const ByteSource& source) {
  if (source.size() > kIndexMax)
    throw Error(Code::limit_exceeded,
                "the index has " + grouped(source.size()) + " bytes, the limit is " + grouped(kIndexMax));
  const auto bytes = source.read({0, source.size()});
  const json::Value document = json::parse(as_text(Bytes(bytes)), {.space_before = true});
  const json::Value* weights = document.find("weight_map");
  if (weights == nullptr || weights->object() == nullptr)
    throw Error(Code::bad_json, "the index has no weight_map");
  Index index;
  std::map<std::string_view, std::uint32_t> numbers;
  for (const auto& [name, shard] : *weights->object()) {
    if (shard.text() == nullptr)
      throw Error(Code::bad_json, "the index gives tensor " + quote(name) + " no shard");
    const auto next = static_cast<std::uint32_t>(index.shards.size());
    const auto [number, fresh] = numbers.try_emplace(*shard.text(), next);
    if (fresh) {
      check_shard_name(*shard.text());
      index.shards.push_back(*shard.text());
    }
    index.tensors.emplace_back(name, number->second);
  }
  if (index.shards.size() > kShardsMax)
    throw Error(Code::limit_exceeded, "the index names more than " + grouped(kShardsMax) + " shards");
  return index;
}

template <typename Items, typename MakePlace>
std::vector<Place> sorted_places(const Items& items, MakePlace make_place) {
  std::vector<Place> places;
  places.reserve(items.size());
  for (std::uint32_t i = 0; i < items.size(); ++i) places.push_back(make_place(items[i], i));
  std::sort(places.begin(), places.end());
  return places;
}

// Names and tensors in turn, in the order of the index; the shards must hold just what it says.
std::vector<NodeId> match(const Index& index, const std::vector<Found>& found, ValueGraph& graph) {
  const auto have = sorted_places(found, [](const auto& item, std::uint32_t i) {
    return Place{item.shard, item.name, i};
  });
  const auto wanted = sorted_places(index.tensors, [](const auto& item, std::uint32_t i) {
    return Place{item.second, item.first, i};
  });
  std::vector<NodeId> items(2 * index.tensors.size());
  for (const Place& want : wanted) {
    const auto place = std::lower_bound(have.begin(), have.end(), want);
    if (place == have.end() || !(*place == want))
      throw Error(Code::missing_record,
                  "the shard does not hold tensor " + quote(want.name) + ", which the index places there")
          .in("in shard " + quote(index.shards[want.shard]));
    items[2 * want.item] = graph.make_text(want.name);
    items[2 * want.item + 1] = found[place->item].node;
  }
  // Further names of tied tensors stand in the shards only.
  std::set<NodeId> named;
  for (std::size_t i = 1; i < items.size(); i += 2) named.insert(items[i]);
  for (const Place& place : have) {
    if (std::binary_search(wanted.begin(), wanted.end(), place)) continue;
    if (!named.contains(found[place.item].node))
      throw Error(Code::bad_safetensors,
                  "the index does not name tensor " + quote(place.name) + " of the shard")
          .in("in shard " + quote(index.shards[place.shard]));
    items.push_back(graph.make_text(place.name));
    items.push_back(found[place.item].node);
  }
  return items;
}

}  // namespace

Likeness looks_like_index(const ByteSource& source) {
  if (!source.name().ends_with(".index.json")) return {false, "it is not named .index.json"};
  const auto head = source.read({0, std::min<std::uint64_t>(source.size(), 64)});
  const std::size_t first = as_text(Bytes(head)).find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && as_text(Bytes(head))[first] == '{')
    return {true, "it is named .index.json and is a JSON object"};
  return {false, "it is no JSON object"};
}

Checkpoint open_index(SourcePtr source, const Limits&, const OpenShard& open) {
  const Index index = read_index(*source);
  const std::string& path = source->name();
  const std::string folder = path.substr(0, path.rfind('/') + 1);  // nothing when there is no slash
  Merger merger;
  std::vector<SourcePtr> sources;
  std::vector<Found> found;
  for (std::uint32_t shard = 0; shard < index.shards.size(); ++shard) {
    Checkpoint part = open(folder + index.shards[shard]);
    sources.push_back(part.source);
    for (Merger::Item& item : merger.add(std::move(part), index.shards[shard]))
      found.push_back({shard, std::move(item.name), item.node});
  }

  const std::vector<NodeId> items = match(index, found, merger.values());
  return merger.finish(std::make_shared<ShardedSource>(std::move(source), std::move(sources)), items);
}

}  // namespace ferry::safetensors
