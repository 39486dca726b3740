// The head of the page: the answer, and the numbers that matter most.
#include <algorithm>
#include <array>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_page.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

std::string_view tone(DiffVerdict verdict) {
  switch (verdict) {
    case DiffVerdict::identical:
    case DiffVerdict::identical_but_listed:
      return "good";
    case DiffVerdict::within:
      return "fair";
    default:
      return "bad";
  }
}

// A tick, a wave or a cross: the answer is not told by colour alone.
std::string_view sign(DiffVerdict verdict) {
  switch (verdict) {
    case DiffVerdict::identical:
    case DiffVerdict::identical_but_listed:
      return "M15 25.5 21.5 32 33.5 17";
    case DiffVerdict::within:
      return "M13 21q5.5-6 11 0t11 0M13 30q5.5-6 11 0t11 0";
    default:
      return "M16.5 16.5 31.5 31.5M31.5 16.5 16.5 31.5";
  }
}

struct Extremes {
  const TensorRow* farthest = nullptr;  // by relative Frobenius distance
  const TensorRow* most_ulps = nullptr;
};

Extremes extremes_of(const DiffReport& report) {
  Extremes found;
  for (const FileDiff& file : report.files)
    for (const TensorRow& row : file.tensors) {
      if (!row.measured) continue;
      if (found.farthest == nullptr || distance(row) > distance(*found.farthest)) found.farthest = &row;
      if (found.most_ulps == nullptr || row.drift.max_ulp > found.most_ulps->drift.max_ulp)
        found.most_ulps = &row;
    }
  return found;
}

std::string tile(std::string_view label, const std::string& number, const std::string& note = "") {
  return "<div><dt>" + std::string(label) + "</dt><dd>" + number +
         (note.empty() ? "" : "<small>" + note + "</small>") + "</dd></div>\n";
}

std::string tiles(const DiffReport& report, const DiffTotals& sum) {
  std::string text = "<dl class=\"tiles\">\n";
  if (!is_single(report)) text += tile("Files", grouped(report.files.size()));
  text += tile("Tensors compared", grouped(sum.compared), short_count(sum.elements) + " elements");
  text += tile("Bit for bit equal", grouped(sum.equal), share(sum.equal, sum.compared));
  if (sum.within > 0) text += tile("Within the bound", grouped(sum.within));
  text += tile("Over the bound", grouped(sum.differing), html_escaped(report.bounds));
  if (sum.renamed > 0) text += tile("Renamed", grouped(sum.renamed));
  text += tile("Elements differing", share(sum.elements_differing, sum.elements),
               grouped(sum.elements_differing));
  const Extremes found = extremes_of(report);
  if (found.farthest != nullptr)
    text += tile("Largest rel. Frobenius", three_digits(distance(*found.farthest)),
                 name_tag(shown_side(*found.farthest).path));
  if (found.most_ulps != nullptr)
    text += tile("Largest ULP distance", ulps_words(found.most_ulps->drift.max_ulp),
                 name_tag(shown_side(*found.most_ulps).path));
  return text + "</dl>\n";
}

// The states of all tensors as parts of one bar.
std::string proportions(const DiffTotals& sum) {
  struct Part {
    std::string_view kind, words;
    std::size_t count;
  };
  const std::array<Part, 7> parts = {{{"equal", "equal", sum.equal},
                                      {"within", "within", sum.within},
                                      {"over", "over the bound", sum.differing},
                                      {"over", "renamed", sum.renamed},
                                      {"incomparable", "not comparable", sum.incomparable},
                                      {"removed", "removed", sum.removed},
                                      {"added", "added", sum.added}}};
  std::string bar, words;
  for (const Part& part : parts) {
    if (part.count == 0) continue;
    bar += "<i class=\"" + std::string(part.kind) + "\" style=\"flex:" + std::to_string(part.count) +
           " 0 3px\"></i>";
    words += "<span class=\"" + std::string(part.kind) + "\"><i></i>" + grouped(part.count) + " " +
             std::string(part.words) + "</span> ";
  }
  return bar.empty() ? ""
                     : "<div class=\"bar-of-states\" aria-hidden=\"true\">" + bar +
                           "</div>\n<p class=\"states\">" + words + "</p>\n";
}

}  // namespace

std::string page_banner(const DiffReport& report) {
  const DiffVerdict found = verdict(report);
  const std::string said = headline(report);
  const std::size_t colon = std::min(said.find(": "), said.size());
  std::string word = said.substr(0, colon);
  word[0] = static_cast<char>(word[0] - 'a' + 'A');
  const DiffTotals sum = totals(report);
  return "<header class=\"banner " + std::string(tone(found)) +
         "\">\n<svg class=\"sign\" width=\"48\" height=\"48\" aria-hidden=\"true\"><circle cx=\"24\" "
         "cy=\"24\" "
         "r=\"22\"/><path d=\"" +
         std::string(sign(found)) +
         "\"/></svg>\n<div class=\"answer\"><p class=\"over-line\">torchferry diff</p>\n<h1>" +
         html_escaped(word) + "</h1>\n<p class=\"lead\">" +
         html_escaped(said.substr(std::min(colon + 2, said.size()))) + "</p></div>\n" + proportions(sum) +
         tiles(report, sum) + "</header>\n";
}

}  // namespace ferry::report
