#include "src/core/sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "src/core/error.h"

namespace ferry {
namespace {

namespace fs = std::filesystem;

class FileSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sink_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    before_ = ::umask(022);
  }
  void TearDown() override {
    ::umask(before_);
    fs::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void make(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  std::string text_of(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  mode_t mode_of(const std::string& name) const {
    struct stat status {};
    return ::stat(path(name).c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }

  // The whole life of a sink.
  void put(const std::string& name, const std::string& text, SinkOptions options) const {
    FileSink sink(path(name), text.size(), options);
    sink.write_at(0, as_bytes(text));
    sink.commit();
  }
  Code refusal(const std::string& name, SinkOptions options) const {
    try {
      FileSink sink(path(name), 4, options);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(path(name)), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "no error for " << name;
    return Code::unknown_format;
  }

  std::string folder_;
  mode_t before_ = 0;
};

using Names = std::vector<std::string>;
constexpr SinkOptions kReplace{.replace = true};

TEST_F(FileSinkTest, WritesInAnyOrderAndCommits) {
  FileSink sink(path("a.pt"), 6, {});
  sink.write_at(3, as_bytes("def"));
  sink.write_at(0, as_bytes("abc"));
  EXPECT_EQ(names().size(), 1u);
  EXPECT_TRUE(names()[0].starts_with(".a.pt." + std::to_string(::getpid()) + ".")) << names()[0];
  EXPECT_TRUE(names()[0].ends_with(".torchferry-tmp")) << names()[0];
  sink.commit();
  EXPECT_EQ(names(), Names{"a.pt"});
  EXPECT_EQ(text_of("a.pt"), "abcdef");
}

TEST_F(FileSinkTest, LeavesNoTraceWithoutCommit) {
  make("a.pt", "old");
  { FileSink(path("a.pt"), 100, kReplace).write_at(0, as_bytes("new")); }
  EXPECT_EQ(names(), Names{"a.pt"});
  EXPECT_EQ(text_of("a.pt"), "old");
}

TEST_F(FileSinkTest, ReadsBackWhatWasWrittenUnderTheNameOfTheDestination) {
  FileSink sink(path("a.pt"), 3, {});
  sink.write_at(0, as_bytes("abc"));
  const SourcePtr source = sink.reopen();
  EXPECT_EQ(as_text(source->read({1, 2})), "bc");
  EXPECT_EQ(source->name(), path("a.pt"));
}

TEST_F(FileSinkTest, DoesNotReplaceUnasked) {
  make("a.pt", "old");
  EXPECT_EQ(refusal("a.pt", {}), Code::output_exists);
  put("a.pt", "new", kReplace);
  EXPECT_EQ(text_of("a.pt"), "new");
}

TEST_F(FileSinkTest, DoesNotReplaceWhatCameMeanwhile) {
  FileSink sink(path("a.pt"), 3, {});
  sink.write_at(0, as_bytes("new"));
  make("a.pt", "other");
  EXPECT_THROW(sink.commit(), Error);
  EXPECT_EQ(text_of("a.pt"), "other");
}

TEST_F(FileSinkTest, RefusesWhatIsNoFile) {
  fs::create_directory(path("folder"));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(refusal("folder", kReplace), Code::cannot_write);
  EXPECT_EQ(refusal("fifo", kReplace), Code::cannot_write);
  EXPECT_EQ(refusal("new/", kReplace), Code::cannot_write);
  EXPECT_EQ(refusal("fifo/a.pt", kReplace), Code::cannot_write);
  EXPECT_THROW(FileSink("/dev/null", 1, kReplace), Error);
}

TEST_F(FileSinkTest, SaysWhichFolderIsMissing) {
  try {
    FileSink(path("no/a.pt"), 1, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cannot_write);
    EXPECT_EQ(error.hint(), "mkdir -p '" + path("no") + "'");
  }
}

TEST_F(FileSinkTest, WritesThroughALink) {
  fs::create_directory(path("real"));
  make("real/a.pt", "old");
  fs::create_symlink("real/a.pt", path("link"));
  EXPECT_EQ(refusal("link", {}), Code::output_exists);
  put("link", "new", kReplace);
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(text_of("real/a.pt"), "new");
  EXPECT_EQ(names(), (Names{"link", "real"}));
}

TEST_F(FileSinkTest, RefusesLinksThatLeadNowhere) {
  fs::create_symlink("gone", path("dangling"));
  fs::create_symlink("loop", path("loop"));
  EXPECT_EQ(refusal("dangling", kReplace), Code::cannot_write);
  EXPECT_EQ(refusal("loop", kReplace), Code::cannot_write);
  EXPECT_EQ(names(), (Names{"dangling", "loop"}));
}

TEST_F(FileSinkTest, GivesNewFilesTheModeOfTheUmaskAndNoMore) {
  put("a.pt", "x", {});
  EXPECT_EQ(mode_of("a.pt"), 0644u);
  put("b.pt", "x", {.mode_max = 0640});
  EXPECT_EQ(mode_of("b.pt"), 0640u);
}

TEST_F(FileSinkTest, KeepsTheModeOfAReplacedFile) {
  for (const mode_t mode : {0600, 0664, 0444, 06755}) {
    make("a.pt", "old");
    ASSERT_EQ(::chmod(path("a.pt").c_str(), mode), 0);
    put("a.pt", "new", kReplace);
    EXPECT_EQ(mode_of("a.pt"), mode & 0777) << std::oct << mode;
    fs::remove(path("a.pt"));
  }
}

TEST_F(FileSinkTest, ShortensLongNames) {
  const std::string name(255, 'x');
  FileSink sink(path(name), 1, {});
  sink.write_at(0, as_bytes("1"));
  EXPECT_LE(names()[0].size(), 255u);
  EXPECT_NE(names()[0], name);
  sink.commit();
  EXPECT_EQ(names(), Names{name});
  EXPECT_EQ(refusal(std::string(256, 'x'), {}), Code::cannot_write);
}

TEST_F(FileSinkTest, CutsNamesBetweenCharacters) {
  std::string name;
  while (name.size() < 250) name += "é";
  FileSink sink(path(name), 1, {});
  const std::string temporary = names()[0];
  const std::size_t end = temporary.find(".", 1);
  EXPECT_EQ(end % 2, 1u) << temporary;  // a dot, then characters of two bytes
}

TEST_F(FileSinkTest, TakesNamesThatAreNoText) {
  const std::string name = "-\xff\x01 \n.pt";
  put(name, "abc", {});
  EXPECT_EQ(text_of(name), "abc");
}

// --- Temporaries that others left

pid_t dead_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

TEST_F(FileSinkTest, RemovesOnlyWhatADeadProcessLeftForTheSameName) {
  const std::string dead = std::to_string(dead_process()), alive = std::to_string(::getppid());
  const std::string stale = ".a.pt." + dead + ".00c0ffee.torchferry-tmp";
  const Names others = {".a.pt." + alive + ".00c0ffee.torchferry-tmp",
                        ".a.pt.x." + dead + ".00c0ffee.torchferry-tmp", ".a.pt.torchferry-tmp",
                        ".b.pt." + dead + ".00c0ffee.torchferry-tmp", "a.pt." + dead + ".torchferry-tmp"};
  make(stale, "");
  for (const std::string& name : others) make(name, "");
  remove_stale_temporaries(path("a.pt"));
  EXPECT_FALSE(fs::exists(path(stale)));
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(path(name))) << name;
}

TEST_F(FileSinkTest, LeavesATemporaryThatSomebodyHasLocked) {
  const std::string name = ".a.pt." + std::to_string(dead_process()) + ".00c0ffee.torchferry-tmp";
  make(name, "");
  const int fd = ::open(path(name).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  remove_stale_temporaries(path("a.pt"));
  EXPECT_TRUE(fs::exists(path(name)));
  ::close(fd);
  put("a.pt", "x", {});
  EXPECT_EQ(names(), Names{"a.pt"});
}

TEST_F(FileSinkTest, AKilledProcessLeavesATemporaryThatTheNextRunRemoves) {
  const pid_t child = ::fork();
  if (child == 0) {
    FileSink sink(path("a.pt"), 10, {});
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(names().size(), 1u);
  put("a.pt", "x", {});
  EXPECT_EQ(names(), Names{"a.pt"});
}

TEST_F(FileSinkTest, RemovesItsTemporariesWhenTheProcessEnds) {
  const pid_t child = ::fork();
  if (child == 0) {
    FileSink first(path("a.pt"), 10, {}), second(path("b.pt"), 10, {});
    remove_open_temporaries();
    ::_exit(7);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(names(), Names{});
}

// --- Trouble

TEST_F(FileSinkTest, AFileThatIsTooLargeIsOneClearError) {
  make("a.pt", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      FileSink sink(path("a.pt"), 2 << 20, kReplace);
    } catch (const Error& error) {
      ::_exit(error.code() == Code::cannot_write ? 7 : 8);
    }
    ::_exit(9);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(names(), Names{"a.pt"});
  EXPECT_EQ(text_of("a.pt"), "old");
}

TEST_F(FileSinkTest, AbsurdSizesAreRefused) {
  EXPECT_THROW(FileSink(path("a.pt"), UINT64_MAX, {}), Error);
  EXPECT_THROW(FileSink(path("a.pt"), std::uint64_t{1} << 60, {}), Error);
  EXPECT_EQ(names(), Names{});
}

TEST_F(FileSinkTest, ChecksADestinationWithoutATrace) {
  make("a.pt", "old");
  check_destination(path("new.pt"), false);
  check_destination(path("a.pt"), true);
  EXPECT_THROW(check_destination(path("a.pt"), false), Error);
  EXPECT_THROW(check_destination(path("no/a.pt"), false), Error);
  EXPECT_THROW(check_destination(folder_, true), Error);
  EXPECT_EQ(names(), Names{"a.pt"});
}

TEST_F(FileSinkTest, KnowsOneFileUnderTwoNames) {
  make("a.pt", "x");
  make("b.pt", "x");
  fs::create_symlink("a.pt", path("link"));
  fs::create_hard_link(path("a.pt"), path("hard"));
  EXPECT_TRUE(is_same_file(path("a.pt"), path("link")));
  EXPECT_TRUE(is_same_file(path("a.pt"), path("hard")));
  EXPECT_FALSE(is_same_file(path("a.pt"), path("b.pt")));
  EXPECT_FALSE(is_same_file(path("a.pt"), path("none")));
}

}  // namespace
}  // namespace ferry
