#include "src/cli/diff_exchange.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "src/cli/content_hash.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::TensorRow;
using structure::kNoTensor;

// Hashes of tensors of one side, made together.
class Contents {
 public:
  explicit Contents(const TensorViews& views) : views_(views) {}

  void want(std::uint32_t tensor) { hashes_.try_emplace(tensor); }
  void make(Executor& executor) {
    std::vector<std::pair<const std::uint32_t, std::string>*> all;
    all.reserve(hashes_.size());
    for (auto& one : hashes_) all.push_back(&one);
    executor.run(all.size(), [&](std::size_t i) {
      all[i]->second = content_hash(views_.view(all[i]->first)).value_or("");
    });
  }
  // Empty: not wanted, or not affordable.
  std::string_view of(std::uint32_t tensor) const {
    const auto found = hashes_.find(tensor);
    return found == hashes_.end() ? std::string_view() : found->second;
  }

 private:
  const TensorViews& views_;
  std::unordered_map<std::uint32_t, std::string> hashes_;
};

class Exchange {
 public:
  Exchange(const structure::Pairing& pairing, const TensorViews& before, const TensorViews& after,
           Executor& executor, report::FileDiff& file)
      : pairing_(pairing),
        before_(before),
        after_(after),
        executor_(executor),
        file_(file),
        contents_before_(before),
        contents_after_(after) {}

  void find(std::span<const std::size_t> rows) {
    sample_sought(rows);
    if (sought_.empty()) return;
    find_alike();
    contents_before_.make(executor_);
    contents_after_.make(executor_);
    find_sources();
    for (const auto& [row, other] : source_) say(row, other);
  }

 private:
  using Form = std::pair<std::optional<DType>, std::vector<std::int64_t>>;

  static Form form_of(const report::TensorSide& side) {
    return {side.dtype, std::vector<std::int64_t>(side.shape.begin(), side.shape.end())};
  }
  std::uint32_t mine(std::size_t i) const { return pairing_.tensors[i].before.tensor; }
  std::uint32_t others(std::size_t i) const { return pairing_.tensors[i].after.tensor; }

  // Pairs with the same bits (which have another name, or hold NaNs) hold what they held themselves.
  bool may_be_sought(std::size_t i) const {
    const TensorRow& row = file_.tensors[i];
    if (!pairing_.tensors[i].paired() || row.state == DiffState::within || !after_.has_data(others(i)))
      return false;
    return !(row.measured && row.drift.bits_equal());
  }

  // One value everywhere; of tensors that are longer than their sample, the explanations know.
  bool is_constant(const TensorRow& row, const ContentSample& sample) const {
    if (!sample.constant || sample.whole || !row.measured) return sample.constant;
    return std::ranges::any_of(row.explanations, [](const Explanation& one) {
      return one.cause == Cause::zeros || one.cause == Cause::constant || one.cause == Cause::stats_reset;
    });
  }

  void sample_sought(std::span<const std::size_t> rows) {
    std::vector<std::optional<ContentSample>> samples(rows.size());
    run_ranges(executor_, rows.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t k = begin; k < end; ++k)
        if (may_be_sought(rows[k])) samples[k] = content_sample(after_.view(others(rows[k])));
    });
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const TensorRow& row = file_.tensors[rows[k]];
      if (!samples[k]) continue;
      if (is_constant(row, *samples[k])) constant_.insert(rows[k]);
      sought_[samples[k]->key].push_back(rows[k]);
      forms_.insert(form_of(row.after));
    }
  }

  // Tensors of before that agree with some row's after in form and sample; their own rows' do not count:
  // those differ.
  void find_alike() {
    const std::size_t count = file_.tensors.size();
    std::vector<std::optional<std::uint64_t>> keys(count);
    run_ranges(executor_, count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        if (mine(i) != kNoTensor && before_.has_data(mine(i)) &&
            forms_.contains(form_of(file_.tensors[i].before)))
          keys[i] = content_sample(before_.view(mine(i))).key;
    });
    for (std::size_t i = 0; i < count; ++i) {
      const auto found = keys[i] ? sought_.find(*keys[i]) : sought_.end();
      if (found == sought_.end()) continue;
      bool alike = false;
      for (const std::size_t row : found->second) {
        if (mine(row) == mine(i)) continue;
        contents_after_.want(others(row));
        alike = true;
      }
      if (!alike) continue;
      contents_before_.want(mine(i));
      alike_.push_back(i);
    }
  }

  // Of several that held the same, the one that got what the row had, then one that is not where it was.
  void find_sources() {
    std::unordered_map<std::string_view, std::vector<std::size_t>> held;
    constexpr std::size_t kSameMax = 64;  // copies among thousands of equal tensors: the first will do
    for (const bool moved : {true, false})
      for (const std::size_t i : alike_) {
        const std::string_view content = contents_before_.of(mine(i));
        if (content.empty() || is_moved(i) != moved) continue;
        auto& list = held[content];
        if (list.size() < kSameMax) list.push_back(i);
      }
    for (const auto& [key, rows] : sought_)
      for (const std::size_t row : rows) {
        const auto found = held.find(contents_after_.of(others(row)));
        if (found == held.end()) continue;
        const auto& list = found->second;
        const auto back = std::ranges::find_if(list, [&](std::size_t i) { return holds(i, row); });
        const auto best = back != list.end() ? back : list.begin();
        if (mine(*best) != mine(row)) source_[row] = *best;
      }
  }
  bool is_moved(std::size_t i) const { return file_.tensors[i].state != DiffState::equal; }
  // The row's after is what the other's before was.
  bool holds(std::size_t row, std::size_t other) const {
    const std::string_view content = contents_before_.of(mine(other));
    return !content.empty() && others(row) != kNoTensor && contents_after_.of(others(row)) == content;
  }

  void say(std::size_t row, std::size_t other) {
    const auto back = source_.find(other);
    const bool swapped = back != source_.end() && back->second == row;
    if (!swapped && constant_.contains(row)) return;
    auto& list = file_.tensors[row].explanations;
    list.insert(list.begin(), {swapped ? Cause::swapped : Cause::copied,
                               (swapped ? kSwapped : kCopied) + file_.tensors[other].before.path});
  }

  const structure::Pairing& pairing_;
  const TensorViews& before_;
  const TensorViews& after_;
  Executor& executor_;
  report::FileDiff& file_;
  std::set<Form> forms_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> sought_;  // rows, by the sample of their after
  std::unordered_set<std::size_t> constant_;                            // rows that are sought
  std::vector<std::size_t> alike_;  // rows whose before may be what is sought
  Contents contents_before_, contents_after_;
  std::map<std::size_t, std::size_t> source_;
};

}  // namespace

void explain_exchanges(const structure::Pairing& pairing, std::span<const std::size_t> rows,
                       const TensorViews& before, const TensorViews& after, Executor& executor,
                       report::FileDiff& file) {
  Exchange(pairing, before, after, executor, file).find(rows);
}

}  // namespace ferry::cli
