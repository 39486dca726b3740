#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/structure/pairing.h"

namespace ferry::structure {
namespace {

// Rows that have one side only, by side.
struct Lone {
  std::vector<std::size_t> before, after;
};

Lone find_lone(const Pairing& pairing) {
  Lone lone;
  for (std::size_t i = 0; i < pairing.tensors.size(); ++i) {
    const TensorMatch& row = pairing.tensors[i];
    if (row.paired()) continue;
    (row.after.tensor == kNoTensor ? lone.before : lone.after).push_back(i);
  }
  return lone;
}

// Joins rows of either side; the rows of after that found a partner vanish when the joiner does.
class Joiner {
 public:
  explicit Joiner(Pairing& pairing) : rows_(pairing.tensors), gone_(rows_.size()) {}
  ~Joiner() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (!gone_[i]) {
        if (kept != i) rows_[kept] = std::move(rows_[i]);
        ++kept;
      }
    rows_.resize(kept);
  }
  Joiner(const Joiner&) = delete;
  Joiner& operator=(const Joiner&) = delete;

  bool free(std::size_t row) const { return !gone_[row] && !rows_[row].paired(); }
  void join(std::size_t before, std::size_t after, std::string matched_by) {
    rows_[before].after = std::move(rows_[after].after);
    rows_[before].matched_by = std::move(matched_by);
    gone_[after] = true;
  }

 private:
  std::vector<TensorMatch>& rows_;
  std::vector<bool> gone_;
};

std::vector<std::int64_t> sorted_shape(const Checkpoint& checkpoint, std::uint32_t tensor) {
  const auto shape = checkpoint.shape(checkpoint.tensors[tensor]);
  std::vector<std::int64_t> sizes(shape.begin(), shape.end());
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

// --- Names that later versions and wrappers write differently

constexpr std::array<std::string_view, 3> kWrappers = {"module", "_orig_mod", "_fsdp_wrapped_module"};

struct Renaming {
  std::string_view old_end, new_end;
};
// torch.nn.utils.weight_norm and spectral_norm became parametrizations (torch 1.9 and later; default in 2.x);
// gamma and beta are what TensorFlow's LayerNorm called them, and transformers renames on loading.
constexpr auto kRenamings = std::to_array<Renaming>({
    {"_g", "\1.original0"},
    {"_v", "\1.original1"},
    {"_orig", "\1.original"},
    {"gamma", "weight"},
    {"beta", "bias"},
});

// "a.module.b" without components that are wrappers' names.
std::string without_wrappers(std::string_view path) {
  std::string kept;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    const std::string_view part = path.substr(at, dot - at);
    if (std::find(kWrappers.begin(), kWrappers.end(), part) == kWrappers.end())
      kept.append(kept.empty() ? "" : ".").append(part);
    at = dot + 1;
  }
  return kept;
}

// The name by which old and new forms meet: "conv.weight_g" and "conv.parametrizations.weight.original0" are
// one.
std::string modern_name(std::string_view path) {
  std::string name = without_wrappers(path);
  const std::size_t dot = name.rfind('.');
  const std::string stem = dot == std::string::npos ? "" : name.substr(0, dot + 1);
  const std::string last = name.substr(stem.size());
  for (const Renaming& row : kRenamings) {
    if (!last.ends_with(row.old_end)) continue;
    if (row.new_end[0] != '\1') return last == row.old_end ? stem + std::string(row.new_end) : name;
    const std::string parameter = last.substr(0, last.size() - row.old_end.size());
    if (parameter == "weight" || parameter.starts_with("weight_"))
      return stem + "parametrizations." + parameter + std::string(row.new_end.substr(1));
  }
  return name;
}

// Joins rows whose names become equal under `name`, where that is so for one row of either side only.
template <typename Name>
void join_by_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after, Name name,
                  std::string_view what) {
  const Lone lone = find_lone(pairing);
  if (lone.before.empty() || lone.after.empty()) return;
  constexpr std::size_t kSeveral = static_cast<std::size_t>(-1);
  std::unordered_map<std::string, std::size_t> partners;
  for (const std::size_t i : lone.after) {
    const auto [at, fresh] = partners.try_emplace(name(pairing.tensors[i].after.path), i);
    if (!fresh) at->second = kSeveral;
  }
  Joiner joiner(pairing);
  for (const std::size_t i : lone.before) {
    const auto found = partners.find(name(pairing.tensors[i].before.path));
    if (found == partners.end() || found->second == kSeveral || !joiner.free(found->second)) continue;
    // The same path is the same tensor, whatever became of it; another name needs the same size to be
    // believed.
    if (!what.empty() && sorted_shape(before, pairing.tensors[i].before.tensor) !=
                             sorted_shape(after, pairing.tensors[found->second].after.tensor))
      continue;
    joiner.join(i, found->second, std::string(what));
  }
}

