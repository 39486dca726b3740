// Versions and ranges as PEP 440 has them, torch/version.py as text, metadata, and the tables of doctor.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/doctor/diagnosis.h"
#include "src/cli/doctor/distribution.h"
#include "src/cli/doctor/program.h"
#include "src/cli/doctor/root.h"
#include "src/cli/doctor/specifier.h"
#include "src/cli/doctor/tables.h"
#include "src/cli/doctor/torch_version.h"
#include "src/cli/doctor/version.h"
#include "src/core/error.h"

namespace ferry::doctor {
namespace {

// --- Versions

Version version(std::string_view text) {
  const auto parsed = parse_version(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed.value_or(Version{});
}

TEST(PackageVersion, OrdersTheExamplesOfPep440) {
  const std::vector<std::string> in_order = {"1.dev0",
                                             "1.0.dev456",
                                             "1.0a1",
                                             "1.0a2.dev456",
                                             "1.0a12.dev456",
                                             "1.0a12",
                                             "1.0b1.dev456",
                                             "1.0b2",
                                             "1.0b2.post345.dev456",
                                             "1.0b2.post345",
                                             "1.0rc1.dev456",
                                             "1.0rc1",
                                             "1.0",
                                             "1.0+abc.5",
                                             "1.0+abc.7",
                                             "1.0+5",
                                             "1.0.post456.dev34",
                                             "1.0.post456",
                                             "1.0.15",
                                             "1.1.dev1",
                                             "1.1",
                                             "1.10",
                                             "1!0.1"};
  for (std::size_t i = 0; i < in_order.size(); ++i)
    for (std::size_t j = 0; j < in_order.size(); ++j)
      EXPECT_EQ(compare(version(in_order[i]), version(in_order[j])), i <=> j)
          << in_order[i] << " " << in_order[j];
}

TEST(PackageVersion, TakesEverySpellingForTheNormalOne) {
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {"v1.0", "1.0"},
      {"1.1RC1", "1.1rc1"},
      {"1.1.a1", "1.1a1"},
      {"1.1-a1", "1.1a1"},
      {"1.1a.1", "1.1a1"},
      {"1.1alpha1", "1.1a1"},
      {"1.1beta2", "1.1b2"},
      {"1.1c3", "1.1rc3"},
      {"1.1pre4", "1.1rc4"},
      {"1.1preview-4", "1.1rc4"},
      {"1.2a", "1.2a0"},
      {"1.2-post2", "1.2.post2"},
      {"1.2.post-2", "1.2.post2"},
      {"1.0-r4", "1.0.post4"},
      {"1.0.rev", "1.0.post0"},
      {"1.0-1", "1.0.post1"},
      {"1.2_dev2", "1.2.dev2"},
      {"1.2.dev", "1.2.dev0"},
      {" 1.0\n", "1.0"},
      {"01.007", "1.7"},
      {"1.0+Ubuntu-1", "1.0+ubuntu.1"},
      {"1.0+cu121", "1.0+cu121"},
      {"2.9.0a0+50eac811a6.nv25.09", "2.9.0a0+50eac811a6.nv25.9"},
      {"0!1.0", "1.0"},
      {"2.1.0.dev20230601+cu118", "2.1.0.dev20230601+cu118"}};
  for (const auto& [spelling, normal] : spellings) EXPECT_EQ(version(spelling).text(), normal) << spelling;
}

TEST(PackageVersion, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", "v", "abc", "1.0-foo", "1..0", "1.0.", "1.0+", "1.0+a..b", "1.0+a_", "1!", "1.0a1b2", "1.0-1-2",
        "1.0.dev1.post1", "1.0 0", "-1", "1.0+ä", "1.0.post1rc1"})
    EXPECT_EQ(parse_version(text), std::nullopt) << text;
}

TEST(PackageVersion, HasNoLargestNumber) {
  EXPECT_TRUE(compare(version("1.99999999999999999999999998"), version("1.99999999999999999999999999")) < 0);
  EXPECT_TRUE(compare(version("1.100000000000000000000000000"), version("1.99999999999999999999999999")) > 0);
  EXPECT_TRUE(compare(version("1.00000000000000000000000000000001"), version("1.1")) == 0);
}

