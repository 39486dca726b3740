#include "validators/numeric/explain_elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "validators/numeric/rounding.h"

namespace ferry::numeric {
namespace {

constexpr std::uint64_t kElementBoxElements = 16 << 10;
constexpr double kEvidenceBits = 40;  // a claim with one free number must be this unlikely by chance

// Elements of both sides, as bytes and as components.
struct ElementRun {
  Bytes before_bytes, after_bytes;
  std::span<const double> before, after;
};

class Hypothesis {
 public:
  virtual ~Hypothesis() = default;
  virtual bool holds_for(const ElementRun& run) = 0;          // false for good: no more runs will come
  virtual std::optional<Explanation> conclusion() const = 0;  // after all runs
};

bool same_number(double a, double b) {
  return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
}

class Rounded final : public Hypothesis {
 public:
  Rounded(Cause cause, std::vector<Rounding> steps, std::string text)
      : cause_(cause), steps_(std::move(steps)), text_(std::move(text)) {}

  bool holds_for(const ElementRun& run) override {
    for (std::size_t i = 0; i < run.before.size(); ++i) {
      double value = run.before[i];
      for (const Rounding& step : steps_) value = round_to(step, value);
      if (!same_number(value, run.after[i])) return false;
    }
    return true;
  }
  std::optional<Explanation> conclusion() const override { return Explanation{cause_, text_}; }

 private:
  Cause cause_;
  std::vector<Rounding> steps_;
  std::string text_;
};

class Negated final : public Hypothesis {
 public:
  bool holds_for(const ElementRun& run) override {
    for (std::size_t i = 0; i < run.before.size(); ++i)
      if (!(run.after[i] == -run.before[i] || (std::isnan(run.after[i]) && std::isnan(run.before[i]))))
        return false;
    return true;
  }
  std::optional<Explanation> conclusion() const override {
    return Explanation{Cause::negated, "negated: before × −1"};
  }
};

// One number that all elements allow: what is left of the line after each has cut off what it forbids.
class Interval {
 public:
  bool cut(long double low, long double high) {
    low_ = std::max(low_, low);
    high_ = std::min(high_, high);
    ++cuts_;
    return low_ <= high_;
  }
  // The number, when it is not the one that would change nothing and chance is no explanation.
  std::optional<Decimal> number(double idle, double guess, DType dtype) const {
    const NumberFormat& format = format_of(dtype);
    const int significand_bits = format.is_floating() ? format.significand_bits : format.component_bytes * 8;
    if (cuts_ == 0 || static_cast<double>(cuts_ - 1) * significand_bits < kEvidenceBits) return std::nullopt;
    if (low_ <= idle && idle <= high_) return std::nullopt;
    const auto low = static_cast<double>(low_), high = static_cast<double>(high_);
    const double middle = low / 2 + high / 2;
    if (!(high - low <= std::abs(middle - idle) / 2)) return std::nullopt;
    const double near = low <= guess && guess <= high ? guess : middle;
    if (!format.is_floating() || significand_bits > 24) return shortest_between(low, high, near);
    const Rounding type = rounding_to(dtype);
    return shortest_between(low, high, near, &type);
  }

 private:
  long double low_ = -std::numeric_limits<long double>::infinity();
  long double high_ = std::numeric_limits<long double>::infinity();
  std::uint64_t cuts_ = 0;
};

// With a minus as people write it.
std::string signed_text(const Decimal& number, const std::string& plus) {
  if (number.value >= 0) return plus + number.text;
  return (plus.empty() ? "−" : "− ") + number.text.substr(1);
}

// NaN stays NaN, and infinities stay what `sign` makes of them.
bool keeps_nonfinite(double before, double after, double sign) {
  return std::isnan(before) ? std::isnan(after) : std::isinf(before) && after == before * sign;
}

class Scaled final : public Hypothesis {
 public:
  explicit Scaled(const Drift& drift)
      : dtype_(drift.before),
        format_(format_of(drift.before)),
        guess_(static_cast<double>(drift.products / drift.before_squares)) {}

  bool holds_for(const ElementRun& run) override {
    for (std::size_t i = 0; i < run.before.size(); ++i) {
      const double before = run.before[i], after = run.after[i];
      if (!std::isfinite(before) || !std::isfinite(after)) {
        if (!keeps_nonfinite(before, after, std::copysign(1.0, guess_))) return false;
      } else if (before == 0) {
        if (after != 0) return false;
      } else {
        // Products of doubles are exact enough for narrower types.
        const double ulp = ulp_at(format_, after);
        if (!(format_.significand_bits > 24 ? cut<long double>(before, after, ulp)
                                            : cut<double>(before, after, ulp)))
          return false;
      }
    }
    return true;
  }
  std::optional<Explanation> conclusion() const override {
    const auto factor = interval_.number(1, guess_, dtype_);
    if (!factor || factor->value == 0) return std::nullopt;
    return Explanation{Cause::scaled, "before × " + signed_text(*factor, "")};
  }

