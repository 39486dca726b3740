// A difference for people at a terminal: the answer first, then the sides, the structure, and the worst
// first.
#include <algorithm>

#include "src/core/text.h"
#include "src/report/conversion.h"
#include "src/report/difference.h"
#include "src/report/difference_layout.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_structure.h"
#include "src/report/difference_table.h"
#include "src/report/difference_words.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

constexpr std::size_t kFilesInDetail = 5;  // of two folders, unless all are asked for
constexpr std::size_t kPathsShown = 3;     // of a group of changes
constexpr std::size_t kIndent = 2;
constexpr std::size_t kLabel = 11;  // the column behind "  removed"

std::string_view color_of(DiffVerdict verdict) {
  switch (verdict) {
    case DiffVerdict::identical:
    case DiffVerdict::identical_but_listed:
      return "32";
    case DiffVerdict::within:
      return "33";
    case DiffVerdict::differs:
    case DiffVerdict::error:
      break;
  }
  return "31";
}

std::string_view label_of(DiffVerdict verdict) {
  return verdict == DiffVerdict::identical_but_listed ? "listed only" : verdict_name(verdict);
}

class DiffText {
 public:
  DiffText(const DiffReport& report, const DiffTextStyle& style) : report_(report), style_(style) {}

  std::string write() {
    answer(headline(report_), verdict(report_));
    if (is_single(report_)) {
      details(report_.files[0]);
    } else {
      list_of_files();
      sums();
      worst_files();
    }
    out_ += "\n" + folded("", blind_spots(), 0, style_.width);
    return std::move(out_);
  }

 private:
  // A sentence whose first words, up to the colon, carry the colour.
  void answer(const std::string& sentence, DiffVerdict verdict) {
    std::string text = folded("", sentence, kIndent, style_.width);
    if (style_.color) {
      const std::size_t end = std::min(text.find(':'), text.find('\n'));
      text = "\x1b[1;" + std::string(color_of(verdict)) + "m" + text.substr(0, end) + "\x1b[0m" +
             text.substr(end);
    }
    out_ += text;
  }

  void title(std::string_view text) {
    const std::string shown = shortened(text, style_.width);
    out_ += style_.color ? "\n\x1b[1m" + shown + "\x1b[0m\n" : "\n" + shown + "\n";
  }

  void labelled(std::string_view label, std::string_view text) {
    const std::size_t hanging = std::max(kLabel, kIndent + label.size() + 1);
    out_ +=
        folded(padded(std::string(kIndent, ' ') + std::string(label), hanging), text, hanging, style_.width);
  }

  // Says how many lines of `total` are shown, and what was left out.
  std::size_t shown_of(std::size_t total) const { return style_.all ? total : std::min(total, style_.rows); }
  void rest(std::size_t total) {
    const std::size_t shown = shown_of(total);
    if (shown < total)
      out_ += folded("  ", "… and " + grouped(total - shown) + " more (--all)", kIndent + 2, style_.width);
  }

  std::string name(std::string_view path) const {
    if (path.empty()) return "the checkpoint";
    const std::size_t room = style_.width > kLabel + 20 ? style_.width - kLabel : style_.width;
    return shortened(escape_for_terminal(path), room);
  }

  void details(const FileDiff& file) {
    out_ += "\n";
    side("before", file.before);
    side("after", file.after);
    if (file.error) {
      labelled("error", file.error->what());
      return;
    }
    const DiffTotals sum = totals(file);
    if (sum.compared > 0) labelled("tensors", tensor_counts(sum));
    if (sum.elements_differing > 0)
      labelled("elements", grouped(sum.elements_differing) + " of " + grouped(sum.elements) + " differ (" +
                               share(sum.elements_differing, sum.elements) + ")");
    structure(file);
    rows(file);
    values(file);
    listed(file);
    remarks(file);
  }

  void side(std::string_view label, const DiffSide& side) {
    std::string text = name(side.path);
    if (!side.format.empty())
      text += "  " + escape_for_terminal(side.format) + ", " + iec_size(side.bytes) + ", " +
              plural(side.tensors, "tensor", "tensors") + ", " + short_count(side.elements) + " elements";
    labelled(label, text);
  }

  static std::string tensor_counts(const DiffTotals& sum) {
    std::string text = grouped(sum.compared) + " compared";
    std::string_view before = ": ";
    const auto say = [&](std::size_t count, std::string_view what) {
      if (count == 0) return;
      text += std::string(before) + grouped(count) + " " + std::string(what);
      before = ", ";
    };
    say(sum.equal, "equal");
    say(sum.within, "within the bound");
    say(sum.differing, "over it");
    say(sum.renamed, "renamed");
    say(sum.incomparable, "not comparable");
    before = "; ";
    say(sum.removed, "removed");
    say(sum.added, "added");
    say(sum.not_compared, "not compared");
    return text;
  }

  void structure(const FileDiff& file) {
    const std::vector<StructureLine> lines = structure_lines(file);
    if (lines.empty()) return;
    title("structure");
    const std::size_t shown = shown_of(lines.size());
    for (std::size_t i = 0; i < shown; ++i) labelled(lines[i].kind, escape_for_terminal(lines[i].text));
    rest(lines.size());
  }

