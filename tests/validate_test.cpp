// Policies, statuses, and the faces of a validation that other programs read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "src/config/validation_policy.h"
#include "src/core/error.h"
#include "src/core/nearest.h"
#include "src/report/validation.h"
#include "validators/policy/policy.h"
#include "validators/policy/test_case.h"

namespace ferry {
namespace {

using policy::CaseStatus;
using policy::Suite;
using policy::TestCase;
using policy::ValidationReport;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// --- Policies

std::string complaint(const std::string& text) {
  try {
    config::parse_validation_policy(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_policy);
    return error.what();
  }
  return "no complaint";
}

TEST(ValidationPolicy, GivesDefaultsToEveryCheckpoint) {
  const policy::Policy policy = config::parse_validation_policy(R"(
[defaults]
device = "cpu"
ignore = ["epoch"]
[[defaults.bounds]]
rtol = 1e-5

[[checkpoint]]
before = "a.pth"
after = "b.pth"
ignore = ["it"]
[[checkpoint.bounds]]
name = "head.*"
ulp = 2

[[checkpoint]]
name = "second"
before = "c.pth"
after = "d.pth"
device = "cuda"
dtype = "float16"
expect = ["TF501", "502"]
rename = ["^a=b=c"]
)");
  ASSERT_EQ(policy.checkpoints.size(), 2u);
  const policy::CheckpointPolicy &first = policy.checkpoints[0], &second = policy.checkpoints[1];
  EXPECT_EQ(first.device, "cpu");
  EXPECT_THAT(first.ignores, ElementsAre("epoch", "it"));
  ASSERT_EQ(first.bounds.size(), 2u);
  EXPECT_EQ(first.bounds[0].rtol, 1e-5);
  EXPECT_EQ(first.bounds[1].pattern, "head.*");
  EXPECT_EQ(second.name, "second");
  EXPECT_EQ(second.device, "cuda");
  EXPECT_EQ(second.dtype, DType::float16);
  EXPECT_THAT(second.ignores, ElementsAre("epoch"));
  EXPECT_THAT(second.expect, ElementsAre("TF501", "TF502"));
  ASSERT_EQ(second.renames.size(), 1u);
  EXPECT_EQ(second.renames[0].first, "^a=b");
}

TEST(ValidationPolicy, SaysLineAndColumnAndWhatMayBeMeant) {
  const std::string said = complaint("[[checkpoint]]\nbefore = \"a\"\nafter = \"b\"\n  alow_added = []\n");
  EXPECT_THAT(said, HasSubstr("there is no key 'alow_added' here"));
  EXPECT_THAT(said, HasSubstr("hint: did you mean 'allow_added'?"));
  EXPECT_THAT(said, HasSubstr("line 4, column 3"));
  EXPECT_THAT(complaint("[[checkpont]]\n"), HasSubstr("did you mean 'checkpoint'?"));
}

TEST(ValidationPolicy, RefusesWhatItCannotMean) {
  const std::string sides = "[[checkpoint]]\nbefore = \"a\"\nafter = \"b\"\n";
  EXPECT_THAT(complaint(""), HasSubstr("there is no [[checkpoint]] in it"));
  EXPECT_THAT(complaint("checkpoint = []\n"), HasSubstr("there is no checkpoint in it"));
  EXPECT_THAT(complaint("checkpoint = [1]\n"), HasSubstr("checkpoints are written as [[checkpoint]]"));
  EXPECT_THAT(complaint("[[checkpoint]]\nbefore = \"a\"\n"), HasSubstr("this checkpoint has no after"));
  EXPECT_THAT(complaint(sides + "device = \"gpu\"\n"), HasSubstr("device is one of auto, cpu, cuda"));
  EXPECT_THAT(complaint(sides + "device = 1\n"), HasSubstr("device is a text"));
  EXPECT_THAT(complaint(sides + "require_gpu = \"yes\"\n"), HasSubstr("require_gpu is true or false"));
  EXPECT_THAT(complaint(sides + "ignore = \"*\"\n"), HasSubstr("ignore is a list of texts"));
  EXPECT_THAT(complaint(sides + "expect = [\"TF999\"]\n"), HasSubstr("there is no code 'TF999'"));
  EXPECT_THAT(complaint(sides + "runs = [\"fp8\"]\n"), HasSubstr("a run is one of tf32, tf32-rne"));
  EXPECT_THAT(complaint(sides + "rename = [\"x\"]\n"), HasSubstr("not of the form"));
  EXPECT_THAT(complaint(sides + "model = \"\"\n"), HasSubstr("model is empty"));
  EXPECT_THAT(complaint(sides + "[[checkpoint.bounds]]\nrtol = -1\n"), HasSubstr("a number of 0 or more"));
  EXPECT_THAT(complaint(sides + "ignore = [\n"), HasSubstr("line "));
}

TEST(Nearest, KnowsWhatIsTooFar) {
  EXPECT_EQ(nearest("befor", {"before", "after"}), "before");
  EXPECT_EQ(nearest("shwo", {"list", "show"}), "show");
  EXPECT_EQ(nearest("xyz", {"before", "after"}), "");
}

// --- Statuses

ValidationReport report_of(std::vector<TestCase> cases) {
  ValidationReport report;
  report.version = "1.2.3";
  report.bounds = "bit-equal";
  report.suites.push_back({"model.pth", "old/model.pth", "new/model.pth", {}, std::move(cases)});
  return report;
}

TestCase refused() {
  return policy::stopped(policy::kOpens, Error(Code::unsafe_global, "unsafe global os.system"));
}
TestCase broken() { return policy::stopped(policy::kOpens, Error(Code::truncated, "the file ends early")); }
TestCase bad() { return policy::failed("tensors.bit_equal", Code::tensors_differ, "1 of 2 tensors is not"); }
TestCase good() { return policy::passed("loads.mmap", "it does"); }
TestCase left_out() { return policy::skipped("drift", "no model"); }

TEST(ValidationExitCode, IsThatOfTheWorstCase) {
  EXPECT_EQ(exit_code(report_of({good(), left_out()})), 0);
  EXPECT_EQ(exit_code(report_of({good(), bad()})), 1);
  EXPECT_EQ(exit_code(report_of({bad(), broken()})), 2);
  EXPECT_EQ(exit_code(report_of({broken(), refused(), bad()})), 3);
}

TEST(ValidationExitCode, OfNothingIsNoSuccess) {
  EXPECT_EQ(exit_code(report_of({})), 2);
  EXPECT_EQ(exit_code(report_of({left_out()})), 0);
}

TEST(ValidationHeadline, CountsWhatWasMade) {
  EXPECT_EQ(report::validation_headline(report_of({good(), left_out()})),
            "passed: 1 check of 1 checkpoint, 1 skipped");
  EXPECT_EQ(report::validation_headline(report_of({good(), bad()})), "failed: 1 of 2 checks of 1 checkpoint");
  EXPECT_EQ(report::validation_headline(report_of({bad(), broken()})),
            "failed: 2 of 2 checks of 1 checkpoint, 1 error among them");
  EXPECT_EQ(report::validation_headline(report_of({broken()})), "error: 1 of 1 check of 1 checkpoint");
  EXPECT_EQ(report::validation_headline(report_of({})), "error: nothing was checked");
}

TEST(TestCaseDetails, AreCountedWhenThereAreTooMany) {
  TestCase one = bad();
  for (std::size_t i = 0; i < policy::kDetailsMost + 3; ++i) policy::add_detail(one, "w", "differs");
  EXPECT_EQ(one.details.size(), policy::kDetailsMost);
  EXPECT_EQ(one.details_left_out, 3u);
}

// --- Faces, with names that fight back

TestCase hostile() {
  TestCase one = bad();
  one.message = "a<b> & \"c\" ]]> \x1b[31m\xef\xbf\xbf @user #1 `x` |\n::error::y 100%";
  policy::add_detail(one, "w<0>", "it's \x01 & more\xff");
  one.causes.push_back("<script>");
  return one;
}

TEST(JUnit, EscapesWhatXmlCannotHold) {
  const std::string xml = report::validation_junit(report_of({hostile()}));
  EXPECT_THAT(xml, HasSubstr("a&lt;b&gt; &amp; &quot;c&quot; ]]&gt; \\x1b[31m"));
  EXPECT_THAT(xml, HasSubstr("w&lt;0&gt;: it&#39;s \\x01 &amp; more\\xff"));
  EXPECT_THAT(xml, Not(HasSubstr("\x1b")));
  EXPECT_THAT(xml, Not(HasSubstr("\xef\xbf\xbf")));
}

TEST(JUnit, CountsAndNamesItsCases) {
  const std::string xml = report::validation_junit(report_of({good(), bad(), broken(), left_out()}));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"model.pth\" tests=\"4\" failures=\"1\" errors=\"1\" "
                             "skipped=\"1\" time=\"0\">"));
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"model.pth\" name=\"tensors.bit_equal\""));
  EXPECT_THAT(xml, HasSubstr("<failure type=\"TF704\""));
  EXPECT_THAT(xml, HasSubstr("<error type=\"TF103\""));
  EXPECT_THAT(xml, HasSubstr("<skipped message=\"no model\"/>"));
}

