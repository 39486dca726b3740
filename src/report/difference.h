// What a run of `diff` found: the record, and its forms for people and programs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/bound.h"
#include "src/core/change_log.h"
#include "src/core/drift.h"
#include "src/core/error.h"
#include "src/core/shared_array.h"
#include "src/report/json.h"

namespace ferry::report {

// Whatever came of a row; the worst of a report decides its exit code: `differs`, `added` … mean 1.
enum class DiffState : std::uint8_t {
  equal,         // bit for bit
  within,        // differs, within the bound
  differs,       // over the bound
  incomparable,  // another shape, or the comparison was given up: counts as differing
  removed,       // only in before
  added,         // only in after
  not_compared,  // out of scope, and said so: does not count
};
std::string_view state_name(DiffState state);

struct TensorSide {
  SharedText path;  // dotted, as written in the file; empty when the side lacks the tensor
  SharedArray<std::int64_t> shape;
  std::optional<DType> dtype;  // nothing when the side lacks the tensor

  std::string_view dtype_name() const { return dtype ? info(*dtype).name : std::string_view(); }
};

// The bound of those who ask for none: one for all.
std::shared_ptr<const Bound> exact_bound();

struct TensorRow {
  TensorSide before, after;
  SharedText matched_by;  // how the two were paired where their paths differ: "prefix module.", "content";
                          // else empty
  DiffState state = DiffState::equal;
  bool measured = false;
  bool counted = false;  // its finite, infinite and NaN elements are; not of equal pairs that nobody had to
                         // read as numbers
  SharedText why;  // of differs and incomparable: "shape [3, 4] became [4, 3]", or the verdict's own words
  Drift drift;     // of equal pairs: elements only, unless `counted`
  std::shared_ptr<const Bound> bound = exact_bound();  // what it was judged by
  std::vector<Explanation> explanations;               // the best first
  std::optional<double> spectral;                      // σ₁(after − before) / σ₁(before)
};

// A value that is no tensor, or what is said of dicts: optimizer groups, epoch, arguments, _metadata.
struct ValueRow {
  std::string path;
  DiffState state = DiffState::differs;
  std::string before, after;  // on one line, shortened, safe to print; empty when the side lacks it
};

// Tensors that shared memory on one side only.
struct TyingRow {
  std::vector<std::string> tied_before, tied_after;  // paths that are one tensor on that side; may be empty
  std::string what;                                  // "were tied, are separate now"
};

struct DiffSide {
  std::string path;    // as given
  std::string format;  // "torch zip"
  std::uint64_t bytes = 0, tensors = 0, elements = 0;
};

struct DiffRemark {
  Code code;  // TF6xx, TF7xx
  std::string path, what;
};

struct DiffTotals {
  std::size_t compared = 0, equal = 0, within = 0, differing = 0, incomparable = 0, removed = 0, added = 0;
  std::size_t renamed = 0;  // differ in nothing but a name that no rule explains: not in `differing`
  std::size_t not_compared = 0;
  std::size_t values_compared = 0, values_differing = 0, values_not_compared = 0, tying_changes = 0;
  std::uint64_t elements = 0, elements_differing = 0;
};

// One file against one file.
struct FileDiff {
  std::string name;  // of directories: the path below them; else empty
  DiffSide before, after;
  std::vector<Change> listed;      // what a conversion is known to change, and did: no difference
  std::vector<TensorRow> tensors;  // in the order of before, then what was added
  std::vector<ValueRow> values;    // only those that differ
  std::size_t values_compared = 0;
  std::vector<TyingRow> tying;
  std::vector<DiffRemark> remarks;  // order of keys, what was not compared, whole-report explanations
  std::optional<Error> error;       // why it could not be compared
};

struct DiffReport {
  std::string version;  // of torchferry
  std::string bounds;   // what was asked, in words: "bit-equal", "rtol 1.3e-06, atol 1e-05 (torch.testing)"
  std::vector<FileDiff> files;  // one, or those of two directories in the order of their names
  std::vector<std::string> only_before, only_after;  // files of directories without a partner
};

// What is said of a row whose name no rule explains: "renamed to b".
std::string renamed_words(const TensorRow& row);
// True where that is all that is wrong with it.
bool differs_by_name_only(const TensorRow& row);

DiffTotals totals(const FileDiff& file);
DiffTotals totals(const DiffReport& report);  // the sums of its files
int exit_code(const FileDiff& file);          // 0, 1; 2 or 3 of an error
int exit_code(const DiffReport& report);      // the worst: 3 > 2 > 1 > 0
// Rows that count as differing, the worst first: incomparable, removed, added, then by relative Frobenius
// distance (non-finite mismatches before all finite ones), then by path order.
std::vector<const TensorRow*> worst_first(const FileDiff& file);

// What a comparison of weights cannot see, said with every report: one sentence.
std::string_view blind_spots();

struct DiffTextStyle {
  bool color = false;
  bool all = false;       // every row, also equal ones
  std::size_t width = 0;  // columns; 0: never cut
  std::size_t rows = 20;  // of the worst; ignored when all
};
// Summary first, then the worst first; everything that comes from a file is escaped.
std::string diff_text(const DiffReport& report, const DiffTextStyle& style);

// One document, "schema": "torchferry.diff/1".  Of equal pairs whose numbers nobody had to read, how many are
// finite, infinite and NaN, and the histogram of ULP distances, are null.
void write_diff_json(const DiffReport& report, const JsonWriter::Put& put);
// A line for every tensor, value and tying change, and a last one with the totals; each is a JSON object.
void write_diff_jsonl(const DiffReport& report, const JsonWriter::Put& put);
// A summary for pull requests and job summaries.
std::string diff_markdown(const DiffReport& report);
// One self-contained page: summary, drift of every layer in model order, ULP histogram, heat strip, sortable
// table.
std::string diff_html(const DiffReport& report);

}  // namespace ferry::report
