#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "validators/structure/pairing_join.h"

namespace ferry::structure {
namespace {

// One run of components became another, at the beginning of names or anywhere in them.
struct Move {
  std::string from, to;  // at the beginning: with the dot behind, or empty; inside: without dots around
  bool inside = false;
  std::size_t votes = 0;                      // pairs of lone names that it makes equal
  std::pair<std::size_t, std::size_t> place;  // rows of the first such pair
};

// Votes for moves from one text to another.
class Votes {
 public:
  void add(std::string_view from, std::string_view to, std::size_t before, std::size_t after) {
    Count& count = counts_[{from, to}];
    if (count.votes++ == 0) count.place = {before, after};
  }
  void list(bool inside, std::vector<Move>& moves) const {
    for (const auto& [move, count] : counts_)
      if (move.first != move.second)
        moves.push_back(
            {std::string(move.first), std::string(move.second), inside, count.votes, count.place});
  }

 private:
  struct Count {
    std::size_t votes = 0;
    std::pair<std::size_t, std::size_t> place;
  };
  std::map<std::pair<std::string_view, std::string_view>, Count> counts_;
};

// --- Moves that names suggest

// Every way to cut a path at a dot: prefix (with its dot, or empty) and the rest.
template <typename Take>
void each_cut(std::string_view path, Take take) {
  constexpr std::size_t kCutsMax = 16;
  take(std::string_view(), path);
  std::size_t at = 0;
  for (std::size_t cuts = 0; cuts < kCutsMax && (at = path.find('.', at)) != std::string::npos; ++cuts) {
    ++at;
    take(path.substr(0, at), path.substr(at));
  }
}

// Prefixes that, exchanged, let lone names of either side meet.  The ends of the names decide, so a move is
// not credited for what a longer one explains: cuts that leave the longest common end count.
void vote_for_prefixes(const Pairing& pairing, const Lone& lone, std::vector<Move>& moves) {
  std::unordered_map<std::string_view, std::vector<std::pair<std::string_view, std::size_t>>> ends;
  constexpr std::size_t kSameEndMax = 8;
  for (const std::size_t i : lone.after)
    each_cut(pairing.tensors[i].after.path, [&](std::string_view prefix, std::string_view rest) {
      auto& list = ends[rest];
      if (list.size() < kSameEndMax) list.emplace_back(prefix, i);
    });
  Votes votes;
  for (const std::size_t i : lone.before) {
    bool counted = false;  // each_cut goes from the longest end to the shortest
    each_cut(pairing.tensors[i].before.path, [&](std::string_view prefix, std::string_view rest) {
      const auto found = ends.find(rest);
      if (counted || found == ends.end() || found->second.size() == kSameEndMax) return;
      for (const auto& [other, row] : found->second) votes.add(prefix, other, i, row);
      counted = true;
    });
  }
  votes.list(false, moves);
}

// A run of components of a path; empty where another path has some between two of its own.
struct Run {
  std::uint32_t begin, end;
};

// Where components begin.
std::vector<std::uint32_t> component_starts(std::string_view path) {
  std::vector<std::uint32_t> starts = {0};
  for (std::size_t at = path.find('.'); at != std::string_view::npos; at = path.find('.', at + 1))
    starts.push_back(static_cast<std::uint32_t>(at + 1));
  return starts;
}

// What stands around a run, without the dots next to it: "a" and "c" of "a.b.c" without "b", and of "a.c"
// before "c".
std::pair<std::string_view, std::string_view> around(std::string_view path, Run run) {
  std::string_view start = path.substr(0, run.begin), rest = path.substr(run.end);
  if (start.ends_with('.')) start.remove_suffix(1);
  if (run.end > run.begin && rest.starts_with('.')) rest.remove_prefix(1);
  return {start, rest};
}

// Every run of at most kRunMax components that has one behind it: names that begin alike and end otherwise
// are seldom one tensor's.
template <typename Take>
void each_run(std::string_view path, Take take) {
  constexpr std::size_t kComponentsMax = 24, kRunMax = 2;
  const std::vector<std::uint32_t> starts = component_starts(path);
  if (starts.size() > kComponentsMax) return;
  for (std::size_t from = 0; from < starts.size(); ++from)
    for (std::size_t to = from; to < std::min(starts.size(), from + kRunMax + 1); ++to)
      take(Run{starts[from], to > from ? starts[to] - 1 : starts[from]});
}

// Whether a shorter run would do: the two begin or end with one component.
bool share_an_end(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return false;
  const auto last = [](std::string_view run) { return run.substr(run.rfind('.') + 1); };
  return a.substr(0, a.find('.')) == b.substr(0, b.find('.')) || last(a) == last(b);
}

// Runs of many names, found by what stands around them.
class Runs {
 public:
  void add(std::string_view path, std::size_t row) {
    each_run(path, [&](Run run) { rows_.push_back({hash_of(path, run), run, row, path}); });
  }
  void sort() { std::sort(rows_.begin(), rows_.end(), before_in_order); }
  // Those between the same: none where there are too many to mean anything.
  template <typename Take>
  void each_between_the_same(std::string_view path, Run run, Take take) const {
    constexpr std::ptrdiff_t kSameMax = 32;
    const Row wanted{hash_of(path, run), run, 0, path};
    const auto [first, last] = std::equal_range(rows_.begin(), rows_.end(), wanted,
                                                [](const Row& a, const Row& b) { return a.hash < b.hash; });
    if (last - first > kSameMax) return;
    for (auto one = first; one != last; ++one)
      if (around(one->path, one->run) == around(path, run))
        take(one->path.substr(one->run.begin, one->run.end - one->run.begin), one->row);
  }

