#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "src/core/text.h"
#include "validators/numeric/explain_elements.h"
#include "validators/numeric/rounding.h"

namespace ferry::numeric {
namespace {

constexpr std::uint64_t kNonfiniteBoxElements = 16 << 10;

enum class Range : std::uint8_t { finite, infinite, nan };

// A complex number is NaN when a part is, and infinite when a part is and none is NaN.
Range range_of(std::span<const double> components) {
  Range range = Range::finite;
  for (const double one : components) {
    if (std::isnan(one)) return Range::nan;
    if (std::isinf(one)) range = Range::infinite;
  }
  return range;
}

struct Became {
  std::array<std::uint64_t, 3> count{};  // by Range
  std::uint64_t other_infinity = 0;

  std::uint64_t total() const { return count[0] + count[1] + count[2] + other_infinity; }

  void add(std::span<const double> before, std::span<const double> after) {
    const Range from = range_of(before), to = range_of(after);
    if (from != to)
      ++count[static_cast<std::size_t>(to)];
    else if (to == Range::infinite && !std::equal(before.begin(), before.end(), after.begin(), after.end()))
      ++other_infinity;
  }

  std::string text(std::uint64_t times) const {
    std::string text;
    const auto say = [&](std::uint64_t number, std::string_view what) {
      if (number != 0)
        text += (text.empty() ? "" : ", ") + grouped(number * times) + " became " + std::string(what);
    };
    say(count[static_cast<std::size_t>(Range::nan)], "NaN");
    say(count[static_cast<std::size_t>(Range::infinite)], "infinite");
    say(other_infinity, "another infinity");
    say(count[static_cast<std::size_t>(Range::finite)], "finite");
    return text;
  }
};

}  // namespace

std::optional<Explanation> explain_nonfinite(const JointLayout& layout, const Drift& drift) {
  if (drift.nonfinite_mismatches == 0) return std::nullopt;
  const TensorView before = layout.before(), after = layout.after();
  const std::size_t parts_before = format_of(before.dtype).components,
                    parts_after = format_of(after.dtype).components;
  BoxPlan boxes(layout.shape(), before.strides, after.strides, kNonfiniteBoxElements);
  std::vector<std::byte> bytes;
  std::vector<double> mine, others;
  const auto decode = [&](const TensorView& view, const Box& box, std::vector<double>& numbers) {
    bytes.resize(box_elements(box) * info(view.dtype).itemsize);
    read_box(view, box, bytes);
    decode_components(view.dtype, bytes, numbers);
  };
  Became became;
  for (std::uint64_t i = 0; i < boxes.count() && became.total() * layout.times() < drift.nonfinite_mismatches;
       ++i) {
    const Box box = boxes.box(i);
    decode(before, box, mine);
    decode(after, box, others);
    for (std::size_t at = 0; at < box_elements(box); ++at)
      became.add(std::span(mine).subspan(at * parts_before, parts_before),
                 std::span(others).subspan(at * parts_after, parts_after));
  }
  if (became.total() == 0) return std::nullopt;
  return Explanation{Cause::nonfinite, became.text(layout.times())};
}

}  // namespace ferry::numeric
