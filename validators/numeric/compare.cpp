#include "validators/numeric/compare.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "src/core/checked.h"
#include "src/core/text.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/pair_work.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

constexpr std::uint64_t kSmallBytes = 32 << 10;    // of a side; smaller pairs are read together
constexpr std::uint64_t kWindowBytes = 256 << 10;  // what is read together, of a side
constexpr std::uint64_t kWindowGap = 4 << 10;      // bytes between two small tensors that cost no new read
constexpr std::uint64_t kTaskBytes = std::uint64_t{2}
                                     << 20;  // of both sides: enough to hide the cost of a task
constexpr std::size_t kTaskItems = 4096;

// Buffers for as many tasks as run at one time, kept from task to task.
class ScratchPool {
 public:
  class Lease {
   public:
    explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch& operator*() { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

 private:
  std::unique_ptr<Scratch> take() {
    const std::lock_guard lock(guard_);
    if (free_.empty()) {
      free_.reserve(++made_);  // so that giving back does not throw
      return std::make_unique<Scratch>();
    }
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  void give_back(std::unique_ptr<Scratch> scratch) {
    const std::lock_guard lock(guard_);
    free_.push_back(std::move(scratch));
  }

  std::mutex guard_;
  std::vector<std::unique_ptr<Scratch>> free_;
  std::size_t made_ = 0;
};

std::uint64_t times_saturated(std::uint64_t count, std::uint64_t times) {
  return checked_mul(count, times).value_or(~std::uint64_t{0});
}

// Every pair of elements counts `times` times.
void multiply(Drift& drift, std::uint64_t times) {
  for (std::uint64_t* count :
       {&drift.elements, &drift.bits_differing, &drift.bits_flipped, &drift.differing, &drift.zero_signs,
        &drift.nans_before, &drift.nans_after, &drift.infinities_before, &drift.infinities_after,
        &drift.nans_both, &drift.nan_payloads, &drift.nonfinite_mismatches, &drift.finite})
    *count = times_saturated(*count, times);
  drift.ulps.multiply(times);
  for (long double* sum : {&drift.difference_squares, &drift.before_squares, &drift.after_squares,
                           &drift.products, &drift.difference_sum})
    *sum *= static_cast<long double>(times);
}

// A pair that is worked on in parts: the drift of each, until the last one is there and all are joined.
class PairState {
 public:
  PairState(std::unique_ptr<PairWork> work, std::size_t number) : number_(number) {
    replace(std::move(work));
  }

  std::size_t number() const { return number_; }
  const PairWork& work() const { return *work_; }
  bool differs() const { return differs_; }
  bool measured(std::uint64_t part) const { return drifts_[part] != nullptr; }

  void replace(std::unique_ptr<PairWork> work) {
    work_ = std::move(work);
    drifts_.clear();
    drifts_.resize(work_->parts());
    left_ = work_->parts();
  }

  // The drift of the pair, when this was its last part.
  std::optional<Drift> note(std::uint64_t part, Seen seen, Drift drift) {
    if (seen != Seen::equal) differs_ = true;
    if (seen != Seen::measured) return std::nullopt;
    drifts_[part] = std::make_unique<Drift>(std::move(drift));
    if (left_.fetch_sub(1) != 1) return std::nullopt;
    return join();
  }

 private:
  // In the order of the parts, whoever was last.
  Drift join() {
    Drift whole = std::move(*drifts_[0]);
    for (std::size_t i = 1; i < drifts_.size(); ++i) merge_parts(whole, *std::exchange(drifts_[i], nullptr));
    multiply(whole, work_->times());
    return whole;
  }

  std::size_t number_;
  std::unique_ptr<PairWork> work_;
  std::vector<std::unique_ptr<Drift>> drifts_;
  std::atomic<std::uint64_t> left_ = 0;
  std::atomic<bool> differs_ = false;
};

// Bytes of one source that are read together.
struct Window {
  const ByteSource* source = nullptr;
  std::uint64_t begin = 0, end = 0;

  std::uint64_t size() const { return end - begin; }
  // False, and unchanged, when the view lies too far away.
  bool take(const TensorView& view, std::uint64_t size) {
    const std::uint64_t first = std::min(begin, view.offset), last = std::max(end, view.offset + size);
    const bool near = view.offset <= end + kWindowGap && begin <= view.offset + size + kWindowGap;
    if (source != nullptr && (view.source != source || !near || last - first > kWindowBytes)) return false;
    *this = source == nullptr ? Window{view.source, view.offset, view.offset + size}
                              : Window{source, first, last};
    return true;
  }
};

// A pair that is read together with its neighbours, by where it lies in `before`.
struct Small {
  const ByteSource* source;
  std::uint64_t offset;
  std::size_t number;
};

// A piece of a task: parts of one pair, or small pairs that are read together.
struct Item {
  PairState* state = nullptr;        // null: small pairs
  std::uint64_t first = 0, end = 0;  // parts; or positions in the order of small pairs
  Window before = {}, after = {};    // of small pairs
};

// Tasks of about kTaskBytes, in the order in which items come.
class TaskList {
 public:
  void add(const Item& item, std::uint64_t bytes) {
    if (tasks_.empty() || bytes_ >= kTaskBytes || tasks_.back().size() >= kTaskItems) {
      tasks_.emplace_back();
      bytes_ = 0;
    }
    tasks_.back().push_back(item);
    bytes_ += bytes;
  }
  std::size_t size() const { return tasks_.size(); }
  std::span<const Item> operator[](std::size_t i) const { return tasks_[i]; }

 private:
  std::vector<std::vector<Item>> tasks_;
  std::uint64_t bytes_ = 0;
};

class CompareRun {
 public:
  CompareRun(const TensorPairs& pairs, const Tap& tap, const Found& found,
             const std::function<void(std::uint64_t)>& progress, MeasureOptions options)
      : pairs_(pairs), tap_(tap), found_(found), progress_(progress), options_(options) {}

  void run(Executor& executor) {
    TaskList first_pass = plan();
    executor.run(first_pass.size(), [&](std::size_t i) { run_task(first_pass[i], true); });
    TaskList second_pass = plan_rest();
    executor.run(second_pass.size(), [&](std::size_t i) { run_task(second_pass[i], false); });
  }

 private:
  TaskList plan();
  void plan_small(TaskList& tasks);
  TaskList plan_rest();
  void run_task(std::span<const Item> items, bool first_pass);
  void run_part(PairState& state, std::uint64_t part, Scratch& scratch, bool first_pass);
  void run_small(const Item& item, Scratch& scratch);
  void report(std::uint64_t bytes) const {
    if (progress_ && bytes != 0) progress_(bytes);
  }
  Drift fresh_drift(std::size_t number) const {
    Drift drift = empty_drift(pairs_[number]);
    drift.with_hull = options_.hulls;
    return drift;
  }
  void tell(std::size_t number, Drift drift) const {
    if (drift.bits_equal() && !options_.equal_pairs) return;  // only bytes between the elements differ
    drift.hull.shrink_to_fit();                               // it grew, and stays as long as the report
    found_(number, {std::move(drift), ""});
  }
  void tell_why_not(std::size_t number) const {
    const TensorPair pair = pairs_[number];
    found_(number, {unmeasured(pair),
                    "its elements overlap: " + grouped(pair.before.numel()) + " elements over few bytes"});
  }

  const TensorPairs& pairs_;
  const Tap& tap_;
  const Found& found_;
  const std::function<void(std::uint64_t)>& progress_;
  const MeasureOptions options_;
  std::vector<std::unique_ptr<PairState>> states_;
  std::vector<Small> small_;
  ScratchPool scratch_;
};

void measure_small(const TensorPair& pair, Bytes before, Bytes after, Drift& drift) {
  if (!pair.before.big_endian) return measure_block(before, after, 0, drift);
  std::vector<std::byte> before_swapped(before.size()), after_swapped(after.size());
  read_elements(pair.before, 0, pair.before.numel(), before_swapped);
  read_elements(pair.after, 0, pair.after.numel(), after_swapped);
  measure_block(before_swapped, after_swapped, 0, drift);
}

TaskList CompareRun::plan() {
  TaskList tasks;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const TensorPair pair = pairs_[i];
    if (pair.before.numel() == 0) continue;
    if (in_order(pair) && pair.before.size_bytes() <= kSmallBytes) {
      small_.push_back({pair.before.source, pair.before.offset, i});
      continue;
    }
    auto work = plan_work(pair, i, tap_);
    if (!work) {
      tell_why_not(i);
      continue;
    }
    states_.push_back(std::make_unique<PairState>(std::move(work), i));
    const PairWork& parts = states_.back()->work();
    for (std::uint64_t part = 0; part < parts.parts(); ++part)
      tasks.add({states_.back().get(), part, part + 1}, parts.part_bytes(part));
  }
  plan_small(tasks);
  return tasks;
}

// Neighbours in both sources become one item.
void CompareRun::plan_small(TaskList& tasks) {
  const auto earlier = [](const Small& a, const Small& b) {
    return a.source != b.source ? std::less<>()(a.source, b.source) : a.offset < b.offset;
  };
  if (!std::is_sorted(small_.begin(), small_.end(), earlier))
    std::stable_sort(small_.begin(), small_.end(), earlier);
  for (std::size_t first = 0; first < small_.size();) {
    Window before, after;
    std::size_t end = first;
    for (; end < small_.size(); ++end) {
      const TensorPair pair = pairs_[small_[end].number];
      Window wider = before;
      if (!wider.take(pair.before, pair.before.size_bytes())) break;
      if (!after.take(pair.after, pair.after.size_bytes())) break;
      before = wider;
    }
    tasks.add({nullptr, first, end, before, after}, before.size() + after.size());
    first = end;
  }
}

// What was equal in pairs that differ elsewhere.
TaskList CompareRun::plan_rest() {
  TaskList tasks;
  for (auto& state : states_) {
    if (!state->differs() && !options_.equal_pairs) continue;
    if (!state->work().measures()) {
      auto other = state->work().measurable();
      if (!other) {
        tell_why_not(state->number());
        continue;
      }
      state->replace(std::move(other));
    }
    const PairWork& parts = state->work();
    for (std::uint64_t part = 0; part < parts.parts(); ++part)
      if (!state->measured(part)) tasks.add({state.get(), part, part + 1}, parts.part_bytes(part));
  }
  return tasks;
}

void CompareRun::run_task(std::span<const Item> items, bool first_pass) {
  ScratchPool::Lease scratch(scratch_);
  for (const Item& item : items) {
    if (item.state == nullptr) {
      run_small(item, *scratch);
      continue;
    }
    for (std::uint64_t part = item.first; part < item.end; ++part)
      run_part(*item.state, part, *scratch, first_pass);
  }
}

void CompareRun::run_part(PairState& state, std::uint64_t part, Scratch& scratch, bool first_pass) {
  Drift drift = fresh_drift(state.number());
  Seen seen = Seen::measured;
  if (first_pass)
    seen = state.work().compare(part, scratch, drift);
  else
    state.work().measure(part, scratch, drift);
  if (first_pass) report(state.work().part_bytes(part));
  if (auto whole = state.note(part, seen, std::move(drift))) tell(state.number(), *std::move(whole));
}

void CompareRun::run_small(const Item& item, Scratch& scratch) {
  const auto before_bytes = scratch.before_bytes(item.before.size());
  const auto after_bytes = scratch.after_bytes(item.after.size());
  item.before.source->read_at(item.before.begin, before_bytes);
  item.after.source->read_at(item.after.begin, after_bytes);
  std::uint64_t bytes = 0;
  for (std::uint64_t i = item.first; i < item.end; ++i) {
    const std::size_t number = small_[i].number;
    const TensorPair pair = pairs_[number];
    const std::uint64_t size = pair.before.size_bytes();
    const Bytes b = before_bytes.subspan(pair.before.offset - item.before.begin, size);
    const Bytes a = after_bytes.subspan(pair.after.offset - item.after.begin, size);
    const bool equal = std::memcmp(b.data(), a.data(), size) == 0;
    if (tap_) tap_({number, 0, b, a, equal});
    bytes += 2 * size;
    if (equal && !options_.equal_pairs) continue;
    Drift drift = fresh_drift(number);
    measure_small(pair, b, a, drift);
    tell(number, std::move(drift));
  }
  report(bytes);
}

}  // namespace

bool in_order(const TensorPair& pair) {
  const TensorView &before = pair.before, &after = pair.after;
  return before.dtype == after.dtype &&
         (before.big_endian == after.big_endian || info(before.dtype).swap_unit == 1) && !before.conjugated &&
         !before.negated && !after.conjugated && !after.negated && before.contiguous() && after.contiguous();
}

Drift unmeasured(const TensorPair& pair) {
  Drift drift = empty_drift(pair);
  drift.elements = pair.before.numel();
  return drift;
}

void compare_tensors(const TensorPairs& pairs, Executor& executor, const Tap& tap, const Found& found,
                     const std::function<void(std::uint64_t)>& progress, MeasureOptions options) {
  CompareRun(pairs, tap, found, progress, options).run(executor);
}

}  // namespace ferry::numeric
