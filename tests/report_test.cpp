// The JSON writer, and what a conversion report says.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "src/report/conversion.h"
#include "src/report/json.h"

namespace ferry::report {
namespace {

template <typename Write>
std::string json_text(Write write, JsonWriter::Style style = JsonWriter::Style::compact,
                      JsonWriter::NonFinite non_finite = JsonWriter::NonFinite::text) {
  std::string text;
  JsonWriter json([&](std::string_view piece) { text += piece; }, style, non_finite);
  write(json);
  json.finish();
  return text;
}

TEST(JsonWriter, WritesNestedContainers) {
  const auto write = [](JsonWriter& json) {
    json.begin_object();
    json.field("a", 1);
    json.key("b");
    json.begin_array();
    json.begin_object();
    json.end_object();
    json.begin_array(JsonWriter::Lines::one);
    json.value("x");
    json.null();
    json.end_array();
    json.end_array();
    json.null_field("c");
    json.end_object();
  };
  EXPECT_EQ(json_text(write), "{\"a\":1,\"b\":[{},[\"x\",null]],\"c\":null}\n");
  EXPECT_EQ(json_text(write, JsonWriter::Style::pretty),
            "{\n  \"a\": 1,\n  \"b\": [\n    {},\n    [\"x\", null]\n  ],\n  \"c\": null\n}\n");
}

TEST(JsonWriter, KeepsNumbersExact) {
  EXPECT_EQ(json_text([](JsonWriter& json) { json.value(std::numeric_limits<std::uint64_t>::max()); }),
            "18446744073709551615\n");
  EXPECT_EQ(json_text([](JsonWriter& json) { json.value(std::numeric_limits<std::int64_t>::min()); }),
            "-9223372036854775808\n");
  EXPECT_EQ(json_text([](JsonWriter& json) { json.number("340282366920938463463374607431768211456"); }),
            "340282366920938463463374607431768211456\n");
  for (const double number : {0.1, 1e300, 5e-324, -0.0, 1.0, 123456789.0})
    EXPECT_EQ(std::strtod(json_text([&](JsonWriter& json) { json.value(number); }).c_str(), nullptr), number);
  EXPECT_EQ(json_text([](JsonWriter& json) { json.value(0.1); }), "0.1\n");
}

TEST(JsonWriter, LetsRealsBeReals) {
  EXPECT_EQ(json_text([](JsonWriter& json) { json.value(1.0); }), "1.0\n");
  EXPECT_EQ(json_text([](JsonWriter& json) { json.value(1e300); }), "1e+300\n");
}

TEST(JsonWriter, HasAPolicyForWhatIsNoNumber) {
  const auto nan = [](JsonWriter& json) { json.value(std::nan("")); };
  const auto infinity = [](JsonWriter& json) { json.value(-std::numeric_limits<double>::infinity()); };
  EXPECT_EQ(json_text(nan), "\"NaN\"\n");
  EXPECT_EQ(json_text(infinity), "\"-Infinity\"\n");
  EXPECT_EQ(json_text(nan, JsonWriter::Style::compact, JsonWriter::NonFinite::null), "null\n");
}

TEST(JsonWriter, EscapesWhatSteersTerminalsAndWhatIsNoText) {
  EXPECT_EQ(json_quoted("plain é 😀"), "\"plain é 😀\"");
  EXPECT_EQ(json_quoted("\"\\\n\t\x01\x7f"), "\"\\\"\\\\\\n\\t\\u0001\\u007f\"");
  EXPECT_EQ(json_quoted("\xc2\x9b\xe2\x80\xae"), "\"\\u009b\\u202e\"");
  EXPECT_EQ(json_quoted("a\x80z\xff"), "\"a\\\\x80z\\\\xff\"");
  EXPECT_EQ(json_quoted("\xf0\x9f\x98"), "\"\\\\xf0\\\\x9f\\\\x98\"");
  EXPECT_EQ(json_quoted("\xed\xa0\x80"), "\"\\\\ud800\"");
}

TEST(JsonWriter, HandsOverInPieces) {
  std::size_t pieces = 0, bytes = 0;
  JsonWriter json([&](std::string_view piece) {
    ++pieces;
    bytes += piece.size();
  });
  json.begin_array();
  for (int i = 0; i < 100'000; ++i) json.value(i);
  json.end_array();
  json.finish();
  EXPECT_GT(pieces, 10u);
  EXPECT_GT(bytes, 500'000u);
}

// --- Conversions

FileReport converted(const std::string& name) {
  FileReport file;
  file.source = name;
  file.destination = "out/" + name;
  file.outcome = Outcome::converted;
  file.format = "legacy stream";
  file.bytes_before = 2048;
  file.bytes_after = 1024;
  file.tensors = 1;
  file.verified = true;
  return file;
}

FileReport stopped(Outcome outcome, Code code) {
  FileReport file;
  file.source = "bad\n.pt";
  file.outcome = outcome;
  file.error = Error(code, "something is wrong").at(16).of(file.source);
  return file;
}

TEST(ConversionReport, TheWorstFileDecides) {
  ConversionReport report;
  report.files = {stopped(Outcome::skipped, Code::not_a_checkpoint)};
  EXPECT_EQ(exit_code(report), 2);
  report.files = {converted("a.pt"), stopped(Outcome::skipped, Code::not_a_checkpoint)};
  EXPECT_EQ(exit_code(report), 0);
  report.files.push_back(stopped(Outcome::failed, Code::truncated));
  EXPECT_EQ(exit_code(report), 2);
  report.files.push_back(stopped(Outcome::refused, Code::unsafe_global));
  report.files.push_back(stopped(Outcome::failed, Code::truncated));
  EXPECT_EQ(exit_code(report), 3);
  EXPECT_EQ(totals(report).failed, 2u);
  EXPECT_EQ(totals(report).bytes_after, 1024u);
}

TEST(ConversionReport, GroupsEqualChanges) {
  FileReport file = converted("a.pt");
  for (const char* const path : {"a", "b", "c", "d", "e"})
    file.changes.add(Code::object_to_data, path, "Path → text");
  file.changes.add(Code::no_checksums, "", "no checksums");
  file.changes.add(Code::prefix_stripped, "model", "module. stripped");
  EXPECT_EQ(block(file, {}),
            "a.pt → out/a.pt\n"
            "  legacy stream, 2.0 KiB → torch zip, 1.0 KiB; 1 tensor; verified\n"
            "  a, b, c and 2 more: Path → text [TF507]\n"
            "  model: module. stripped [TF501]\n"
            "  remark: no checksums [TF601]\n");
  EXPECT_NE(block(file, {.all = true}).find("  a, b, c, d, e: Path → text [TF507]\n"), std::string::npos);
  EXPECT_EQ(one_line(file, {}), "converted  a.pt → out/a.pt  2.0 KiB → 1.0 KiB  2 changes\n");
}

TEST(ConversionReport, CutsLongListsOfOneKind) {
  FileReport file = converted("a.pt");
  for (int i = 0; i < 100; ++i) file.changes.add(Code::python2_text, "x", "text " + std::to_string(i));
  EXPECT_NE(block(file, {}).find("  … and 88 more of this kind [TF509]; -v and --report show all\n"),
            std::string::npos);
  EXPECT_EQ(block(file, {}).find("text 12 "), std::string::npos);
  EXPECT_NE(block(file, {.all = true}).find("text 99 "), std::string::npos);
}

TEST(ConversionReport, NothingOfAFileReachesTheReaderAsItIs) {
  ConversionReport report;
  report.files = {stopped(Outcome::failed, Code::truncated), converted("<script>&\x1b[31m.pt")};
  report.files[1].changes.add(Code::renamed, "<b>", "\"<i>\x07");
  std::string json;
  write_json(report, [&](std::string_view piece) { json += piece; });
  for (const std::string& text : {one_line(report.files[0], {}), block(report.files[1], {}),
                                  text_report(report), html_report(report), json}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
    EXPECT_EQ(text.find('\x07'), std::string::npos) << text;
  }
  EXPECT_EQ(html_report(report).find("<script>"), std::string::npos);
  EXPECT_EQ(html_report(report).find("<i>"), std::string::npos);
  EXPECT_NE(html_report(report).find("&lt;script&gt;&amp;"), std::string::npos);
}

}  // namespace
}  // namespace ferry::report
