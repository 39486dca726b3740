#include "validators/structure/pairing.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <unordered_set>

#include "src/core/error.h"
#include "src/core/paths.h"

namespace ferry::structure {
namespace {

bool holds_items(Kind kind) {
  return kind == Kind::dict || kind == Kind::list || kind == Kind::tuple || kind == Kind::set ||
         kind == Kind::size || kind == Kind::composite;
}

// Values of one kind that are no containers; of two kinds nothing is equal.  NaN equals NaN: bits count.
bool equal_leaves(const ValueGraph& a, NodeId x, const ValueGraph& b, NodeId y) {
  if (a.kind(x) != b.kind(y)) return false;
  switch (a.kind(x)) {
    case Kind::none:
      return true;
    case Kind::boolean:
      return a.boolean(x) == b.boolean(y);
    case Kind::integer:
      return a.integer(x) == b.integer(y);
    case Kind::big_integer:
      return a.integer_text(x) == b.integer_text(y);
    case Kind::real:
      return std::bit_cast<std::uint64_t>(a.real(x)) == std::bit_cast<std::uint64_t>(b.real(y));
    case Kind::complex: {
      const auto [re, im] = a.complex(x);
      const auto [re2, im2] = b.complex(y);
      return std::bit_cast<std::uint64_t>(re) == std::bit_cast<std::uint64_t>(re2) &&
             std::bit_cast<std::uint64_t>(im) == std::bit_cast<std::uint64_t>(im2);
    }
    case Kind::dtype:
      return a.index(x) == b.index(y);
    default:
      return a.text(x) == b.text(y);
  }
}

// Keys come from the file: a long one above thousands of values must not cost gigabytes.
std::string joined(std::string_view path, std::string_view key) {
  constexpr std::size_t kWholeMax = 4096, kTail = 1000;
  std::string whole = join_path(path, key);
  if (whole.size() <= kWholeMax) return whole;
  std::size_t begin = whole.size() - kTail;
  while (begin < whole.size() && (static_cast<unsigned char>(whole[begin]) & 0xc0) == 0x80) ++begin;
  return "…" + whole.substr(begin);
}

// One name for a key, whatever its kind: 1 and "1" are two keys.
std::string key_name(const ValueGraph& graph, NodeId key) {
  return std::string(1, static_cast<char>('a' + static_cast<int>(graph.kind(key)))) + key_text(graph, key);
}

class Walk {
 public:
  Walk(const Checkpoint& before, const Checkpoint& after)
      : before_(before.values),
        after_(after.values),
        steps_left_(kStepsPerNode * (before_.node_count() + after_.node_count()) + kStepsPerNode) {}

  Pairing run() {
    stack_.push_back({before_.root(), after_.root(), ""});
    while (!stack_.empty()) {
      const Step step = std::move(stack_.back());
      stack_.pop_back();
      if (step.before == kNoNode)
        list_lone(step.after, step.path, Side::after);
      else if (step.after == kNoNode)
        list_lone(step.before, step.path, Side::before);
      else
        meet(step);
    }
    pairing_.tensors.insert(pairing_.tensors.end(), std::make_move_iterator(added_.begin()),
                            std::make_move_iterator(added_.end()));
    return std::move(pairing_);
  }

 private:
  struct Step {
    NodeId before, after;
    SharedText path;
  };

  // Two cyclic or heavily shared graphs can meet in as many ways as the product of their sizes; those that
  // torch writes meet about once.
  void spend(std::size_t steps) {
    if (steps > steps_left_)
      throw Error(Code::limit_exceeded, "the values of the two files share too much to be compared");
    steps_left_ -= steps;
  }