// --- A part that moved as a whole

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

struct Move {
  std::string from, to;
  std::size_t votes = 0;
};

// Prefixes that, exchanged, let most lone names of either side meet; the best first.  The ends of the names
// decide, so a move is not credited for what a longer one explains: cuts that leave the longest common end
// count.
std::vector<Move> find_moves(const Pairing& pairing, const Lone& lone) {
  std::unordered_map<std::string_view, std::vector<std::pair<std::size_t, std::string_view>>> ends;
  constexpr std::size_t kSameEndMax = 8;
  for (const std::size_t i : lone.after)
    each_cut(pairing.tensors[i].after.path, [&](std::string_view prefix, std::string_view rest) {
      auto& list = ends[rest];
      if (list.size() < kSameEndMax) list.emplace_back(i, prefix);
    });
  std::map<std::pair<std::string, std::string>, std::size_t> votes;
  for (const std::size_t i : lone.before) {
    bool counted = false;  // each_cut goes from the longest end to the shortest
    each_cut(pairing.tensors[i].before.path, [&](std::string_view prefix, std::string_view rest) {
      const auto found = ends.find(rest);
      if (counted || found == ends.end() || found->second.size() == kSameEndMax) return;
      for (const auto& [row, other] : found->second) ++votes[{std::string(prefix), std::string(other)}];
      counted = true;
    });
  }
  std::vector<Move> moves;
  for (const auto& [move, count] : votes)
    if (move.first != move.second) moves.push_back({move.first, move.second, count});
  std::stable_sort(moves.begin(), moves.end(),
                   [](const Move& a, const Move& b) { return a.votes > b.votes; });
  return moves;
}

std::string move_text(const Move& move) {
  if (move.to.empty()) return "prefix " + move.from;
  if (move.from.empty()) return "prefix " + move.to;
  return "prefix " + move.from + " → " + move.to;
}

void join_by_moves(Pairing& pairing, const Checkpoint& before, const Checkpoint& after) {
  const Lone lone = find_lone(pairing);
  constexpr std::size_t kLoneMax = 200'000, kMovesMax = 64;
  if (lone.before.empty() || lone.after.empty() || lone.before.size() + lone.after.size() > kLoneMax) return;
  std::vector<Move> moves = find_moves(pairing, lone);
  if (moves.size() > kMovesMax) moves.resize(kMovesMax);
  std::unordered_map<std::string, std::size_t> partners;
  for (const std::size_t i : lone.after) partners.emplace(pairing.tensors[i].after.path, i);
  Joiner joiner(pairing);
  for (const Move& move : moves) {
    // One name alone is coincidence, unless it is all there is.
    if (move.votes < 2 && std::min(lone.before.size(), lone.after.size()) > 1) break;
    for (const std::size_t i : lone.before) {
      const std::string_view path = pairing.tensors[i].before.path;
      if (!joiner.free(i) || !path.starts_with(move.from)) continue;
      const auto found = partners.find(std::string(move.to).append(path.substr(move.from.size())));
      if (found == partners.end() || !joiner.free(found->second)) continue;
      if (sorted_shape(before, pairing.tensors[i].before.tensor) ==
          sorted_shape(after, pairing.tensors[found->second].after.tensor))
        joiner.join(i, found->second, move_text(move));
    }
  }
}

std::size_t common_end(std::string_view a, std::string_view b) {
  std::size_t size = 0;
  while (size < std::min(a.size(), b.size()) && a[a.size() - 1 - size] == b[b.size() - 1 - size]) ++size;
  return size;
}

}  // namespace

