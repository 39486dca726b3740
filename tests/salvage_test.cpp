// What --salvage keeps of a damaged file is what was in it, to the bit, and what it loses it names.
#include "formats/salvage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "formats/copy/storage_stream.h"
#include "formats/formats.h"
#include "src/core/paths.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using test::fixture;
using test::read_file;

using Elements =
    std::map<std::string, std::string>;  // by path: the bytes of the storage, and the window on it

Elements elements_of(const Checkpoint& checkpoint) {
  Elements elements;
  const ValueGraph& graph = checkpoint.values;
  const auto add = [&](std::string path, NodeId node) {
    const Tensor& tensor = checkpoint.tensors[graph.index(node)];
    const Storage& storage = checkpoint.storages[tensor.storage];
    std::vector<std::byte> bytes(storage.bytes.size);
    copy::StorageStream(storage).read(bytes);
    std::string& text = elements[std::move(path)];
    text = std::string(info(tensor.dtype).name) + " " + std::to_string(tensor.offset);
    for (const auto number : checkpoint.shape(tensor)) text += "," + std::to_string(number);
    for (const auto number : checkpoint.strides(tensor)) text += ";" + std::to_string(number);
    text += as_text(bytes);
  };
  if (graph.kind(graph.root()) == Kind::tensor) add("", graph.root());
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId node = paths.visits()[i].node;
    const auto items = graph.items(node);
    const bool dict = graph.kind(node) == Kind::dict;
    for (std::size_t k = 0; k < items.size(); ++k)
      if (graph.kind(items[k]) == Kind::tensor)
        add(join_path(paths.path(i), dict ? key_text(graph, items[k - 1]) : std::to_string(k)), items[k]);
  }
  return elements;
}

SourcePtr source_of(std::vector<std::byte> bytes) {
  return std::make_shared<MemorySource>("damaged", std::move(bytes));
}

std::optional<Salvage> salvage_or_nothing(std::vector<std::byte> bytes) {
  try {
    return salvage_checkpoint(source_of(std::move(bytes)), Limits{});
  } catch (const Error& error) {
    EXPECT_NE(error.code(), Code::internal) << error.what();
    return std::nullopt;
  }
}

// Every tensor is where it was and as it was, or is among the losses.
void expect_part_of(const Salvage& salvage, const Elements& all, const std::string& what) {
  const Elements left = elements_of(salvage.checkpoint);
  for (const auto& [path, text] : left) {
    const auto original = all.find(path);
    ASSERT_NE(original, all.end()) << what << ": " << path;
    EXPECT_TRUE(original->second == text) << what << ": " << path;
  }
  std::vector<std::string> named;
  for (const Change& loss : salvage.losses.changes())
    if (loss.code == Code::tensor_lost) named.push_back(loss.path);
  for (const auto& [path, text] : all)
    EXPECT_EQ(left.count(path) + static_cast<std::size_t>(std::count(named.begin(), named.end(), path)), 1u)
        << what << ": " << path;
  EXPECT_EQ(salvage.whole.size(), left.size()) << what;
}

struct Sample {
  std::string file;
  std::size_t step;  // every so many bytes
};
void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.file; }

class SalvageOf : public testing::TestWithParam<Sample> {
 protected:
  std::vector<std::byte> whole_ = read_file(fixture(GetParam().file));
  Elements all_ = elements_of(open_checkpoint(source_of(whole_), Limits{}));
};

class SalvageOfZip : public SalvageOf {};  // where CRCs show every damage

std::string name_of(const testing::TestParamInfo<Sample>& sample) {
  std::string name = sample.param.file;
  const auto odd = [](char c) { return c == '.' || c == '/' || c == '-'; };
  std::replace_if(name.begin(), name.end(), odd, '_');
  return name;
}

const Sample kZips[] = {{"containers/state.pt", 1},
                        {"1.12.1/views_shared.pt", 7},
                        {"hand-made/zip_deflated.pth", 7},
                        {"hand-made/zip_big_endian.pth", 13},
                        {"1.4.0/form_zip_proto2.pth", 13}};
const Sample kOthers[] = {{"containers/legacy.pt", 1},
                          {"1.4.0/ffb6d_o1.pth.tar", 97},
                          {"tar/dtypes_and_views.pth", 5},
                          {"tar/storage_views.pth", 5}};

INSTANTIATE_TEST_SUITE_P(Zips, SalvageOf, testing::ValuesIn(kZips), name_of);
INSTANTIATE_TEST_SUITE_P(Zips, SalvageOfZip, testing::ValuesIn(kZips), name_of);
INSTANTIATE_TEST_SUITE_P(Others, SalvageOf, testing::ValuesIn(kOthers), name_of);

TEST_P(SalvageOf, AWholeFileLosesNothing) {
  const auto salvage = salvage_or_nothing(whole_);
  ASSERT_TRUE(salvage);
  EXPECT_TRUE(salvage->losses.changes().empty());
  EXPECT_EQ(salvage->story, "");
  EXPECT_EQ(salvage->lost, 0u);
  expect_part_of(*salvage, all_, "whole");
}

TEST_P(SalvageOf, APrefixGivesWhatItHolds) {
  std::size_t most = 0;
  for (std::size_t size = 0; size < whole_.size(); size += GetParam().step) {
    const auto salvage =
        salvage_or_nothing({whole_.begin(), whole_.begin() + static_cast<std::ptrdiff_t>(size)});
    if (!salvage) continue;
    expect_part_of(*salvage, all_, "a prefix of " + std::to_string(size) + " bytes");
    EXPECT_FALSE(salvage->story.empty()) << size;
    EXPECT_GE(salvage->whole.size(), most) << "a longer prefix holds less: " << size;
    most = std::max(most, salvage->whole.size());
  }
  // Where another program made the archive, what says the byte order may have been in the lost part.
  EXPECT_EQ(most > 0, GetParam().file != "hand-made/zip_deflated.pth");
}