  void meet(const Step& step) {
    spend(1);
    const Kind kind = before_.kind(step.before), other = after_.kind(step.after);
    if (kind == Kind::tensor && other == Kind::tensor) {
      pairing_.tensors.push_back(
          {{before_.index(step.before), step.path}, {after_.index(step.after), step.path}, ""});
    } else if (holds_items(kind) && holds_items(other)) {
      // Sharing and cycles: what has met once needs no second look.
      if (!met_.insert(std::uint64_t{step.before} << 32 | step.after).second) return;
      if ((kind == Kind::dict) != (other == Kind::dict) || (kind == Kind::set) != (other == Kind::set) ||
          !same_form(step.before, step.after)) {
        part(step);
        return;
      }
      if (kind != other) pairing_.values.push_back({step.path.str(), step.before, step.after});
      if (kind == Kind::dict)
        meet_dicts(step);
      else if (kind == Kind::set)
        meet_sets(step);
      else
        meet_lists(step);
    } else if (kind == Kind::tensor || other == Kind::tensor || holds_items(kind) || holds_items(other)) {
      part(step);
    } else if (kind == Kind::storage && other == Kind::storage) {
      ++pairing_.values_compared;  // compared through the tensors that look at them
    } else {
      ++pairing_.values_compared;
      if (!equal_leaves(before_, step.before, after_, step.after))
        pairing_.values.push_back({step.path.str(), step.before, step.after});
    }
  }

  // One place, two kinds of things: the values differ, and the tensors of either are without a partner.
  void part(const Step& step) {
    const std::size_t rows = pairing_.values.size();
    list_lone(step.before, step.path, Side::before);
    list_lone(step.after, step.path, Side::after);
    pairing_.values.resize(rows);
    pairing_.values.push_back({step.path.str(), step.before, step.after});
  }

  // Children are pushed from the last to the first, so that the first is met first.
  void push_all(std::vector<Step>& steps) {
    while (!steps.empty()) {
      stack_.push_back(std::move(steps.back()));
      steps.pop_back();
    }
  }

  void meet_dicts(const Step& step) {
    std::vector<Step> steps;
    const std::size_t count = before_.entry_count(step.before), others = after_.entry_count(step.after);
    std::unordered_map<std::string, NodeId> index;
    bool in_order = true;
    for (std::size_t i = 0; i < count; ++i) {
      const Entry entry = before_.entry(step.before, i);
      Entry partner{kNoNode, kNoNode};
      // Nearly always the two are in step, and no index is needed.
      if (i < others && same_key(entry.key, after_.entry(step.after, i).key)) {
        partner = after_.entry(step.after, i);
      } else {
        if (index.empty()) index_entries(step.after, index);
        const auto found = index.find(key_name(before_, entry.key));
        if (found != index.end()) partner.value = found->second;
        in_order = in_order && found == index.end();
      }
      steps.push_back({entry.value, partner.value, joined(step.path, key_text(before_, entry.key))});
    }
    std::unordered_map<std::string, NodeId> mine;
    for (std::size_t i = 0; i < others; ++i) {
      const Entry entry = after_.entry(step.after, i);
      if (i < count && same_key(before_.entry(step.before, i).key, entry.key)) continue;
      if (mine.empty()) index_entries(before_, step.before, mine);
      if (mine.find(key_name(after_, entry.key)) == mine.end())
        steps.push_back({kNoNode, entry.value, joined(step.path, key_text(after_, entry.key))});
    }
    if (!in_order && same_keys_moved(steps)) pairing_.reordered.push_back(step.path.str());
    meet_attributes(step, steps);
    push_all(steps);
  }

  static bool same_keys_moved(const std::vector<Step>& steps) {
    return std::all_of(steps.begin(), steps.end(),
                       [](const Step& one) { return one.before != kNoNode && one.after != kNoNode; });
  }

  // Lists may be told from tuples by their items; a sparse tensor is like no other thing.
  bool same_form(NodeId x, NodeId y) const {
    const bool mine = before_.kind(x) == Kind::composite, other = after_.kind(y) == Kind::composite;
    return mine == other && (!mine || before_.composite(x) == after_.composite(y));
  }

  bool same_key(NodeId x, NodeId y) const {
    if (before_.kind(x) != after_.kind(y)) return false;
    if (before_.is_text(x)) return before_.text(x) == after_.text(y);
    return key_text(before_, x) == key_text(after_, y);
  }

