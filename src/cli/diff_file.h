// One checkpoint against another, as named steps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/state/state.h"
#include "src/cli/diff.h"
#include "src/cli/opened.h"
#include "src/core/executor.h"
#include "src/report/difference.h"
#include "validators/structure/pairing.h"

namespace ferry::cli {

// Everything that judges: bounds by name, and what does not count.
struct Judgement {
  std::vector<BoundRow> bounds;
  NaNPolicy nan = NaNPolicy::equal;
  bool check_dtype = true;
  std::vector<std::string> ignores;          // globs over dotted paths
  std::vector<std::string> allowed_removed;  // globs: tensors and values that may be gone
  std::vector<std::string> allowed_added;

  std::string text() const;  // "bit-equal", "rtol 1e-05, atol 1e-08; backbone.*: ulp 4"
};

// How tensors were paired that no rule of names explains: what TensorRow::matched_by says.
inline constexpr std::string_view kByContent = "content", kByNumbers = "the same numbers";
// By content too, where the conversion between the two was asked for other names.
inline constexpr std::string_view kByRename = "--rename of the conversion";

// What the options ask for: the policy first, so that the command line has the last word.
Judgement judgement_of(const DiffOptions& options);

// Which tensors are parts of quantized ones, told by their names: "w.scales" beside a quantized "w.int_repr".
class QuantizedParts {
 public:
  QuantizedParts() = default;
  explicit QuantizedParts(std::span<const report::TensorRow> rows);
  bool has(std::string_view path) const;

 private:
  std::set<std::string, std::less<>> owners_;
};

// Judges pairs that were measured, or are equal; neighbours that have one bound share it.
class RowJudge {
 public:
  RowJudge(const Judgement& judgement, const QuantizedParts& quantized)  // which outlive this
      : judgement_(judgement), quantized_(quantized) {}
  void judge(report::TensorRow& row);  // its bound, its state and the words for it

 private:
  void judge_numbers(report::TensorRow& row);

  const Judgement& judgement_;
  const QuantizedParts& quantized_;
  std::shared_ptr<const Bound> latest_ = report::exact_bound();
};
// A pair that neither file has data of, which is what its `why` says or ends with: the types are all that can
// differ.
inline constexpr std::string_view kNoDataAtAll = "has no data in either file: a meta tensor";
void judge_without_data(report::TensorRow& row, const Judgement& judgement);
bool matches_any(const std::vector<std::string>& globs, std::string_view path);
// What is allowed to be missing, and what does not count at all.
void excuse(report::FileDiff& file, const Judgement& judgement);

// What is compared.
struct DiffPair {
  std::string before, after;  // paths of files
};

// Called with the bytes of both files dealt with since the last call.
using DiffProgress = std::function<void(std::uint64_t)>;

// Fills `file`; throws what stopped it.
void diff_file(const DiffPair& pair, const DiffOptions& options, const structure::NameMap& names,
               const Judgement& judgement, Executor& executor, const DiffProgress& progress,
               report::FileDiff& file);

// The steps that other verbs need too.
Opened open_for_comparison(const std::string& path, state::Fit fit = state::Fit::exact);
// Into the layout of 2.x, in memory: names, steps and scalers as convert would write them; `as_stored` only
// selects and renames as asked.  What is included and excluded goes by the names that this leaves, which are
// those of reports.  Storages stay whole, so that every view can be read where it lies.
void bring_to_layout(Opened& opened, convert::RuleOptions options, bool as_stored);

}  // namespace ferry::cli
