#include "validators/numeric/explain.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "src/core/text.h"
#include "validators/numeric/explain_elements.h"
#include "validators/numeric/joint_layout.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/permutation.h"
#include "validators/numeric/rounding.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::numeric {
namespace {

constexpr std::size_t kExplanationsMax = 2;
constexpr int kRatioDigits = 5;  // a ratio that needs more is none that anybody wrote
constexpr std::uint64_t kExplainBoxElements = 64 << 10;

struct Case {
  const TensorView &before, &after;
  const Drift& drift;
  const JointLayout& layout;
};

Explanation transposed_text(const std::vector<std::size_t>& order) {
  if (order.size() == 2) return {Cause::transposed, "transposed"};
  std::string text = "transposed, axes (";
  for (const std::size_t axis : order) text += (text.back() == '(' ? "" : ", ") + std::to_string(axis);
  return {Cause::transposed, text + ")"};
}

// Row-major index of the first element whose bits differ.
std::optional<std::uint64_t> first_difference(const Case& of) {
  if (of.drift.worst) return of.drift.worst->element;
  const TensorView before = of.layout.before(), after = of.layout.after();
  const std::size_t itemsize = info(before.dtype).itemsize;
  BoxPlan boxes(of.layout.shape(), before.strides, after.strides, kExplainBoxElements);
  std::vector<std::byte> one, other;
  for (std::uint64_t i = 0; i < boxes.count(); ++i) {
    const Box box = boxes.box(i);
    one.resize(box_elements(box) * itemsize);
    other.resize(one.size());
    read_box(before, box, one);
    read_box(after, box, other);
    const auto at = std::mismatch(one.begin(), one.end(), other.begin()).first;
    if (at != one.end()) return of.layout.index(box, static_cast<std::uint64_t>(at - one.begin()) / itemsize);
  }
  return std::nullopt;
}

std::string index_text(std::span<const std::int64_t> shape, std::uint64_t element) {
  std::string text;
  for (std::size_t i = shape.size(); i-- > 0;) {
    const auto size = static_cast<std::uint64_t>(shape[i]);
    text = std::to_string(element % size) + (text.empty() ? "" : ", ") + text;
    element /= size;
  }
  return "[" + text + "]";
}

// " (× 1.001)" when a short decimal takes the one to the other.
std::string ratio_text(DType dtype, double before, double after) {
  const NumberFormat& format = format_of(dtype);
  if (!format.is_floating() || format.components > 1) return "";
  if (before == 0 || after == 0 || !std::isfinite(before) || !std::isfinite(after)) return "";
  const double ratio = after / before, room = ulp_at(format, after) / std::abs(before);
  const Decimal decimal = shortest_between(ratio - room, ratio + room, ratio);
  return decimal.digits <= kRatioDigits && decimal.value != 1 ? " (× " + decimal.text + ")" : "";
}

// One element, or one bit of it.
std::optional<Explanation> explain_one_element(const Case& of) {
  const Drift& drift = of.drift;
  if (drift.before != drift.after || drift.bits_differing != 1) return std::nullopt;
  // Of a single number every change is one of one element; a single bit is worth saying.
  if (drift.elements < 2 && drift.bits_flipped != 1) return std::nullopt;
  const auto element = first_difference(of);
  if (!element) return std::nullopt;
  const std::size_t size = info(drift.before).itemsize;
  std::array<std::byte, 16> one{}, other{};
  read_elements(of.before, *element, 1, std::span(one).first(size));
  read_elements(of.after, *element, 1, std::span(other).first(size));
  const std::string place = "element " + index_text(of.before.shape, *element) + ": ";
  const std::string values = element_text(drift.before, std::span(one).first(size)) + " → " +
                             element_text(drift.after, std::span(other).first(size));
  if (drift.bits_flipped == 1) {
    const auto at = std::mismatch(one.begin(), one.end(), other.begin());
    const auto bit =
        static_cast<std::size_t>(at.first - one.begin()) * 8 +
        static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(*at.first ^ *at.second)));
    return Explanation{Cause::one_bit, "bit " + std::to_string(bit) + " of " + place + values};
  }
  std::string ratio;
  if (drift.worst) ratio = ratio_text(drift.before, drift.worst->before.real, drift.worst->after.real);
  return Explanation{Cause::one_element, "one " + place + values + ratio};
}