 private:
  struct Row {
    std::size_t hash;
    Run run;
    std::size_t row;
    std::string_view path;
  };
  static bool before_in_order(const Row& a, const Row& b) {
    return std::tie(a.hash, a.row) < std::tie(b.hash, b.row);
  }
  static std::size_t hash_of(std::string_view path, Run run) {
    const auto [start, rest] = around(path, run);
    const std::hash<std::string_view> hash;
    return hash(start) * 31 + hash(rest);
  }
  std::vector<Row> rows_;
};

// Runs of components that, exchanged, make lone names of either side equal.
void vote_for_runs(const Pairing& pairing, const Lone& lone, std::vector<Move>& moves) {
  constexpr std::size_t kNamesMax = 30'000;
  if (lone.before.size() + lone.after.size() > kNamesMax) return;
  Runs runs;
  for (const std::size_t i : lone.after) runs.add(pairing.tensors[i].after.path, i);
  runs.sort();
  Votes votes;
  for (const std::size_t i : lone.before) {
    const std::string_view path = pairing.tensors[i].before.path;
    each_run(path, [&](Run run) {
      const std::string_view mine = path.substr(run.begin, run.end - run.begin);
      runs.each_between_the_same(path, run, [&](std::string_view other, std::size_t row) {
        if (!share_an_end(mine, other)) votes.add(mine, other, i, row);
      });
    });
  }
  votes.list(true, moves);
}

std::string move_text(const Move& move) {
  if (move.to.empty() || move.from.empty())
    return (move.inside ? "component " : "prefix ") + (move.from.empty() ? move.to : move.from);
  return (move.inside ? "" : "prefix ") + move.from + " → " + move.to;
}

// What `path` can be after a move, each to `take` until it says yes.
template <typename Take>
void each_moved(const Move& move, std::string_view path, Take take) {
  if (!move.inside) {
    if (path.starts_with(move.from)) take(std::string(move.to).append(path.substr(move.from.size())));
    return;
  }
  for (const std::uint32_t start : component_starts(path)) {
    const std::size_t end = start + move.from.size();
    if (!path.substr(start).starts_with(move.from)) continue;
    if (!move.from.empty() && (end >= path.size() || path[end] != '.')) continue;
    const auto [begin, rest] = around(path, {start, static_cast<std::uint32_t>(end)});
    std::string whole(begin);
    for (const std::string_view part : {std::string_view(move.to), rest})
      if (!part.empty()) whole.append(whole.empty() ? "" : ".").append(part);
    if (take(std::move(whole))) return;
  }
}

// --- Which of them to believe

class Movers {
 public:
  Movers(Pairing& pairing, const Checkpoint& before, const Checkpoint& after)
      : pairing_(pairing), before_(before), after_(after), lone_(find_lone(pairing)), joiner_(pairing) {
    for (const std::size_t i : lone_.after) partners_.emplace(pairing.tensors[i].after.path, i);
    vote_for_prefixes(pairing_, lone_, moves_);
    vote_for_runs(pairing_, lone_, moves_);
    // One name alone is coincidence, unless it is all there is.
    if (std::min(lone_.before.size(), lone_.after.size()) > 1)
      std::erase_if(moves_, [](const Move& move) { return move.votes < 2; });
    std::stable_sort(moves_.begin(), moves_.end(), [](const Move& a, const Move& b) {
      return std::tie(b.votes, a.place) < std::tie(a.votes, b.place);
    });
  }

