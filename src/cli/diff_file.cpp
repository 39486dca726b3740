#include "src/cli/diff_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

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

// Pairs of tensors to compare: a pair that stands at several paths is compared once.
class Comparisons {
 public:
  Comparisons(const Opened& before, const Opened& after, const TensorViews& views_before,
              const TensorViews& views_after)
      : before_(before), after_(after), views_before_(views_before), views_after_(views_after) {}

  void reserve(std::size_t count) {
    numbers_.reserve(count);
    pairs_.reserve(count);
    tensors_before_.reserve(count);
    tensors_after_.reserve(count);
    uses_.reserve(count);
  }

  // The number of the comparison, by which its result is found.
  std::size_t add(std::uint32_t before, std::uint32_t after) {
    const auto [at, fresh] = numbers_.try_emplace(std::uint64_t{before} << 32 | after, pairs_.size());
    if (fresh) {
      pairs_.push_back({views_before_.view(before), views_after_.view(after)});
      tensors_before_.push_back(before);
      tensors_after_.push_back(after);
      uses_.push_back(0);
    }
    ++uses_[at->second];
    return at->second;
  }

  void run(Executor& executor, const DiffProgress& progress, bool measure_equal) {
    Checksums checksums({&before_.checkpoint, tensors_before_}, {&after_.checkpoint, tensors_after_}, pairs_,
                        executor);
    results_ = numeric::compare_tensors(
        pairs_, executor, [&](const numeric::TapBlock& block) { checksums.take(block); }, progress,
        measure_equal);
    checksums.check();
  }

  const numeric::TensorPair& pair(std::size_t number) const { return pairs_[number]; }
  // Given away where one row asks only.  Thread-safe.
  numeric::Comparison take_result(std::size_t number) {
    return uses_[number] > 1 ? results_[number] : std::move(results_[number]);
  }

 private:
  const Opened& before_;
  const Opened& after_;
  const TensorViews& views_before_;
  const TensorViews& views_after_;
  std::unordered_map<std::uint64_t, std::size_t> numbers_;
  std::vector<numeric::TensorPair> pairs_;
  std::vector<std::uint32_t> tensors_before_, tensors_after_, uses_;
  std::vector<numeric::Comparison> results_;
};

constexpr std::size_t kNoComparison = static_cast<std::size_t>(-1);

// What is known of a match before any number is read.  True when its numbers are to be compared.
bool describe_match(const structure::TensorMatch& match, const Opened& before, const Opened& after,
                    TensorRow& row) {
  row.matched_by = match.matched_by;
  if (match.before.tensor != kNoTensor) row.before = describe_tensor(before.checkpoint, match.before);
  if (match.after.tensor != kNoTensor) row.after = describe_tensor(after.checkpoint, match.after);
  if (!match.paired()) {
    row.state = match.after.tensor == kNoTensor ? DiffState::removed : DiffState::added;
    return false;
  }
  row.why = why_incomparable(before.checkpoint, match.before, after.checkpoint, match.after, row);
  return row.why.empty();
}

// A row for every match, and where its numbers will come from.
std::vector<std::size_t> make_rows(const Pairing& pairing, const Opened& before, const Opened& after,
                                   Executor& executor, Comparisons& comparisons, FileDiff& file) {
  const std::size_t count = pairing.tensors.size();
  file.tensors.resize(count);
  std::vector<char> compared(count);
  run_ranges(executor, count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      compared[i] = describe_match(pairing.tensors[i], before, after, file.tensors[i]);
  });
  std::vector<std::size_t> numbers(count, kNoComparison);
  comparisons.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    if (compared[i])
      numbers[i] = comparisons.add(pairing.tensors[i].before.tensor, pairing.tensors[i].after.tensor);
  return numbers;
}

void take_results(const std::vector<std::size_t>& numbers, Comparisons& comparisons,
                  const Judgement& judgement, Executor& executor, FileDiff& file) {
  run_ranges(executor, numbers.size(), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (numbers[i] == kNoComparison) continue;
      TensorRow& row = file.tensors[i];
      numeric::Comparison result = comparisons.take_result(numbers[i]);
      row.drift = std::move(result.drift);
      row.measured = result.why_not.empty();
      row.why = std::move(result.why_not);
      judge_row(row, judgement);
    }
  });
}

}  // namespace

Opened open_for_comparison(const std::string& path) {
  Opened opened{path, open_checkpoint(open_file(path), Limits{}), {}};
  opened.checkpoint.container.records = {};
  return opened;
}

void bring_to_layout(Opened& opened, convert::RuleOptions options, bool as_stored) {
  options.without = {"compact", "newer", "optimizer_names", "apex_traces"};
  if (as_stored)
    for (const convert::Rule& rule : convert::rules())
      if (rule.when != convert::When::asked) options.without.emplace_back(rule.id);
  convert::apply_rules(opened.checkpoint, options, opened.changes);
}

Pairing pair_tensors(const Opened& before, const Opened& after, const structure::NameMap& names,
                     const TensorViews& views_before, const TensorViews& views_after) {
  Pairing pairing = structure::pair_trees(before.checkpoint, after.checkpoint);
  structure::match_by_map(pairing, names);
  structure::match_by_name(pairing, before.checkpoint, after.checkpoint);
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
  structure::match_by_content(pairing, by(content_hash), kByContent);
  structure::match_by_content(pairing, by(value_key), kByNumbers);
  return pairing;
}

void diff_file(const DiffPair& pair, const DiffOptions& options, const structure::NameMap& names,
               const Judgement& judgement, Executor& executor, const DiffProgress& progress, FileDiff& file) {
  Opened sides[2];
  open_both(pair, options, executor, sides);
  const Opened &before = sides[0], &after = sides[1];
  file.before = describe(before);
  file.after = describe(after);
  file.listed = changes_between(before, after);

  const TensorViews views_before(before.checkpoint), views_after(after.checkpoint);
  const Pairing pairing = pair_tensors(before, after, names, views_before, views_after);
  Comparisons comparisons(before, after, views_before, views_after);
  const std::vector<std::size_t> numbers = make_rows(pairing, before, after, executor, comparisons, file);
  // Equal bits are within every bound, unless they are NaNs that equal nothing.
  comparisons.run(executor, progress, judgement.nan == NaNPolicy::strict);
  take_results(numbers, comparisons, judgement, executor, file);

  list_values(pairing, before, after, file);
  list_ties(structure::compare_ties(before.checkpoint, after.checkpoint, pairing), pairing, before, after,
            file);
  narrow_scope(pairing, before, after, file);
  excuse(file, judgement);

  std::vector<const numeric::TensorPair*> pairs(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != kNoComparison) pairs[i] = &comparisons.pair(numbers[i]);
  explain_rows(pairing, pairs, views_before, views_after, options, executor, file);
  before.checkpoint.source->check_unchanged();
  after.checkpoint.source->check_unchanged();
  executor.run(2, [&](std::size_t i) { sides[i] = {}; });  // of many tensors, work for both threads
}

}  // namespace ferry::cli