// What the name of a buffer says about its numbers.
std::optional<Explanation> explain_name(const Case& of, std::string_view name,
                                        const std::vector<Explanation>& found) {
  const auto& drift = of.drift;
  if (name == "num_batches_tracked" && drift.elements == 1 && drift.worst) {
    const double before = drift.worst->before.real, after = drift.worst->after.real;
    constexpr double kBatchesMax = 1e12;  // nobody has trained for longer
    if (!(before >= 0 && before < kBatchesMax && after >= 0 && after < kBatchesMax)) return std::nullopt;
    if (after == 0) return Explanation{Cause::stats_reset, "num_batches_tracked is 0, as in a new module"};
    const std::string numbers =
        grouped(static_cast<std::uint64_t>(before)) + " to " + grouped(static_cast<std::uint64_t>(after));
    return Explanation{Cause::counter, (after > before ? "counted on from " : "counted back from ") +
                                           numbers + ": no effect on eval"};
  }
  const auto is = [&](Cause cause) {
    return std::any_of(found.begin(), found.end(), [&](const auto& one) { return one.cause == cause; });
  };
  const bool single = drift.elements == 1 && drift.worst;  // of one channel: nothing is said of every element
  if (name == "running_mean" && (single ? drift.worst->after.real == 0 : is(Cause::zeros)))
    return Explanation{Cause::stats_reset, "running_mean is 0 everywhere, as in a new module"};
  if (name != "running_var" || !(single || is(Cause::constant))) return std::nullopt;
  std::array<std::byte, 16> first{};
  const auto bytes = std::span(first).first(info(drift.after).itemsize);
  read_elements(of.after, 0, 1, bytes);
  if (decode_component(format_of(drift.after), load_bits(bytes.data(), bytes.size())) != 1)
    return std::nullopt;
  return Explanation{Cause::stats_reset, "running_var is 1 everywhere, as in a new module"};
}

// Sums that do not depend on the order are the same.  They are taken over pairs of finite numbers, so those
// of tensors whose NaNs and infinities moved tell nothing.
bool may_be_reordered(const Drift& drift) {
  constexpr long double kRounding = 1e-11L;  // of sums of squares, whatever the order
  if (drift.bits_differing < 2 || drift.nans_before != drift.nans_after ||
      drift.infinities_before != drift.infinities_after)
    return false;
  if (drift.nonfinite_mismatches != 0) return true;
  const long double squares = drift.before_squares;
  if (std::abs(drift.after_squares - squares) > kRounding * squares) return false;
  const long double sum_max = std::sqrt(squares * static_cast<long double>(drift.finite));
  return std::abs(drift.difference_sum) <= kRounding * sum_max;
}

std::optional<Explanation> explain_order(const Case& of) {
  if (!may_be_reordered(of.drift)) return std::nullopt;
  if (const auto order = find_transposition(of.before, of.after)) return transposed_text(*order);
  if (of.drift.before != of.drift.after || content_sum(of.layout.before()) != content_sum(of.layout.after()))
    return std::nullopt;
  if (of.layout.times() == 1)
    if (const auto order = find_slice_order(of.before, of.after))
      return slice_order_text(*order, of.before.shape.size());
  return Explanation{Cause::rearranged, "the same elements in another order"};
}

}  // namespace

std::vector<Explanation> explain_drift(const TensorView& before, const TensorView& after, const Drift* drift,
                                       std::string_view name) {
  if (drift == nullptr) {
    const auto order = find_transposition(before, after);
    return order ? std::vector{transposed_text(*order)} : std::vector<Explanation>{};
  }
  if (drift->elements == 0 || drift->bits_equal()) return {};
  const JointLayout layout(before, after);
  if (!layout.affordable()) return {};
  const Case of{before, after, *drift, layout};
  std::vector<Explanation> found = explain_elements(layout, *drift);
  if (auto reset = explain_name(of, name, found)) {
    found = {std::move(*reset)};
    if (auto one = explain_one_element(of)) found.push_back(std::move(*one));
    return found;
  }
  if (found.empty())
    if (auto order = explain_order(of))
      return {std::move(*order)};  // NaNs and infinities moved with the others
  if (auto one = explain_one_element(of)) found.insert(found.begin(), std::move(*one));
  if (auto nonfinite = explain_nonfinite(layout, *drift)) found.push_back(std::move(*nonfinite));
  if (found.size() > kExplanationsMax) found.resize(kExplanationsMax);
  return found;
}

}  // namespace ferry::numeric
