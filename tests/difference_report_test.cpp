// What a difference says, in each of its faces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "src/core/text.h"
#include "src/report/difference.h"
#include "src/report/difference_layout.h"
#include "src/report/difference_marks.h"
#include "src/report/difference_numbers.h"
#include "src/report/difference_structure.h"
#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// --- Reports to look at

SharedArray<std::int64_t> shape_of(const std::vector<std::int64_t>& sizes) {
  return SharedArray<std::int64_t>(sizes);
}

TensorRow equal_row(const std::string& path, const std::vector<std::int64_t>& shape = {10, 100}) {
  TensorRow row;
  row.before = {path, shape_of(shape), DType::float32};
  row.after = row.before;
  row.drift.elements = 1;
  for (const std::int64_t size : row.before.shape) row.drift.elements *= static_cast<std::uint64_t>(size);
  return row;
}

// Half of the elements differ; the relative Frobenius distance is `relative`.
std::shared_ptr<const Bound> bound_of(std::optional<double> rtol, std::optional<double> atol) {
  Bound bound;
  bound.rtol = rtol;
  bound.atol = atol;
  return std::make_shared<const Bound>(bound);
}

TensorRow drifted_row(const std::string& path, double relative, DiffState state = DiffState::differs) {
  TensorRow row = equal_row(path);
  row.state = state;
  row.measured = row.counted = true;
  row.why = "500 of 1,000 elements differ";
  Drift& drift = row.drift;
  drift.bits_differing = drift.differing = drift.bits_flipped = 500;
  drift.finite = 1000;
  drift.before_squares = drift.after_squares = drift.products = 4;
  drift.difference_squares = 4.0L * relative * relative;
  drift.max_abs = relative / 2;
  drift.max_rel = relative * 3;
  drift.max_ulp = {12345, 0};
  drift.ulps.add(10, 500);
  drift.ulps.add(0, 500);
  drift.worst = Worst{.element = 203, .before = {1.5, 0, 0x3fc00000}, .after = {-0.25, 0, 0xbe800000}};
  return row;
}

TensorRow one_sided(const std::string& path, DiffState state) {
  TensorRow row = equal_row(path);
  row.state = state;
  TensorSide& lacking = state == DiffState::removed ? row.after : row.before;
  lacking = TensorSide();
  row.drift.elements = 0;
  return row;
}

TensorRow incomparable(const std::string& path) {
  TensorRow row = equal_row(path, {3, 4});
  row.state = DiffState::incomparable;
  row.after.shape = shape_of({4, 3});
  row.why = "shape [3, 4] became [4, 3]";
  return row;
}

FileDiff file_of(std::vector<TensorRow> rows) {
  FileDiff file;
  file.before = {"before.pth", "legacy stream", 4096, rows.size(), 1000 * rows.size()};
  file.after = {"after.pth", "torch zip", 8192, rows.size(), 1000 * rows.size()};
  file.tensors = std::move(rows);
  return file;
}

DiffReport report_of(FileDiff file) {
  DiffReport report;
  report.version = "1.2.3";
  report.bounds = "bit-equal";
  report.files.push_back(std::move(file));
  return report;
}
DiffReport report_of(std::vector<TensorRow> rows) { return report_of(file_of(std::move(rows))); }

// A model of 300 tensors with something of everything.
FileDiff everything() {
  FileDiff file = file_of({});
  for (int i = 0; i < 300; ++i) {
    const std::string path = "model_state.layer" + std::to_string(i / 75) + "." + std::to_string(i / 15) +
                             ".w" + std::to_string(i % 15) + ".weight";
    file.tensors.push_back(i % 10 == 0 ? equal_row(path) : drifted_row(path, std::pow(10, -1 - i % 8)));
  }
  file.tensors[5].explanations = {{Cause::float16_rounding, "equal to the float16 rounding of before"}};
  file.tensors[6].after.path = "model_state.renamed.weight";
  file.tensors[6].matched_by = "content";
  file.tensors[7].after.dtype = DType::float16;
  file.tensors[8].drift.nonfinite_mismatches = 2;
  file.tensors[8].drift.nans_after = 2;
  file.tensors.push_back(incomparable("head.weight"));
  file.tensors.push_back(one_sided("gone.weight", DiffState::removed));
  file.tensors.push_back(one_sided("new.weight", DiffState::added));
  file.values = {{"epoch", DiffState::differs, "90", "91"}, {"args", DiffState::removed, "{a: 1}", ""}};
  file.values_compared = 12;
  file.tying = {{{"a", "b"}, {}, "were tied, are separate now"}};
  file.listed = {{Code::prefix_stripped, "model_state", "module. stripped from 300 keys"}};
  file.remarks = {{Code::no_checksums, "", "a legacy stream carries no checksums"}};
  return file;
}

