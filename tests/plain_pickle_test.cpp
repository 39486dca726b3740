// Pickles without a container, and checkpoints nested in pickles as bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "formats/formats.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using namespace std::string_literals;

Checkpoint open_text(const std::string& bytes) {
  const Bytes view = as_bytes(bytes);
  return test::open_bytes({view.begin(), view.end()});
}

std::string file_text(const char* name) {
  const auto bytes = test::read_file(test::fixture(name));
  return std::string(as_text(Bytes(bytes)));
}

Code complaint(const std::string& bytes, std::string* message = nullptr) {
  try {
    open_text(bytes);
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was wrong";
  return Code::internal;
}

bool has_note(const Checkpoint& checkpoint, Code code) {
  return std::any_of(checkpoint.notes.begin(), checkpoint.notes.end(),
                     [&](const Note& note) { return note.code == code; });
}

std::string counted(const std::string& octets) {  // BINBYTES
  std::string size(4, '\0');
  store_le(std::as_writable_bytes(std::span(size)).data(), static_cast<std::uint32_t>(octets.size()));
  return "B" + size + octets;
}

// A pickle that loads `octets` as torch.storage._load_from_bytes does.
std::string loading(const std::string& octets) {
  return "\x80\x04"
         "ctorch.storage\n_load_from_bytes\n" +
         counted(octets) + "\x85R.";
}

const std::string kOne = "\x80\x02K\x01.",
                  kText =
                      "\x80\x04\x8c\x03"
                      "abc.",
                  kGadget =
                      "\x80\x02"
                      "cos\nsystem\n.";

TEST(PlainPickle, OneValueIsTheRoot) {
  const Checkpoint checkpoint = open_text(kOne);
  EXPECT_EQ(checkpoint.container.format, "pickle");
  EXPECT_EQ(checkpoint.values.as_integer(checkpoint.values.root()), 1);
  EXPECT_FALSE(has_note(checkpoint, Code::several_pickles));
  EXPECT_TRUE(has_note(checkpoint, Code::no_checksums));
}

TEST(PlainPickle, SeveralAreTheListOfTheirValues) {
  const Checkpoint checkpoint = open_text(kOne + kText + kOne);
  const ValueGraph& graph = checkpoint.values;
  const auto items = graph.items(graph.root());
  ASSERT_EQ(graph.kind(graph.root()), Kind::list);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(graph.as_integer(items[0]), 1);
  EXPECT_TRUE(graph.is_text(items[1], "abc"));
  EXPECT_EQ(checkpoint.container.protocol, 4);
  EXPECT_TRUE(has_note(checkpoint, Code::several_pickles));
}

TEST(PlainPickle, SharingAndCyclesStayInsideEachOfThem) {
  const std::string cycle =
                        "\x80\x02]q\x05h\x05"
                        "a.",
                    twice =
                        "\x80\x02](]q\x01h\x01"
                        "e.";
  const Checkpoint checkpoint = open_text(cycle + twice);
  const ValueGraph& graph = checkpoint.values;
  const NodeId first = graph.items(graph.root())[0], second = graph.items(graph.root())[1];
  EXPECT_EQ(graph.items(first)[0], first);
  EXPECT_EQ(graph.items(second)[0], graph.items(second)[1]);
}

TEST(PlainPickle, NamesInEveryOneAreJudgedFirst) {
  std::string message;
  EXPECT_EQ(complaint(kOne + kGadget), Code::unsafe_global);
  EXPECT_EQ(complaint(kGadget + "junk"), Code::unsafe_global);
  EXPECT_EQ(complaint("\x80\x02h\x07." + kGadget, &message), Code::unsafe_global);  // the first is broken
  EXPECT_NE(message.find("os.system"), std::string::npos);
  EXPECT_EQ(complaint(kGadget + "\x80\x02"
                                "cposix\nsystem\n.",
                      &message),
            Code::unsafe_global);
  EXPECT_NE(message.find("posix.system"), std::string::npos);
}

TEST(PlainPickle, TheFirstBrokenOneIsNamed) {
  std::string message;
  EXPECT_EQ(complaint(kOne + "\x80\x02h\x07." + kOne, &message), Code::bad_pickle);
  EXPECT_NE(message.find("pickle 2"), std::string::npos) << message;
  EXPECT_EQ(complaint(kOne + kText.substr(0, 5)), Code::truncated);
}

TEST(PlainPickle, WhatFollowsTheLastIsAnErrorUnlessItIsBlank) {
  EXPECT_EQ(complaint(kOne + "\xff\xfe"), Code::bad_pickle);
  EXPECT_EQ(complaint(kOne + "  x"), Code::bad_pickle);
  EXPECT_TRUE(has_note(open_text(kOne + "\n\0\0"s), Code::trailing_bytes));
}

TEST(PlainPickle, ProtocolZeroIsToldFromProse) {
  EXPECT_EQ(open_text("(lp0\nI1\naF2.5\na.").values.entry_count(0), 0u);
  EXPECT_EQ(open_text("I01\n.").container.format, "pickle");
  EXPECT_EQ(complaint("I am a text\nand no pickle\n"), Code::not_a_checkpoint);
  EXPECT_EQ(complaint("(c) 2019 the authors\n"), Code::not_a_checkpoint);
  EXPECT_EQ(complaint("cos\nsystem\n(S'x'\ntR."), Code::unsafe_global);
}

TEST(PlainPickle, RefersToNothingOutside) {
  std::string message;
  const std::string id =
      "\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
      "0X\x03\0\0\0cpuK\x06tQ."s;
  EXPECT_EQ(complaint(id, &message), Code::bad_storage);
  EXPECT_NE(message.find("data.pkl"), std::string::npos) << message;
}

TEST(PlainPickle, ArraysLieInTheFile) {
  const Checkpoint checkpoint = test::open_bytes(test::read_file(test::fixture("containers/state.pkl")));
  ASSERT_EQ(checkpoint.storages.size(), 2u);
  for (const Storage& storage : checkpoint.storages) EXPECT_EQ(storage.bytes.source, checkpoint.source);
  EXPECT_TRUE(has_note(checkpoint, Code::nested_checkpoint));
}

TEST(PlainPickle, ArraysOfJoblibLieInTheFile) {
  const Checkpoint checkpoint = test::open_bytes(test::read_file(test::fixture("containers/arrays.joblib")));
  ASSERT_EQ(checkpoint.storages.size(), 2u);
  for (const Storage& storage : checkpoint.storages) EXPECT_EQ(storage.bytes.source, checkpoint.source);
}

TEST(PlainPickle, OneRemarkCountsTheCheckpointsInAllOfThem) {
  const std::string one = file_text("containers/state.pkl");
  const Checkpoint checkpoint = open_text(one + one + one);
  std::vector<std::string> remarks;
  for (const Note& note : checkpoint.notes)
    if (note.code == Code::nested_checkpoint) remarks.push_back(note.what);
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_TRUE(remarks[0].starts_with("6 checkpoints")) << remarks[0];
  EXPECT_EQ(checkpoint.storages.size(), 6u);
}

TEST(PlainPickle, TimeZonesAndConstantsOfTorchAreText) {
  const struct {
    const char *program, *text;
  } rows[] = {
      {"cpytz\n_UTC\n(tR.", "UTC"},
      {"cpytz\n_p\n(S'Europe/Berlin'\nI3180\nI0\nS'LMT'\ntR.", "Europe/Berlin"},
      {"cdateutil.tz.tz\ntzutc\n(tR.", "UTC"},
      {"cdateutil.tz.tz\ntzoffset\n(NI19800\ntR.", "UTC+05:30"},
      {"cdateutil.tz.tz\ntzoffset\n(NI-3208\ntR.", "UTC-00:53:28"},
      {"ctorch._utils\ntorch.channels_last\n.", "torch.channels_last"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.program);
    const Checkpoint checkpoint = open_text("\x80\x02"s + row.program);
    EXPECT_TRUE(checkpoint.values.is_text(checkpoint.values.root(), row.text));
  }
  EXPECT_EQ(complaint("\x80\x02"
                      "cpytz\n_evil\n(tR."),
            Code::unsafe_global);
}

TEST(PlainPickle, WhatASubclassOfListHadBesideItsItemsIsNamed) {
  const Checkpoint checkpoint = open_text(
      "\x80\x02"
      "cmine\nItems\n)\x81K\x01"
      "a}X\x03\0\0\0tagK\x05sb."s);
  EXPECT_EQ(checkpoint.values.kind(checkpoint.values.root()), Kind::list);
  const auto named = [](const Note& note) { return note.what.find("left out: tag") != std::string::npos; };
  EXPECT_TRUE(std::any_of(checkpoint.notes.begin(), checkpoint.notes.end(), named));
}

TEST(PlainPickle, WholeObjectsInARowKeepTheirDescription) {
  const std::string module =
      "\x80\x02"
      "ctorch.nn.modules.linear\nIdentity\n)\x81}(X\x0b\0\0\0_parameters}X\x08\0\0\0_buffers}X\x08\0\0\0_"
      "modules}X\x08\0\0\0"
      "training\x88ub."s;
  const Checkpoint checkpoint = open_text(module + module);
  ASSERT_EQ(checkpoint.modules.size(), 2u);
  const ValueGraph& graph = checkpoint.values;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(checkpoint.modules[i].object, graph.items(graph.root())[i]);
}

TEST(NestedCheckpoint, IsReadFromALegacyStreamAndFromAZip) {
  for (const char* name : {"containers/legacy.pt", "containers/state.pt"}) {
    const Checkpoint checkpoint = open_text(loading(file_text(name)));
    const ValueGraph& graph = checkpoint.values;
    ASSERT_EQ(graph.kind(graph.root()), Kind::dict) << name;
    EXPECT_EQ(graph.kind(graph.find(graph.root(), "w")), Kind::tensor) << name;
    EXPECT_EQ(test::content_of(checkpoint), test::content_of(open_text(file_text(name)))) << name;
    for (const Storage& storage : checkpoint.storages)
      EXPECT_EQ(storage.bytes.source, checkpoint.source) << name;
  }
}

TEST(NestedCheckpoint, NestsFourLevelsDeep) {
  std::string bytes = file_text("containers/legacy.pt");
  EXPECT_EQ(complaint(loading(loading(bytes))), Code::unsafe_global);  // a plain pickle is none of torch.save
  // A legacy stream whose object loads another one.
  const std::string head = bytes.substr(0, bytes.find("\x80\x02}q", 60)), tail = "\x80\x02].";
  for (int level = 1; level <= 5; ++level) {
    const std::string object = loading(bytes);
    bytes = head + object + tail;
    if (level <= 4)
      EXPECT_NO_THROW(open_text(bytes)) << level;
    else
      EXPECT_EQ(complaint(bytes), Code::limit_exceeded);
  }
}

TEST(NestedCheckpoint, NamesInItAreJudged) {
  std::string message;
  const std::string bytes = file_text("containers/legacy.pt");
  const std::string head = bytes.substr(0, bytes.find("\x80\x02}q", 60));
  EXPECT_EQ(complaint(loading(head + kGadget), &message), Code::unsafe_global);
  EXPECT_NE(message.find("os.system"), std::string::npos) << message;
  EXPECT_NE(message.find("torch.storage._load_from_bytes"), std::string::npos) << message;
  // Also where the text encoding of protocol 2 hides it, and where what is around it is broken.
  EXPECT_EQ(
      complaint(
          "\x80\x02"
          "ctorch.storage\n_load_from_bytes\nc_codecs\nencode\nX\x0e\0\0\0cos\nsystem\n)R.X\x06\0\0\0latin1\x86R\x85R."s),
      Code::unsafe_global);
  EXPECT_EQ(complaint(loading(kGadget).substr(0, loading(kGadget).size() - 1) + "h\x07."),
            Code::unsafe_global);
}

TEST(NestedCheckpoint, NothingButBytesOfTorchSaveIsLoaded) {
  EXPECT_EQ(complaint(loading("N.")), Code::unsafe_global);
  EXPECT_EQ(complaint(loading("")), Code::unsafe_global);
  EXPECT_EQ(complaint("\x80\x04"
                      "ctorch.storage\n_load_from_bytes\nK\x05\x85R."),
            Code::unsafe_global);
  EXPECT_EQ(complaint("\x80\x04"
                      "ctorch.storage\n_load_from_bytes\n)R."),
            Code::unsafe_global);
}

TEST(NestedCheckpoint, BytesThatAreLoadedOftenAreReadOnce) {
  const std::string call = "ctorch.storage\n_load_from_bytes\nh\x01\x85R",
                    bytes = file_text("containers/legacy.pt");
  std::string program = "\x80\x04" + counted(bytes) + "q\x01" + "0](";
  for (int i = 0; i < 3; ++i) program += call;
  const Checkpoint checkpoint = open_text(program + "e.");
  EXPECT_EQ(checkpoint.storages.size(), 2u);
}

}  // namespace
}  // namespace ferry
