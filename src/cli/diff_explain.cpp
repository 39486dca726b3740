#include <algorithm>
#include <array>
#include <map>

#include "src/cli/diff_exchange.h"
#include "src/cli/diff_rows.h"
#include "src/core/text.h"
#include "src/report/inspection_tree.h"
#include "validators/numeric/explain.h"
#include "validators/numeric/spectral.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::FileDiff;
using report::TensorRow;

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool shows_difference(const TensorRow& row) {
  return row.state == DiffState::differs || row.state == DiffState::within ||
         row.state == DiffState::incomparable;
}

}  // namespace

std::vector<std::size_t> rows_to_explain(const FileDiff& file) {
  constexpr std::size_t kRowsMax = 5000;
  std::vector<std::size_t> rows;
  for (const TensorRow* row : report::worst_first(file))
    rows.push_back(static_cast<std::size_t>(row - file.tensors.data()));
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    if (file.tensors[i].state == DiffState::within) rows.push_back(i);
  std::erase_if(rows, [&](std::size_t i) { return !shows_difference(file.tensors[i]); });
  if (rows.size() > kRowsMax) rows.resize(kRowsMax);
  return rows;
}

std::vector<char> first_measured(const FileDiff& file, std::span<const std::size_t> rows, std::size_t most) {
  std::vector<char> chosen(file.tensors.size());
  for (std::size_t k = 0; k < rows.size() && most > 0; ++k)
    if (file.tensors[rows[k]].measured) {
      chosen[rows[k]] = 1;
      --most;
    }
  return chosen;
}

namespace {

// --- What all differences have in common

bool is_difference(DiffState state) { return state != DiffState::equal && state != DiffState::not_compared; }

// True only of what both sides have and what was measured: a tensor that is gone is more than another number.
bool is_other_number(const TensorRow& row, std::span<const std::string_view> names) {
  return row.measured && std::ranges::find(names, last_part(row.before.path)) != names.end();
}

}  // namespace

void find_common_cause(const Differences& all, FileDiff& file) {
  constexpr std::array<std::string_view, 1> kCounters = {"num_batches_tracked"};
  constexpr std::array<std::string_view, 3> kStatistics = {"running_mean", "running_var",
                                                           "num_batches_tracked"};
  std::size_t count = 0, counters = 0, statistics = 0;
  std::map<Cause, std::size_t> causes;
  for (const TensorRow& row : file.tensors) {
    if (!is_difference(row.state)) continue;
    ++count;
    counters += is_other_number(row, kCounters) ? 1 : 0;
    statistics += is_other_number(row, kStatistics) ? 1 : 0;
    if (!row.explanations.empty()) ++causes[row.explanations.front().cause];
  }
  if (count == 0 || count != all.tensors) return;
  const auto say = [&](std::string what) {
    file.remarks.push_back({Code::common_cause, "", std::move(what)});
  };
  const bool nothing_else = all.others == 0;
  if (counters == count && nothing_else)
    say("only num_batches_tracked differs: it counts training batches and has no effect in eval mode");
  else if (statistics == count && nothing_else)
    say("only statistics of batch normalisation differ (running_mean, running_var, num_batches_tracked)");
  else if (count > 1 && causes.size() == 1 && causes.begin()->second == count)
    say("all " + grouped(count) + " tensors that differ: " + std::string(cause_name(causes.begin()->first)));
}

Differences count_differences(const FileDiff& file) {
  const auto count = [](const auto& rows) {
    return static_cast<std::size_t>(
        std::ranges::count_if(rows, [](const auto& row) { return is_difference(row.state); }));
  };
  return {count(file.tensors), count(file.values) + file.tying.size()};
}

void explain_rows(const structure::Pairing& pairing, std::span<const char> compared,
                  const TensorViews& views_before, const TensorViews& views_after, const DiffOptions& options,
                  const Differences& all, Executor& executor, FileDiff& file) {
  std::vector<std::size_t> rows = rows_to_explain(file);
  std::erase_if(rows, [&](std::size_t i) {  // tensors without data (meta) show nothing
    const structure::TensorMatch& match = pairing.tensors[i];
    return match.paired() &&
           !(views_before.has_data(match.before.tensor) && views_after.has_data(match.after.tensor));
  });
  const std::vector<char> worst =
      first_measured(file, rows, options.judged_again ? kSpectralSaved : kSpectralWorst);
  constexpr std::uint64_t kAny = std::uint64_t{1} << 28;
  executor.run(rows.size(), [&](std::size_t k) {
    TensorRow& row = file.tensors[rows[k]];
    const structure::TensorMatch& match = pairing.tensors[rows[k]];
    const bool shapes_differ = row.state == DiffState::incomparable && !row.before.shape.empty();
    if (compared[rows[k]] != 0 ? !row.measured : !shapes_differ) return;
    const numeric::TensorView mine = views_before.view(match.before.tensor),
                              other = views_after.view(match.after.tensor);
    if (compared[rows[k]] == 0) {
      row.explanations = numeric::explain_drift(mine, other, nullptr, "");
      return;
    }
    row.explanations = numeric::explain_drift(mine, other, &row.drift, last_part(row.before.path));
    const bool wanted = options.spectral == SpectralChoice::all ||
                        (options.spectral == SpectralChoice::worst && worst[rows[k]] != 0);
    if (wanted)
      row.spectral = numeric::spectral_ratio(mine, other,
                                             options.spectral == SpectralChoice::all ? kAny : kSpectralCheap);
  });
  explain_exchanges(pairing, rows, views_before, views_after, executor, file);
  find_common_cause(all, file);
}

}  // namespace ferry::cli
