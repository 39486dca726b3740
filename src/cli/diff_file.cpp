#include "src/cli/diff_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "formats/formats.h"
#include "src/cli/checksums.h"
#include "src/cli/content_hash.h"
#include "src/cli/diff_rows.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "validators/numeric/compare.h"
#include "validators/structure/tying.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::FileDiff;
using report::TensorRow;
using structure::kNoTensor;
using structure::Pairing;

report::DiffSide describe(const Opened& side) {
  report::DiffSide facts{side.path, side.checkpoint.container.format, side.checkpoint.source->size(), 0, 0};
  const ValueGraph& graph = side.checkpoint.values;
  for (const NodeId id : graph.reachable()) {
    if (graph.kind(id) != Kind::tensor) continue;
    ++facts.tensors;
    facts.elements += static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, numel(side.checkpoint, side.checkpoint.tensors[graph.index(id)])));
  }
  return facts;
}

// Changes that one side needed and the other did not: what a conversion between the two has done.
std::vector<Change> changes_between(const Opened& before, const Opened& after) {
  std::set<std::string> there;
  const auto key = [](const Change& change) {
    return code_name(change.code) + change.path + "\n" + change.what;
  };
  for (const Change& change : after.changes.changes()) there.insert(key(change));
  std::vector<Change> listed;
  const std::string &from = before.checkpoint.container.format, &to = after.checkpoint.container.format;
  if (from != to) listed.push_back({Code::container_rewritten, "", from + " → " + to});
  const auto counts = [](const Change& change) {
    return static_cast<unsigned>(change.code) < 600 || change.code == Code::lost_value;
  };
  for (const Change& change : before.changes.changes())
    if (counts(change) && there.find(key(change)) == there.end()) listed.push_back(change);
  return listed;
}

constexpr std::uint32_t kNone = 0xffffffff;

// Pairs of tensors to compare, and the rows that wait for the result: a pair that stands at several paths is
// compared once.
class Comparisons {
 public:
  // Of those rows of the pairing that are to be compared.
  Comparisons(const Pairing& pairing, std::span<const char> compared, const TensorViews& before,
              const TensorViews& after)
      : before_(before), after_(after), row_before_(compared.size(), kNone) {
    std::unordered_map<std::uint64_t, std::uint32_t> numbers;
    for (std::uint32_t row = 0; row < compared.size(); ++row) {
      if (compared[row] == 0) continue;
      const std::uint32_t mine = pairing.tensors[row].before.tensor,
                          other = pairing.tensors[row].after.tensor;
      const auto [at, fresh] = numbers.try_emplace(std::uint64_t{mine} << 32 | other, size());
      if (fresh) {
        tensors_before_.push_back(mine);
        tensors_after_.push_back(other);
        last_row_.push_back(kNone);
      }
      row_before_[row] = std::exchange(last_row_[at->second], row);
    }
  }

  // Every row that waits gets what is known of its pair.
  void run(const Opened& before, const Opened& after, Executor& executor, const DiffProgress& progress,
           numeric::MeasureOptions options, std::vector<TensorRow>& rows) const {
    const numeric::TensorPairs pairs(size(), [this](std::size_t i) {
      return numeric::TensorPair{before_.view(tensors_before_[i]), after_.view(tensors_after_[i])};
    });
    for (std::uint32_t number = 0; number < size(); ++number) {
      Drift known = numeric::unmeasured(pairs[number]);
      const bool nothing_to_count = known.elements == 0;
      fill(number, {std::move(known), ""}, nothing_to_count, rows);
    }
    Checksums checksums({&before.checkpoint, tensors_before_}, {&after.checkpoint, tensors_after_}, pairs,
                        executor);
    numeric::compare_tensors(
        pairs, executor, [&](const numeric::TapBlock& block) { checksums.take(block); },
        [&](std::size_t number, numeric::Comparison found) { fill(number, std::move(found), true, rows); },
        progress, options);
    checksums.check();
  }

 private:
  std::uint32_t size() const { return static_cast<std::uint32_t>(tensors_before_.size()); }

  void fill(std::size_t number, numeric::Comparison result, bool counted,
            std::vector<TensorRow>& rows) const {
    for (std::uint32_t at = last_row_[number]; at != kNone; at = row_before_[at]) {
      TensorRow& row = rows[at];
      const bool last = row_before_[at] == kNone;
      row.drift = last ? std::move(result.drift) : result.drift;
      row.measured = result.why_not.empty();
      row.counted = counted && row.measured;
      row.why = result.why_not;
    }
  }

  const TensorViews& before_;
  const TensorViews& after_;
  std::vector<std::uint32_t> tensors_before_, tensors_after_;  // of a pair
  std::vector<std::uint32_t> last_row_;                        // of a pair
  std::vector<std::uint32_t> row_before_;  // of a row: the one before it that waits for the same pair
};

// What is known of a match before any number is read.  True when its numbers are to be compared.
bool describe_match(const structure::TensorMatch& match, const Opened& before, const Opened& after,
                    TensorRow& row) {
  row.matched_by = match.matched_by;
  if (match.before.tensor != kNoTensor) row.before = describe_tensor(before.checkpoint, match.before, {});
  if (match.after.tensor != kNoTensor)
    row.after = describe_tensor(after.checkpoint, match.after, row.before.shape);
  if (!match.paired()) {
    row.state = match.after.tensor == kNoTensor ? DiffState::removed : DiffState::added;
    return false;
  }
  row.why = why_incomparable(before.checkpoint, match.before, after.checkpoint, match.after, row);
  return row.why.empty();
}

