// What a comparison says of each tensor and value: rows of its report.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/cli/diff_file.h"
#include "src/cli/opened.h"
#include "src/report/difference.h"
#include "validators/numeric/compare.h"
#include "validators/structure/pairing.h"
#include "validators/structure/tying.h"

namespace ferry::cli {

// Both files at once, in the layout in which they are compared.
void open_both(const DiffPair& pair, const DiffOptions& options, Executor& executor, Opened (&sides)[2]);

// Tensors of both, matched by place, by the names that were given, by known renamings and by content.
structure::Pairing pair_tensors(const Opened& before, const Opened& after, const structure::NameMap& names,
                                const TensorViews& views_before, const TensorViews& views_after);

// `likely`: a shape that is shared where it is the tensor's.
report::TensorSide describe_tensor(const Checkpoint& checkpoint, const structure::SidedTensor& tensor,
                                   const SharedArray<std::int64_t>& likely);

// Why two tensors have no pairs of elements (shapes, no data), and then the row's state; empty when they
// have.
std::string why_incomparable(const Checkpoint& before, const structure::SidedTensor& mine,
                             const Checkpoint& after, const structure::SidedTensor& other,
                             report::TensorRow& row);

// Keeps the pairs that --include and --exclude want, by the paths of either side: those of reports.  Throws
// Code::nothing_selected when none is left.
void leave_out(const convert::RuleOptions& wanted, structure::Pairing& pairing, report::FileDiff& file);

void list_values(const structure::Pairing& pairing, const Opened& before, const Opened& after,
                 report::FileDiff& file);
void list_ties(const std::vector<structure::TyingChange>& changes, const structure::Pairing& pairing,
               const Opened& before, const Opened& after, report::FileDiff& file);

// The entries of a root that are containers, by name: parts of a training state.
class Parts {
 public:
  Parts() = default;  // none
  explicit Parts(const ValueGraph& graph);
  // The part that holds a path; empty when none does.
  std::string_view find(std::string_view path) const;
  bool holds_tensors_only(std::string_view part) const;  // a state_dict, or several

 private:
  std::vector<std::string> names_;
  std::vector<bool> tensors_only_;
};

// Where the other file can hold named tensors only, what it lacks beside them does not count: values, tied
// copies, and parts of which it has nothing: the optimizer of a training state, and other models where the
// one it holds has lost the name of its part.  Said as remarks.
void narrow_scope(const structure::Pairing& pairing, const Opened& rich, const Parts& parts,
                  structure::Side side, report::FileDiff& file);

// How much differs at all: to be counted before anything is excused, so that what is said of all differences
// is true of those too.
struct Differences {
  std::size_t tensors = 0, others = 0;  // others: values, changes of sharing
};
Differences count_differences(const report::FileDiff& file);

// Explanations of rows that differ, spectral ratios as asked, and what all differences have in common.
void explain_rows(const structure::Pairing& pairing, std::span<const char> compared,
                  const TensorViews& views_before, const TensorViews& views_after, const DiffOptions& options,
                  const Differences& all, Executor& executor, report::FileDiff& file);

// Which rows that is, the worst first; of very many only those that anyone will look at.
std::vector<std::size_t> rows_to_explain(const report::FileDiff& file);
// The last part: a remark.
void find_common_cause(const Differences& all, report::FileDiff& file);

// Row by row, 1 for the first `most` of these that were measured.
std::vector<char> first_measured(const report::FileDiff& file, std::span<const std::size_t> rows,
                                 std::size_t most);

// How many of the worst rows have ratios of spectral norms, unless all are to; of those that are judged
// again, others may be the worst.  And how many elements a ratio may have that costs little.
inline constexpr std::size_t kSpectralWorst = 8, kSpectralSaved = 32;
inline constexpr std::uint64_t kSpectralCheap = std::uint64_t{1} << 20;

// Of a report that was judged again: what of its explanations holds now.
void explain_again(const Differences& all, report::FileDiff& file, SpectralChoice spectral);

}  // namespace ferry::cli