  void rows(const FileDiff& file) {
    std::vector<const TensorRow*> rows = ranked(file);
    // What one side lacks has no numbers: the structure has named it.
    std::erase_if(rows, [](const TensorRow* row) { return !has_both_sides(*row); });
    if (style_.all)
      for (const TensorRow& row : file.tensors)
        if (row.state == DiffState::equal || row.state == DiffState::not_compared) rows.push_back(&row);
    if (rows.empty()) return;
    const std::size_t total = rows.size();
    title("tensors, the worst first");
    rows.resize(shown_of(total));
    out_ += difference_table(rows, style_);
    rest(total);
  }

  void values(const FileDiff& file) {
    if (file.values.empty()) return;
    title("values");
    const std::size_t shown = shown_of(file.values.size());
    for (std::size_t i = 0; i < shown; ++i) {
      const ValueRow& row = file.values[i];
      std::string text = name(row.path) + ": ";
      if (row.state == DiffState::not_compared) text += "not compared: ";
      if (is_removed(row))
        text += "removed, was " + row.before;
      else if (is_added(row))
        text += "added, is " + row.after;
      else
        text += row.before + " → " + row.after;
      out_ += folded("  ", escape_for_terminal(text), kIndent + 2, style_.width);
    }
    rest(file.values.size());
  }

  void listed(const FileDiff& file) {
    if (file.listed.empty()) return;
    title("listed changes: known of the conversion, no differences");
    ChangeLog log;
    for (const Change& change : file.listed) log.add(change.code, change.path, change.what);
    const std::vector<ChangeGroup> groups = group_changes(log);
    const std::size_t shown = shown_of(groups.size());
    for (std::size_t i = 0; i < shown; ++i) {
      std::string where;
      if (groups[i].paths.size() > 1 || !groups[i].paths[0].empty())
        where = paths_words(groups[i].paths) + ": ";
      coded(where + escape_for_terminal(groups[i].what), groups[i].code);
    }
    rest(groups.size());
  }

  std::string paths_words(const std::vector<std::string_view>& paths) const {
    std::string text;
    const std::size_t shown = style_.all || paths.size() <= kPathsShown + 1 ? paths.size() : kPathsShown;
    for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + name(paths[i]);
    if (shown < paths.size()) text += " and " + grouped(paths.size() - shown) + " more";
    return text;
  }

  void coded(const std::string& text, Code code) {
    const std::string tag = "[" + code_name(code) + "]";
    std::string line = folded("  ", text + " " + tag, kIndent + 2, style_.width);
    if (style_.color && line.size() > tag.size())
      line.insert(line.size() - 1, "\x1b[0m").insert(line.size() - tag.size() - 5, "\x1b[2m");
    out_ += line;
  }

  void remarks(const FileDiff& file) {
    if (file.remarks.empty()) return;
    title("remarks");
    const std::size_t shown = shown_of(file.remarks.size());
    for (std::size_t i = 0; i < shown; ++i) {
      const DiffRemark& remark = file.remarks[i];
      coded((remark.path.empty() ? "" : name(remark.path) + ": ") + escape_for_terminal(remark.what),
            remark.code);
    }
    rest(file.remarks.size());
  }

  void list_of_files() {
    out_ += "\n";
    for (const FileDiff& file : report_.files) {
      const std::string said = headline(file, "");
      one_file(label_of(verdict(file)), name(file.name) + "  " + said.substr(said.find(": ") + 2),
               verdict(file));
    }
    for (const std::string& path : report_.only_before)
      one_file("only before", name(path), DiffVerdict::differs);
    for (const std::string& path : report_.only_after)
      one_file("only after", name(path), DiffVerdict::differs);
  }

  void one_file(std::string_view label, std::string_view text, DiffVerdict found) {
    constexpr std::size_t kStates = 15;
    std::string line = folded(padded("  " + std::string(label), kStates), text, kStates, style_.width);
    if (style_.color)
      line.insert(kIndent + label.size(), "\x1b[0m")
          .insert(kIndent, "\x1b[" + std::string(color_of(found)) + "m");
    out_ += line;
  }

  void sums() {
    const DiffTotals sum = totals(report_);
    out_ += "\n";
    labelled("files", plural(report_.files.size(), "pair", "pairs"));
    labelled("tensors", tensor_counts(sum));
    labelled("elements", grouped(sum.elements_differing) + " of " + grouped(sum.elements) + " differ");
  }

  void worst_files() {
    std::size_t said = 0, differing = 0;
    for (const FileDiff* file : worst_files_first(report_)) {
      ++differing;
      if (!style_.all && said == kFilesInDetail) continue;
      ++said;
      title(name(file->name));
      details(*file);
    }
    if (said < differing)
      out_ += "\n" + folded("", "… and " + grouped(differing - said) + " more files in detail (--all)",
                            kIndent, style_.width);
  }

  const DiffReport& report_;
  const DiffTextStyle& style_;
  std::string out_;
};

}  // namespace

std::string diff_text(const DiffReport& report, const DiffTextStyle& style) {
  return DiffText(report, style).write();
}

}  // namespace ferry::report
