#include "src/report/difference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "src/report/difference_words.h"

namespace ferry::report {

std::shared_ptr<const Bound> exact_bound() {
  static const auto bound = std::make_shared<const Bound>();
  return bound;
}

namespace {

void add(DiffTotals& sum, const DiffTotals& other) {
  sum.compared += other.compared;
  sum.equal += other.equal;
  sum.within += other.within;
  sum.differing += other.differing;
  sum.incomparable += other.incomparable;
  sum.removed += other.removed;
  sum.added += other.added;
  sum.renamed += other.renamed;
  sum.not_compared += other.not_compared;
  sum.values_compared += other.values_compared;
  sum.values_differing += other.values_differing;
  sum.values_not_compared += other.values_not_compared;
  sum.tying_changes += other.tying_changes;
  sum.elements += other.elements;
  sum.elements_differing += other.elements_differing;
}

void count(DiffTotals& sum, const TensorRow& row) {
  switch (row.state) {
    case DiffState::equal:
      ++sum.equal;
      break;
    case DiffState::within:
      ++sum.within;
      break;
    case DiffState::differs:
      ++(differs_by_name_only(row) ? sum.renamed : sum.differing);
      break;
    case DiffState::incomparable:
      ++sum.incomparable;
      break;
    case DiffState::removed:
      ++sum.removed;
      return;
    case DiffState::added:
      ++sum.added;
      return;
    case DiffState::not_compared:
      ++sum.not_compared;
      return;
  }
  ++sum.compared;
  sum.elements += row.drift.elements;
  sum.elements_differing += row.drift.bits_differing;
}

// Smaller is worse.
int rank(DiffState state) {
  switch (state) {
    case DiffState::incomparable:
      return 0;
    case DiffState::removed:
      return 1;
    case DiffState::added:
      return 2;
    case DiffState::differs:
      return 3;
    case DiffState::within:
      return 4;
    default:
      return 5;
  }
}

}  // namespace

std::string renamed_words(const TensorRow& row) { return "renamed to " + row.after.path; }

bool differs_by_name_only(const TensorRow& row) {
  return row.state == DiffState::differs && row.measured && row.before.path != row.after.path &&
         row.why == renamed_words(row);
}

std::string_view state_name(DiffState state) {
  switch (state) {
    case DiffState::equal:
      return "equal";
    case DiffState::within:
      return "within";
    case DiffState::differs:
      return "differs";
    case DiffState::incomparable:
      return "incomparable";
    case DiffState::removed:
      return "removed";
    case DiffState::added:
      return "added";
    case DiffState::not_compared:
      return "not compared";
  }
  return "";
}

bool counts_as_differing(DiffState state) { return rank(state) < rank(DiffState::within); }

DiffTotals totals(const FileDiff& file) {
  DiffTotals sum;
  for (const TensorRow& row : file.tensors) count(sum, row);
  sum.values_compared = file.values_compared;
  for (const ValueRow& value : file.values) {
    sum.values_differing += counts_as_differing(value.state);
    if (value.state != DiffState::not_compared) continue;
    ++sum.values_not_compared;
    if (has_both_sides(value) && sum.values_compared > 0) --sum.values_compared;
  }
  sum.tying_changes = file.tying.size();
  return sum;
}

DiffTotals totals(const DiffReport& report) {
  DiffTotals sum;
  for (const FileDiff& file : report.files) add(sum, totals(file));
  return sum;
}

int exit_code(const FileDiff& file) {
  if (file.error) return file.error->fault() == Fault::refused ? 3 : 2;
  const auto differs = [](const auto& row) { return counts_as_differing(row.state); };
  return !file.tying.empty() || std::any_of(file.tensors.begin(), file.tensors.end(), differs) ||
         std::any_of(file.values.begin(), file.values.end(), differs);
}

int exit_code(const DiffReport& report) {
  int worst = !report.only_before.empty() || !report.only_after.empty();
  for (const FileDiff& file : report.files) worst = std::max(worst, exit_code(file));
  return worst;
}

double distance(const TensorRow& row) {
  if (!row.measured) return 0;
  const double frobenius = row.drift.relative_frobenius();
  return std::isnan(frobenius) ? std::numeric_limits<double>::infinity() : frobenius;
}

std::vector<const TensorRow*> ranked(const FileDiff& file) {
  struct Key {
    int state;
    bool finite;
    double closeness;
    const TensorRow* row;  // rows lie in one array: a later one has the higher address
    auto fields() const { return std::tie(state, finite, closeness, row); }
  };
  std::vector<Key> keys;
  for (const TensorRow& row : file.tensors) {
    if (rank(row.state) > rank(DiffState::within)) continue;
    keys.push_back({rank(row.state), row.drift.nonfinite_mismatches == 0, -distance(row), &row});
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.fields() < b.fields(); });
  std::vector<const TensorRow*> rows;
  rows.reserve(keys.size());
  for (const Key& key : keys) rows.push_back(key.row);
  return rows;
}

std::vector<const TensorRow*> worst_first(const FileDiff& file) {
  std::vector<const TensorRow*> rows = ranked(file);
  const auto tolerated = [](const TensorRow* row) { return row->state == DiffState::within; };
  rows.erase(std::find_if(rows.begin(), rows.end(), tolerated), rows.end());
  return rows;
}

std::string_view blind_spots() {
  return "A comparison of weights cannot see settings of layers (eps, momentum, align_corners), the order of "
         "layers, variants of activations, or code: whether the outputs are the same, only running the "
         "forward "
         "pass again on both sides can tell.";
}

}  // namespace ferry::report