std::string sarif_of(const ValidationReport& report) {
  std::string text;
  report::write_validation_sarif(report, [&](std::string_view piece) { text += piece; });
  return text;
}

TEST(Sarif, HasRulesForWhatFailedAndNoResultForTheRest) {
  const std::string text = sarif_of(report_of({good(), bad(), left_out()}));
  EXPECT_THAT(text, HasSubstr("\"ruleId\": \"TF704\""));
  EXPECT_THAT(text, HasSubstr("\"uri\": \"new/model.pth\""));
  EXPECT_THAT(text, HasSubstr("\"exitCode\": 1"));
  EXPECT_THAT(text, Not(HasSubstr("loads.mmap")));
  EXPECT_THAT(sarif_of(report_of({good()})), HasSubstr("\"results\": []"));
}

TEST(Sarif, WritesPathsAsUris) {
  ValidationReport report = report_of({bad()});
  report.suites[0].after = "a b/ä#%.pth";
  EXPECT_THAT(sarif_of(report), HasSubstr("\"uri\": \"a%20b/%C3%A4%23%25.pth\""));
}

TEST(Markdown, DoesNotNotifyAnyoneNorBreakItsTable) {
  const std::string text = report::validation_markdown(report_of({hostile()}));
  EXPECT_THAT(text, HasSubstr("a&lt;b&gt; &amp;"));
  EXPECT_THAT(text, HasSubstr("@&#8288;user #&#8288;1 \\`x\\` \\|\\\\n"));
  EXPECT_THAT(text, HasSubstr("likely: &lt;script&gt;"));
}

