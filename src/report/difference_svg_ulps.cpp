// How many elements are how many ULP away, over all measured tensors.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_page.h"

namespace ferry::report {
namespace {

constexpr double kUlpTop = 12, kUlpBottom = 200, kUlpHeight = 228;

std::string fixed(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

// "2¹⁷": powers that are long as digits.
std::string power_of_two(std::size_t exponent) {
  constexpr std::array<std::string_view, 10> kSuperscripts = {"⁰", "¹", "²", "³", "⁴",
                                                              "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = "2";
  for (const char digit : std::to_string(exponent))
    text += kSuperscripts[static_cast<std::size_t>(digit - '0')];
  return text;
}

std::string bin_words(std::size_t bin) {
  if (bin == 0) return "0";
  if (bin == 1) return "½";
  return bin <= 9 ? ulp_bin_end(bin) : power_of_two(bin - 2);
}

// The axis begins at one half, so that a single element is seen.
double height_of(double count, double decades) {
  return (kUlpBottom - kUlpTop) * std::log10(2 * count) / (decades + std::log10(2.0));
}

struct Bars {
  std::array<std::uint64_t, kUlpBins> counts{};
  std::size_t bins = 0;  // up to the last that is not empty
  int decades = 1;       // the axis ends at 10 to this
};

Bars bars_of(const FileDiff& file) {
  Bars bars;
  std::uint64_t most = 1;
  for (const TensorRow& row : file.tensors)
    if (row.measured)
      for (std::size_t bin = 0; bin < kUlpBins; ++bin) bars.counts[bin] += row.drift.ulps[bin];
  for (std::size_t bin = 0; bin < kUlpBins; ++bin) {
    if (bars.counts[bin] > 0) bars.bins = bin + 1;
    most = std::max(most, bars.counts[bin]);
  }
  bars.decades = std::max(1, static_cast<int>(std::ceil(std::log10(static_cast<double>(most)))));
  return bars;
}

std::string axis(const Bars& bars) {
  std::string text = "<g class=\"axis\" aria-hidden=\"true\">";
  const int step = std::max(1, (bars.decades + 4) / 5);
  for (int power = 0; power <= bars.decades; power += step) {
    const std::string y = fixed(kUlpBottom - height_of(std::pow(10, power), bars.decades));
    text += "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"" + y + "\" y2=\"" + y +
            "\"/><text x=\"-8\" y=\"" + y + "\" dy=\"4\">" +
            (power < 4 ? grouped(static_cast<std::uint64_t>(std::pow(10, power)))
                       : "1e" + std::to_string(power)) +
            "</text>";
  }
  const std::size_t every = (bars.bins + 9) / 10;
  for (std::size_t bin = 0; bin < bars.bins; bin += every)
    text += "<text class=\"below\" x=\"" +
            fixed((static_cast<double>(bin) + 0.5) * 100 / static_cast<double>(bars.bins)) + "%\" y=\"" +
            fixed(kUlpBottom + 18) + "\">" + bin_words(bin) + "</text>";
  return text + "</g>\n";
}

std::string bar(const Bars& bars, std::size_t bin) {
  const double width = 100 / static_cast<double>(bars.bins);
  const double height = height_of(static_cast<double>(bars.counts[bin]), bars.decades);
  const std::string range = bin == 0 ? "exactly 0 ULP" : "up to " + bin_words(bin) + " ULP";
  return "<rect class=\"bar" + std::string(bin == 0 ? " zero" : "") + "\" x=\"" +
         fixed((static_cast<double>(bin) + 0.1) * width) + "%\" width=\"" + fixed(0.8 * width) + "%\" y=\"" +
         fixed(kUlpBottom - height) + "\" height=\"" + fixed(height) + "\"><title>" + range + ": " +
         grouped(bars.counts[bin]) + (bars.counts[bin] == 1 ? " element" : " elements") + "</title></rect>\n";
}

}  // namespace

std::string ulp_histogram(const FilePage& page) {
  const Bars bars = bars_of(page.file);
  if (bars.bins == 0) return "";
  std::uint64_t all = 0;
  for (const std::uint64_t count : bars.counts) all += count;
  std::string text = "<div class=\"axes\">\n<svg class=\"plot\" height=\"" + fixed(kUlpHeight) +
                     "\" role=\"img\" aria-label=\"Histogram of ULP distances: of " + grouped(all) +
                     " elements " + grouped(bars.counts[0]) + " are at distance 0, the farthest within " +
                     bin_words(bars.bins - 1) + " ULP\">\n" + axis(bars) + "<g class=\"marks\">\n";
  for (std::size_t bin = 0; bin < bars.bins; ++bin)
    if (bars.counts[bin] > 0) text += bar(bars, bin);
  return text +
         "</g></svg>\n</div>\n<p class=\"small\">Each bar reaches up to its label; it counts finite pairs of "
         "the " +
         "tensors that differ, on a logarithmic scale.</p>\n";
}

}  // namespace ferry::report
