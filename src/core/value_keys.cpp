// Keys of dicts and items of sets, compared as Python compares them.
//
// Every hashable value gets a number such that equal values have equal numbers (1 == True == 1.0, and tuples
// by their items), built bottom-up without recursion.  Two keys of one dict with one number are one key.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <string>
#include <unordered_map>

#include "src/core/error.h"
#include "src/core/text.h"
#include "src/core/value.h"

namespace ferry {
namespace {

class KeyNumbers {
 public:
  explicit KeyNumbers(const ValueGraph& graph) : graph_(graph) {}

  // Throws Code::bad_pickle for an unhashable value.
  std::uint32_t number(NodeId id) {
    if (graph_.kind(id) != Kind::tuple) return leaf(id);
    // Nested tuples are numbered inside out, with a stack of our own.
    std::vector<NodeId> stack{id};
    while (!stack.empty()) {
      const NodeId top = stack.back();
      if (known_.contains(top)) {
        stack.pop_back();
        continue;
      }
      std::string key = "t";
      bool complete = true;
      for (const NodeId item : graph_.items(top)) {
        const bool nested = graph_.kind(item) == Kind::tuple;
        if (nested && !known_.contains(item)) {
          if (item >= top)
            throw Error(Code::bad_pickle, "a tuple that holds itself is used as a key").at(graph_.at(id));
          stack.push_back(item);
          complete = false;
        } else if (complete) {
          append(key, nested ? known_.at(item) : leaf(item));
        }
      }
      if (!complete) continue;
      known_[top] = intern(std::move(key));
      stack.pop_back();
    }
    return known_.at(id);
  }

 private:
  static void append(std::string& key, std::uint32_t number) {
    key.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  std::uint32_t intern(std::string key) {
    return numbers_.try_emplace(std::move(key), static_cast<std::uint32_t>(numbers_.size())).first->second;
  }

  std::uint32_t leaf(NodeId id) {
    switch (graph_.kind(id)) {
      case Kind::list:
      case Kind::dict:
      case Kind::byte_array:
        throw Error(Code::bad_pickle, "a list, dict or bytearray is used as a key").at(graph_.at(id));
      case Kind::set:
        if (!graph_.frozen(id)) throw Error(Code::bad_pickle, "a set is used as a key").at(graph_.at(id));
        return intern("@" + std::to_string(id));
      case Kind::none:
        return intern("n");
      case Kind::boolean:
      case Kind::integer:
        return intern("i" + std::to_string(graph_.integer(id)));
      case Kind::big_integer:
        return intern("i" + graph_.integer_text(id));
      case Kind::real:
        return real(id);
      case Kind::text:
        return intern("s" + std::string(graph_.text(id)));
      case Kind::byte_string: {
        const std::string_view octets = graph_.text(id);
        return intern("s" + (is_utf8(octets, false) ? std::string(octets) : latin1_to_utf8(octets)));
      }
      case Kind::bytes:
        return intern("b" + std::string(graph_.text(id)));
      case Kind::global:
        return intern("g" + graph_.dotted_name(id));
      default:
        return intern("@" + std::to_string(id));  // by identity
    }
  }

  std::uint32_t real(NodeId id) {
    const double value = graph_.real(id);
    if (std::isnan(value)) return intern("@" + std::to_string(id));
    if (value == std::floor(value) && std::fabs(value) < 9.2e18)
      return intern("i" + std::to_string(static_cast<std::int64_t>(value)));
    return intern("r" + std::to_string(std::bit_cast<std::uint64_t>(value)));
  }

  const ValueGraph& graph_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::unordered_map<NodeId, std::uint32_t> known_;
};

// Which numbers were seen in the container that is looked at now.
class SeenOnce {
 public:
  void next_container() { ++epoch_; }
  // The place given with the first sighting, or kNoNode when this is the first.
  NodeId first(std::uint32_t number, NodeId place) {
    if (number >= marks_.size()) marks_.resize(std::max<std::size_t>(number + 1, 2 * marks_.size()));
    if (marks_[number].epoch == epoch_) return marks_[number].place;
    marks_[number] = {epoch_, place};
    return kNoNode;
  }

