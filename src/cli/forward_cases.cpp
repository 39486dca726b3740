#include "src/cli/forward_cases.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "src/core/text.h"
#include "src/report/difference_numbers.h"
#include "src/report/inspection_tree.h"

namespace ferry::cli {
namespace {

using policy::TestCase;
using Member = std::optional<Yardstick> ForwardRow::*;

// What a case asks: which yardsticks, and what a no means.
struct Question {
  std::string_view name;
  Code code;
  std::vector<Member> yardsticks;
  std::string_view passed, failed;
};

const Question& semantic_question() {
  static const Question kQuestion = {"semantic",
                                     Code::semantic_drift,
                                     {&ForwardRow::semantic},
                                     "the same function",
                                     "not the same function"};
  return kQuestion;
}
const Question& rounding_question() {
  static const Question kQuestion = {
      "rounding",
      Code::rounding_drift,
      {&ForwardRow::rounding, &ForwardRow::rounding_inf, &ForwardRow::before_error, &ForwardRow::after_error},
      "within what rounding explains",
      "farther than rounding explains"};
  return kQuestion;
}
const Question& reduced_question() {
  static const Question kQuestion = {"reduced",
                                     Code::precision_drift,
                                     {&ForwardRow::reduced, &ForwardRow::reduced_inf},
                                     "within what the number format explains",
                                     "farther than the number format explains"};
  return kQuestion;
}

bool is_over(const ForwardRow& row, const Question& question) {
  return std::ranges::any_of(question.yardsticks,
                             [&](Member member) { return row.*member && !(row.*member)->within(); });
}

bool is_asked(const ForwardRow& row, const Question& question) {
  return std::ranges::any_of(question.yardsticks, [&](Member member) { return (row.*member).has_value(); });
}

// Failed for a reason that no yardstick tells: another shape, numbers that are not finite.
bool fails_otherwise(const ForwardRow& row) {
  return row.outcome == ForwardOutcome::fail && !is_over(row, semantic_question()) &&
         !is_over(row, rounding_question()) && !is_over(row, reduced_question());
}

// "1,024" and "0.5": bounds are round numbers.
std::string limit_words(double limit) {
  const bool whole = limit >= 0 && limit < 1e15 && limit == std::floor(limit);
  return whole ? grouped(static_cast<std::uint64_t>(limit)) : real_text(limit);
}

std::string module_words(const RecordName& name) {
  std::string text = name.module.empty() ? "the model itself" : name.module;
  if (!name.cls.empty()) text += " (" + name.cls + ")";
  if (name.call > 0) text += ", call " + std::to_string(name.call + 1);
  return text;
}

void add_divergence(const ForwardVerdict& verdict, TestCase& one) {
  if (verdict.first_module) {
    const FirstDivergence& first = *verdict.first_module;
    std::string what = "is the first module that differs";
    if (first.has_enclosing && !first.enclosing.empty()) what += "; it lies in " + first.enclosing;
    if (!first.last_agreeing.empty()) what += "; before it, " + first.last_agreeing + " agrees";
    policy::add_detail(one, module_words(first.name), what);
  }
  if (verdict.first_op) {
    const RecordName& name = verdict.first_op->name;
    policy::add_detail(
        one, name.op,
        "is the first operation that differs" + (name.source.empty() ? "" : ", " + name.source));
  }
  constexpr std::size_t kCausesMost = 3;
  for (std::size_t i = 0; i < std::min(kCausesMost, verdict.causes.size()); ++i) {
    const LikelyCause& cause = verdict.causes[i];
    one.causes.push_back(cause.title + " [" + cause.id + "]" +
                         (cause.cure.empty() ? "" : "; cure: " + cause.cure));
  }
  if (!verdict.weights_differing.empty())
    one.causes.push_back(report::plural(verdict.weights_differing.size(), "weight is", "weights are") +
                         " not those of the golden: " + verdict.weights_differing.front());
}

// One output over all inputs.
class OutputCase {
 public:
  OutputCase(const DriftVerdict& drift, std::vector<const ForwardRow*> rows, const Question& question,
             std::string name)
      : drift_(drift), rows_(std::move(rows)), question_(question), name_(std::move(name)) {}

  TestCase judge() {
    const bool takes_others = &question_ == &semantic_question() || !has_semantic_case();
    std::vector<const ForwardRow*> bad, asked;
    for (const ForwardRow* row : rows_) {
      const bool over = row->outcome == ForwardOutcome::fail && is_over(*row, question_);
      if (over || (takes_others && fails_otherwise(*row))) bad.push_back(row);
      if (is_asked(*row, question_)) asked.push_back(row);
    }
    if (bad.empty() && asked.empty()) return policy::skipped(name_, why_not());
    if (&question_ == &rounding_question() && is_another_function())
      return policy::skipped(name_, "the function is another one: that is no matter of rounding");
    TestCase one = bad.empty() ? policy::passed(name_, passed_words(asked))
                               : policy::failed(name_, question_.code, failed_words(bad));
    if (!bad.empty()) add_divergence(drift_.verdict, one);
    for (const ForwardRow* row : bad) policy::add_detail(one, row->input, row->why);
    if (bad.empty())
      for (const ForwardRow* row : asked)
        if (row->outcome == ForwardOutcome::warn) policy::add_detail(one, row->input, row->why);
    return one;
  }