 private:
  template <typename Real>
  bool cut(Real before, Real after, Real ulp) {
    const Real inverse = 1 / before, middle = after * inverse, half = ulp * std::abs(inverse);
    return interval_.cut(middle - half, middle + half);
  }

  DType dtype_;
  NumberFormat format_;
  double guess_;
  Interval interval_;
};

class Shifted final : public Hypothesis {
 public:
  explicit Shifted(const Drift& drift)
      : dtype_(drift.before),
        format_(format_of(drift.before)),
        guess_(static_cast<double>(drift.difference_sum / static_cast<long double>(drift.finite))) {}

  bool holds_for(const ElementRun& run) override {
    for (std::size_t i = 0; i < run.before.size(); ++i) {
      const double before = run.before[i], after = run.after[i];
      if (!std::isfinite(before) || !std::isfinite(after)) {
        if (!keeps_nonfinite(before, after, 1)) return false;
        continue;
      }
      const long double difference = static_cast<long double>(after) - before;
      const double tolerance =
          format_.is_floating() ? ulp_at(format_, std::max(std::abs(before), std::abs(after))) : 0;
      if (!interval_.cut(difference - tolerance, difference + tolerance)) return false;
    }
    return true;
  }
  std::optional<Explanation> conclusion() const override {
    const auto term = interval_.number(0, guess_, dtype_);
    if (!term) return std::nullopt;
    return Explanation{Cause::shifted, "before " + signed_text(*term, "+ ")};
  }

 private:
  DType dtype_;
  NumberFormat format_;
  double guess_;
  Interval interval_;
};

bool all_are(Bytes bytes, std::vector<std::byte>& element, std::size_t size) {
  if (element.empty()) element.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  if (std::memcmp(bytes.data(), element.data(), size) != 0) return false;
  return std::memcmp(bytes.data(), bytes.data() + size, bytes.size() - size) ==
         0;  // each is the one before it
}

class Constant final : public Hypothesis {
 public:
  explicit Constant(const JointLayout& layout)
      : before_(layout.before().dtype), after_(layout.after().dtype) {}

  bool holds_for(const ElementRun& run) override {
    was_constant_ = was_constant_ && all_are(run.before_bytes, first_before_, info(before_).itemsize);
    return all_are(run.after_bytes, first_after_, info(after_).itemsize);
  }
  std::optional<Explanation> conclusion() const override {
    if (was_constant_)
      if (auto factor = explain_factor()) return factor;
    return Explanation{Cause::constant,
                       (was_constant_ ? "one value everywhere, as before: " : "one value everywhere now: ") +
                           element_text(after_, first_after_)};
  }

 private:
  // Of one value that became another, α is whatever takes the one to the other: told in the digits that it
  // needs.
  std::optional<Explanation> explain_factor() const {
    const NumberFormat &from = format_of(before_), &to = format_of(after_);
    if (before_ != after_ || !to.is_floating() || to.components > 1) return std::nullopt;
    const auto number = [](const NumberFormat& format, const std::vector<std::byte>& element) {
      return static_cast<double>(decode_component(format, load_bits(element.data(), element.size())));
    };
    const double before = number(from, first_before_), after = number(to, first_after_);
    if (before == 0 || after == 0 || !std::isfinite(before) || !std::isfinite(after)) return std::nullopt;
    const double ratio = after / before, room = ulp_at(to, after) / std::abs(before);
    return Explanation{Cause::scaled, "before × " + shortest_between(ratio - room, ratio + room, ratio).text +
                                          ", one value everywhere: " + element_text(after_, first_after_)};
  }

  DType before_, after_;
  bool was_constant_ = true;
  std::vector<std::byte> first_before_, first_after_;
};

class Zeros final : public Hypothesis {
 public:
  bool holds_for(const ElementRun& run) override {
    return std::all_of(run.after.begin(), run.after.end(), [](double value) { return value == 0; });
  }
  std::optional<Explanation> conclusion() const override {
    return Explanation{Cause::zeros, "all zeros now"};
  }
};

// A rounding and what it is called.
struct Target {
  Cause cause;
  std::string_view name;
  Rounding rounding;
};

Target target_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
    case DType::complex32:
      return {Cause::float16_rounding, "float16", rounding_to(DType::float16)};
    case DType::bfloat16:
      return {Cause::bfloat16_rounding, "bfloat16", rounding_to(dtype)};
    case DType::float32:
    case DType::complex64:
      return {Cause::float32_rounding, "float32", rounding_to(DType::float32)};
    default:
      return {Cause::float8_rounding, info(dtype).name, rounding_to(dtype)};
  }
}

// Narrower types whose numbers `before` can hold, the most common first.
void add_usual_targets(const NumberFormat& from, std::vector<Target>& found) {
  if (from.significand_bits > 24) found.push_back(target_of(DType::float32));
  if (from.significand_bits >= 24) {
    found.push_back(target_of(DType::float16));
    found.push_back(target_of(DType::bfloat16));
  }
  if (from.significand_bits == 24) {
    found.push_back({Cause::tf32_rounding, "tf32", tf32_rounding(false)});
    found.push_back({Cause::tf32_truncation, "tf32", tf32_rounding(true)});
  }
  if (from.component_bytes == 1) return;
  found.push_back(target_of(DType::float8_e4m3fn));
  found.push_back(target_of(DType::float8_e5m2));
}