// A row for every match; true where it is compared.
std::vector<char> make_rows(const Pairing& pairing, const Opened& before, const Opened& after,
                            Executor& executor, FileDiff& file) {
  const std::size_t count = pairing.tensors.size();
  file.tensors.resize(count);
  std::vector<char> compared(count);
  run_ranges(executor, count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      compared[i] = describe_match(pairing.tensors[i], before, after, file.tensors[i]);
  });
  return compared;
}

}  // namespace

Opened open_for_comparison(const std::string& path, state::Fit fit) {
  return {path, open_checkpoint(open_file(path), Limits{.list_records = false}, fit), {}};
}

void bring_to_layout(Opened& opened, convert::RuleOptions options, bool as_stored) {
  options.without = {"compact", "newer", "optimizer_names", "apex_traces"};
  if (as_stored)
    for (const convert::Rule& rule : convert::rules())
      if (rule.when != convert::When::asked) options.without.emplace_back(rule.id);
  // People name tensors as reports do: by the paths that the other rules leave.
  const convert::Rule& filter = *convert::find_rule("filter");
  options.without.emplace_back(filter.id);
  convert::apply_rules(opened.checkpoint, options, opened.changes);
  filter.apply(opened.checkpoint, options, opened.changes);
}

Pairing pair_tensors(const Opened& before, const Opened& after, const structure::NameMap& names,
                     const TensorViews& views_before, const TensorViews& views_after) {
  Pairing pairing = structure::pair_trees(before.checkpoint, after.checkpoint);
  structure::match_by_map(pairing, names);
  // A single number, and a tensor without data, is equal to others by chance.
  const auto by = [&](auto content) {
    return [&, content](structure::Side side, const structure::SidedTensor& one) -> std::string {
      const bool is_before = side == structure::Side::before;
      const Checkpoint& checkpoint = (is_before ? before : after).checkpoint;
      const Tensor& tensor = checkpoint.tensors[one.tensor];
      if (tensor.storage == kNoStorage || numel(checkpoint, tensor) < 2) return "";
      return content((is_before ? views_before : views_after).view(one.tensor)).value_or("");
    };
  };
  // What names ask for is asked again by contents: no tensor is read twice for it.
  std::unordered_map<std::uint32_t, std::string> known[2];
  const auto remembered = [&](structure::Side side, const structure::SidedTensor& one) -> std::string {
    auto& hashes = known[side == structure::Side::before ? 0 : 1];
    const auto [at, fresh] = hashes.try_emplace(one.tensor);
    if (fresh) at->second = by(content_hash)(side, one);
    return at->second;
  };
  structure::match_by_name(pairing, before.checkpoint, after.checkpoint, remembered);
  const bool renamed = before.result_was_renamed || after.result_was_renamed;
  structure::match_by_content(pairing, remembered, renamed ? kByRename : kByContent);
  structure::match_by_content(pairing, by(value_key), kByNumbers);
  structure::match_by_likely_name(pairing, before.checkpoint, after.checkpoint);
  return pairing;
}

void diff_file(const DiffPair& pair, const DiffOptions& options, const structure::NameMap& names,
               const Judgement& judgement, Executor& executor, const DiffProgress& progress, FileDiff& file) {
  Opened sides[2];
  open_both(pair, options, executor, sides);
  const Opened &before = sides[0], &after = sides[1];
  executor.run(2, [&](std::size_t i) { (i == 0 ? file.before : file.after) = describe(sides[i]); });
  file.listed = changes_between(before, after);

  const TensorViews views_before(before.checkpoint), views_after(after.checkpoint);
  Pairing pairing;
  try {
    pairing = pair_tensors(before, after, names, views_before, views_after);
  } catch (Error& error) {
    if (error.code() == Code::nothing_selected) error.of(options.map);  // a name that the file has not
    throw;
  }
  leave_out(options.rules, pairing, file);
  list_values(pairing, before, after, file);
  list_ties(structure::compare_ties(before.checkpoint, after.checkpoint, pairing), pairing, before, after,
            file);
  const Parts parts_before = after.weights_only() ? Parts(before.checkpoint.values) : Parts(),
              parts_after = before.weights_only() ? Parts(after.checkpoint.values) : Parts();
  // From here on it is about numbers, and what is to be said of 100,000 tensors needs the memory.
  pairing.values = std::vector<structure::ValueDifference>();
  for (Opened& side : sides) side.checkpoint.values = {};

  const std::vector<char> compared = make_rows(pairing, before, after, executor, file);
  for (TensorRow& row : file.tensors) judge_without_data(row, judgement);
  if (after.weights_only()) narrow_scope(pairing, before, parts_before, structure::Side::before, file);
  if (before.weights_only()) narrow_scope(pairing, after, parts_after, structure::Side::after, file);

  // Equal bits are within every bound, unless they are NaNs that equal nothing.
  const numeric::MeasureOptions measured{.equal_pairs = judgement.nan == NaNPolicy::strict,
                                         .hulls = options.judged_again || !judgement.bounds.empty()};
  Comparisons(pairing, compared, views_before, views_after)
      .run(before, after, executor, progress, measured, file.tensors);
  const QuantizedParts quantized(file.tensors);
  run_ranges(executor, compared.size(), [&](std::size_t begin, std::size_t end) {
    RowJudge judge(judgement, quantized);
    for (std::size_t i = begin; i < end; ++i)
      if (compared[i] != 0) judge.judge(file.tensors[i]);
  });
  const Differences all = count_differences(file);
  excuse(file, judgement);
  explain_rows(pairing, compared, views_before, views_after, options, all, executor, file);
  before.checkpoint.source->check_unchanged();
  after.checkpoint.source->check_unchanged();
  executor.run(2, [&](std::size_t i) { sides[i] = {}; });  // of many tensors, work for both threads
}

}  // namespace ferry::cli
