#include "src/report/forward.h"

#include <algorithm>
#include <cmath>

#include "src/core/text.h"
#include "src/report/difference_layout.h"
#include "src/report/difference_numbers.h"
#include "src/report/inspection_table.h"

namespace ferry::report {
namespace {

constexpr std::size_t kForwardIndent = 2;
constexpr std::size_t kForwardLabel = 11;

std::string_view color_of(ForwardOutcome outcome) {
  switch (outcome) {
    case ForwardOutcome::pass:
      return "32";
    case ForwardOutcome::warn:
    case ForwardOutcome::not_judged:
      return "33";
    case ForwardOutcome::fail:
      break;
  }
  return "31";
}

int severity(ForwardOutcome outcome) {
  switch (outcome) {
    case ForwardOutcome::pass:
      return 0;
    case ForwardOutcome::not_judged:
      return 1;
    case ForwardOutcome::warn:
      return 2;
    case ForwardOutcome::fail:
      return 3;
  }
  return 3;
}

// How much of what is allowed was used, of the test that counts most.
double use_of(const ForwardRow& row) {
  const auto share = [](const std::optional<Yardstick>& one) { return one ? one->ratio() / one->limit : 0; };
  return std::max({share(row.semantic), share(row.rounding), share(row.rounding_inf), share(row.reduced)});
}

std::vector<const ForwardRow*> worst_first(const std::vector<ForwardRow>& rows) {
  std::vector<const ForwardRow*> order;
  for (const ForwardRow& row : rows) order.push_back(&row);
  std::stable_sort(order.begin(), order.end(), [](const ForwardRow* a, const ForwardRow* b) {
    const int left = severity(a->outcome), right = severity(b->outcome);
    return left != right ? left > right : use_of(*a) > use_of(*b);
  });
  return order;
}

double largest(const ForwardVerdict& verdict, std::optional<Yardstick> ForwardRow::*yardstick) {
  double ratio = 0;
  for (const ForwardRow& row : verdict.outputs)
    if (row.*yardstick) ratio = std::max(ratio, (row.*yardstick)->ratio());
  return ratio;
}

// "1,024", "2.5".
std::string limit_words(double limit) {
  return limit == std::floor(limit) && limit < 1e15 ? grouped(static_cast<std::uint64_t>(limit))
                                                    : three_digits(limit);
}

// "float64 at 1.3 of 1,024 allowed, rounding at 0.9 of 4": the worst of all outputs.
std::string margins(const ForwardVerdict& verdict) {
  std::string text;
  if (verdict.semantic)
    text = "float64 at " + three_digits(largest(verdict, &ForwardRow::semantic)) + " of " +
           limit_words(verdict.bounds.semantic) + " allowed, ";
  return text + "rounding at " + three_digits(largest(verdict, &ForwardRow::rounding)) + " of " +
         limit_words(verdict.bounds.rounding);
}

bool is_other_function(const ForwardVerdict& verdict) {
  const auto beyond = [](const ForwardRow& row) { return row.semantic && !row.semantic->within(); };
  return std::any_of(verdict.outputs.begin(), verdict.outputs.end(), beyond) ||
         std::any_of(verdict.modules.begin(), verdict.modules.end(), beyond);
}

std::string ratio_cell(const std::optional<Yardstick>& yardstick) {
  return yardstick ? three_digits(yardstick->ratio()) : "";
}

std::string decision_cell(const ForwardRow& row) {
  if (!row.decisions) return "";
  return grouped(row.decisions->equal) + "/" + grouped(row.decisions->rows);
}

std::string output_words(const ForwardRow& row) {
  return row.name.output.empty() ? "(all)" : escape_for_terminal(row.name.output);
}

class ForwardText {
 public:
  ForwardText(const ForwardVerdict& verdict, const ForwardTextStyle& style)
      : verdict_(verdict), style_(style) {}

  std::string write() {
    answer();
    side("before", verdict_.before);
    side("after", verdict_.after);
    divergence("first module", verdict_.first_module);
    divergence("first op", verdict_.first_op);
    causes();
    outputs();
    modules("modules", verdict_.modules);
    modules("operations", verdict_.ops);
    remarks();
    return std::move(out_);
  }

 private:
  void answer() {
    std::string text = folded("", forward_headline(verdict_), kForwardIndent, style_.width);
    if (style_.color) {
      const std::size_t end = std::min(text.find(':'), text.find('\n'));
      text = "\x1b[1;" + std::string(color_of(verdict_.outcome)) + "m" + text.substr(0, end) + "\x1b[0m" +
             text.substr(end);
    }
    out_ += text;
  }

  void title(const std::string& text) {
    out_ += style_.color ? "\n\x1b[1m" + text + "\x1b[0m\n" : "\n" + text + "\n";
  }

