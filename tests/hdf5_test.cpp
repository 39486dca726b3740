// HDF5 files are listed by a program that may die, hang or lie: whatever it does is one error here, and what
// it says is believed only as far as it can be true.

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "formats/hdf5/file.h"
#include "formats/hdf5/process.h"
#include "formats/hdf5/protocol.h"
#include "formats/hdf5/reader.h"
#include "formats/hdf5/skeleton.h"
#include "src/core/error.h"

namespace ferry::hdf5 {
namespace {

namespace fs = std::filesystem;

class Hdf5Test : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "hdf5_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    if (const char* named = ::getenv("TORCHFERRY_HDF5")) before_ = named;
  }
  void TearDown() override {
    if (before_)
      ::setenv("TORCHFERRY_HDF5", before_->c_str(), 1);
    else
      ::unsetenv("TORCHFERRY_HDF5");
    fs::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  // Makes a shell script the helper from now on.
  void pretend(const std::string& script) const {
    std::ofstream(path("helper")) << "#!/bin/sh\n" << script;
    ASSERT_EQ(::chmod(path("helper").c_str(), 0700), 0);
    ::setenv("TORCHFERRY_HDF5", path("helper").c_str(), 1);
  }
  // A helper that gives this listing, and then runs the rest of the script.
  void pretend_listing(const std::vector<std::string>& lines, const std::string& rest = "") const {
    std::string script = "cat <<'END'\n{\"kind\":\"group\",\"address\":96}\n";
    for (const std::string& line : lines) script += line + "\n";
    pretend(script + "{\"end\":true}\nEND\n" + rest);
  }
  static SourcePtr thousand_bytes() {
    return std::make_shared<MemorySource>("x.h5", std::vector<std::byte>(1000));
  }

  std::string folder_;
  std::optional<std::string> before_;
};

// The error of a call as one line; empty when there is none.
template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string dataset(const std::string& rest, const std::string& name = "w") {
  return R"({"in":0,"name":")" + name + R"(","address":800,"kind":"dataset",)" + rest + "}";
}

// --- What a helper may do to us

class FakeHelper : public Hdf5Test {
 protected:
  static std::string open() {
    return error_of([] { File::open(thousand_bytes(), Limits{}); });
  }
};

TEST_F(FakeHelper, MissingIsOneErrorThatSaysHowToGetIt) {
  ::setenv("TORCHFERRY_HDF5", path("nothing").c_str(), 1);
  const std::string error = open();
  EXPECT_NE(error.find("TF412"), std::string::npos) << error;
  EXPECT_NE(error.find("libhdf5-dev"), std::string::npos) << error;
}

TEST_F(FakeHelper, CrashNamesTheSignal) {
  pretend("kill -SEGV $$\n");
  EXPECT_NE(open().find("could not read this file (it crashed: signal 11) [TF119]"), std::string::npos)
      << open();
}

TEST_F(FakeHelper, CrashAfterHalfAListingIsACrash) {
  pretend("echo '{\"kind\":\"group\",\"address\":96}'\nprintf '{\"in\":0,\"na'\nkill -ABRT $$\n");
  EXPECT_NE(open().find("signal 6"), std::string::npos) << open();
}

TEST_F(FakeHelper, ComplaintBecomesTheError) {
  pretend(
      "echo 'assertion failed' >&2; echo '{\"code\":206,\"what\":\"too deep\",\"where\":\"in a\"}' >&2; exit "
      "1\n");
  EXPECT_EQ(open(), "too deep; in a [TF206]");
}

TEST_F(FakeHelper, EndWithoutAWordIsAnError) {
  pretend("exit 9\n");
  EXPECT_NE(open().find("status 9"), std::string::npos) << open();
}

TEST_F(FakeHelper, LibrariesThatAreNotThereAreAMissingHelper) {
  pretend("exit 127\n");
  EXPECT_NE(open().find("TF412"), std::string::npos) << open();
}

TEST_F(FakeHelper, NonsenseIsAnError) {
  for (const char* line :
       {"hello", "[]", "{}", "{\"kind\":\"moon\"}", "{\"kind\":\"dataset\"}", "{\"end\":true}"}) {
    pretend("echo '" + std::string(line) + "'\nsleep 5\n");
    EXPECT_NE(open(), "") << line;
  }
}

TEST_F(FakeHelper, SilenceEndsWithItsDeath) {
  pretend("echo $$ >" + path("pid") + "\nexec sleep 100\n");
  Allowance allowance;
  allowance.silence_seconds = 1;
  const Descriptor file(::dup(0));
  const std::string error = error_of([&] { Process(protocol::kRead, file.get(), allowance).read_line(); });
  EXPECT_NE(error.find("within 1 seconds"), std::string::npos) << error;
  pid_t pid = 0;
  std::ifstream(path("pid")) >> pid;
  EXPECT_NE(::kill(pid, 0), 0) << "it is still there";
}

TEST_F(FakeHelper, EndlessLineIsCutOff) {
  pretend("exec cat /dev/zero\n");
  EXPECT_NE(open().find("TF115"), std::string::npos);
}

TEST_F(FakeHelper, RequestsToTheDeadRaiseNoSignal) {
  pretend("exit 0\n");
  const Descriptor file(::dup(0));
  Process process(protocol::kRead, file.get(), Allowance{});
  EXPECT_NE(error_of([&] {
              for (;;) process.send(std::string(100'000, 'x'));
            }),
            "");
}

// --- What it may say

class LyingHelper : public FakeHelper {
 protected:
  std::string open_with(const std::vector<std::string>& lines) const {
    pretend_listing(lines);
    return open();
  }
  static std::string plain(std::uint64_t offset, std::uint64_t stored, const std::string& name = "w") {
    return dataset(R"("type":"float32","itemsize":4,"shape":[2,3],"offset":)" + std::to_string(offset) +
                       R"(,"stored":)" + std::to_string(stored),
                   name);
  }
};

TEST_F(LyingHelper, IsBelievedWhereItCanBeTrue) {
  EXPECT_EQ(open_with({plain(976, 24), plain(952, 24, "v")}), "");
}

TEST_F(LyingHelper, DataMustLieInTheFile) {
  EXPECT_NE(open_with({plain(977, 24)}).find("outside the file"), std::string::npos);
  EXPECT_NE(open_with({plain(UINT64_MAX - 7, 24)}).find("outside the file"), std::string::npos);
}

TEST_F(LyingHelper, SizeMustFollowFromTheShape) {
  EXPECT_NE(open_with({plain(100, 25)}).find("needs 24 bytes and has 25"), std::string::npos);
  const std::string rest = R"("type":"float32","itemsize":4,"offset":0,"stored":0,"shape":)";
  EXPECT_NE(open_with({dataset(rest + "[4611686018427387904,4]")}).find("larger than anything"),
            std::string::npos);
  EXPECT_NE(open_with({dataset(R"("type":"float32","itemsize":8,"shape":[1])")}), "");
}

TEST_F(LyingHelper, DataMustNotOverlap) {
  EXPECT_NE(open_with({plain(100, 24), plain(123, 24, "v")}).find("overlap"), std::string::npos);
}

TEST_F(LyingHelper, NamesAreUniqueInTheirGroup) {
  EXPECT_NE(open_with({plain(100, 24), plain(200, 24)}).find("TF109"), std::string::npos);
}

TEST_F(LyingHelper, GroupsHoldNoGroupThatHoldsThem) {
  const std::string group = R"({"in":0,"name":"a","kind":"group","address":1})";
  EXPECT_NE(open_with({group, R"({"in":1,"name":"b","kind":"alias","same":0})"}).find("holds itself"),
            std::string::npos);
  EXPECT_EQ(open_with({group, R"({"in":0,"name":"b","kind":"alias","same":1})"}), "");
}

TEST_F(LyingHelper, ReferencesLeadBackOnly) {
  EXPECT_NE(open_with({R"({"in":7,"name":"a","kind":"group","address":1})"}), "");
  EXPECT_NE(open_with({plain(100, 24), R"({"in":1,"name":"a","kind":"group","address":1})"}), "");
  EXPECT_NE(open_with({R"({"in":0,"name":"a","kind":"alias","same":1})"}), "");
}

TEST_F(LyingHelper, ClaimsAreBoundedByWhatIsStored) {
  const auto claim = [](const std::string& shape, const std::string& stored) {
    return dataset(R"("type":"uint8","itemsize":1,"pipe":true,"shape":[)" + shape + R"(],"stored":)" +
                   stored);
  };
  EXPECT_NE(open_with({claim("1000000000000", "0")}).find("claims"), std::string::npos);
  EXPECT_EQ(open_with({claim("1000000000", "1000000")}), "");
}

TEST_F(LyingHelper, ColumnsLieInTheirRow) {
  EXPECT_NE(
      open_with({dataset(R"("type":"table","itemsize":4,"shape":[0],"columns":[{"name":"a","type":"int32",)"
                         R"("offset":1,"size":4}])")})
          .find("outside its row"),
      std::string::npos);
}

// --- Payloads through the helper

class PipedPayload : public FakeHelper {
 protected:
  static std::string line() {
    return dataset(R"("type":"uint8","itemsize":1,"shape":[300000],"stored":99999,"pipe":true)");
  }
};

TEST_F(PipedPayload, ArrivesOnceForAllThreads) {
  pretend_listing({line()}, "while read address size; do echo x >>" + path("requests") +
                                "; head -c $size /dev/zero | tr '\\0' 'a'; done\n");
  const File file = File::open(thousand_bytes(), Limits{});
  const Payload payload = file.payload(*file.find("/w"));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      const auto bytes = payload.source->read({i * 1000, 200'000});
      EXPECT_EQ(bytes, std::vector<std::byte>(200'000, std::byte{'a'}));
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fs::file_size(path("requests")), 2u);
}

TEST_F(PipedPayload, ThatEndsTooEarlyIsNeverHandedOut) {
  pretend_listing({line()}, "read address size; head -c 299999 /dev/zero; kill -SEGV $$\n");
  const File file = File::open(thousand_bytes(), Limits{});
  const Payload payload = file.payload(*file.find("/w"));
  for (int i = 0; i < 2; ++i)  // the second time with a new helper
    EXPECT_NE(error_of([&] { payload.source->read({0, 1}); }).find("signal 11); in '/w'"), std::string::npos);
}

TEST_F(PipedPayload, LargeOnesGoToAFileWithoutAName) {
  pretend_listing({dataset(R"("type":"uint8","itemsize":1,"shape":[3000001],"stored":99999,"pipe":true)")},
                  "read address size; head -c $size /dev/zero | tr '\\0' 'b'\n");
  const File file = File::open(thousand_bytes(), Limits{});
  EXPECT_EQ(file.read(*file.find("w")), std::vector<std::byte>(3'000'001, std::byte{'b'}));
  EXPECT_NE(error_of([&] { file.read(*file.find("w"), 3'000'000); }).find("TF115"), std::string::npos);
}

// --- The real one

class RealHelper : public Hdf5Test {
 protected:
  void SetUp() override {
    Hdf5Test::SetUp();
    if (error_of([] { find_helper(); }) != "") GTEST_SKIP() << "torchferry-hdf5 was not built";
  }

  // Payloads count their bytes from `first`.
  std::string write(const std::vector<ObjectSpec>& objects, const std::string& name) const {
    const Skeleton skeleton = make_skeleton(objects);
    FileSink sink(path(name), skeleton.size, {true, false});
    write_metadata(skeleton, sink);
    for (const ByteRange& place : skeleton.payloads) sink.write_at(place.offset, counting(place.size));
    sink.commit();
    return path(name);
  }
  static std::vector<std::byte> counting(std::uint64_t size) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i % 251);
    return bytes;
  }
  static std::string text_of(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static std::vector<ObjectSpec> small_archive() {
    return {{{}, "", {}, {}, {text_attribute("tool", "torchferry"), real_attribute("bound", {0.1, -1e300})}},
            {{"metrics"}, "table", {{"name", "string:12"}, {"n", "int64"}, {"ok", "bool"}}, {7}, {}},
            {{"envelope", "mean"}, "float64", {}, {3, 5}, {integer_attribute("axis", -1)}},
            {{"one"}, "float32", {}, {}, {boolean_attribute("yes", true)}}};
  }
};

TEST_F(RealHelper, ReadsBackEveryType) {
  std::vector<ObjectSpec> objects;
  for (const DTypeInfo& row : all_dtypes()) {
    if (error_of([&] { element_size(row.name); }) != "") continue;
    for (const char* form : {"matrix", "single", "empty"}) {
      const std::string rank = form;
      const std::vector<std::int64_t> shape = rank == "matrix"   ? std::vector<std::int64_t>{3, 4}
                                              : rank == "single" ? std::vector<std::int64_t>{}
                                                                 : std::vector<std::int64_t>{2, 0};
      objects.push_back({{rank, std::string(row.name)}, std::string(row.name), {}, shape, {}});
    }
  }
  ASSERT_GT(objects.size(), 60u);
  const File file = File::open(open_file(write(objects, "types.h5")), Limits{});
  for (const ObjectSpec& spec : objects) {
    const Object* found = file.find(spec.path[0] + "/" + spec.path[1]);
    ASSERT_NE(found, nullptr) << spec.path[1];
    EXPECT_EQ(info(found->dtype).name, spec.type);
    EXPECT_EQ(found->shape, spec.shape);
    EXPECT_TRUE(found->plain && found->content == Object::Content::tensor);
    EXPECT_EQ(file.read(*found), counting(found->size)) << spec.path[1];
    EXPECT_TRUE(found->size < 64 || found->offset % 64 == 0);
  }
}

TEST_F(RealHelper, ReadsBackTablesAndAttributes) {
  const File file = File::open(open_file(write(small_archive(), "archive.h5")), Limits{});
  EXPECT_EQ(file.root().text_attribute("tool"), "torchferry");
  EXPECT_EQ(file.root().attribute("bound")->reals, (std::vector<double>{0.1, -1e300}));
  EXPECT_EQ(file.find("/envelope/mean")->attribute("axis")->integers, std::vector<std::int64_t>{-1});
  EXPECT_EQ(file.find("one")->attribute("yes")->kind, Attribute::Kind::boolean);
  const Object& metrics = *file.find("/metrics");
  ASSERT_EQ(metrics.content, Object::Content::table);
  ASSERT_EQ(metrics.columns.size(), 3u);
  EXPECT_EQ(metrics.itemsize, 21u);
  EXPECT_EQ(metrics.columns[0].type, "string");
  EXPECT_EQ(metrics.columns[1].type, "int64");
  EXPECT_EQ(metrics.columns[1].offset, 12u);
  EXPECT_EQ(metrics.columns[2].type, "bool");
  EXPECT_EQ(file.read(metrics), counting(7 * 21));
  EXPECT_EQ(file.find("/nothing"), nullptr);
}

TEST_F(RealHelper, SameObjectsGiveTheSameBytes) {
  const std::string first = text_of(write(small_archive(), "a.h5")),
                    second = text_of(write(small_archive(), "b.h5"));
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, second);
}

TEST_F(RealHelper, ThousandsOfObjectsAreMadeAndListed) {
  std::vector<ObjectSpec> objects;
  for (int i = 0; i < 5000; ++i)
    objects.push_back(
        {{"layer" + std::to_string(i % 50), "w" + std::to_string(i)}, "float32", {}, {i % 9}, {}});
  const File file = File::open(open_file(write(objects, "many.h5")), Limits{});
  EXPECT_EQ(file.objects().size(), 5051u);
}

TEST_F(RealHelper, GroupsAreDictsInTheOrderOfTheirMaking) {
  const std::string name = write(
      {{{"z", "w"}, "bfloat16", {}, {2, 3}, {}}, {{"a"}, "int64", {}, {}, {text_attribute("unit", "m")}}},
      "x.h5");
  const Checkpoint checkpoint = open_hdf5(open_file(name), Limits{});
  const ValueGraph& values = checkpoint.values;
  ASSERT_EQ(values.entry_count(values.root()), 2u);
  EXPECT_TRUE(values.is_text(values.entry(values.root(), 0).key, "z"));
  const NodeId w = values.find(values.entry(values.root(), 0).value, "w");
  const Tensor& tensor = checkpoint.tensors[values.index(w)];
  EXPECT_EQ(tensor.dtype, DType::bfloat16);
  EXPECT_EQ(checkpoint.strides(tensor)[0], 3);
  EXPECT_EQ(checkpoint.storages[tensor.storage].bytes.source, checkpoint.source);
  ASSERT_EQ(checkpoint.notes.size(), 2u);
  EXPECT_EQ(checkpoint.notes[0].what, "attributes in the file: 'unit' = 'm'");
}

TEST_F(RealHelper, TablesAreNoTensors) {
  const std::string name = write(small_archive(), "x.h5");
  EXPECT_NE(error_of([&] { open_hdf5(open_file(name), Limits{}); }).find("a table"), std::string::npos);
}

TEST_F(RealHelper, RefusesWhatHdf5CannotHold) {
  const auto error = [](const ObjectSpec& object) {
    return error_of([&] { make_skeleton(std::vector<ObjectSpec>{object}); });
  };
  for (const std::string name : {"", ".", "a/b", "\xff"})
    EXPECT_NE(error({{name}, "float32", {}, {}, {}}).find("TF205"), std::string::npos) << name;
  EXPECT_NE(error({{"x"}, "qint8", {}, {}, {}}).find("TF205"), std::string::npos);
  EXPECT_NE(error({{"x"}, "string:0", {}, {}, {}}).find("TF205"), std::string::npos);
  EXPECT_NE(error({{"x"}, "float32", {}, {INT64_MAX, 2}, {}}).find("TF115"), std::string::npos);
  const std::vector<ObjectSpec> twice = {{{"x"}, "int8", {}, {}, {}}, {{"x"}, "int8", {}, {}, {}}};
  EXPECT_NE(error_of([&] { make_skeleton(twice); }).find("TF109"), std::string::npos);
  const std::vector<ObjectSpec> inside = {{{"x"}, "int8", {}, {}, {}}, {{"x", "y"}, "int8", {}, {}, {}}};
  EXPECT_NE(error_of([&] { make_skeleton(inside); }).find("TF109"), std::string::npos);
}

TEST_F(RealHelper, SurvivesEveryKindOfDamage) {
  const std::string name = write({{{"g", "w"}, "float32", {}, {2, 3}, {text_attribute("a", "b")}}}, "x.h5");
  const std::string whole = text_of(name);
  const auto open = [](std::string bytes) {
    const auto view = as_bytes(bytes);
    const auto source =
        std::make_shared<MemorySource>("x.h5", std::vector<std::byte>(view.begin(), view.end()));
    return error_of([&] {
      const Checkpoint checkpoint = open_hdf5(source, Limits{});
      for (const Storage& storage : checkpoint.storages)
        storage.bytes.source->read({storage.bytes.offset, storage.bytes.size});
    });
  };
  EXPECT_EQ(open(whole), "");
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 20)
    EXPECT_NE(open(whole.substr(0, size)), "") << size;
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 60) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    open(damaged);  // whatever it says, it comes back
  }
}

TEST(Hdf5Signature, IsLookedForWhereTheFormatAllowsIt) {
  const auto likeness = [](std::size_t at, std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::memcpy(bytes.data() + at, "\x89HDF\r\n\x1a\n", 8);
    return looks_like_hdf5(MemorySource("x", bytes)).matches;
  };
  EXPECT_TRUE(likeness(0, 8));
  EXPECT_TRUE(likeness(512, 600));
  EXPECT_TRUE(likeness(2048, 4000));
  EXPECT_FALSE(likeness(100, 600));
  EXPECT_FALSE(looks_like_hdf5(MemorySource("x", {})).matches);
}

}  // namespace
}  // namespace ferry::hdf5
