#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "src/cli/diff_exchange.h"
#include "src/cli/diff_rows.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::FileDiff;
using report::TensorRow;

std::uint64_t elements_of(const report::TensorSide& side) {
  std::uint64_t count = 1;
  for (const std::int64_t size : side.shape) count *= static_cast<std::uint64_t>(size);
  return count;
}

// A pair without data on a side, of which nothing is said.
bool lacks_data(const TensorRow& row) {
  return row.before.dtype && row.after.dtype && !row.measured && row.drift.elements == 0 &&
         row.before.shape == row.after.shape;
}

bool is_exchange(const Explanation& one) { return one.cause == Cause::swapped || one.cause == Cause::copied; }

// "w.b" of "changed places with w.b" and of "holds what was in w.b".
std::string_view other_of(const Explanation& one) {
  const std::string_view words = one.cause == Cause::swapped ? kSwapped : kCopied;
  return std::string_view(one.text).substr(std::min(one.text.size(), words.size()));
}

// What a tensor holds now is looked for only where it is over its bound; and two have changed places only
// where both are.
void forget_exchanges(FileDiff& file, const std::vector<std::size_t>& rows) {
  std::unordered_set<std::string_view> paths;
  for (const std::size_t i : rows)
    if (file.tensors[i].state != DiffState::within) paths.insert(file.tensors[i].before.path);
  for (TensorRow& row : file.tensors) {
    if (!paths.contains(row.before.path)) std::erase_if(row.explanations, is_exchange);
    for (Explanation& one : row.explanations)
      if (one.cause == Cause::swapped && !paths.contains(other_of(one)))
        one = {Cause::copied, std::string(kCopied).append(other_of(one))};
  }
}

// Ratios that a comparison would have measured.
void forget_ratios(FileDiff& file, const std::vector<std::size_t>& rows, SpectralChoice spectral) {
  const std::vector<char> worst = first_measured(file, rows, kSpectralWorst);
  for (const std::size_t i : rows) {
    TensorRow& row = file.tensors[i];
    const bool cheap = elements_of(row.before) <= kSpectralCheap;
    const bool wanted =
        spectral == SpectralChoice::all || (spectral == SpectralChoice::worst && worst[i] != 0 && cheap);
    if (!wanted) row.spectral.reset();
  }
}

}  // namespace

void explain_again(const Differences& all, FileDiff& file, SpectralChoice spectral) {
  std::vector<std::size_t> rows = rows_to_explain(file);
  std::erase_if(rows, [&](std::size_t i) { return lacks_data(file.tensors[i]); });
  std::vector<char> explained(file.tensors.size());
  for (const std::size_t i : rows) explained[i] = 1;
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    if (explained[i] != 0) continue;
    file.tensors[i].explanations.clear();
    file.tensors[i].spectral.reset();
  }
  forget_exchanges(file, rows);
  forget_ratios(file, rows, spectral);
  std::erase_if(file.remarks, [](const report::DiffRemark& one) { return one.code == Code::common_cause; });
  find_common_cause(all, file);
}

}  // namespace ferry::cli
