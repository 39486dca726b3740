#include "src/cli/diff_rows.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "src/cli/conversion.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_tree.h"
#include "src/report/value_difference.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::FileDiff;
using report::TensorRow;
using structure::kNoTensor;

// The same part of both: one of them may be that part already.
convert::RuleOptions options_of(const DiffOptions& options, bool is_before) {
  convert::RuleOptions rules = options.rules;
  rules.includes.clear();  // of pairs: see leave_out
  rules.excludes.clear();
  if (is_before) return rules;
  rules.renames.clear();
  rules.recipe.reset();
  return rules;
}

// Where the other file is a conversion of this one, by the size that its record gives: what that was asked.
// What diff itself is asked comes first.
std::optional<convert::RuleOptions> asked_of(const Opened& source, const Opened& result,
                                             const DiffOptions& options) {
  if (options.as_stored || !options.rules.select.empty() || !options.rules.renames.empty() ||
      options.rules.recipe)
    return {};
  if (!source.checkpoint.container.provenance.empty()) return {};  // two conversions
  const std::optional<Conversion> conversion = conversion_that_made(result.checkpoint);
  if (!conversion || conversion->source_size != source.checkpoint.source->size()) return {};
  return conversion->asked;
}

// As the conversion did: what it selected and filtered goes by the names that are stored.
void ask(const convert::RuleOptions& asked, Opened& source, convert::RuleOptions& rules) {
  for (const std::string_view id : {"select", "filter"})
    convert::find_rule(id)->apply(source.checkpoint, asked, source.changes);
  if (!asked.renames.empty()) {
    source.result_was_renamed = true;
    source.changes.add(Code::renamed, "", "--rename was asked of the conversion");
  }
  rules.fixes = asked.fixes;
  rules.recipe = asked.recipe;
  rules.amp = asked.amp;
  rules.static_scale = asked.static_scale;
  rules.masters = asked.masters;
}

bool has_path(const Opened& opened, const std::string& path) {
  const Paths paths(opened.checkpoint.values, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (paths.path(i) == path) return true;
  return false;
}

bool has_data(const Checkpoint& checkpoint, std::uint32_t tensor) {
  return checkpoint.tensors[tensor].storage != kNoStorage;
}

std::string shape_words(const Checkpoint& checkpoint, std::uint32_t tensor) {
  return report::shape_text(checkpoint.shape(checkpoint.tensors[tensor]));
}

}  // namespace

void open_both(const DiffPair& pair, const DiffOptions& options, Executor& executor, Opened (&sides)[2]) {
  const std::string* const paths[2] = {&pair.before, &pair.after};
  executor.run(2, [&](std::size_t i) { sides[i] = open_for_comparison(*paths[i], state::Fit::partial); });
  bool found[2] = {true, true};
  const std::string& select = options.rules.select;
  if (!select.empty()) {
    for (std::size_t i = 0; i < 2; ++i) found[i] = has_path(sides[i], select);
    if (!found[0] && !found[1])
      throw Error(Code::nothing_selected, "neither file has " + quote(select)).of(pair.before);
  }
  const std::optional<convert::RuleOptions> asked[2] = {asked_of(sides[0], sides[1], options),
                                                        asked_of(sides[1], sides[0], options)};
  executor.run(2, [&](std::size_t i) {
    convert::RuleOptions rules = options_of(options, i == 0);
    if (!found[i]) rules.select.clear();
    try {
      if (asked[i]) ask(*asked[i], sides[i], rules);
      bring_to_layout(sides[i], std::move(rules), options.as_stored || (i == 1 && options.after_is_result));
    } catch (Error& error) {
      error.of(*paths[i]);
      throw;
    }
  });
}

report::TensorSide describe_tensor(const Checkpoint& checkpoint, const structure::SidedTensor& tensor,
                                   const SharedArray<std::int64_t>& likely) {
  const Tensor& one = checkpoint.tensors[tensor.tensor];
  const auto shape = checkpoint.shape(one);
  const bool same = std::ranges::equal(shape, likely);
  return {tensor.path, same ? likely : SharedArray<std::int64_t>(shape), one.dtype};
}

std::string why_incomparable(const Checkpoint& before, const structure::SidedTensor& mine,
                             const Checkpoint& after, const structure::SidedTensor& other, TensorRow& row) {
  if (!std::ranges::equal(row.before.shape, row.after.shape)) {
    row.state = DiffState::incomparable;
    return "shape " + shape_words(before, mine.tensor) + " became " + shape_words(after, other.tensor);
  }
  const bool have[2] = {has_data(before, mine.tensor), has_data(after, other.tensor)};
  if (have[0] && have[1]) return "";
  row.state = have[0] == have[1] ? DiffState::not_compared : DiffState::incomparable;
  return have[0]   ? "has no data in after: a meta tensor"
         : have[1] ? "has no data in before: a meta tensor"
                   : std::string(kNoDataAtAll);
}

namespace {

// What legacy streams, as convert writes them for PyTorch before 2.1, do not say: whether sparse tensors are
// coalesced.
class BeyondLegacy {
 public:
  BeyondLegacy(const Opened& before, const Opened& after) : before_(before), after_(after) {}