TEST(PackageVersion, FillsReleasesWithZeros) {
  EXPECT_TRUE(compare(version("2"), version("2.0.0")) == 0);
  EXPECT_TRUE(compare(version("2.9"), version("2.10")) < 0);
}

// --- Ranges

bool fits(std::string_view range, std::string_view text) {
  const auto specifiers = parse_specifiers(range);
  EXPECT_TRUE(specifiers.has_value()) << range;
  return specifiers && specifiers->contains(version(text));
}

TEST(PackageRange, EndsWhereItsReleaseBegins) {
  EXPECT_TRUE(fits(">=4.41.0,<4.50.0", "4.41.0"));
  EXPECT_TRUE(fits(">=4.41.0,<4.50.0", "4.49.9"));
  EXPECT_TRUE(fits(">=4.41.0,<4.50.0", "4.49.0.post1"));
  EXPECT_FALSE(fits(">=4.41.0,<4.50.0", "4.50.0"));
  EXPECT_FALSE(fits(">=4.41.0,<4.50.0", "4.50"));
  EXPECT_FALSE(fits(">=4.41.0,<4.50.0", "4.9.0"));
  EXPECT_FALSE(fits(">=4.41.0,<4.50.0", "4.40.2"));
}

TEST(PackageRange, TakesWhatComesBeforeAReleaseForWhatItIs) {
  EXPECT_FALSE(fits(">=4.45.0", "4.45.0rc1"));
  EXPECT_FALSE(fits(">=4.45.0", "4.45.0.dev0"));
  EXPECT_TRUE(fits(">=4.45.0", "4.46.0.dev0"));
  EXPECT_FALSE(fits("<4.50.0", "4.50.0.dev0"));
  EXPECT_TRUE(fits("<4.50.0rc2", "4.50.0rc1"));
  EXPECT_TRUE(fits("<4.50.0", "4.49.0rc1"));
  EXPECT_TRUE(fits(">=4.45.0", "4.45.0.post1"));
  EXPECT_FALSE(fits(">4.45.0", "4.45.0.post1"));
  EXPECT_TRUE(fits(">4.45.0.post1", "4.45.0.post2"));
}

TEST(PackageRange, IgnoresTheLocalPart) {
  EXPECT_TRUE(fits("<=2.3.1", "2.3.1+cu121"));
  EXPECT_TRUE(fits(">=2.3.1", "2.3.1+cu121"));
  EXPECT_TRUE(fits("==2.3.1", "2.3.1+cu121"));
  EXPECT_FALSE(fits("!=2.3.1", "2.3.1+cu121"));
  EXPECT_FALSE(fits(">2.3.1", "2.3.1+cu121"));
  EXPECT_TRUE(fits("==2.3.1+cu121", "2.3.1+cu121"));
  EXPECT_FALSE(fits("==2.3.1+cu118", "2.3.1+cu121"));
}

TEST(PackageRange, KnowsEveryRelation) {
  EXPECT_TRUE(fits("~=2.2", "2.9"));
  EXPECT_FALSE(fits("~=2.2", "3.0"));
  EXPECT_TRUE(fits("~=1.4.5", "1.4.9"));
  EXPECT_FALSE(fits("~=1.4.5", "1.5"));
  EXPECT_TRUE(fits("~=1.4.5a4", "1.4.5"));
  EXPECT_TRUE(fits("==1.1.*", "1.1.post1"));
  EXPECT_TRUE(fits("==1.1.*", "1.1a1"));
  EXPECT_FALSE(fits("==1.1.*", "1.10"));
  EXPECT_TRUE(fits("!=1.1.*", "1.2"));
  EXPECT_TRUE(fits("===1.0", "1.0"));
  EXPECT_FALSE(fits("===1.0", "1.0.0"));
  EXPECT_TRUE(fits(" >= 1.0 , != 1.5 ", "1.4"));
  EXPECT_TRUE(fits("", "0.1"));
}