TEST_P(SalvageOfZip, AFlippedBitCostsNoMoreThanItsStorage) {
  std::size_t lost_some = 0;
  for (std::size_t bit = 0; bit < 8 * whole_.size(); bit += 8 * GetParam().step + 3) {
    const auto salvage = salvage_or_nothing(test::with_bit_flipped(whole_, bit));
    if (!salvage) continue;
    expect_part_of(*salvage, all_, "bit " + std::to_string(bit));
    lost_some += salvage->lost > 0 ? 1u : 0u;
  }
  if (all_.size() > 1) {
    EXPECT_GT(lost_some, 0u);
  }
}

TEST_P(SalvageOfZip, BytesThatAreMissingInTheMiddleNeverShiftOthers) {
  for (std::size_t at = 0; at + 64 < whole_.size(); at += 11 * GetParam().step) {
    std::vector<std::byte> gap = whole_;
    gap.erase(gap.begin() + static_cast<std::ptrdiff_t>(at),
              gap.begin() + static_cast<std::ptrdiff_t>(at + 64));
    if (const auto salvage = salvage_or_nothing(std::move(gap)))
      expect_part_of(*salvage, all_, "64 bytes missing at " + std::to_string(at));
  }
}

TEST(Salvage, ALostItemOfAListIsNoneAndTheOthersKeepTheirPlace) {
  const std::vector<std::byte> whole = read_file(fixture("tar/dtypes_and_views.pth"));
  // The last storage is that of lists.1.0, before the pickle of views and the padding.
  const Checkpoint checkpoint = open_checkpoint(source_of(whole), Limits{});
  const Storage& last = checkpoint.storages.back();
  const auto salvage = salvage_or_nothing(
      {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(last.bytes.offset + last.bytes.size - 1)});
  ASSERT_TRUE(salvage);
  ASSERT_EQ(salvage->losses.changes().size(), 1u);
  EXPECT_EQ(salvage->losses.changes()[0].path, "lists.1.0");
  const ValueGraph& graph = salvage->checkpoint.values;
  const auto lists = graph.items(graph.find(graph.root(), "lists"));
  EXPECT_EQ(graph.kind(lists[0]), Kind::tensor);
  EXPECT_EQ(graph.kind(graph.items(lists[1])[0]), Kind::none);
}

TEST(Salvage, APickleThatIsCutIsSaidAndTheStoragesAreNamed) {
  std::vector<std::byte> bytes = read_file(fixture("containers/state.pt"));
  const auto at = as_text(bytes).find("_rebuild_tensor_v2");
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= std::byte{1};
  try {
    salvage_checkpoint(source_of(bytes), Limits{});
    FAIL() << "a damaged pickle was believed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::checksum_mismatch) << error.what();
  }
  // Without its directory the archive is walked; the record of the pickle has no end.
  const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  try {
    salvage_checkpoint(source_of(cut), Limits{});
    FAIL() << "a cut pickle was believed";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("data.pkl"), std::string::npos) << error.what();
  }
}

TEST(Salvage, AByteOrderThatIsDamagedIsNotGuessed) {
  std::vector<std::byte> bytes = read_file(fixture("hand-made/zip_big_endian.pth"));
  const std::size_t at =
      as_text(bytes).find("archive/byteorder") + std::string_view("archive/byteorder").size();
  bytes[as_text(bytes).find("big", at)] ^= std::byte{4};
  try {
    salvage_checkpoint(source_of(bytes), Limits{});
    FAIL() << "numbers of an unknown byte order were believed";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("byteorder"), std::string::npos) << error.what();
  }
}

TEST(Salvage, WhereTheEndIsLostAndNothingSaysTheByteOrderItIsSaid) {
  const std::vector<std::byte> whole = read_file(fixture("1.12.1/views_shared.pt"));
  const auto salvage = salvage_or_nothing({whole.begin(), whole.end() - 30});
  ASSERT_TRUE(salvage);
  const auto& notes = salvage->checkpoint.notes;
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const Note& note) {
    return note.code == Code::lost_value && note.what.find("byte order") != std::string::npos;
  }));
}

TEST(Salvage, TheErrorOfABrokenFileSaysHowMuchIsWhole) {
  const std::vector<std::byte> whole = read_file(fixture("containers/legacy.pt"));
  try {
    open_checkpoint(source_of({whole.begin(), whole.end() - 4}), Limits{});
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("1 of 2 storages are whole"), std::string::npos) << text;
    EXPECT_NE(text.find("1 of 2 tensors are whole: torchferry convert --salvage writes it"),
              std::string::npos)
        << text;
  }
}

TEST(Salvage, WhatIsRefusedIsRefusedInABrokenFileToo) {
  const std::vector<std::byte> whole = read_file(fixture("hand-made/gadget_in_zip.pth"));
  // Before the directory: the archive alone would be an error of its container.
  const std::size_t cut = as_text(whole).find("PK\x01\x02");
  ASSERT_NE(cut, std::string::npos);
  const std::vector<std::byte> bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
  for (const bool salvage : {false, true}) {
    try {
      if (salvage)
        salvage_checkpoint(source_of(bytes), Limits{});
      else
        open_checkpoint(source_of(bytes), Limits{});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsafe_global) << error.what();
    }
  }
}

}  // namespace
}  // namespace ferry
