// Drift through the model: a mark a tensor, in model order, on a logarithmic scale.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_page.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

// Pixels down: a lane for what has no distance, the scale, and a lane for what is equal.
constexpr double kNoDistance = 18, kTop = 46, kBottom = 226, kEqual = 250, kHeight = 264;

std::string percent(double part) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.2f%%", 100 * part);
  return text.data();
}

std::string pixels(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

// Powers of ten from one that nothing is below to one that nothing is above, at least two apart.
struct LogScale {
  int low = 0, high = 0;
  bool empty = true;

  void include(double value) {
    if (!(value > 0) || std::isinf(value)) return;
    const int down = static_cast<int>(std::floor(std::log10(value)));
    const int up = static_cast<int>(std::ceil(std::log10(value)));
    low = empty ? down : std::min(low, down);
    high = empty ? up : std::max(high, up);
    empty = false;
  }
  void widen() {
    if (high - low >= 2) return;
    ++high;
    if (high - low < 2) --low;
  }
  // Zero lies at the foot, infinity at the head.
  double y(double value) const {
    if (!(value > 0)) return kBottom;
    const double part = (std::min(std::log10(value), double(high)) - low) / (high - low);
    return kBottom - std::max(part, 0.0) * (kBottom - kTop);
  }
};

struct Metric {
  std::string_view id, title;
  double (*of)(const TensorRow& row);
};

double ulps_of(const TensorRow& row) {
  return static_cast<double>(row.drift.max_ulp.whole) + row.drift.max_ulp.fraction;
}

constexpr std::array<Metric, 2> kMetrics = {{{"by-frobenius", "relative Frobenius distance", distance},
                                             {"by-ulp", "largest distance in ULP", ulps_of}}};

std::string tick_words(int power) {
  if (power >= 0 && power < 4) return grouped(static_cast<std::uint64_t>(std::pow(10, power)));
  return "1e" + std::to_string(power);
}

std::string grid(const LogScale& scale) {
  std::string text;
  const auto line = [&](double y, const std::string& label, std::string_view kind) {
    text += "<line class=\"" + std::string(kind) + "\" x1=\"0\" x2=\"100%\" y1=\"" + pixels(y) + "\" y2=\"" +
            pixels(y) + "\"/><text x=\"-8\" y=\"" + pixels(y + 4) + "\">" + label + "</text>\n";
  };
  const int step = std::max(1, (scale.high - scale.low + 7) / 8);
  if (!scale.empty)
    for (int power = scale.high; power >= scale.low; power -= step)
      line(scale.y(std::pow(10, power)), tick_words(power), "grid");
  line(kEqual, "equal", "foot");
  return text;
}

std::string bands(const Marks& marks) {
  std::string text;
  for (std::size_t i = 1; i < marks.bands.size(); i += 2) {
    const double all = static_cast<double>(marks.tensors);
    text += "<rect class=\"band\" x=\"" + percent(static_cast<double>(marks.bands[i].first) / all) +
            "\" width=\"" + percent(static_cast<double>(marks.bands[i].count) / all) +
            "\" y=\"0\" height=\"" + pixels(kHeight) + "\"/>";
  }
  return text + "\n";
}

// The one bound in ULP, if every measured row has the same.
std::string ulp_bound(const FilePage& page, const LogScale& scale) {
  std::optional<double> bound;
  for (const TensorRow& row : page.file.tensors) {
    if (!row.measured) continue;
    if (!row.bound->ulp || (bound && *bound != *row.bound->ulp)) return "";
    bound = row.bound->ulp;
  }
  if (!bound || !(*bound > 0)) return "";
  const std::string y = pixels(scale.y(*bound));
  return "<line class=\"bound\" x1=\"0\" x2=\"100%\" y1=\"" + y + "\" y2=\"" + y +
         "\"><title>bound: " + three_digits(*bound) + " ULP</title></line>\n";
}

class Plot {
 public:
  Plot(const FilePage& page, const Metric& metric) : page_(page), metric_(metric) {
    for (const Mark& mark : page_.marks.marks)
      if (has_distance(kind_of(*mark.row))) scale_.include(metric_.of(*mark.row));
    if (metric_.of == ulps_of)
      for (const TensorRow& row : page_.file.tensors)
        if (row.measured && row.bound->ulp) scale_.include(*row.bound->ulp);
    scale_.widen();
  }

  std::string write() const {
    std::string text = "<svg class=\"plot " + std::string(metric_.id) + "\" height=\"" + pixels(kHeight) +
                       "\" role=\"group\" aria-label=\"" + std::string(metric_.title) +
                       " of every tensor in model order, logarithmic; the table below has the numbers\">\n" +
                       bands(page_.marks) + "<g class=\"axis\" aria-hidden=\"true\">" + grid(scale_) +
                       "</g>\n";
    if (metric_.of == ulps_of) text += ulp_bound(page_, scale_);
    text += "<g class=\"marks\">\n";
    for (const Mark& mark : page_.marks.marks) text += one(mark);
    return text + "</g></svg>\n";
  }

 private:
  std::string one(const Mark& mark) const {
    const MarkKind kind = kind_of(*mark.row);
    if (kind == MarkKind::not_compared) return "";
    double y = kNoDistance;
    if (kind == MarkKind::equal) y = kEqual;
    if (has_distance(kind)) y = scale_.y(metric_.of(*mark.row));
    const double middle = static_cast<double>(mark.first) + static_cast<double>(mark.count) / 2;
    std::string symbol = "<use href=\"#" + std::string(kind_id(kind)) + "\" x=\"" +
                         percent(middle / static_cast<double>(page_.marks.tensors)) + "\" y=\"" + pixels(y) +
                         "\"";
    if (kind == MarkKind::over && mark.row->bound->exact())
      symbol += " class=\"c" + std::to_string(shade(distance(*mark.row))) + "\"";
    const bool linked = is_linked(page_, mark);
    const bool told = linked && &metric_ != &kMetrics.front();  // by the first plot
    symbol += told ? "/>" : "><title>" + mark_title(mark) + "</title></use>";
    if (!linked) return symbol + "\n";
    return "<a href=\"#" + anchor_of(page_, *mark.row) + "\" tabindex=\"-1\">" + symbol + "</a>\n";
  }

  const FilePage& page_;
  const Metric& metric_;
  LogScale scale_;
};

std::string band_labels(const Marks& marks) {
  std::string text = "<div class=\"band-labels\" aria-hidden=\"true\">";
  for (const Band& band : marks.bands)
    text += "<div style=\"flex:" + std::to_string(band.count) + " 0 0\" title=\"" + html_escaped(band.name) +
            "\"><span>" + html_escaped(band.name) + "</span></div>";
  return text + "</div>\n";
}

std::string legend(const FilePage& page) {
  std::array<bool, kMarkKinds> used{};
  for (const Mark& mark : page.marks.marks) used[static_cast<std::size_t>(kind_of(*mark.row))] = true;
  used[static_cast<std::size_t>(MarkKind::not_compared)] = false;
  const bool all_exact =
      std::all_of(page.file.tensors.begin(), page.file.tensors.end(),
                  [](const TensorRow& row) { return !row.measured || row.bound->exact(); });
  std::string text = "<p class=\"legend\">";
  for (std::size_t i = 0; i < kMarkKinds; ++i) {
    if (!used[i]) continue;
    const auto kind = static_cast<MarkKind>(i);
    // With the strictest bound all that differs is over it: then the colour tells how far.
    const bool shaded = kind == MarkKind::over && all_exact;
    text += "<span><svg width=\"16\" height=\"16\" aria-hidden=\"true\"><use href=\"#" +
            std::string(kind_id(kind)) + "\" x=\"8\" y=\"8\"" + (shaded ? " class=\"c6\"" : "") + "/></svg>" +
            std::string(shaded ? "differs" : kind_words(kind)) + "</span> ";
  }
  return text + "</p>\n";
}

}  // namespace

