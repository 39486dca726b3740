// A validation for people at a terminal: the answer, then what failed, then the rest.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/difference_layout.h"
#include "src/report/inspection_tree.h"
#include "src/report/validation.h"

namespace ferry::report {
namespace {

using policy::CaseStatus;
using policy::Suite;
using policy::TestCase;

constexpr std::size_t kDetailsShown = 8;
constexpr std::size_t kSuitesInDetail = 5;  // that passed; all that failed are shown
constexpr std::size_t kStatus = 9;          // the column behind "  skipped"
constexpr std::size_t kName = 22;           // "tensors.within_bounds ", at least
constexpr std::size_t kNameMost = 36;

std::string_view color_of(CaseStatus status) {
  switch (status) {
    case CaseStatus::passed:
      return "32";
    case CaseStatus::skipped:
      return "33";
    case CaseStatus::failed:
    case CaseStatus::error:
      break;
  }
  return "31";
}

class ValidationText {
 public:
  ValidationText(const policy::ValidationReport& report, const ValidationStyle& style)
      : report_(report), style_(style) {}

  std::string write() {
    const std::string said = validation_headline(report_);
    const std::size_t colon = said.find(':');
    out_ += painted(exit_code(report_) == 0 ? "32" : "31", said.substr(0, colon)) + said.substr(colon) + "\n";
    std::size_t quiet = 0;
    for (const Suite* suite : worst_suites_first(report_)) {
      const bool good = exit_code(*suite) == 0;
      quiet += good ? 1 : 0;
      if (good && !style_.all && report_.suites.size() > 1 && quiet > kSuitesInDetail) continue;
      if (good && !style_.all && report_.suites.size() > 1)
        one_line(*suite);
      else
        in_detail(*suite);
    }
    if (!style_.all && report_.suites.size() > 1 && quiet > kSuitesInDetail)
      out_ += "  … and " + grouped(quiet - kSuitesInDetail) + " more that passed (--all)\n";
    return std::move(out_);
  }

 private:
  std::string painted(std::string_view color, const std::string& text) const {
    return style_.color ? "\x1b[" + std::string(color) + "m" + text + "\x1b[0m" : text;
  }
  static std::string name(std::string_view text) { return escape_for_terminal(text); }

  void one_line(const Suite& suite) {
    const policy::CaseTotals sum = totals(suite);
    std::string said = name(suite.name) + ": " + plural(sum.passed, "check", "checks");
    if (sum.skipped > 0) said += ", " + grouped(sum.skipped) + " skipped";
    line("passed", CaseStatus::passed, said, kStatus + 2);
  }

  void in_detail(const Suite& suite) {
    out_ += "\n" + folded("", sides(suite), 2, style_.width);
    name_width_ = kName;
    for (const TestCase& one : suite.cases)
      name_width_ = std::min(kNameMost, std::max(name_width_, display_columns(name(one.name)) + 2));
    for (const TestCase* one : worst_cases_first(suite)) in_detail(*one);
  }

  static std::string sides(const Suite& suite) {
    if (suite.before.empty() || suite.after.empty()) return name(suite.name);
    return name(suite.before) + " → " + name(suite.after);
  }

  void in_detail(const TestCase& one) {
    std::string said = padded(name(one.name), name_width_ - 1) + " " + name(one.message);
    if (const std::string code = case_code(one); !code.empty() && one.status == CaseStatus::failed)
      said += " [" + code + "]";
    line(std::string(status_name(one.status)), one.status, said, kStatus + 2 + name_width_);
    const std::size_t shown = style_.all ? one.details.size() : std::min(one.details.size(), kDetailsShown);
    for (std::size_t i = 0; i < shown; ++i) detail(one.details[i]);
    const std::size_t left = one.details.size() - shown + one.details_left_out;
    if (left > 0) below("… and " + grouped(left) + " more", "");
    for (const std::string& cause : one.causes) below("likely: ", name(cause));
  }

  void detail(const policy::CaseDetail& one) {
    below("- ", name(one.subject) + (one.subject.empty() ? "" : ": ") + name(one.what));
  }

  void below(const std::string& head, const std::string& text) {
    const std::string indent(kStatus + 2, ' ');
    out_ += folded(indent + head, text, kStatus + 4, style_.width);
  }

  void line(const std::string& label, CaseStatus status, const std::string& text, std::size_t hanging) {
    std::string all = folded(padded("  " + label, kStatus + 2), text, hanging, style_.width);
    if (style_.color)
      all.insert(2 + label.size(), "\x1b[0m").insert(2, "\x1b[" + std::string(color_of(status)) + "m");
    out_ += all;
  }

  const policy::ValidationReport& report_;
  const ValidationStyle& style_;
  std::string out_;
  std::size_t name_width_ = kName;
};

}  // namespace

std::string validation_text(const policy::ValidationReport& report, const ValidationStyle& style) {
  return ValidationText(report, style).write();
}

}  // namespace ferry::report