DiffReport folders() {
  DiffReport report = report_of(everything());
  report.files[0].name = "a/one.pth";
  report.files.push_back(file_of({equal_row("w")}));
  report.files[1].name = "a/two.pth";
  report.only_before = {"lost.pth"};
  return report;
}

// Names as an attacker would choose them.
const std::vector<std::string>& hostile_names() {
  static const std::vector<std::string> kNames = {"\x1b[31mred",
                                                  "a\xe2\x80\xae"
                                                  "exe.txt",
                                                  "<script>alert(1)</script>",
                                                  "\"><img src=x onerror=alert(1)>",
                                                  "a|b`c`",
                                                  "line\nfeed\r",
                                                  "\xff\xfe",
                                                  "</style></title>--><!--",
                                                  "@someone #1 [x](y) <b>",
                                                  "&lt;i&gt;' onload='x"};
  return kNames;
}

DiffReport hostile() {
  FileDiff file = file_of({});
  for (const std::string& name : hostile_names()) {
    TensorRow row = drifted_row(name, 0.1);
    row.matched_by = row.why = name;
    row.explanations = {{Cause::copied, "has the content of " + name}};
    row.bound = bound_of({}, 1);
    file.tensors.push_back(row);
    file.tensors.push_back(one_sided(name, DiffState::added));
    file.values.push_back({name, DiffState::differs, escape_for_terminal(name), escape_for_terminal(name)});
    file.tying.push_back({{name}, {name, name}, "were separate, are tied now"});
    file.listed.push_back({Code::renamed, name, name});
    file.remarks.push_back({Code::trailing_bytes, name, name});
  }
  file.before.path = file.after.format = hostile_names()[3];
  return report_of(file);
}

std::string text_of(const DiffReport& report, std::size_t width = 0, bool all = false) {
  return diff_text(report, {.color = false, .all = all, .width = width});
}
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string json_of(const DiffReport& report) {
  std::string text;
  write_diff_json(report, [&](std::string_view piece) { text += piece; });
  return text;
}
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}
std::vector<std::string> jsonl_of(const DiffReport& report) {
  std::string text;
  write_diff_jsonl(report, [&](std::string_view piece) { text += piece; });
  return lines_of(text);
}

// --- The answer

TEST(DiffVerdict, BitEqualFilesAreIdentical) {
  FileDiff file = file_of({equal_row("a"), equal_row("b")});
  file.values_compared = 3;
  const DiffReport report = report_of(file);
  EXPECT_EQ(first_line(text_of(report)), "identical: 2 tensors, 2,000 elements, bit for bit, and 3 values");
  EXPECT_EQ(exit_code(report), 0);
}

TEST(DiffVerdict, ListedChangesAreNoDifference) {
  FileDiff file = file_of({equal_row("a")});
  file.listed = {{Code::prefix_stripped, "", "module. stripped"}};
  const DiffReport report = report_of(file);
  EXPECT_THAT(text_of(report), StartsWith("identical but for 1 listed change: 1 tensor, 1,000 elements"));
  EXPECT_THAT(text_of(report), HasSubstr("module. stripped [TF501]"));
  EXPECT_EQ(exit_code(report), 0);
}

TEST(DiffVerdict, DriftWithinTheBoundIsFine) {
  DiffReport report = report_of({equal_row("a"), drifted_row("b", 1e-6, DiffState::within)});
  report.bounds = "rtol 1e-05";
  EXPECT_EQ(first_line(text_of(report)),
            "within the bound (rtol 1e-05): 1 of 2 tensors differ, none beyond it");
  EXPECT_EQ(exit_code(report), 0);
}