std::string symbols() {
  return R"(<svg class="symbols" width="0" height="0" aria-hidden="true"><defs>
<path id="equal" d="M0-6V6"/><circle id="within" r="4"/><path id="over" d="M0-5.5 5.5 0 0 5.5-5.5 0Z"/>
<path id="nonfinite" d="M0-6V1.5M0 5v.8"/><path id="incomparable" d="M-4.5-4.5 4.5 4.5M4.5-4.5-4.5 4.5"/>
<path id="removed" d="M-5.5 0H5.5"/><path id="added" d="M-5.5 0H5.5M0-5.5V5.5"/>
</defs></svg>
)";
}

bool is_linked(const FilePage& page, const Mark& mark) {
  return kind_of(*mark.row) != MarkKind::equal && page.in_table[place_of(page, *mark.row)];
}

std::string mark_title(const Mark& mark) {
  const TensorRow& row = *mark.row;
  std::string text;
  if (mark.count > 1)
    text = grouped(mark.count) + " tensors, " + grouped(mark.over) + " over the bound; the worst: ";
  text += html_escaped(shown_side(row).path);
  const MarkKind kind = kind_of(row);
  if (!has_distance(kind)) return text + ": " + std::string(kind_words(kind));
  return text + ": rel. Frobenius " + three_digits(distance(row)) + ", max ULP " +
         ulps_words(row.drift.max_ulp) + ", max |Δ| " + three_digits(row.drift.max_abs) + ", " +
         share(row.drift.bits_differing, row.drift.elements) + " differ";
}

std::string drift_plot(const FilePage& page) {
  std::string text = "<fieldset class=\"choice\"><legend class=\"unseen\">Measure</legend>";
  for (std::size_t i = 0; i < kMetrics.size(); ++i)
    text += "<label><input type=\"radio\" name=\"" + page.id + "-measure\" class=\"choose-" +
            std::string(kMetrics[i].id) + "\"" + (i == 0 ? " checked" : "") + "> " +
            std::string(kMetrics[i].title) + "</label>";
  text += "</fieldset>\n<div class=\"axes\">\n";
  for (const Metric& metric : kMetrics) text += Plot(page, metric).write();
  text += band_labels(page.marks) + "</div>\n" + legend(page);
  if (page.marks.per_mark > 1)
    text += "<p class=\"small\">There are " + grouped(page.marks.tensors) +
            " tensors: each mark stands for " + grouped(page.marks.per_mark) +
            " neighbours and shows the worst of them.</p>\n";
  return text;
}

}  // namespace ferry::report
