#include <algorithm>
#include <array>
#include <span>
#include <unordered_map>

#include "src/core/error.h"
#include "src/core/text.h"
#include "src/core/wrapper_names.h"
#include "validators/structure/pairing_join.h"

namespace ferry::structure {
namespace {

// --- Names that later versions and wrappers write differently

bool is_wrapper(std::string_view part) { return part == "module" || is_wrapper_name(part); }

struct Renaming {
  std::string_view old_end, new_end;
};
// torch.nn.utils.weight_norm and spectral_norm became parametrizations (torch 1.9 and later; default in 2.x),
// and both had a weight_v; gamma and beta are what TensorFlow's LayerNorm called them, and transformers
// renames on loading.
constexpr auto kRenamings = std::to_array<Renaming>({
    {"_g", "\1.original0"},
    {"_v", "\1.original1"},
    {"_orig", "\1.original"},
    {"_u", "\1.0._u"},
    {"gamma", "weight"},
    {"beta", "bias"},
});
constexpr auto kSpectralRenamings = std::to_array<Renaming>({{"_v", "\1.0._v"}});

// "a.module.b" without components that are wrappers' names.
std::string without_wrappers(std::string_view path) {
  std::string kept;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    const std::string_view part = path.substr(at, dot - at);
    if (!is_wrapper(part)) kept.append(kept.empty() ? "" : ".").append(part);
    at = dot + 1;
  }
  return kept;
}

// The name by which old and new forms meet: "conv.weight_g" and "conv.parametrizations.weight.original0" are
// one.
std::string modern_name(std::string_view path, std::span<const Renaming> renamings) {
  std::string name = without_wrappers(path);
  const std::size_t dot = name.rfind('.');
  const std::string stem = dot == std::string::npos ? "" : name.substr(0, dot + 1);
  const std::string last = name.substr(stem.size());
  for (const Renaming& row : renamings) {
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
  if (lone.one_sided()) return;
  struct Namesakes {
    std::size_t before = 0, after = 0, row_before = 0, row_after = 0;
  };
  std::unordered_map<std::string, Namesakes> by_name;
  for (const std::size_t i : lone.after) {
    Namesakes& all = by_name[name(pairing.tensors[i].after.path)];
    if (all.after++ == 0) all.row_after = i;
  }
  std::vector<Namesakes*> in_order;
  for (const std::size_t i : lone.before) {
    const auto found = by_name.find(name(pairing.tensors[i].before.path));
    if (found == by_name.end()) continue;
    if (found->second.before++ == 0) {
      found->second.row_before = i;
      in_order.push_back(&found->second);
    }
  }
  Joiner joiner(pairing);
  for (const Namesakes* const one : in_order) {
    if (one->before != 1 || one->after != 1) continue;
    // The same path is the same tensor, whatever became of it; another name needs the same size to be
    // believed.
    if (!what.empty() && sorted_shape(before, pairing.tensors[one->row_before].before.tensor) !=
                             sorted_shape(after, pairing.tensors[one->row_after].after.tensor))
      continue;
    joiner.join(one->row_before, one->row_after, std::string(what));
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

void match_by_name(Pairing& pairing, const Checkpoint& before, const Checkpoint& after,
                   const ContentKey& key) {
  if (find_lone(pairing).one_sided()) return;
  join_by_name(
      pairing, before, after, [](std::string_view path) { return std::string(path); }, "");
  join_by_name(
      pairing, before, after, [](std::string_view path) { return without_wrappers(path); }, "wrapper");
  join_by_name(
      pairing, before, after, [](std::string_view path) { return modern_name(path, kRenamings); },
      "known renaming");
  join_by_name(
      pairing, before, after, [](std::string_view path) { return modern_name(path, kSpectralRenamings); },
      "known renaming");
  join_by_sure_moves(pairing, before, after, key);
  restore_order(pairing);
}

void match_by_content(Pairing& pairing, const ContentKey& key, std::string_view what) {
  const Lone lone = find_lone(pairing);
  if (lone.one_sided()) return;
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