  static void index_entries(const ValueGraph& graph, NodeId dict,
                            std::unordered_map<std::string, NodeId>& index) {
    for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
      const Entry entry = graph.entry(dict, i);
      index.emplace(key_name(graph, entry.key), entry.value);
    }
  }
  void index_entries(NodeId dict, std::unordered_map<std::string, NodeId>& index) const {
    index_entries(after_, dict, index);
  }

  // Python attributes of a dict: its _metadata.
  void meet_attributes(const Step& step, std::vector<Step>& steps) const {
    const NodeId mine = before_.attributes(step.before), other = after_.attributes(step.after);
    if (mine != kNoNode || other != kNoNode) steps.push_back({mine, other, step.path});
  }

  void meet_lists(const Step& step) {
    std::vector<Step> steps;
    const auto mine = before_.items(step.before);
    const auto other = after_.items(step.after);
    for (std::size_t i = 0; i < std::max(mine.size(), other.size()); ++i)
      steps.push_back({i < mine.size() ? mine[i] : kNoNode, i < other.size() ? other[i] : kNoNode,
                       joined(step.path, i < mine.size() ? item_text(before_, step.before, i)
                                                         : item_text(after_, step.after, i))});
    push_all(steps);
  }

  // Items of sets are hashable, so their names tell them apart.
  void meet_sets(const Step& step) {
    const auto names = [](const ValueGraph& graph, NodeId set) {
      std::vector<std::string> all;
      for (const NodeId item : graph.items(set)) all.push_back(key_name(graph, item));
      std::sort(all.begin(), all.end());
      return all;
    };
    ++pairing_.values_compared;
    if (names(before_, step.before) != names(after_, step.after))
      pairing_.values.push_back({step.path.str(), step.before, step.after});
  }

  // A value that only one side has: itself a row, and each tensor below it.
  void list_lone(NodeId from, const SharedText& path, Side side) {
    const bool is_before = side == Side::before;
    const ValueGraph& graph = is_before ? before_ : after_;
    const auto add = [&](NodeId node, SharedText whole) {
      SidedTensor one{graph.index(node), std::move(whole)};
      if (is_before)
        pairing_.tensors.push_back({std::move(one), {}, ""});
      else
        added_.push_back({{}, std::move(one), ""});
    };
    if (graph.kind(from) == Kind::tensor) return add(from, path);
    bool plain = !holds_items(graph.kind(from));
    if (!plain) {
      const Paths paths(graph, from, Reach::containers);
      spend(paths.visits().size());
      std::vector<bool> attached(paths.visits().size());  // _metadata and what is in it
      for (std::size_t i = 0; i < paths.visits().size(); ++i) {
        const Paths::Visit& visit = paths.visits()[i];
        const NodeId node = visit.node;
        attached[i] = i > 0 && (visit.slot == Paths::kAttributes || attached[visit.parent]);
        const auto items = graph.items(node);
        spend(items.size());
        const bool dict = graph.kind(node) == Kind::dict;
        std::string base;
        bool have_base = false;
        for (std::size_t k = dict ? 1 : 0; k < items.size(); k += dict ? 2 : 1) {
          const Kind kind = graph.kind(items[k]);
          plain = plain || (!attached[i] && kind != Kind::tensor && !holds_items(kind));
          if (kind != Kind::tensor) continue;
          if (!have_base) base = joined(path, paths.path(i));
          have_base = true;
          add(items[k], joined(base, dict ? key_text(graph, items[k - 1]) : item_text(graph, node, k)));
        }
      }
    }
    // A container of nothing but tensors is told by its tensors.
    const bool empty = holds_items(graph.kind(from)) && graph.items(from).empty();
    if (plain || empty)
      pairing_.values.push_back({path.str(), is_before ? from : kNoNode, is_before ? kNoNode : from});
  }

  static constexpr std::size_t kStepsPerNode = 16;

  const ValueGraph& before_;
  const ValueGraph& after_;
  std::size_t steps_left_;
  std::vector<Step> stack_;
  std::unordered_set<std::uint64_t> met_;
  std::vector<TensorMatch> added_;
  Pairing pairing_;
};

}  // namespace

Pairing pair_trees(const Checkpoint& before, const Checkpoint& after) { return Walk(before, after).run(); }

}  // namespace ferry::structure