TEST(DiffVerdict, EveryKindOfDifferenceIsCounted) {
  const DiffReport report = report_of(everything());
  EXPECT_EQ(first_line(text_of(report)),
            "differs: 270 of 301 tensors over the bound (bit-equal), 1 not comparable, 1 removed, 1 added, 2 "
            "values, "
            "1 change of sharing");
  EXPECT_EQ(exit_code(report), 1);
}

TEST(DiffVerdict, EachDifferenceAloneIsExitCodeOne) {
  EXPECT_EQ(exit_code(report_of({drifted_row("a", 1e-9)})), 1);
  EXPECT_EQ(exit_code(report_of({incomparable("a")})), 1);
  EXPECT_EQ(exit_code(report_of({one_sided("a", DiffState::removed)})), 1);
  EXPECT_EQ(exit_code(report_of({one_sided("a", DiffState::added)})), 1);
  FileDiff file = file_of({equal_row("a")});
  file.values = {{"epoch", DiffState::differs, "1", "2"}};
  EXPECT_EQ(exit_code(file), 1);
  file.values.clear();
  file.tying = {{{"a", "b"}, {}, "were tied, are separate now"}};
  EXPECT_EQ(exit_code(file), 1);
}

TEST(DiffVerdict, WhatWasNotComparedIsSaidAndDoesNotCount) {
  TensorRow row = equal_row("b");
  row.state = DiffState::not_compared;
  row.why = "excluded";
  const DiffReport report = report_of({equal_row("a"), row});
  EXPECT_EQ(first_line(text_of(report)),
            "identical: 1 tensor, 1,000 elements, bit for bit; 1 tensor not compared");
  EXPECT_EQ(exit_code(report), 0);
}

TEST(DiffVerdict, ValuesThatDoNotCountAreNotCountedAsCompared) {
  DiffReport report = report_of({equal_row("a")});
  FileDiff& file = report.files[0];
  file.values_compared = 3;
  file.values = {{"epoch", DiffState::not_compared, "1", "2"},
                 {"arguments", DiffState::not_compared, "", "3"}};
  EXPECT_EQ(first_line(text_of(report)),
            "identical: 1 tensor, 1,000 elements, bit for bit, and 2 values; 2 values not compared");
  EXPECT_THAT(text_of(report), HasSubstr("arguments: not compared: added, is 3"));
  EXPECT_THAT(json_of(report), HasSubstr("\"values_compared\": 2"));
  EXPECT_THAT(json_of(report), HasSubstr("\"values_not_compared\": 2"));
  EXPECT_THAT(json_of(report), Not(HasSubstr("\"before\": \"\"")));
  EXPECT_THAT(diff_markdown(report), HasSubstr("| values not compared |"));
  EXPECT_THAT(diff_html(report), HasSubstr("not compared: <b>added</b>"));
}

TEST(DiffVerdict, ErrorsOutweighDifferencesAndRefusalsOutweighErrors) {
  DiffReport report = folders();
  EXPECT_EQ(exit_code(report), 1);
  report.files[1].error = Error(Code::checksum_mismatch, "the CRC-32 is wrong").at(16).of("b.pth");
  EXPECT_EQ(exit_code(report), 2);
  EXPECT_THAT(text_of(report),
              StartsWith("not compared: 1 of 2 files; 1 of the others differ, 1 only before"));
  report.files[1].error = Error(Code::unsafe_global, "os.system");
  EXPECT_EQ(exit_code(report), 3);
}

TEST(DiffVerdict, FilesWithoutAPartnerDiffer) {
  DiffReport report = folders();
  report.files.erase(report.files.begin());
  EXPECT_EQ(exit_code(report), 1);
  EXPECT_EQ(verdict(report), DiffVerdict::differs);
}