TEST(PackageRange, RefusesWhatIsNone) {
  for (const std::string_view text : {"1.0", "=>1.0", ">=", ">=x", "~=2", ">=1.0.*", "==1.0a1.*",
                                      ">=1.0+local", ">=1.0 <2.0", "=== 1 2", "<1.0;"})
    EXPECT_FALSE(parse_specifiers(text).has_value()) << text;
}

// --- torch/version.py

TEST(TorchVersionFile, TakesACpuBuildForACpuBuild) {
  const TorchVersion torch = read_torch_version(
      "from typing import Optional\n\n"
      "__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'rocm', 'xpu']\n"
      "__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\ngit_version = 'cf30'\n"
      "hip: Optional[str] = None\nrocm: Optional[str] = None\nxpu: Optional[str] = None\n");
  EXPECT_EQ(torch.version, "2.13.0+cpu");
  EXPECT_EQ(torch.git_version, "cf30");
  EXPECT_EQ(build_of(torch, *torch.version), Build::cpu);
}

TEST(TorchVersionFile, ReadsTheOldFiles) {
  const TorchVersion first = read_torch_version("__version__ = '1.0.1'\ndebug = False\ncuda = '9.0.176'\n");
  EXPECT_EQ(build_of(first, "1.0.1"), Build::cuda);
  EXPECT_EQ(cuda_of(first, "1.0.1"), "9.0.176");
  const TorchVersion two = read_torch_version(
      "__version__ = '1.4.0'\r\ndebug = False\r\ncuda = \"10.1\"  # yes\r\ngit_version = u'7f73'\r\nhip = "
      "None\r\n");
  EXPECT_EQ(two.cuda, "10.1");
  EXPECT_EQ(two.git_version, "7f73");
  EXPECT_EQ(two.hip, std::nullopt);
}

TEST(TorchVersionFile, TellsRocmFromHip) {
  const TorchVersion old =
      read_torch_version("__version__ = '2.3.1+rocm6.0'\ncuda = None\nhip = '6.0.32830-d62f6a171'\n");
  EXPECT_EQ(build_of(old, "2.3.1+rocm6.0"), Build::rocm);
  EXPECT_EQ(rocm_of(old, "2.3.1+rocm6.0"), "6.0");
  EXPECT_EQ(rocm_of(old, "2.3.1"), "6.0");
  const TorchVersion later = read_torch_version(
      "cuda: Optional[str] = None\nhip: Optional[str] = '7.15.26333'\nrocm: Optional[str] = '10.0.0'\n");
  EXPECT_EQ(rocm_of(later, "2.13.0+rocm10.0.0"), "10.0.0");
}

TEST(TorchVersionFile, AsksTheLocalPartWhereTheFileIsSilent) {
  const TorchVersion nothing = read_torch_version("");
  EXPECT_EQ(build_of(nothing, "2.3.1+cu121"), Build::cuda);
  EXPECT_EQ(cuda_of(nothing, "2.3.1+cu121"), "12.1");
  EXPECT_EQ(cuda_of(nothing, "1.4.0+cu92"), "9.2");
  EXPECT_EQ(build_of(nothing, "2.3.1+rocm5.7"), Build::rocm);
  EXPECT_EQ(build_of(nothing, "2.3.1+cpu"), Build::cpu);
  EXPECT_EQ(build_of(nothing, "2.3.1"), Build::unknown);
}

TEST(TorchVersionFile, TakesOnlyTextsAndNone) {
  const TorchVersion torch = read_torch_version(
      "\"\"\"cuda = '1.0'\ncuda = '1.0'\n\"\"\"\n# hip = '5.7'\nif True:\n    hip = '5.7'\ncuda = "
      "find_cuda()\nhip == '6.0'\n"
      "rocm = '' \nxpu = 'a' 'b'\n__version__ = '2.0' if x else '3.0'\n");
  EXPECT_EQ(torch.cuda, std::nullopt);
  EXPECT_EQ(torch.hip, std::nullopt);
  EXPECT_EQ(torch.rocm, std::nullopt);
  EXPECT_EQ(torch.xpu, std::nullopt);
  EXPECT_EQ(torch.version, std::nullopt);
  EXPECT_FALSE(torch.says_devices);
}