void match_by_map(Pairing& pairing, const NameMap& names) {
  if (names.empty()) return;
  std::unordered_map<std::string, std::size_t> mine, others;
  for (std::size_t i = 0; i < pairing.tensors.size(); ++i) {
    const TensorMatch& row = pairing.tensors[i];
    if (row.before.tensor != kNoTensor) mine.emplace(row.before.path, i);
    if (row.after.tensor != kNoTensor) others.emplace(row.after.path, i);
  }
  // What was told outranks what was found: both leave the partners they had before any two are joined.
  std::vector<std::pair<SidedTensor, SidedTensor>> told;
  std::vector<std::size_t> rows;
  for (const auto& [from, to] : names) {
    const auto x = mine.find(from), y = others.find(to);
    if (x == mine.end() || y == others.end())
      throw Error(Code::nothing_selected, "the map names " + quote(x == mine.end() ? from : to) +
                                              ", which is no tensor of " +
                                              (x == mine.end() ? "before" : "after"));
    if (pairing.tensors[x->second].before.tensor == kNoTensor ||
        pairing.tensors[y->second].after.tensor == kNoTensor)
      throw Error(Code::bad_usage, "the map names " + quote(from) + " or " + quote(to) + " twice");
    told.emplace_back(std::exchange(pairing.tensors[x->second].before, {}),
                      std::exchange(pairing.tensors[y->second].after, {}));
    rows.push_back(x->second);
  }
  for (std::size_t i = 0; i < told.size(); ++i) {
    SidedTensor left = std::exchange(pairing.tensors[rows[i]].after, {});
    if (left.tensor != kNoTensor) pairing.tensors.push_back({{}, std::move(left), ""});
    pairing.tensors[rows[i]] = {std::move(told[i].first), std::move(told[i].second), "map"};
  }
  std::erase_if(pairing.tensors, [](const TensorMatch& row) {
    return row.before.tensor == kNoTensor && row.after.tensor == kNoTensor;
  });
  restore_order(pairing);
}

void match_by_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after) {
  const Lone lone = find_lone(pairing);
  if (lone.before.empty() || lone.after.empty()) return;
  join_by_name(
      pairing, before, after, [](std::string_view path) { return std::string(path); }, "");
  join_by_name(
      pairing, before, after, [](std::string_view path) { return without_wrappers(path); }, "wrapper");
  join_by_name(
      pairing, before, after, [](std::string_view path) { return modern_name(path); }, "known renaming");
  join_by_moves(pairing, before, after);
  restore_order(pairing);
}

void match_by_content(Pairing& pairing, const ContentKey& key, std::string_view what) {
  const Lone lone = find_lone(pairing);
  if (lone.before.empty() || lone.after.empty()) return;
  std::unordered_map<std::string, std::vector<std::size_t>> partners;
  for (const std::size_t i : lone.after)
    if (std::string one = key(Side::after, pairing.tensors[i].after); !one.empty())
      partners[std::move(one)].push_back(i);
  Joiner joiner(pairing);
  for (const std::size_t i : lone.before) {
    const std::string one = key(Side::before, pairing.tensors[i].before);
    const auto found = partners.find(one);
    if (one.empty() || found == partners.end() || found->second.empty()) continue;
    auto& list = found->second;
    const std::string_view path = pairing.tensors[i].before.path;
    // Thousands of equal tensors (zeros) are taken as they come.
    constexpr std::ptrdiff_t kChoicesMax = 64;
    const auto end = list.begin() + std::min<std::ptrdiff_t>(kChoicesMax, std::ssize(list));
    const auto best = std::max_element(list.begin(), end, [&](std::size_t a, std::size_t b) {
      return common_end(path, pairing.tensors[a].after.path) <
             common_end(path, pairing.tensors[b].after.path);
    });
    joiner.join(i, *best, std::string(what));
    list.erase(best);
  }
}

void restore_order(Pairing& pairing) {
  std::stable_partition(pairing.tensors.begin(), pairing.tensors.end(),
                        [](const TensorMatch& row) { return row.before.tensor != kNoTensor; });
}

}  // namespace ferry::structure
