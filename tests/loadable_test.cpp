// The judgement of what torch.load(weights_only=True) says, on checkpoints made by hand;
// tests/oracle/loadable.py asks torch.
#include "validators/loadable/loadable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::loadable {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Checkpoint zip_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.source = std::make_shared<MemorySource>("x.pth", std::vector<std::byte>(64));
  checkpoint.container.format = "torch zip";
  checkpoint.container.root_folder = "archive";
  checkpoint.container.storage_folder = "data";
  checkpoint.container.version = "3";
  Storage storage;
  storage.key = "0";
  storage.bytes.source = checkpoint.source;
  checkpoint.storages.push_back(storage);
  return checkpoint;
}

std::vector<std::string> subjects(const Loadability& verdict) {
  std::vector<std::string> names;
  for (const Objection& one : verdict.objections) names.push_back(one.subject);
  return names;
}

TEST(Loadable, AcceptsAPlainZip) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.globals.note("collections", "OrderedDict", 2);
  const Loadability verdict = judge_loadable(checkpoint, {});
  EXPECT_TRUE(verdict.loads);
  EXPECT_TRUE(verdict.maps);
  EXPECT_THAT(verdict.objections, IsEmpty());
  EXPECT_THAT(verdict.cautions, IsEmpty());
}

TEST(Loadable, ObjectsInTheOrderInWhichTheUnpicklerMeetsThem) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.globals.note("__builtin__", "list", 50);
  checkpoint.globals.note("argparse", "Namespace", 10);
  const Loadability verdict =
      judge_loadable(checkpoint, {{{"INT", 'I', 30}, {"FRAME", 0x95, std::nullopt}}, 20});
  EXPECT_FALSE(verdict.loads);
  EXPECT_THAT(subjects(verdict), ElementsAre("argparse.Namespace", "utf-8", "INT", "builtins.list", "FRAME"));
  EXPECT_THAT(verdict.objections[2].what, HasSubstr("Unsupported operand 73"));
}

TEST(Loadable, RefusesTheFolderThatOnly14Wrote) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.container.storage_folder = "tensors";
  EXPECT_THAT(subjects(judge_loadable(checkpoint, {})), ElementsAre("tensors/"));
  checkpoint.storages.clear();  // without storages nothing is looked for
  EXPECT_TRUE(judge_loadable(checkpoint, {}).loads);
}

TEST(Loadable, RefusesAnArchiveWithoutFolderOrVersion) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.container.root_folder.clear();
  checkpoint.container.version.reset();
  EXPECT_THAT(subjects(judge_loadable(checkpoint, {})), ElementsAre("root folder", "version"));
}

TEST(Loadable, WarnsOfCompressedStoragesUnderMmap) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.storages[0].bytes.compression = Compression::deflated;
  const Loadability verdict = judge_loadable(checkpoint, {});
  EXPECT_TRUE(verdict.loads);
  EXPECT_FALSE(verdict.maps);
  EXPECT_THAT(verdict.cautions, ElementsAre(HasSubstr("compressed bytes for numbers")));
}

TEST(Loadable, LegacyStreamsLoadButDoNotMap) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.container.format = "legacy stream";
  EXPECT_TRUE(judge_loadable(checkpoint, {}).loads);
  EXPECT_FALSE(judge_loadable(checkpoint, {}).maps);
  checkpoint.storages[0].untyped = true;
  EXPECT_THAT(subjects(judge_loadable(checkpoint, {})), ElementsAre("UntypedStorage"));
}

TEST(Loadable, NamesDevicesThatAreUsed) {
  Checkpoint checkpoint = zip_checkpoint();
  checkpoint.device_index("mps");
  checkpoint.storages[0].device = checkpoint.device_index("cuda:0");
  const Loadability verdict = judge_loadable(checkpoint, {});
  EXPECT_TRUE(verdict.loads);
  EXPECT_THAT(verdict.cautions, ElementsAre(HasSubstr("tagged cuda:0: where")));
}

}  // namespace
}  // namespace ferry::loadable