// --- Metadata

TEST(Requirements, AreReadInEverySpelling) {
  const auto old = parse_requirement("Huggingface_Hub[cli] (>=0.23.2,<1.0) ; extra == 'x'");
  ASSERT_TRUE(old.has_value());
  EXPECT_EQ(old->name, "huggingface-hub");
  EXPECT_EQ(old->specifiers, ">=0.23.2,<1.0");
  EXPECT_TRUE(old->conditional);
  EXPECT_EQ(parse_requirement("torch>=1.10")->specifiers, ">=1.10");
  EXPECT_EQ(parse_requirement("torch")->specifiers, "");
  EXPECT_FALSE(parse_requirement("torch @ https://x/y.whl").has_value());
  EXPECT_FALSE(parse_requirement("; extra == 'x'").has_value());
}

TEST(Commands, AreReadBackByAShell) {
  EXPECT_EQ(shell_word("transformers>=4.41.0,<4.50.0"), "'transformers>=4.41.0,<4.50.0'");
  EXPECT_EQ(shell_word("/usr/bin/python3"), "/usr/bin/python3");
  EXPECT_EQ(shell_word("/my env/it's"), "'/my env/it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

// --- Tables

TEST(PackageTable, HasARowForEveryReleaseFrom20On) {
  const PackageRanges ranges{package_ranges_text()};
  for (const auto& [torch, row] :
       std::vector<std::pair<std::string, std::string>>{{"2.0.0", "2.0 – 2.2"},
                                                        {"2.2.2+cu118", "2.0 – 2.2"},
                                                        {"2.3.1", "2.3"},
                                                        {"2.4.0", "2.4 – 2.9"},
                                                        {"2.9.1+rocm6.4", "2.4 – 2.9"},
                                                        {"2.10.0a0+nv25.9", "2.10 and later"},
                                                        {"2.13.0", "2.10 and later"},
                                                        {"3.0", "2.10 and later"}}) {
    const Release* const found = ranges.find(version(torch));
    ASSERT_NE(found, nullptr) << torch;
    EXPECT_EQ(found->text(), row) << torch;
    EXPECT_EQ(found->ranges.size(), 4u);
  }
  EXPECT_EQ(ranges.find(version("1.13.1")), nullptr);
}

TEST(PackageTable, NamesTheLineThatIsWrong) {
  const auto complaint = [](const std::string& toml) -> std::string {
    try {
      const PackageRanges ranges{toml};
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_policy);
      return error.what();
    }
  };
  EXPECT_EQ(complaint("[[torch]]\nfrom = \"2.0\"\npackages = { a = \">=1\" }\n"), "");
  EXPECT_NE(complaint("[[torch]]\nfrom = \"2.0\"\npackages = { a = \"1\" }\n").find("line 3"),
            std::string::npos);
  EXPECT_NE(complaint("[[torch]]\nfrom = \"x\"\npackages = {}\n").find("line 1"), std::string::npos);
  EXPECT_NE(complaint("[[torch]]\nto = \"2.0\"\npackages = {}\n").find("no from"), std::string::npos);
  EXPECT_NE(complaint("[[torch]]\nfrom = \"2.1\"\nto = \"2.0\"\npackages = {}\n").find("before it begins"),
            std::string::npos);
  const std::string two =
      "[[torch]]\nfrom = \"2.0\"\nto = \"2.2\"\npackages = {}\n[[torch]]\nfrom = \"2.2\"\npackages = {}\n";
  EXPECT_NE(complaint(two).find("overlap"), std::string::npos);
  EXPECT_NE(complaint("torch = 1\n").find("[[torch]]"), std::string::npos);
  EXPECT_NE(complaint("[[torch\n").find("line 1"), std::string::npos);
  EXPECT_NE(complaint("[[other]]\n").find("'other'"), std::string::npos);
}

TEST(AcceleratorTable, KnowsTheDriverOfEveryCuda) {
  const Accelerators table = read_accelerators(accelerators_text());
  const auto driver_for = [&](std::string_view cuda) {
    const auto* const row = Accelerators::row_for(table.cuda, version(cuda));
    return row == nullptr ? std::string() : row->driver_text;
  };
  EXPECT_EQ(driver_for("13.1"), "580");
  EXPECT_EQ(driver_for("12.8"), "525.60.13");
  EXPECT_EQ(driver_for("11.8"), "450.80.02");
  EXPECT_EQ(driver_for("10.1"), "418.39");
  EXPECT_EQ(driver_for("7.5"), "");
  EXPECT_EQ(table.cuda_for_driver(version("535.129.03"))->index, "cu126");
  EXPECT_EQ(table.cuda_for_driver(version("580.65.06"))->index, "cu130");
  EXPECT_EQ(table.cuda_for_driver(version("304.1")), nullptr);
  EXPECT_EQ(Accelerators::row_for(table.rocm, version("6.2.1"))->index, "rocm6.2");
}

// --- Other roots

class InFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "doctor-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }

  std::filesystem::path folder_;
};