TEST(DiffOrder, TheWorstComesFirst) {
  TensorRow bits_only = drifted_row("bits", 0);
  TensorRow nan = drifted_row("nan", 1e-9);
  nan.drift.nonfinite_mismatches = 1;
  const FileDiff file = file_of({drifted_row("small", 1e-7), bits_only, drifted_row("large", 0.5),
                                 equal_row("same"), one_sided("new", DiffState::added), nan,
                                 drifted_row("large too", 0.5), one_sided("gone", DiffState::removed),
                                 incomparable("shape"), drifted_row("tolerated", 3, DiffState::within)});
  std::vector<std::string> order;
  for (const TensorRow* row : worst_first(file)) order.push_back(shown_side(*row).path.str());
  EXPECT_EQ(order,
            (std::vector<std::string>{"shape", "gone", "new", "nan", "large", "large too", "small", "bits"}));
  EXPECT_EQ(shown_side(*ranked(file).back()).path, "tolerated");
}

// --- Text

TEST(DiffText, FitsEveryWidth) {
  FileDiff file = everything();
  file.tensors[9].before.path = file.tensors[9].after.path =
      "日本語.重み.とても長い名前の層.テンソル.🧠.weight";
  file.values.push_back(
      {std::string(300, 'x'), DiffState::differs, std::string(90, '1'), std::string(90, '2')});
  DiffReport single = report_of(file), many = folders();
  many.files[0] = file;
  many.files[0].name = std::string(120, 'n') + ".pth";
  for (const DiffReport* report : {&single, &many})
    for (std::size_t width = 40; width <= 200; ++width)
      for (const std::string& line : lines_of(text_of(*report, width, width % 40 == 0)))
        ASSERT_LE(display_columns(line), width) << line;
}

TEST(DiffText, CutsNothingWithoutAWidth) {
  FileDiff file = everything();
  const std::string name = "model_state." + std::string(200, 'x') + ".weight";
  file.tensors[1] = drifted_row(name, 0.9);
  const std::string text = text_of(report_of(file));
  EXPECT_THAT(text, HasSubstr(name));
  EXPECT_THAT(text, HasSubstr("500/1,000"));
}

TEST(DiffText, ShowsTheWorstAndSaysHowManyMore) {
  const DiffReport report = report_of(everything());
  EXPECT_THAT(text_of(report), HasSubstr("… and 251 more (--all)"));
  const std::string all = text_of(report, 0, true);
  EXPECT_THAT(all, Not(HasSubstr("--all")));
  EXPECT_THAT(all, HasSubstr("model_state.layer0.0.w0.weight"));  // an equal one
  EXPECT_THAT(all, HasSubstr("↳ equal to the float16 rounding of before"));
}

TEST(DiffText, NamesWhatChangedBesidesNumbers) {
  const std::string text = text_of(report_of(everything()));
  EXPECT_THAT(text, HasSubstr("  removed  gone.weight  float32 [10, 100]\n"));
  EXPECT_THAT(text, HasSubstr("  added    new.weight  float32 [10, 100]\n"));
  EXPECT_THAT(text, HasSubstr("  shape    head.weight  [3, 4] → [4, 3]\n"));
  EXPECT_THAT(text, HasSubstr("  sharing  were tied, are separate now: a, b\n"));
  EXPECT_THAT(text, HasSubstr("  dtype    float32 → float16: model_state.layer0.0.w7.weight\n"));
  EXPECT_THAT(text, HasSubstr("content: model_state.layer0.0.w6.weight → model_state.renamed.weight\n"));
  EXPECT_THAT(text, HasSubstr("  epoch: 90 → 91\n  args: removed, was {a: 1}\n"));
  EXPECT_THAT(text, HasSubstr("a legacy stream carries no checksums [TF601]\n"));
  EXPECT_THAT(text, HasSubstr(blind_spots()));
}

TEST(DiffText, ColoursOnlyWhenAsked) {
  const DiffReport report = report_of(everything());
  EXPECT_THAT(text_of(report), Not(HasSubstr("\x1b")));
  std::string colored = diff_text(report, {.color = true});
  EXPECT_THAT(colored, StartsWith("\x1b[1;31mdiffers\x1b[0m: "));
  for (std::size_t at; (at = colored.find('\x1b')) != std::string::npos;)
    colored.erase(at, colored.find('m', at) - at + 1);
  EXPECT_EQ(colored, text_of(report));
}