  // Those that no other contests, and of the others those under which tensors are equal.
  void run_sure(const ContentKey& key) {
    if (moves_.size() > kMovesMax) moves_.resize(kMovesMax);
    claims_.resize(moves_.size());
    for (std::size_t i = 0; i < moves_.size() && anything_left(); ++i)
      if (!is_contested(i) || mostly_equal(claim(i), key)) join(moves_[i], claim(i));
  }

  // All of them: what most names bear out comes first, and then what comes first in the files.
  void run_all() {
    for (std::size_t i = 0; i < moves_.size() && i < kTriedMax && anything_left(); ++i) {
      const auto [mine, other] = moves_[i].place;
      if (i >= kMovesMax && !(joiner_.free(mine) && joiner_.free(other))) continue;
      join(moves_[i], pairs_of(moves_[i]));
    }
  }

 private:
  using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;  // rows of before and after

  static constexpr std::size_t kMovesMax = 64, kTriedMax = 4096;

  // Tensors that are free and would meet, each once.
  Pairs pairs_of(const Move& move) const {
    Pairs pairs;
    std::unordered_set<std::size_t> taken;
    for (const std::size_t i : lone_.before) {
      if (!joiner_.free(i)) continue;
      each_moved(move, pairing_.tensors[i].before.path, [&](const std::string& path) {
        const auto found = partners_.find(path);
        if (found == partners_.end() || !joiner_.free(found->second)) return false;
        if (sorted_shape(before_, pairing_.tensors[i].before.tensor) !=
            sorted_shape(after_, pairing_.tensors[found->second].after.tensor))
          return false;
        if (!taken.insert(found->second).second) return false;
        pairs.emplace_back(i, found->second);
        return true;
      });
    }
    return pairs;
  }

  // What a move would join, of what is still free.
  const Pairs& claim(std::size_t i) {
    if (!claims_[i]) claims_[i] = pairs_of(moves_[i]);
    std::erase_if(*claims_[i],
                  [&](const auto& pair) { return !joiner_.free(pair.first) || !joiner_.free(pair.second); });
    return *claims_[i];
  }

  // Whether another move, borne out by half as many names or more, wants some of the same tensors.
  bool is_contested(std::size_t i) {
    std::unordered_set<std::size_t> wanted;
    for (const auto& [mine, other] : claim(i)) wanted.insert({mine, other});
    for (std::size_t k = 0; k < moves_.size() && !wanted.empty(); ++k) {
      if (k == i || moves_[k].votes * 2 < moves_[i].votes) continue;
      const Pairs& own = claim(i);
      for (const auto& pair : claim(k))
        // Two ways to say the same do not contest each other.
        if ((wanted.contains(pair.first) || wanted.contains(pair.second)) &&
            !std::binary_search(own.begin(), own.end(), pair))
          return true;
    }
    return false;
  }

  // Of some pairs, from the first to the last.
  bool mostly_equal(const Pairs& pairs, const ContentKey& key) const {
    constexpr std::size_t kLookedAt = 8;
    if (!key) return false;
    std::size_t seen = 0, equal = 0;
    const std::size_t count = std::min(kLookedAt, pairs.size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [mine, other] = pairs[i * pairs.size() / count];
      const std::string one = key(Side::before, pairing_.tensors[mine].before);
      if (one.empty()) continue;
      ++seen;
      equal += one == key(Side::after, pairing_.tensors[other].after);
    }
    return equal * 2 > seen;
  }

  bool anything_left() const { return joined_ < std::min(lone_.before.size(), lone_.after.size()); }
  void join(const Move& move, const Pairs& pairs) {
    for (const auto& [mine, other] : pairs) joiner_.join(mine, other, move_text(move));
    joined_ += pairs.size();
  }

  Pairing& pairing_;
  const Checkpoint& before_;
  const Checkpoint& after_;
  const Lone lone_;
  Joiner joiner_;
  std::size_t joined_ = 0;
  std::vector<Move> moves_;
  std::vector<std::optional<Pairs>> claims_;  // of moves_
  std::unordered_map<std::string, std::size_t> partners_;
};

bool is_too_much(const Pairing& pairing) {
  const Lone lone = find_lone(pairing);
  constexpr std::size_t kLoneMax = 200'000;
  return lone.one_sided() || lone.before.size() + lone.after.size() > kLoneMax;
}

}  // namespace

void join_by_sure_moves(Pairing& pairing, const Checkpoint& before, const Checkpoint& after,
                        const ContentKey& key) {
  if (!is_too_much(pairing)) Movers(pairing, before, after).run_sure(key);
}

void match_by_likely_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after) {
  if (is_too_much(pairing)) return;
  Movers(pairing, before, after).run_all();
  restore_order(pairing);
}

}  // namespace ferry::structure
