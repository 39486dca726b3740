// Words that the faces of a difference share: what a report comes to, and what is said of its rows.
//
// Texts are not escaped unless a comment says so: each face escapes in its own way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/report/difference.h"

namespace ferry::report {

// What it all comes to, the worst last.
enum class DiffVerdict : std::uint8_t { identical, identical_but_listed, within, differs, error };
DiffVerdict verdict(const FileDiff& file);
DiffVerdict verdict(const DiffReport& report);  // the worst of its files; files without a partner differ
std::string_view verdict_name(DiffVerdict verdict);

// The answer in one sentence, safe to print: "differs: 3 of 684 tensors over the bound (bit-equal), 1
// removed".
std::string headline(const FileDiff& file, std::string_view bounds);
std::string headline(const DiffReport& report);
// One file against one file, rather than two directories.
bool is_single(const DiffReport& report);

bool counts_as_differing(DiffState state);
// Of measured rows the relative Frobenius distance, infinite when it is no number; else 0.
double distance(const TensorRow& row);
// Like worst_first, and behind it what is within the bound in the same order.
std::vector<const TensorRow*> ranked(const FileDiff& file);

// The side by which a row is called: before, or after where before lacks the tensor.
const TensorSide& shown_side(const TensorRow& row);
bool has_both_sides(const TensorRow& row);
// The same of values, whether they count or not.
bool is_removed(const ValueRow& row);
bool is_added(const ValueRow& row);
inline bool has_both_sides(const ValueRow& row) { return !is_removed(row) && !is_added(row); }
bool is_renamed(const TensorRow& row);
bool changes_dtype(const TensorRow& row);
bool changes_shape(const TensorRow& row);
// "float32", or "float32 → float16"; "[3, 4] → [4, 3]".
std::string dtype_words(const TensorRow& row);
std::string shape_words(const TensorRow& row);
// What is to be said under a row, the most telling first: explanations, why, numbers that are not finite,
// bits that differ without a distance, the worst element.
std::vector<std::string> notes(const TensorRow& row);
std::string worst_words(const TensorRow& row);  // "worst at [0, 3]: 1.5 → -0.25"; empty when there is none

// What differs, in counts: "3 of 684 tensors over the bound (bit-equal), 1 removed, 2 values"; empty when
// nothing does.
std::string tally(const DiffTotals& sum, std::string_view bounds);

}  // namespace ferry::report