// --- Hostile names

TEST(DiffFaces, NoNameSteersATerminal) {
  const DiffReport report = hostile();
  for (const std::string& face : {text_of(report), text_of(report, 60, true), diff_markdown(report),
                                  diff_html(report), json_of(report)}) {
    EXPECT_TRUE(is_utf8(face, false));
    for (const std::string& line : lines_of(face)) ASSERT_EQ(escape_for_terminal(line), line);
  }
}

TEST(DiffFaces, WhatOnlyOneSideHasIsNoChangeAlsoWhereItDoesNotCount) {
  for (const DiffState state : {DiffState::added, DiffState::removed}) {
    TensorRow row = one_sided("model.l.w", state);
    row.state = DiffState::not_compared;
    row.why = "the other file holds nothing of model";
    const DiffReport report = report_of({row});
    EXPECT_EQ(shown_side(row).path, "model.l.w");
    EXPECT_TRUE(structure_lines(report.files[0]).empty());
    EXPECT_THAT(json_of(report), HasSubstr("\"name\": \"model.l.w\""));
    for (const char* const ghost : {"renamed_to", "dtype_before", "shape_before"})
      EXPECT_THAT(json_of(report), Not(HasSubstr(ghost)));
    EXPECT_THAT(diff_text(report, {.all = true}), HasSubstr("model.l.w  not compared"));
    for (const std::string& face :
         {diff_text(report, {.all = true}), diff_markdown(report), diff_html(report)})
      EXPECT_THAT(face, Not(HasSubstr("[] →")));
  }
}

TEST(DiffFaces, NoNameBecomesMarkup) {
  const DiffReport report = hostile();
  const std::string page = diff_html(report), markdown = diff_markdown(report);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("' onload")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert"));
  EXPECT_THAT(markdown, Not(HasSubstr("<script")));
  EXPECT_THAT(markdown, Not(HasSubstr("<img")));
  EXPECT_THAT(markdown, Not(HasSubstr("a|b")));
  EXPECT_THAT(markdown, Not(HasSubstr("[x](y)")));
  EXPECT_THAT(markdown, Not(HasSubstr(" @someone")));
}

// --- JSON

// The end of the JSON value at `at`, or npos: a check of the grammar that knows nothing of our writer.
std::size_t end_of_json(std::string_view text, std::size_t at);

std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (static_cast<unsigned char>(text[at]) < 0x20) return std::string_view::npos;
    at += text[at] == '\\';
  }
  return at < text.size() ? at + 1 : std::string_view::npos;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(" \n", at), text.size());
}

std::size_t end_of_container(std::string_view text, std::size_t at) {
  const bool object = text[at] == '{';
  const char close = object ? '}' : ']';
  at = skip_space(text, at + 1);
  if (at < text.size() && text[at] == close) return at + 1;
  while (at < text.size()) {
    if (object) {
      if (text[at] != '"' || (at = end_of_string(text, at)) == std::string_view::npos || text[at] != ':')
        break;
      at = skip_space(text, at + 1);
    }
    if ((at = end_of_json(text, at)) == std::string_view::npos) break;
    at = skip_space(text, at);
    if (at < text.size() && text[at] == close) return at + 1;
    if (at >= text.size() || text[at] != ',') break;
    at = skip_space(text, at + 1);
  }
  return std::string_view::npos;
}

std::size_t end_of_json(std::string_view text, std::size_t at) {
  if (at >= text.size()) return std::string_view::npos;
  if (text[at] == '{' || text[at] == '[') return end_of_container(text, at);
  if (text[at] == '"') return end_of_string(text, at);
  const std::size_t end = text.find_first_of(",]}\n ", at);
  const std::string word(text.substr(at, end - at));
  char* rest = nullptr;
  const bool number = !std::isnan(std::strtod(word.c_str(), &rest)) && *rest == '\0' &&
                      word.find_first_of("xni") == word.npos;
  return number || word == "true" || word == "false" || word == "null" ? std::min(end, text.size())
                                                                       : std::string_view::npos;
}