 private:
  struct Mark {
    std::uint32_t epoch = 0;
    NodeId place = 0;
  };
  std::vector<Mark> marks_;
  std::uint32_t epoch_ = 0;
};

// Returns true when `pairs` lost entries.
bool merge(std::vector<NodeId>& pairs, std::size_t step, KeyNumbers& numbers, SeenOnce& seen, Repeats repeats,
           const ValueGraph& graph) {
  seen.next_container();
  std::size_t kept = 0;
  for (std::size_t i = 0; i + step <= pairs.size(); i += step) {
    const NodeId first = seen.first(numbers.number(pairs[i]), static_cast<NodeId>(kept));
    if (first == kNoNode) {
      for (std::size_t j = 0; j < step; ++j) pairs[kept + j] = pairs[i + j];
      kept += step;
      continue;
    }
    if (repeats == Repeats::refuse)
      throw Error(Code::key_collision, "two keys of one dict would both become " +
                                           quote(graph.as_text(pairs[i]).value_or("the same value")))
          .at(graph.at(pairs[i]));
    if (step == 2) pairs[first + 1] = pairs[i + 1];
  }
  const bool shorter = kept != pairs.size();
  pairs.resize(kept);
  return shorter;
}

// True when all keys are text and no two have the same hash: then they differ, and nothing else needs to be
// known.
class TextHashes {
 public:
  bool all_differ(const ValueGraph& graph, std::span<const NodeId> items, std::size_t step) {
    const std::size_t room = std::bit_ceil(items.size() / step * 2 + 1);
    slots_.assign(room, 0);
    for (std::size_t i = 0; i < items.size(); i += step) {
      if (!graph.is_text(items[i])) return false;
      const std::uint64_t hash = std::hash<std::string_view>()(graph.text(items[i])) | 1;
      std::size_t slot = (hash >> 1) & (room - 1);
      for (; slots_[slot] != 0; slot = (slot + 1) & (room - 1))
        if (slots_[slot] == hash) return false;
      slots_[slot] = hash;
    }
    return true;
  }

 private:
  std::vector<std::uint64_t> slots_;
};

}  // namespace

void check_keys(ValueGraph& graph, Repeats repeats, std::span<const NodeId> nodes) {
  KeyNumbers numbers(graph);
  SeenOnce seen;
  TextHashes hashes;
  std::vector<NodeId> pairs;
  for (const NodeId id : nodes) {
    const Kind kind = graph.kind(id);
    if (kind == Kind::dict || kind == Kind::set) {
      const auto items = graph.items(id);
      const std::size_t step = kind == Kind::dict ? 2 : 1;
      if (items.empty() || hashes.all_differ(graph, items, step)) continue;
      pairs.assign(items.begin(), items.end());
      if (merge(pairs, step, numbers, seen, kind == Kind::set ? Repeats::merge : repeats, graph))
        graph.set_items(id, pairs);
    } else if (kind == Kind::call && graph.extras(id) != nullptr && !graph.extras(id)->dict_items.empty()) {
      auto& entries = graph.make_extras(id).dict_items;
      if (!hashes.all_differ(graph, entries, 2)) merge(entries, 2, numbers, seen, repeats, graph);
    }
  }
}

void check_depth(const ValueGraph& graph, std::size_t depth_max) {
  struct Visit {
    NodeId id;
    std::uint32_t depth;
  };
  std::vector<bool> seen(graph.node_count());
  std::vector<Visit> stack{{graph.root(), 0}};
  std::vector<NodeId> parts;
  while (!stack.empty()) {
    const Visit visit = stack.back();
    stack.pop_back();
    if (seen[visit.id]) continue;
    seen[visit.id] = true;
    if (visit.depth > depth_max)
      throw Error(Code::too_deep, "values are nested more than " + std::to_string(depth_max) + " deep")
          .at(graph.at(visit.id));
    parts.clear();
    graph.children(visit.id, parts);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (!seen[*part]) stack.push_back({*part, visit.depth + 1});
  }
}

}  // namespace ferry
