#include "src/core/value.h"

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstring>

#include "src/core/error.h"

namespace ferry {
namespace {

struct CompositeRow {
  std::string_view name;
  std::array<std::string_view, 4> parts;
  std::size_t count;
};

constexpr std::string_view kTorch = "torch.";

// In the order of Composite.
constexpr auto kComposites = std::to_array<CompositeRow>({
    {"torch.sparse_coo", {"indices", "values", "size", "is_coalesced"}, 4},
    {"torch.sparse_csr", {"crow_indices", "col_indices", "values", "size"}, 4},
    {"torch.sparse_csc", {"ccol_indices", "row_indices", "values", "size"}, 4},
    {"torch.sparse_bsr", {"crow_indices", "col_indices", "values", "size"}, 4},
    {"torch.sparse_bsc", {"ccol_indices", "row_indices", "values", "size"}, 4},
    {"torch.nested", {"values", "sizes", "strides", "offsets"}, 4},
    {"torch.per_tensor_affine", {"int_repr", "scale", "zero_point", ""}, 3},
    {"torch.per_channel_affine", {"int_repr", "scales", "zero_points", "axis"}, 4},
    {"torch.per_channel_affine_float_qparams", {"int_repr", "scales", "zero_points", "axis"}, 4},
});

bool holds_characters(Kind kind) {
  switch (kind) {
    case Kind::text:
    case Kind::byte_string:
    case Kind::bytes:
    case Kind::byte_array:
    case Kind::big_integer:
    case Kind::device:
    case Kind::layout:
    case Kind::complex:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view torch_name(Composite form) { return kComposites[static_cast<std::size_t>(form)].name; }
std::string_view composite_name(Composite form) { return torch_name(form).substr(kTorch.size()); }

std::optional<Composite> composite_by_name(std::string_view name) {
  for (std::size_t i = 0; i < kComposites.size(); ++i)
    if (kComposites[i].name.substr(kTorch.size()) == name) return static_cast<Composite>(i);
  return std::nullopt;
}

std::span<const std::string_view> part_names(Composite form) {
  const CompositeRow& row = kComposites[static_cast<std::size_t>(form)];
  return std::span(row.parts).first(row.count);
}

ValueGraph::ValueGraph() {
  nodes_.push_back(Node{});
  for (std::uint8_t value = 0; value <= 1; ++value) {
    Node node;
    node.kind = Kind::boolean;
    node.aux = value;
    node.set_word(static_cast<std::uint64_t>(value));
    nodes_.push_back(node);
  }
  for (std::int64_t value = kSmallLeast; value <= kSmallMost; ++value) {
    Node node;
    node.kind = Kind::integer;
    node.set_word(static_cast<std::uint64_t>(value));
    nodes_.push_back(node);
  }
  nodes_.push_back(Node{.kind = Kind::tuple});
}

NodeId ValueGraph::add(Kind kind, std::uint8_t aux, std::uint32_t at, std::uint32_t a, std::uint32_t b) {
  if (nodes_.size() >= kNoNode) throw Error(Code::limit_exceeded, "more than 4 billion values");
  Node node;
  node.kind = kind;
  node.aux = aux;
  node.at = at;
  node.a = a;
  node.b = b;
  nodes_.push_back(node);
  return static_cast<NodeId>(nodes_.size() - 1);
}

std::pair<std::uint32_t, std::uint32_t> ValueGraph::store(std::string_view characters) {
  if (arena_.size() + characters.size() > kAddressable)
    throw Error(Code::limit_exceeded, "more than 4 GiB of text");
  const auto begin = static_cast<std::uint32_t>(arena_.size());
  arena_ += characters;
  return {begin, static_cast<std::uint32_t>(characters.size())};
}

NodeId ValueGraph::make_integer(std::int64_t value, std::uint32_t at) {
  if (value >= kSmallLeast && value <= kSmallMost)
    return kFirstSmall + static_cast<NodeId>(value - kSmallLeast);
  const NodeId id = add(Kind::integer, 0, at, 0, 0);
  nodes_[id].set_word(static_cast<std::uint64_t>(value));
  return id;
}

NodeId ValueGraph::make_big_integer(Bytes octets, std::uint32_t at) {
  // Shortest form first: trailing sign bytes that say nothing are dropped, and what fits in 64 bits is an
  // integer.
  while (octets.size() > 1) {
    const auto last = std::to_integer<std::uint8_t>(octets.back());
    const bool negative = (std::to_integer<std::uint8_t>(octets[octets.size() - 2]) & 0x80) != 0;
    if (last != (negative ? 0xff : 0x00)) break;
    octets = octets.first(octets.size() - 1);
  }
  if (octets.size() <= 8) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < octets.size(); ++i)
      value |= std::to_integer<std::uint64_t>(octets[i]) << (8 * i);
    const bool negative = !octets.empty() && (std::to_integer<std::uint8_t>(octets.back()) & 0x80) != 0;
    if (negative && octets.size() < 8) value |= ~std::uint64_t{0} << (8 * octets.size());
    return make_integer(static_cast<std::int64_t>(value), at);
  }
  return make_bytes(Kind::big_integer, octets, at);
}

NodeId ValueGraph::make_real(double value, std::uint32_t at) {
  const NodeId id = add(Kind::real, 0, at, 0, 0);
  nodes_[id].set_word(std::bit_cast<std::uint64_t>(value));
  return id;
}

NodeId ValueGraph::make_complex(double re, double im, std::uint32_t at) {
  const double parts[2] = {re, im};
  return make_bytes(Kind::complex, std::as_bytes(std::span(parts)), at);
}

NodeId ValueGraph::make_text(std::string_view utf8, std::uint32_t at) {
  const auto [begin, size] = store(utf8);
  return add(Kind::text, kInArena, at, begin, size);
}

NodeId ValueGraph::make_bytes(Kind kind, Bytes bytes, std::uint32_t at) {
  const auto [begin, size] = store(ferry::as_text(bytes));
  return add(kind, kInArena, at, begin, size);
}

NodeId ValueGraph::make_slice(Kind kind, std::uint64_t begin, std::uint64_t size, std::uint32_t at) {
  if (begin + size > kAddressable) {  // beyond what a node can point at: copied
    return make_bytes(kind, Bytes(*program_).subspan(begin, size), at);
  }
  return add(kind, 0, at, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size));
}

NodeId ValueGraph::make_tuple(std::span<const NodeId> items, std::uint32_t at) {
  if (items.empty()) return kEmptyTuple;
  const auto begin = static_cast<std::uint32_t>(pool_.size());
  pool_.insert(pool_.end(), items.begin(), items.end());
  return add(Kind::tuple, 0, at, begin, static_cast<std::uint32_t>(items.size()));
}

NodeId ValueGraph::make_container(Kind kind, std::uint8_t aux, std::uint32_t at) {
  return add(kind, aux, at, 0, 0);
}

NodeId ValueGraph::make_list(std::span<const NodeId> items, std::uint32_t at) {
  const NodeId id = make_container(Kind::list, 0, at);
  append(id, items);
  return id;
}

NodeId ValueGraph::make_dict(DictFlavor flavor, std::uint32_t at) {
  return make_container(Kind::dict, static_cast<std::uint8_t>(flavor), at);
}

NodeId ValueGraph::make_composite(Composite form, std::uint16_t flags, std::span<const NodeId> parts,
                                  std::uint32_t at) {
  const NodeId id = make_container(Kind::composite, static_cast<std::uint8_t>(form), at);
  nodes_[id].flags = flags;
  set_items(id, parts);
  return id;
}

NodeId ValueGraph::make_global(NodeId module, NodeId name, std::uint32_t at) {
  return add(Kind::global, 0, at, module, name);
}
NodeId ValueGraph::make_persistent(NodeId id, std::uint32_t at) {
  return add(Kind::persistent, 0, at, id, 0);
}
NodeId ValueGraph::make_call(NodeId callee, NodeId arguments, CallForm form, std::uint32_t at) {
  return add(Kind::call, static_cast<std::uint8_t>(form), at, callee, arguments);
}
NodeId ValueGraph::make_indexed(Kind kind, std::uint32_t index, std::uint32_t at) {
  return add(kind, 0, at, index, 0);
}

std::pair<double, double> ValueGraph::complex(NodeId id) const {
  double parts[2];
  std::memcpy(parts, text(id).data(), sizeof parts);
  return {parts[0], parts[1]};
}

bool ValueGraph::lies_in_program(const Node& node) {
  return holds_characters(node.kind) && node.aux != kInArena;
}

std::string_view ValueGraph::text(NodeId id) const {
  const Node& node = nodes_[id];
  if (!holds_characters(node.kind)) return {};
  if (lies_in_program(node)) return ferry::as_text(Bytes(*program_).subspan(node.a, node.b));
  return std::string_view(arena_).substr(node.a, node.b);
}

std::optional<std::int64_t> ValueGraph::as_integer(NodeId id) const {
  if (kind(id) == Kind::integer || kind(id) == Kind::boolean) return integer(id);
  return std::nullopt;
}

std::optional<std::string_view> ValueGraph::as_text(NodeId id) const {
  if (kind(id) == Kind::text || kind(id) == Kind::byte_string) return text(id);
  return std::nullopt;
}

std::string ValueGraph::integer_text(NodeId id) const {
  if (kind(id) != Kind::big_integer) return std::to_string(integer(id));
  std::string octets(text(id));
  const bool negative = (static_cast<unsigned char>(octets.back()) & 0x80) != 0;
  if (negative) {  // two's complement: invert and add one
    unsigned carry = 1;
    for (char& c : octets) {
      const unsigned sum = (static_cast<unsigned char>(c) ^ 0xffu) + carry;
      c = static_cast<char>(sum & 0xff);
      carry = sum >> 8;
    }
  }
  // Long division by 10^9, most significant byte first.
  std::string digits;
  bool rest = true;
  while (rest) {
    std::uint64_t remainder = 0;
    rest = false;
    for (std::size_t i = octets.size(); i-- > 0;) {
      const std::uint64_t part = (remainder << 8) | static_cast<unsigned char>(octets[i]);
      octets[i] = static_cast<char>(part / 1'000'000'000);
      remainder = part % 1'000'000'000;
      rest = rest || octets[i] != 0;
    }
    for (int i = 0; i < 9; ++i, remainder /= 10) digits += static_cast<char>('0' + remainder % 10);
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

bool ValueGraph::is_container(NodeId id) const {
  switch (kind(id)) {
    case Kind::tuple:
    case Kind::list:
    case Kind::set:
    case Kind::dict:
    case Kind::size:
    case Kind::composite:
      return true;
    default:
      return false;
  }
}

std::string ValueGraph::dotted_name(NodeId global) const {
  return std::string(text(module(global))) + "." + std::string(text(attribute(global)));
}

std::span<const NodeId> ValueGraph::items(NodeId id) const {
  const Node& node = nodes_[id];
  if (node.kind == Kind::persistent) return {&node.a, 1};
  if (!is_container(id)) return {};
  return std::span(pool_).subspan(node.a, node.b);
}

Entry ValueGraph::entry(NodeId dict, std::size_t i) const {
  const auto pairs = items(dict);
  return {pairs[2 * i], pairs[2 * i + 1]};
}

NodeId ValueGraph::find(NodeId dict, std::string_view key) const {
  if (kind(dict) != Kind::dict) return kNoNode;
  const auto pairs = items(dict);
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
    if (as_text(pairs[i]) == key) return pairs[i + 1];
  return kNoNode;
}

void ValueGraph::append(NodeId id, std::span<const NodeId> added) {
  const std::uint32_t begin = nodes_[id].a, count = nodes_[id].b;
  const std::size_t total = count + added.size();
  const std::size_t room = count == 0 ? 0 : std::bit_ceil(static_cast<std::size_t>(count));
  if (total > room) {  // move to the end of the pool, with room up to the next power of two
    const std::vector<NodeId> copy(added.begin(), added.end());  // `added` may lie in the pool itself
    const std::size_t fresh = pool_.size();
    if (fresh + std::bit_ceil(total) > kAddressable)
      throw Error(Code::limit_exceeded, "more than 4 billion items");
    pool_.resize(fresh + std::bit_ceil(total));
    std::copy_n(pool_.begin() + begin, count, pool_.begin() + static_cast<std::ptrdiff_t>(fresh));
    std::copy(copy.begin(), copy.end(), pool_.begin() + static_cast<std::ptrdiff_t>(fresh + count));
    nodes_[id].a = static_cast<std::uint32_t>(fresh);
  } else {
    std::copy(added.begin(), added.end(), pool_.begin() + begin + count);
  }
  nodes_[id].b = static_cast<std::uint32_t>(total);
}

void ValueGraph::set_items(NodeId id, std::span<const NodeId> items) {
  const std::vector<NodeId> copy(items.begin(), items.end());
  nodes_[id].b = 0;
  append(id, copy);
}

void ValueGraph::set_entry(NodeId dict, std::string_view key, NodeId value) {
  const std::uint32_t begin = nodes_[dict].a, count = nodes_[dict].b;
  for (std::uint32_t i = 0; i + 1 < count; i += 2)
    if (as_text(pool_[begin + i]) == key) {
      pool_[begin + i + 1] = value;
      return;
    }
  const NodeId pair[2] = {make_text(key), value};
  append(dict, pair);
}

void ValueGraph::become(NodeId id, NodeId other) {
  nodes_[id] = nodes_[other];
  if (is_container(id)) {  // its own room in the pool, or two nodes would grow into one another
    const auto shared = items(other);
    const std::vector<NodeId> copy(shared.begin(), shared.end());
    nodes_[id].b = 0;
    append(id, copy);
  }
  if (const NodeId dict = attributes(other); dict != kNoNode) attributes_[id] = dict;
  extras_.erase(id);
}

void ValueGraph::become_dict(NodeId id, DictFlavor flavor, std::span<const NodeId> entries) {
  Node node;
  node.kind = Kind::dict;
  node.aux = static_cast<std::uint8_t>(flavor);
  node.at = nodes_[id].at;
  nodes_[id] = node;
  append(id, entries);
  extras_.erase(id);
}

void ValueGraph::become_indexed(NodeId id, Kind kind, std::uint32_t index) {
  Node node;
  node.kind = kind;
  node.at = nodes_[id].at;
  node.a = index;
  nodes_[id] = node;
  extras_.erase(id);
}

NodeId ValueGraph::attributes(NodeId id) const {
  const auto found = attributes_.find(id);
  return found == attributes_.end() ? kNoNode : found->second;
}

void ValueGraph::set_attributes(NodeId id, NodeId dict) {
  if (dict == kNoNode)
    attributes_.erase(id);
  else
    attributes_[id] = dict;
}

const CallExtras* ValueGraph::extras(NodeId call) const {
  const auto found = extras_.find(call);
  return found == extras_.end() ? nullptr : &found->second;
}

CallExtras& ValueGraph::make_extras(NodeId call) { return extras_[call]; }

std::vector<NodeId> ValueGraph::calls_in_order() const {
  struct Built {
    NodeId at;
    std::uint32_t build;
    NodeId call;
    auto operator<=>(const Built&) const = default;
  };
  std::vector<Built> built;
  for (const auto& [call, extras] : extras_)
    if (extras.built_at != kNoNode) built.push_back({extras.built_at, extras.build, call});
  std::sort(built.begin(), built.end());
  std::vector<NodeId> order;
  std::size_t next = 0;
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    for (; next < built.size() && built[next].at <= id; ++next) order.push_back(built[next].call);
    if (nodes_[id].kind != Kind::call) continue;
    const CallExtras* extra = extras(id);
    if (extra == nullptr || extra->built_at == kNoNode) order.push_back(id);
  }
  for (; next < built.size(); ++next) order.push_back(built[next].call);
  return order;
}

void ValueGraph::children(NodeId id, std::vector<NodeId>& out) const {
  const Node& node = nodes_[id];
  if (node.kind == Kind::call) {
    out.push_back(node.a);
    out.push_back(node.b);
    if (const CallExtras* extra = extras(id)) {
      if (extra->keyword_arguments != kNoNode) out.push_back(extra->keyword_arguments);
      out.insert(out.end(), extra->list_items.begin(), extra->list_items.end());
      out.insert(out.end(), extra->dict_items.begin(), extra->dict_items.end());
      if (extra->state != kNoNode) out.push_back(extra->state);
    }
    return;
  }
  if (node.kind == Kind::global) {
    out.push_back(node.a);
    out.push_back(node.b);
    return;
  }
  const auto own = items(id);
  out.insert(out.end(), own.begin(), own.end());
  if (node.kind == Kind::dict && !attributes_.empty())
    if (const NodeId dict = attributes(id); dict != kNoNode) out.push_back(dict);
}

std::vector<NodeId> ValueGraph::reachable(std::span<const NodeId> from) const {
  std::vector<bool> seen(nodes_.size());
  std::vector<NodeId> order, stack(from.rbegin(), from.rend()), parts;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (seen[id]) continue;
    seen[id] = true;
    order.push_back(id);
    parts.clear();
    children(id, parts);
    stack.insert(stack.end(), parts.rbegin(), parts.rend());
  }
  return order;
}

}  // namespace ferry