  void labelled(std::string_view label, const std::string& text) {
    const std::size_t hanging = std::max(kForwardLabel, kForwardIndent + label.size() + 2);
    out_ += folded(padded(std::string(kForwardIndent, ' ') + std::string(label), hanging), text, hanging,
                   style_.width);
  }

  void side(std::string_view label, const ForwardSide& side) {
    std::string text = escape_for_terminal(side.path);
    if (!side.torch.empty()) text += "  torch " + escape_for_terminal(side.torch);
    if (!side.device.empty()) text += " on " + escape_for_terminal(side.device);
    if (!side.model.empty()) text += ", " + escape_for_terminal(side.model);
    if (!side.writer.empty()) text += ", by " + escape_for_terminal(side.writer);
    labelled(label, text);
  }

  void divergence(std::string_view label, const std::optional<FirstDivergence>& first) {
    if (!first) return;
    title(std::string(label) + " that differs");
    std::string text = record_words(first->name);
    if (first->has_enclosing)
      text += ", or what " + record_words({first->enclosing, first->enclosing_cls, 0, "", "", ""}) +
              " does before it";
    labelled("where", text);
    if (!first->name.source.empty()) labelled("source", escape_for_terminal(first->name.source));
    labelled("by", distance_words(*first));
    std::string inputs;
    for (const std::string& name : first->inputs)
      inputs += (inputs.empty() ? "" : ", ") + escape_for_terminal(name);
    labelled("on", inputs);
    if (!first->last_agreeing.empty())
      labelled("after", escape_for_terminal(first->last_agreeing) + ", which agrees");
  }

  static std::string distance_words(const FirstDivergence& first) {
    if (!std::isfinite(first.distance.ratio())) return "another shape, or numbers that are equal or not";
    return three_digits(first.distance.ratio()) + "× " +
           (first.by_float64 ? "what rounding of doubles explains" : "its own rounding error") + ", " +
           limit_words(first.distance.limit) + "× is allowed";
  }

  void causes() {
    if (verdict_.causes.empty()) return;
    title("known changes that may be the reason, the likeliest first");
    for (const LikelyCause& cause : verdict_.causes) {
      std::string reasons;
      for (const std::string& reason : cause.reasons)
        reasons += (reasons.empty() ? "" : ", ") + escape_for_terminal(reason);
      out_ += folded("  " + cause.id + "  ", cause.title, kForwardIndent + 2, style_.width);
      if (!reasons.empty()) out_ += folded("    because ", reasons, kForwardIndent + 4, style_.width);
      if (!cause.cure.empty()) out_ += folded("    cure    ", cause.cure, kForwardIndent + 4, style_.width);
    }
    out_ += "  torchferry explain " + verdict_.causes[0].id + " says more\n";
  }

  void outputs() {
    if (verdict_.outputs.empty()) return;
    const std::vector<const ForwardRow*> order = worst_first(verdict_.outputs);
    const std::size_t shown = style_.all ? order.size() : std::min(style_.rows, order.size());
    title("outputs, the worst first" + rest_words(shown, order.size()));
    Table table({{"output"},
                 {"input"},
                 {"run"},
                 {""},
                 {"float64", true},
                 {"rounding", true},
                 {"worst", true},
                 {"reduced", true},
                 {"max |Δ|", true},
                 {"cosine", true},
                 {"SNR dB", true},
                 {"decisions", true}});
    for (std::size_t i = 0; i < shown; ++i) table.add(output_cells(*order[i]));
    table.print([&](std::string_view text) { out_ += text; }, style_.width, "  ");
    reasons(order, shown);
  }

  std::vector<std::string> output_cells(const ForwardRow& row) const {
    const bool measured = row.closeness.has_value();
    return {output_words(row),
            escape_for_terminal(row.input),
            escape_for_terminal(row.run),
            std::string(outcome_name(row.outcome)),
            ratio_cell(row.semantic),
            ratio_cell(row.rounding),
            ratio_cell(row.rounding_inf),
            ratio_cell(row.reduced),
            measured ? three_digits(row.closeness->max_abs) : "",
            measured ? cosine_words(row.closeness->cosine) : "",
            measured ? three_digits(row.closeness->snr_db) : "",
            decision_cell(row)};
  }

  static std::string rest_words(std::size_t shown, std::size_t all) {
    return shown == all ? "" : " (" + grouped(shown) + " of " + grouped(all) + ", --all shows them all)";
  }

  void reasons(const std::vector<const ForwardRow*>& order, std::size_t shown) {
    for (std::size_t i = 0; i < shown; ++i) {
      if (order[i]->why.empty()) continue;
      const std::string head = order[i]->name.module.empty() && order[i]->name.cls.empty()
                                   ? output_words(*order[i])
                                   : record_words(order[i]->name);
      out_ += folded("    ↳ " + head + ", " + escape_for_terminal(order[i]->input) + ": ",
                     escape_for_terminal(order[i]->why), kForwardIndent + 4, style_.width);
    }
  }