  bool has(const structure::ValueDifference& one) {
    const bool gone = one.after == kNoNode;
    if (gone == (one.before == kNoNode) || !one.path.ends_with(kPart)) return false;
    const Opened &rich = gone ? before_ : after_, &poor = gone ? after_ : before_;
    if (poor.checkpoint.container.format != "legacy stream") return false;
    if (!paths_[gone]) paths_[gone] = paths_of(rich.checkpoint.values);
    return paths_[gone]->contains(one.path);
  }

 private:
  static constexpr std::string_view kPart = "is_coalesced";

  static std::unordered_set<std::string> paths_of(const ValueGraph& graph) {
    std::unordered_set<std::string> found;
    const Paths paths(graph, Reach::containers);
    for (std::size_t i = 0; i < paths.visits().size(); ++i) {
      const NodeId node = paths.visits()[i].node;
      if (graph.kind(node) == Kind::composite && graph.composite(node) == Composite::sparse_coo)
        found.insert(join_path(paths.path(i), kPart));
    }
    return found;
  }

  const Opened& before_;
  const Opened& after_;
  std::optional<std::unordered_set<std::string>> paths_[2];  // only in after, only in before
};

}  // namespace

void list_values(const structure::Pairing& pairing, const Opened& before, const Opened& after,
                 FileDiff& file) {
  constexpr std::size_t kPreview = 80;
  const auto text = [](const Opened& side, NodeId node) {
    return node == kNoNode ? std::string() : report::preview(side.checkpoint.values, node, kPreview);
  };
  file.values_compared = pairing.values_compared;
  BeyondLegacy beyond_legacy(before, after);
  for (const structure::ValueDifference& one : pairing.values) {
    if (beyond_legacy.has(one)) {
      file.listed.push_back({Code::lost_value, one.path, "legacy streams do not say so"});
      continue;
    }
    const DiffState state = one.before == kNoNode  ? DiffState::added
                            : one.after == kNoNode ? DiffState::removed
                                                   : DiffState::differs;
    report::ValueTexts texts =
        state == DiffState::differs
            ? report::difference_texts(before.checkpoint, one.before, after.checkpoint, one.after)
            : report::ValueTexts{text(before, one.before), text(after, one.after)};
    file.values.push_back({one.path, state, std::move(texts.before), std::move(texts.after)});
  }
  if (!pairing.reordered.empty())
    file.remarks.push_back(
        {Code::keys_reordered, pairing.reordered.front(),
         "the same keys in another order" +
             (pairing.reordered.size() == 1
                  ? std::string()
                  : " (" + report::plural(pairing.reordered.size(), "dict", "dicts") + ")")});
}

namespace {

// "a, b; c, d": those that a change of sharing left together.
std::string still_together(const structure::TyingChange& change, const structure::Pairing& pairing) {
  constexpr std::size_t kNamed = 4, kParts = 3;
  std::string all;
  for (std::size_t part = 0; part < std::min(kParts, change.together.size()); ++part) {
    const std::vector<std::size_t>& rows = change.together[part];
    all += part == 0 ? "" : "; ";
    for (std::size_t k = 0; k < std::min(kNamed, rows.size()); ++k) {
      const structure::TensorMatch& match = pairing.tensors[rows[k]];
      all += (k == 0 ? "" : ", ") + (change.tied_before ? match.before.path : match.after.path).str();
    }
    if (rows.size() > kNamed) all += " and " + std::to_string(rows.size() - kNamed) + " more";
  }
  if (change.together.size() > kParts) all += "; …";
  return all;
}

std::string words_for(const structure::TyingChange& change, const structure::Pairing& pairing) {
  const std::string together = still_together(change, pairing);
  if (change.tied_before)
    return "shared memory, are separate now" + (together.empty() ? "" : " (but not " + together + ")");
  return "were separate" + (together.empty() ? "" : " (but not " + together + ")") + ", share memory now";
}

}  // namespace

void list_ties(const std::vector<structure::TyingChange>& changes, const structure::Pairing& pairing,
               const Opened& before, const Opened& after, FileDiff& file) {
  for (const structure::TyingChange& change : changes) {
    report::TyingRow row;
    for (const std::size_t i : change.rows) {
      const structure::TensorMatch& match = pairing.tensors[i];
      (change.tied_before ? row.tied_before : row.tied_after)
          .push_back((change.tied_before ? match.before.path : match.after.path).str());
    }
    row.what = words_for(change, pairing);
    // Formats of named tensors hold each tensor for itself; loaders tie them again.
    if ((change.tied_before ? after : before).weights_only())
      file.remarks.push_back(
          {Code::not_compared, (change.tied_before ? row.tied_before : row.tied_after).front(),
           "shares memory with " + report::plural(change.rows.size() - 1, "tensor", "tensors") + " in " +
               (change.tied_before ? "before" : "after") + "; the other format cannot say so"});
    else
      file.tying.push_back(std::move(row));
  }
}

}  // namespace ferry::cli