TEST(Annotations, StayOnOneLine) {
  ValidationReport report = report_of({hostile(), good(), left_out()});
  report.suites[0].after = "a,b:c.pth";
  const std::string text = report::validation_annotations(report);
  EXPECT_THAT(text,
              testing::StartsWith("::error title=TF704 tensors.bit_equal,file=a%2Cb%3Ac.pth::model.pth: "));
  EXPECT_THAT(text, HasSubstr("100%25"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Annotations, SayHowManyWereLeftOut) {
  const std::string text = report::validation_annotations(report_of(std::vector<TestCase>(13, bad())));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("3 more failures"));
}

TEST(ValidationText, PutsWhatFailedFirstAndFitsTheWindow) {
  const std::string text = report::validation_text(report_of({good(), left_out(), hostile()}), {.width = 60});
  EXPECT_LT(text.find("tensors.bit_equal"), text.find("drift"));
  EXPECT_LT(text.find("drift"), text.find("loads.mmap"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 70u) << text.substr(at, end - at);  // bytes: an arrow has three
    at = end + 1;
  }
}

TEST(ValidationText, NoLineBeginsWithACommandOfAnotherProgram) {
  TestCase one = bad();
  policy::add_detail(one, "::stop-commands::x", "y");
  const std::string text = report::validation_text(report_of({one}), {});
  EXPECT_THAT(text, HasSubstr("- ::stop-commands"));
}

TEST(ValidationPage, NeedsNothingElseAndEscapes) {
  const std::string page = report::validation_html(report_of({hostile(), good()}));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
}

}  // namespace
}  // namespace ferry
