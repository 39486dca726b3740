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

void list_values(const structure::Pairing& pairing, const Opened& before, const Opened& after,
                 report::FileDiff& file);
void list_ties(const std::vector<structure::TyingChange>& changes, const structure::Pairing& pairing,
               const Opened& before, const Opened& after, report::FileDiff& file);

// The entries of a root that are containers, by name: parts of a training state.
class Parts {
 public:
  explicit Parts(const ValueGraph& graph);
  // The part that holds a path; empty when none does.
  std::string_view find(std::string_view path) const;

 private:
  std::vector<std::string> names_;
};

// Where the other file can hold named tensors only, what it lacks beside them does not count: values, tied
// copies, and parts of which it has nothing (the optimizer of a training state).  Said as remarks.
void narrow_scope(const structure::Pairing& pairing, const Opened& rich, const Parts& parts,
                  structure::Side side, report::FileDiff& file);

// Explanations of rows that differ, spectral ratios as asked, and what all differences have in common.
void explain_rows(const structure::Pairing& pairing, std::span<const char> compared,
                  const TensorViews& views_before, const TensorViews& views_after, const DiffOptions& options,
                  Executor& executor, report::FileDiff& file);

}  // namespace ferry::cli
