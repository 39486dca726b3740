// What reading leaves behind in a graph: calls that became something else, their arguments, the pickle.
#include <algorithm>
#include <bit>

#include "src/core/value.h"

namespace ferry {

KeptNodes::KeptNodes(std::size_t count) : words_((count + kBits - 1) / kBits), before_(words_.size()) {}

void KeptNodes::keep(NodeId id) { words_[id / kBits] |= std::uint64_t{1} << id % kBits; }

void KeptNodes::number() {
  NodeId count = 0;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    before_[i] = count;
    count += static_cast<NodeId>(std::popcount(words_[i]));
  }
  count_ = count;
}

NodeId KeptNodes::operator[](NodeId old) const {
  if (old / kBits >= words_.size()) return kNoNode;
  const std::uint64_t word = words_[old / kBits], bit = std::uint64_t{1} << old % kBits;
  if ((word & bit) == 0) return kNoNode;
  return before_[old / kBits] + static_cast<NodeId>(std::popcount(word & (bit - 1)));
}

NodeId KeptNodes::count_before(NodeId old) const {
  if (old / kBits >= words_.size()) return count_;
  const std::uint64_t below = (std::uint64_t{1} << old % kBits) - 1;
  return before_[old / kBits] + static_cast<NodeId>(std::popcount(words_[old / kBits] & below));
}

KeptNodes ValueGraph::forget_unreachable(std::span<const NodeId> also) {
  KeptNodes kept(nodes_.size());
  for (NodeId id = 0; id < kFirstOwn; ++id) kept.keep(id);
  std::vector<NodeId> from(also.begin(), also.end());
  from.push_back(root_);
  for (const NodeId id : reachable(from)) kept.keep(id);
  kept.number();

  // In place, as a new number is never above the old one: this is when most memory is in use.
  std::vector<NodeId> pool;
  std::uint64_t characters = 0;  // in the program
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    if (kept[id] == kNoNode) continue;
    Node node = nodes_[id];
    if (is_container(id)) {
      const auto old = items(id);
      node.a = static_cast<std::uint32_t>(pool.size());
      for (const NodeId item : old) pool.push_back(kept[item]);
      // Room as append() expects it.
      if (node.kind != Kind::tuple && !old.empty()) pool.resize(node.a + std::bit_ceil(old.size()));
    } else if (node.kind == Kind::call || node.kind == Kind::global) {
      node.a = kept[node.a];
      node.b = kept[node.b];
    } else if (node.kind == Kind::persistent) {
      node.a = kept[node.a];
    } else if (lies_in_program(node)) {
      characters += node.b;
    }
    nodes_[kept[id]] = node;
  }
  pool_ = std::move(pool);
  nodes_.resize(kept.count());
  nodes_.shrink_to_fit();
  root_ = kept[root_];
  renumber(kept);
  // The names of tensors are a small part of a pickle.
  if (program_ != nullptr && characters <= program_->size() / 2 && arena_.size() + characters <= kAddressable)
    forget_program(characters);
  return kept;
}

void ValueGraph::renumber(const KeptNodes& kept) {
  std::unordered_map<NodeId, NodeId> attributes;
  for (const auto& [id, dict] : attributes_)
    if (kept[id] != kNoNode) attributes.emplace(kept[id], kept[dict]);
  attributes_ = std::move(attributes);

  std::unordered_map<NodeId, CallExtras> all;
  for (auto& [id, extras] : extras_) {
    if (kept[id] == kNoNode) continue;
    for (NodeId& item : extras.list_items) item = kept[item];
    for (NodeId& item : extras.dict_items) item = kept[item];
    for (NodeId* const part : {&extras.keyword_arguments, &extras.state})
      if (*part != kNoNode) *part = kept[*part];
    if (extras.built_at != kNoNode) extras.built_at = kept.count_before(extras.built_at);
    all.emplace(kept[id], std::move(extras));
  }
  extras_ = std::move(all);
}

void ValueGraph::forget_program(std::uint64_t characters) {
  arena_.reserve(arena_.size() + characters);
  for (Node& node : nodes_) {
    if (!lies_in_program(node)) continue;
    const auto begin = static_cast<std::uint32_t>(arena_.size());
    arena_ += ferry::as_text(Bytes(*program_).subspan(node.a, node.b));
    node.a = begin;
    node.aux = kInArena;
  }
  program_ = nullptr;
}

}  // namespace ferry