bool is_json(std::string_view text) { return end_of_json(text, 0) == text.find_last_not_of('\n') + 1; }

TEST(DiffJson, IsOneDocument) {
  for (const DiffReport& report : {report_of(FileDiff()), report_of(everything()), folders(), hostile()})
    EXPECT_TRUE(is_json(json_of(report)));
}

TEST(DiffJson, HasEveryNumberOfADrift) {
  TensorRow row = drifted_row("w", 0.5);
  row.spectral = 0.25;
  row.bound = bound_of(1e-5, {});
  const std::string text = json_of(report_of({row}));
  EXPECT_THAT(text, HasSubstr("\"schema\": \"torchferry.diff/1\""));
  EXPECT_THAT(text, HasSubstr("\"state\": \"differs\""));
  EXPECT_THAT(text, HasSubstr("\"max_ulp\": 12345,"));
  EXPECT_THAT(text, HasSubstr("\"relative_frobenius\": 0.5,"));
  EXPECT_THAT(text, HasSubstr("\"spectral_ratio\": 0.25,"));
  EXPECT_THAT(text,
              HasSubstr("\"worst\": {\"index\": [2, 3], \"before\": 1.5, \"after\": -0.25, \"before_bits\": "
                        "\"0x3fc00000\", \"after_bits\": \"0xbe800000\"}"));
  EXPECT_THAT(text, HasSubstr("\"ulp_histogram\": [[0, 500], [256, 500]]"));
  EXPECT_THAT(
      text,
      HasSubstr("{\"exact\": false, \"rtol\": 1e-05, \"atol\": null, \"ulp\": null, \"nan\": \"equal\"}"));
}

TEST(DiffJson, SaysNullForWhatNobodyCounted) {
  TensorRow row = equal_row("w");
  row.measured = true;
  const std::string text = json_of(report_of({row}));
  for (const std::string name : {"nans_before", "nans_after", "nans_both", "infinities_before",
                                 "infinities_after", "finite", "ulp_histogram"})
    EXPECT_THAT(text, HasSubstr("\"" + name + "\": null"));
  EXPECT_THAT(text, HasSubstr("\"elements\": 1000,"));
  EXPECT_THAT(text, HasSubstr("\"max_abs\": 0.0,"));
}

TEST(DiffJson, KeepsEqualTensorsShort) {
  const std::string text = json_of(report_of({equal_row("w")}));
  EXPECT_THAT(text,
              HasSubstr("\"name\": \"w\",\n      \"state\": \"equal\",\n      \"dtype\": \"float32\",\n      "
                        "\"shape\": [10, 100]\n    }"));
}

TEST(DiffJson, SaysWhatIsNoNumber) {
  TensorRow row = drifted_row("w", 0.5);
  row.drift.before_squares = 0;
  const std::string text = json_of(report_of({row}));
  EXPECT_THAT(text, HasSubstr("\"relative_frobenius\": \"Infinity\""));
}

TEST(DiffJson, KeepsIntegersBeyondDoublesExact) {
  TensorRow row = drifted_row("step", 0.5);
  row.drift.before = row.drift.after = DType::int64;
  row.drift.max_ulp = {std::numeric_limits<std::uint64_t>::max(), 0};
  row.drift.worst = Worst{0, {9.007199254740992e15, 0, 9007199254740993}, {-1, 0, ~std::uint64_t{0}}};
  const std::string text = json_of(report_of({row}));
  EXPECT_THAT(text, HasSubstr("\"max_ulp\": 18446744073709551615,"));
  EXPECT_THAT(text, HasSubstr("\"before\": 9007199254740993, \"after\": -1, "));
}

TEST(DiffJsonLines, EveryLineIsAnObjectWithItsKind) {
  const std::vector<std::string> lines = jsonl_of(report_of(everything()));
  EXPECT_EQ(lines.size(), 303u + 2 + 1 + 1 + 1 + 1);
  for (const std::string& line : lines) {
    ASSERT_TRUE(is_json(line)) << line;
    ASSERT_THAT(line, StartsWith("{\"kind\":\""));
    ASSERT_THAT(line, Not(HasSubstr("\"file\":")));
  }
  EXPECT_THAT(lines.back(), StartsWith("{\"kind\":\"summary\",\"schema\":\"torchferry.diff/1\""));
}