TEST_F(InFolder, LinksStayInsideTheRoot) {
  write("inside/etc/name", "inside");
  write("etc/name", "outside");
  std::filesystem::create_symlink("/etc/name", folder_ / "inside/absolute");
  std::filesystem::create_symlink("../../../etc/name", folder_ / "inside/relative");
  std::filesystem::create_symlink("loop", folder_ / "inside/loop");
  const Root root((folder_ / "inside").string());
  EXPECT_EQ(root.read("/absolute"), "inside");
  EXPECT_EQ(root.read("/relative"), "inside");
  EXPECT_EQ(root.read("/../../etc/name"), "inside");
  EXPECT_EQ(root.read("/loop"), std::nullopt);
  EXPECT_EQ(root.resolve("/absolute"), "/etc/name");
  EXPECT_EQ(root.resolve("/etc/name/below"), std::nullopt);
  EXPECT_EQ(root.list("/"), (std::vector<std::string>{"absolute", "etc", "loop", "relative"}));
}

TEST_F(InFolder, OfTwoVersionsTheLaterCountsAndIsSaid) {
  write("site/transformers-4.44.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: transformers\nVersion: 4.44.0\n");
  write("site/transformers-4.9.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: transformers\nVersion: 4.9.0\n");
  write("site/transformers_x-5.dist-info/METADATA", "Name: transformers-x\nVersion: 5\n");
  const Root root(folder_.string());
  const std::vector<std::string> folders = {"/site"}, names = {"transformers"};
  const auto found = find_distributions(root, folders, names);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].version, "4.44.0");
  EXPECT_NE(found[0].complaint.find("4.9.0"), std::string::npos);
}

// --- Other programs

TEST(AskedProgram, IsWaitedForNoLongerThanAllowed) {
  EXPECT_NE(ask_program({"/bin/sh", "-c", "sleep 30"}, "", 1).failure.find("within 1 s"), std::string::npos);
  EXPECT_NE(ask_program({"/bin/sh", "-c", "exec >&- 2>&-; sleep 30"}, "", 1).failure.find("within 1 s"),
            std::string::npos);
  EXPECT_NE(ask_program({"/nowhere/at/all"}, "", 1).failure.find("does not start"), std::string::npos);
  EXPECT_NE(ask_program({"/bin/sh", "-c", "kill -9 $$"}, "", 5).failure.find("signal 9"), std::string::npos);
}

TEST(AskedProgram, IsHeardWhole) {
  const ProgramAnswer answer =
      ask_program({"/bin/sh", "-c", "read line; echo got $line; echo oh >&2; exit 3"}, "it\n", 20);
  EXPECT_EQ(answer.output, "got it\n");
  EXPECT_EQ(answer.errors, "oh\n");
  EXPECT_EQ(answer.status, 3);
  EXPECT_EQ(answer.failure, "");
  EXPECT_EQ(ask_program({"/bin/sh", "-c", "yes | head -c 3000000"}, "", 20).output.size(),
            std::size_t{1} << 20);
}

}  // namespace
}  // namespace ferry::doctor