std::vector<Target> targets(DType before, DType after) {
  const NumberFormat &from = format_of(before), &to = format_of(after);
  if (from.kind != Kind::floating || to.kind != Kind::floating || from.components != to.components) return {};
  std::vector<Target> found;
  if (before == after)
    add_usual_targets(from, found);
  else if (to.significand_bits < from.significand_bits)
    found.push_back(target_of(after));
  for (std::size_t i = found.size(); i-- > 0;) {  // casts of torch 2.13 saturate, older ones do not
    if (found[i].name != info(DType::float8_e4m3fn).name) continue;
    found.push_back(found[i]);
    found.back().rounding.saturates = true;
  }
  return found;
}

std::string rounding_text(const Target& target, const Drift& drift) {
  const std::string name(target.name);
  if (drift.before == drift.after) {
    if (target.cause == Cause::tf32_truncation) return "equal to before cut off to " + name;
    return "equal to the " + name + " rounding of before";
  }
  return drift.bits_differing == 0 ? "cast to " + name + ", no value changed"
                                   : "cast to " + name + ", values as rounded";
}

using Hypotheses = std::vector<std::unique_ptr<Hypothesis>>;

// In the order in which they are said.
Hypotheses all_hypotheses(const JointLayout& layout, const Drift& drift) {
  Hypotheses all;
  const NumberFormat& format = format_of(drift.before);
  if (drift.differing != 0 && drift.elements > 1) {  // not of other signs of zeros alone
    all.push_back(std::make_unique<Zeros>());
    all.push_back(std::make_unique<Constant>(layout));
  }
  for (const Target& target : targets(drift.before, drift.after)) {
    const std::string text = rounding_text(target, drift);
    all.push_back(std::make_unique<Rounded>(target.cause, std::vector{target.rounding}, text));
    if (format.significand_bits > 24 &&
        target.rounding.significand_bits < 24)  // torch casts float64 in two steps
      all.push_back(std::make_unique<Rounded>(
          target.cause, std::vector{rounding_to(DType::float32), target.rounding}, text));
  }
  if (drift.before != drift.after || drift.finite == 0 || format.kind == Kind::bits ||
      format.kind == Kind::boolean)
    return all;
  const bool exact = !format.is_wide_integer();  // as doubles
  if (exact && drift.differing != 0) all.push_back(std::make_unique<Negated>());
  if (format.is_floating() && drift.before_squares > 0) all.push_back(std::make_unique<Scaled>(drift));
  if (exact && format.components == 1) all.push_back(std::make_unique<Shifted>(drift));
  return all;
}

// Keeps those that hold for every run; ends when none is left.
void test(const JointLayout& layout, Hypotheses& hypotheses) {
  const TensorView before = layout.before(), after = layout.after();
  BoxPlan boxes(layout.shape(), before.strides, after.strides, kElementBoxElements);
  std::vector<std::byte> before_bytes, after_bytes;
  std::vector<double> before_numbers, after_numbers;
  for (std::uint64_t i = 0; i < boxes.count() && !hypotheses.empty(); ++i) {
    const Box box = boxes.box(i);
    before_bytes.resize(box_elements(box) * info(before.dtype).itemsize);
    after_bytes.resize(box_elements(box) * info(after.dtype).itemsize);
    read_box(before, box, before_bytes);
    read_box(after, box, after_bytes);
    decode_components(before.dtype, before_bytes, before_numbers);
    decode_components(after.dtype, after_bytes, after_numbers);
    const ElementRun run{before_bytes, after_bytes, before_numbers, after_numbers};
    std::erase_if(hypotheses, [&](const auto& one) { return !one->holds_for(run); });
  }
}

bool is_rounding(Cause cause) { return cause >= Cause::float16_rounding && cause <= Cause::float32_rounding; }

}  // namespace

std::vector<Explanation> explain_elements(const JointLayout& layout, const Drift& drift) {
  Hypotheses hypotheses = all_hypotheses(layout, drift);
  test(layout, hypotheses);
  std::vector<Explanation> found;
  std::optional<Explanation> constant;
  for (const auto& hypothesis : hypotheses) {
    auto explanation = hypothesis->conclusion();
    if (!explanation) continue;
    if (dynamic_cast<const Constant*>(hypothesis.get()) != nullptr)
      constant = std::move(explanation);  // roundings tell more
    else if (found.empty() &&
             (!constant || is_rounding(explanation->cause) || explanation->cause == Cause::zeros))
      found.push_back(std::move(*explanation));
  }
  const bool zeros = !found.empty() && found[0].cause == Cause::zeros;
  if (constant && !zeros) found.push_back(std::move(*constant));
  return found;
}

}  // namespace ferry::numeric