TEST(DiffJsonLines, NameTheirFileWhereThereAreSeveral) {
  const std::vector<std::string> lines = jsonl_of(folders());
  EXPECT_THAT(lines[1], StartsWith("{\"kind\":\"tensor\",\"file\":\"a/one.pth\",\"name\":"));
  EXPECT_THAT(lines.back(), HasSubstr("\"only_before\":[\"lost.pth\"]"));
}

// --- Markdown and the page

TEST(DiffMarkdown, BeginsWithTheAnswer) {
  EXPECT_THAT(diff_markdown(report_of({equal_row("a")})), StartsWith("### ✅ identical: 1 tensor"));
  const std::string text = diff_markdown(report_of(everything()));
  EXPECT_THAT(text, StartsWith("### ❌ differs: 270 of 301 tensors"));
  EXPECT_THAT(text, HasSubstr("<details><summary>Listed changes (1)"));
  EXPECT_THAT(text, HasSubstr("… and 263 more"));
}

TEST(DiffMarkdown, KeepsTablesWhole) {
  for (const std::string& line : lines_of(diff_markdown(hostile()))) {
    if (!line.starts_with("| <code>")) continue;
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    EXPECT_EQ(bars, 7u) << line;
  }
}

TEST(DiffPage, IsSelfContainedAndSmall) {
  const std::string page = diff_html(report_of(everything()));
  EXPECT_LT(page.size(), 500'000u);
  EXPECT_THAT(page, Not(HasSubstr("://")));
  EXPECT_THAT(page, Not(HasSubstr(" src=")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, HasSubstr("<h1>Differs</h1>"));
  EXPECT_THAT(page, HasSubstr(blind_spots()));
}

// Names as adapters of language models have them.
std::string long_name(int i, const std::string& adapter) {
  return "base_model.model.model.decoder.layers." + std::to_string(i / 6) + ".self_attention.projection_" +
         std::to_string(i % 6) + "." + adapter + ".default.weight";
}

TEST(DiffPage, IsSmallForLongNamesWithNothingInCommon) {
  std::vector<TensorRow> apart, renamed;
  for (int i = 0; i < 300; ++i) {
    apart.push_back(one_sided(long_name(i, "lora_A"), DiffState::removed));
    renamed.push_back(drifted_row(long_name(i, "lora_A"), 1e-3));
    renamed.back().after.path = long_name(i, "adapter_A");
    renamed.back().matched_by = "content";
  }
  for (int i = 0; i < 300; ++i) apart.push_back(one_sided(long_name(i, "adapter_A"), DiffState::added));
  for (std::vector<TensorRow>* const rows : {&apart, &renamed}) {
    const std::size_t count = rows->size();
    const std::string page = diff_html(report_of(std::move(*rows)));
    EXPECT_LT(page.size(), 500'000u);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_THAT(page, HasSubstr("<tr id=\"f0t" + std::to_string(i) + "\"")) << "a row is missing";
  }
}

TEST(DiffPage, StaysBoundedForAHundredThousandTensors) {
  std::vector<TensorRow> rows;
  for (int i = 0; i < 100'000; ++i)
    rows.push_back(
        drifted_row("experts." + std::to_string(i / 1000) + ".w" + std::to_string(i % 1000), 1e-3));
  const std::string page = diff_html(report_of(std::move(rows)));
  EXPECT_LT(page.size(), 2'000'000u);
  EXPECT_THAT(page, HasSubstr("the worst 2,000 of 100,000 tensors"));
  EXPECT_THAT(page, HasSubstr("each mark stands for 200 neighbours"));
}

TEST(DiffPage, StaysBoundedForManyFiles) {
  DiffReport report;
  for (int i = 0; i < 3000; ++i) {
    report.files.push_back(file_of({drifted_row("w", 1e-3)}));
    report.files.back().name = std::to_string(i) + ".pth";
  }
  const std::string page = diff_html(report);
  EXPECT_LT(page.size(), 1'000'000u);
  EXPECT_THAT(page, HasSubstr("2,980 more files"));
}

TEST(DiffPage, ShowsEachTensorInModelOrder) {
  const FileDiff file = everything();
  const Marks marks = find_marks(file);
  EXPECT_EQ(marks.marks.size(), file.tensors.size());
  std::size_t next = 0;
  for (const Band& band : marks.bands) {
    EXPECT_EQ(band.first, next);
    next += band.count;
  }
  EXPECT_EQ(next, file.tensors.size());
  EXPECT_EQ(marks.bands[0].name, "layer0.0");
}

TEST(DiffPage, DrawsWhatHasNoNumbers) {
  TensorRow endless = drifted_row("endless", 0.1);
  endless.drift.before_squares = 0;
  TensorRow nothing = drifted_row("nothing", 0);
  nothing.drift.max_ulp = {};
  TensorRow empty = equal_row("empty", {0});
  TensorRow unmeasured = drifted_row("unmeasured", 0);
  unmeasured.measured = false;
  for (const std::vector<TensorRow>& rows : {std::vector<TensorRow>{},
                                             {endless},
                                             {nothing},
                                             {empty},
                                             {unmeasured},
                                             {one_sided("a", DiffState::added)}}) {
    const std::string page = diff_html(report_of(rows));
    EXPECT_THAT(page, Not(HasSubstr("nan%")));
    EXPECT_THAT(page, Not(HasSubstr("=\"nan")));
    EXPECT_THAT(page, Not(HasSubstr("=\"inf")));
    EXPECT_THAT(page, HasSubstr("</html>"));
  }
}

// --- Numbers

TEST(DiffNumbers, AreShortAndHonest) {
  EXPECT_EQ(share(1, 3), "33.3%");
  EXPECT_EQ(share(0, 3), "0%");
  EXPECT_EQ(share(3, 3), "100%");
  EXPECT_EQ(share(1, 1'000'000'000), "<0.001%");
  EXPECT_EQ(share(999'999'999, 1'000'000'000), ">99.9%");
  EXPECT_EQ(short_count(999'999), "999,999");
  EXPECT_EQ(short_count(33'900'000), "33.9 M");
  EXPECT_EQ(short_count(1'234'000'000), "1.23 G");
  EXPECT_EQ(ulps_words({0, 0.5}), "0.5");
  EXPECT_EQ(ulps_words({1234, 0}), "1,234");
  EXPECT_EQ(ulps_digits({12, 0.25}), "12.25");
  EXPECT_EQ(ulps_digits({0, 5e-324}).size(), 2u + 324);
  EXPECT_EQ(cosine_words(1), "1");
  EXPECT_EQ(cosine_words(1 - 0x1p-22), "1-2.4e-07");
  EXPECT_EQ(cosine_words(-0.5), "-0.5");
  EXPECT_EQ(number_words({0.10000000149011612, 0, 0}, DType::float32), "0.1");
  EXPECT_EQ(number_words({1, -2, 0}, DType::complex64), "(1-2j)");
  EXPECT_EQ(ulp_bin_end(kUlpBins - 1), "18446744073709551616");
}

TEST(DiffNumbers, UnravelPlaces) {
  const std::vector<std::int64_t> shape = {2, 3, 4}, empty = {0}, scalar = {};
  EXPECT_EQ(index_of(23, shape), (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_TRUE(index_of(24, shape).empty());
  EXPECT_TRUE(index_of(0, empty).empty());
  EXPECT_TRUE(index_of(0, scalar).empty());
}

TEST(DiffLayout, CountsColumnsAsTerminalsDo) {
  EXPECT_EQ(display_columns("abc"), 3u);
  EXPECT_EQ(display_columns("é…→Δ"), 4u);
  EXPECT_EQ(display_columns("e\xcc\x81"), 1u);
  EXPECT_EQ(display_columns("重み🧠"), 6u);
  EXPECT_EQ(shortened("model_state.layer.weight", 10), "mod…weight");
  EXPECT_EQ(shortened("重み重み重み", 7), "重…重み");
}

}  // namespace
}  // namespace ferry::report
