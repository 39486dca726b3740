// What a comparison says of each tensor and value: rows of its report.
#pragma once

#include <string>
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

report::TensorSide describe_tensor(const Checkpoint& checkpoint, const structure::SidedTensor& tensor);

// Why two tensors have no pairs of elements (shapes, no data), and then the row's state; empty when they
// have.
std::string why_incomparable(const Checkpoint& before, const structure::SidedTensor& mine,
                             const Checkpoint& after, const structure::SidedTensor& other,
                             report::TensorRow& row);

void list_values(const structure::Pairing& pairing, const Opened& before, const Opened& after,
                 report::FileDiff& file);
void list_ties(const std::vector<structure::TyingChange>& changes, const structure::Pairing& pairing,
               const Opened& before, const Opened& after, report::FileDiff& file);

// Where one file can hold named tensors only, what it lacks beside them does not count: values, tied copies,
// and parts of which it has nothing (the optimizer of a training state).  Said as remarks.
void narrow_scope(const structure::Pairing& pairing, const Opened& before, const Opened& after,
                  report::FileDiff& file);

// Explanations of rows that differ, spectral ratios as asked, and what all differences have in common.
// `pairs` has the views of every row that was compared.
void explain_rows(const structure::Pairing& pairing, const std::vector<const numeric::TensorPair*>& pairs,
                  const TensorViews& views_before, const TensorViews& views_after, const DiffOptions& options,
                  Executor& executor, report::FileDiff& file);

}  // namespace ferry::cli