  void modules(const std::string& what, const std::vector<ForwardRow>& rows) {
    if (rows.empty()) return;
    std::vector<const ForwardRow*> order = worst_first(rows);
    const auto passes = [](const ForwardRow* row) { return row->outcome == ForwardOutcome::pass; };
    const auto good = static_cast<std::size_t>(std::count_if(order.begin(), order.end(), passes));
    title(what + ": " + grouped(good) + " of " + grouped(order.size()) + " agree");
    if (!style_.all) std::erase_if(order, passes);
    const std::size_t shown = style_.all ? order.size() : std::min(style_.rows, order.size());
    Table table({{what.substr(0, what.size() - 1)},
                 {"class"},
                 {"output"},
                 {"worst on"},
                 {""},
                 {"inputs", true},
                 {"float64", true},
                 {"rounding", true},
                 {"max |Δ|", true}});
    for (std::size_t i = 0; i < shown; ++i) table.add(module_cells(*order[i]));
    if (!table.empty()) table.print([&](std::string_view text) { out_ += text; }, style_.width, "  ");
    if (shown < order.size()) out_ += "  … and " + grouped(order.size() - shown) + " more\n";
  }

  static std::vector<std::string> module_cells(const ForwardRow& row) {
    std::string name = row.name.op.empty() ? row.name.module : row.name.module + " " + row.name.op;
    if (name.empty()) name = "(the model)";
    if (row.name.call > 0) name += " call " + std::to_string(row.name.call);
    return {escape_for_terminal(name),
            escape_for_terminal(row.name.cls),
            escape_for_terminal(row.name.output),
            escape_for_terminal(row.input),
            std::string(outcome_name(row.outcome)),
            grouped(row.failed) + "/" + grouped(row.cases),
            ratio_cell(row.semantic),
            ratio_cell(row.rounding),
            row.closeness ? three_digits(row.closeness->max_abs) : ""};
  }

  void remarks() {
    const std::size_t unmatched = verdict_.only_before.size() + verdict_.only_after.size();
    if (verdict_.warnings.empty() && unmatched == 0) return;
    title("remarks");
    for (const std::string& warning : verdict_.warnings)
      out_ += folded("  ", escape_for_terminal(warning), kForwardIndent, style_.width);
    only_on("before", verdict_.only_before);
    only_on("after", verdict_.only_after);
  }

  void only_on(std::string_view side, const std::vector<RecordName>& names) {
    if (names.empty()) return;
    out_ += folded("  ",
                   counted(names.size(), "module output") + " only " + std::string(side) +
                       " (a fast path calls no modules inside): " + record_words(names[0]) +
                       (names.size() > 1 ? " …" : ""),
                   kForwardIndent, style_.width);
  }

  const ForwardVerdict& verdict_;
  const ForwardTextStyle& style_;
  std::string out_;
};

}  // namespace

std::string record_words(const RecordName& name) {
  std::string text = name.module.empty() ? "the model itself" : escape_for_terminal(name.module);
  if (!name.op.empty()) text = escape_for_terminal(name.op) + " in " + text;
  if (!name.cls.empty()) text += " (" + escape_for_terminal(name.cls) + ")";
  if (name.call > 0) text += ", call " + std::to_string(name.call);
  if (!name.output.empty() && name.output != "0") text += ", output " + escape_for_terminal(name.output);
  return text;
}

std::string forward_headline(const ForwardVerdict& verdict) {
  const std::size_t failed = verdict.count(ForwardOutcome::fail);
  const std::string tested =
      counted(verdict.outputs.size(), "output row") + " on " + counted(verdict.cases, "input");
  switch (verdict.outcome) {
    case ForwardOutcome::pass:
      return "same function, same rounding: " + tested + "; " + margins(verdict);
    case ForwardOutcome::warn:
      return (verdict.semantic ? "same function, with remarks: " : "no difference beyond rounding: ") +
             tested + "; " + margins(verdict);
    case ForwardOutcome::not_judged:
      return "not judged: " + (verdict.outputs.empty()
                                   ? std::string("the two have no input and output in common")
                                   : "there are no float64 runs to tell rounding from change");
    case ForwardOutcome::fail:
      break;
  }
  const std::string what = is_other_function(verdict) ? "another function" : "differs";
  if (failed == 0) return what + ": modules inside differ though the outputs agree; " + tested;
  return what + ": " + grouped(failed) + " of " + tested + " fail; " + margins(verdict);
}

std::string forward_text(const ForwardVerdict& verdict, const ForwardTextStyle& style) {
  return ForwardText(verdict, style).write();
}

int exit_code(const ForwardVerdict& verdict) {
  if (verdict.outcome == ForwardOutcome::not_judged) return 2;
  return verdict.outcome == ForwardOutcome::fail ? 1 : 0;
}

}  // namespace ferry::report