 private:
  bool is_another_function() const {
    return std::ranges::any_of(rows_,
                               [](const ForwardRow* row) { return is_over(*row, semantic_question()); });
  }

  bool has_semantic_case() const {
    return std::ranges::any_of(rows_, [](const ForwardRow* row) { return row->run == "f32"; });
  }

  std::string why_not() const {
    if (&question_ == &semantic_question() && !drift_.verdict.semantic_why.empty())
      return drift_.verdict.semantic_why;
    for (const ForwardRow* row : rows_)
      if (!row->why.empty()) return row->why;
    return "nothing was measured";
  }

  bool any_over(const std::vector<const ForwardRow*>& rows) const {
    return std::ranges::any_of(rows, [&](const ForwardRow* row) { return is_over(*row, question_); });
  }

  std::string passed_words(const std::vector<const ForwardRow*>& asked) const {
    if (!any_over(asked)) return words(question_.passed, asked);
    return "unstable: " + words(question_.failed, asked) + ", where rounding turns a decision";
  }

  // What no yardstick tells is said as it is.
  std::string failed_words(const std::vector<const ForwardRow*>& bad) const {
    return any_over(bad) ? words(question_.failed, bad) : bad.front()->why + inputs_words(bad);
  }

  std::string inputs_words(const std::vector<const ForwardRow*>& rows) const {
    return ", on " + report::plural(rows.size(), "input", "inputs") +
           (rows.size() < rows_.size() ? " of " + grouped(rows_.size()) : "");
  }

  std::string words(std::string_view said, const std::vector<const ForwardRow*>& rows) const {
    const Yardstick* worst = nullptr;
    for (const ForwardRow* row : rows)
      for (const Member member : question_.yardsticks) {
        const std::optional<Yardstick>& one = row->*member;
        if (one && (worst == nullptr || one->ratio() / one->limit > worst->ratio() / worst->limit))
          worst = &*one;
      }
    std::string text(said);
    if (worst != nullptr)
      text += ": at most " + report::three_digits(worst->ratio()) + " of " + limit_words(worst->limit) +
              " allowed";
    return text + inputs_words(rows);
  }

  const DriftVerdict& drift_;
  std::vector<const ForwardRow*> rows_;
  const Question& question_;
  std::string name_;
};

// Rows of one run and one output, in the order of their first row.
struct Group {
  std::string run, output;
  std::vector<const ForwardRow*> rows;
};

std::vector<Group> groups_of(const ForwardVerdict& verdict) {
  std::vector<Group> groups;
  for (const ForwardRow& row : verdict.outputs) {
    const auto at = std::ranges::find_if(
        groups, [&](const Group& one) { return one.run == row.run && one.output == row.name.output; });
    Group& group = at == groups.end() ? groups.emplace_back(Group{row.run, row.name.output, {}}) : *at;
    group.rows.push_back(&row);
  }
  return groups;
}

}  // namespace

std::vector<TestCase> forward_cases(const DriftVerdict& drift) {
  std::vector<TestCase> cases;
  const auto name = [&](std::string_view question, const Group& group) {
    return "drift." + std::string(question) + "." + drift.device + "." + group.output;
  };
  for (const Group& group : groups_of(drift.verdict)) {
    const auto add = [&](const Question& question, std::string_view called) {
      cases.push_back(OutputCase(drift, group.rows, question, name(called, group)).judge());
    };
    const bool exact = group.run == "f32";
    if (exact) add(semantic_question(), "semantic");
    if (exact) add(rounding_question(), "rounding");
    const bool reduced = std::ranges::any_of(
        group.rows, [](const ForwardRow* row) { return is_asked(*row, reduced_question()); });
    if (!exact || reduced) add(reduced_question(), exact ? "reduced" : group.run);
  }
  if (cases.empty())
    cases.push_back(policy::skipped("drift." + drift.device, drift.verdict.warnings.empty()
                                                                 ? "there is no output that both goldens have"
                                                                 : drift.verdict.warnings.front()));
  return cases;
}

void judge_forward_again(ForwardVerdict& verdict, const ForwardBounds& bounds) {
  const auto limit = [](std::optional<Yardstick>& yardstick, double to) {
    if (yardstick) yardstick->limit = to;
  };
  for (ForwardRow& row : verdict.outputs) {
    const bool otherwise = fails_otherwise(row);
    limit(row.semantic, bounds.semantic);
    limit(row.rounding, bounds.rounding);
    limit(row.rounding_inf, bounds.rounding_inf);
    limit(row.before_error, bounds.sides);
    limit(row.after_error, bounds.sides);
    limit(row.reduced, bounds.reduced);
    limit(row.reduced_inf, bounds.reduced_inf);
    if (otherwise || row.outcome == ForwardOutcome::not_judged) continue;
    const bool far = is_over(row, rounding_question()) || is_over(row, reduced_question());
    const bool over = is_over(row, semantic_question()) || (far && !row.unstable);
    const bool warned = row.outcome == ForwardOutcome::warn || row.unstable;
    row.outcome = over ? ForwardOutcome::fail : warned ? ForwardOutcome::warn : ForwardOutcome::pass;
  }
  verdict.bounds = bounds;
}

}  // namespace ferry::cli
