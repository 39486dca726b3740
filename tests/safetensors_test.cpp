// safetensors files and indices of shards.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "formats/safetensors/dtypes.h"
#include "formats/safetensors/index.h"
#include "formats/safetensors/reader.h"
#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using safetensors::open_index;
using safetensors::open_safetensors;
using test::content_of;
using test::with_bit_flipped;

SourcePtr source_of(std::string_view text, std::string name = "test.safetensors") {
  const Bytes bytes = as_bytes(text);
  return std::make_shared<MemorySource>(std::move(name), std::vector<std::byte>(bytes.begin(), bytes.end()));
}

// A whole file: the size of the header, the header, and `data`.
std::string file_of(std::string_view header, std::string_view data = "") {
  std::string size(8, '\0');
  store_le(reinterpret_cast<std::byte*>(size.data()), std::uint64_t{header.size()});
  return size.append(header).append(data);
}

Checkpoint open_text(std::string_view file) { return open_safetensors(source_of(file), Limits{}); }

// The code of the complaint about what `open` does; nothing when there is none.
template <typename Open>
std::optional<Code> complaint(Open open) {
  try {
    open();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}
std::optional<Code> complaint_about(std::string_view header, std::size_t data_bytes) {
  return complaint([&] { open_text(file_of(header, std::string(data_bytes, '\0'))); });
}

const Tensor& tensor_named(const Checkpoint& checkpoint, std::string_view name) {
  return checkpoint.tensors.at(
      checkpoint.values.index(checkpoint.values.find(checkpoint.values.root(), name)));
}

std::vector<std::string> keys_of(const Checkpoint& checkpoint) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < checkpoint.values.entry_count(checkpoint.values.root()); ++i)
    keys.emplace_back(checkpoint.values.text(checkpoint.values.entry(checkpoint.values.root(), i).key));
  return keys;
}

bool has_note(const Checkpoint& checkpoint, Code code) {
  for (const Note& note : checkpoint.notes)
    if (note.code == code) return true;
  return false;
}

// --- safetensors

TEST(Safetensors, ReadsNamesShapesAndPlacesInTheOrderOfTheHeader) {
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[1,25]},"b":{"shape":[],"data_offsets":[0,1],"dtype":"U8"}}  )";
  const Checkpoint checkpoint = open_text(file_of(header, std::string(25, 'x')));
  EXPECT_EQ(keys_of(checkpoint), (std::vector<std::string>{"w", "b"}));
  const Tensor& w = tensor_named(checkpoint, "w");
  EXPECT_EQ(w.dtype, DType::float32);
  EXPECT_TRUE(std::ranges::equal(checkpoint.shape(w), std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE(std::ranges::equal(checkpoint.strides(w), std::vector<std::int64_t>{3, 1}));
  const Storage& storage = checkpoint.storages.at(w.storage);
  EXPECT_EQ(storage.key, "w");
  EXPECT_EQ(storage.bytes.offset, 8 + header.size() + 1);  // odd offsets are legal
  EXPECT_EQ(storage.bytes.size, 24u);
  EXPECT_EQ(storage.numel, 6);
  EXPECT_EQ(checkpoint.shape(tensor_named(checkpoint, "b")).size(), 0u);
  EXPECT_TRUE(has_note(checkpoint, Code::no_checksums));
}

TEST(Safetensors, KnowsEveryDTypeByItsSize) {
  for (const safetensors::DTypeName& row : safetensors::kDTypeNames) {
    const std::size_t bytes = row.bits * 4u / 8;
    const std::string header = R"({"a":{"dtype":")" + std::string(row.name) +
                               R"(","shape":[2,2],"data_offsets":[0,)" + std::to_string(bytes) + "]}}";
    if (!row.dtype) {
      EXPECT_EQ(complaint_about(header, bytes), Code::unsupported_tensor) << row.name;
      continue;
    }
    const Checkpoint checkpoint = open_text(file_of(header, std::string(bytes, '\0')));
    EXPECT_EQ(checkpoint.tensors.at(0).dtype, *row.dtype);
    EXPECT_EQ(checkpoint.storages.at(0).bytes.size, bytes);
    EXPECT_EQ(
        static_cast<std::size_t>(numel(checkpoint, checkpoint.tensors.at(0))) * info(*row.dtype).itemsize,
        bytes)
        << row.name;
  }
}

TEST(Safetensors, RefusesTensorsThatDoNotCoverTheDataJustOnce) {
  const auto two = [](const char* first, const char* second) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + std::string(first) +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_EQ(complaint_about(two("[0,2]", "[2,4]"), 4), std::nullopt);
  EXPECT_EQ(complaint_about(two("[2,4]", "[0,2]"), 4), std::nullopt);
  EXPECT_EQ(complaint_about(two("[0,2]", "[1,3]"), 3), Code::bad_safetensors);  // shared bytes
  EXPECT_EQ(complaint_about(two("[0,2]", "[0,2]"), 2), Code::bad_safetensors);
  EXPECT_EQ(complaint_about(two("[0,2]", "[3,5]"), 5), Code::bad_safetensors);  // a hole
  EXPECT_EQ(complaint_about(two("[1,3]", "[3,5]"), 5), Code::bad_safetensors);
  EXPECT_EQ(complaint_about(two("[0,2]", "[2,4]"), 5), Code::bad_safetensors);  // bytes behind
  EXPECT_EQ(complaint_about(two("[0,2]", "[2,4]"), 3), Code::truncated);
  EXPECT_EQ(complaint_about(two("[0,2]", "[4,2]"), 4), Code::bad_safetensors);
}

TEST(Safetensors, RefusesDescriptionsThatCannotBeTrue) {
  const auto tensor = [](const char* fields) { return R"({"a":{)" + std::string(fields) + "}}"; };
  for (const char* fields : {
           R"("dtype":"f32","shape":[1],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[2],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])",
           R"("dtype":"F32","shape":1,"data_offsets":[0,4])",
           R"("dtype":"F32","shape":[1],"data_offsets":[0])",
           R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])",
           R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])",
           R"("dtype":"F32","shape":[1])",
           R"("dtype":"F32","data_offsets":[0,4])",
           R"("shape":[1],"data_offsets":[0,4])",
           R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])",
           R"("dtype":{"a":1},"shape":[1],"data_offsets":[0,4])",
           R"("dtype":"F4","shape":[1],"data_offsets":[0,1])",
       })
    EXPECT_EQ(complaint_about(tensor(fields), 4), Code::bad_safetensors) << fields;
  EXPECT_EQ(complaint_about(tensor(R"("dtype":"F4","shape":[2,1],"data_offsets":[0,1])"), 1),
            Code::unsupported_tensor);
  // The Rust reader skips fields that it does not know.
  EXPECT_EQ(
      complaint_about(tensor(R"("x":[{"shape":[]}],"dtype":"F32","shape":[1],"data_offsets":[0,4])"), 4),
      std::nullopt);
  EXPECT_EQ(complaint_about("[]", 0), Code::bad_safetensors);
  EXPECT_EQ(complaint_about(R"({"a":1})", 0), Code::bad_safetensors);
  EXPECT_EQ(complaint_about(" {}", 0), Code::bad_safetensors);
  EXPECT_EQ(complaint_about("{}", 0), std::nullopt);
}

TEST(Safetensors, RefusesMoreDimensionsThanNumpyHas) {
  const auto header = [](std::size_t rank) {
    std::string ones = "1";
    for (std::size_t i = 1; i < rank; ++i) ones += ",1";
    return R"({"a":{"dtype":"U8","shape":[)" + ones + R"(],"data_offsets":[0,1]}})";
  };
  EXPECT_EQ(complaint_about(header(64), 1), std::nullopt);
  EXPECT_EQ(complaint_about(header(65), 1), Code::limit_exceeded);
}

TEST(Safetensors, BelievesNoClaimAboutTheHeader) {
  std::string file = file_of("{}");
  for (const std::uint64_t size :
       {std::uint64_t{3}, std::uint64_t{99'999'999}, std::uint64_t{100'000'001}, UINT64_MAX}) {
    store_le(reinterpret_cast<std::byte*>(file.data()), size);
    EXPECT_EQ(complaint([&] { open_text(file); }),
              size > 100'000'000 ? Code::limit_exceeded : Code::truncated);
  }
}

TEST(Safetensors, NotesMetadataThatSaysSomething) {
  EXPECT_FALSE(has_note(open_text(file_of(R"({"__metadata__":{"format":"pt"}})")), Code::archive_metadata));
  EXPECT_FALSE(has_note(open_text(file_of(R"({"__metadata__":null})")), Code::archive_metadata));
  const Checkpoint checkpoint = open_text(file_of(R"({"__metadata__":{"format":"pt","step":"7"}})"));
  EXPECT_TRUE(has_note(checkpoint, Code::archive_metadata));
  EXPECT_NE(checkpoint.notes.at(0).what.find("'step' = '7'"), std::string::npos);
  EXPECT_EQ(complaint_about(R"({"__metadata__":{"step":7}})", 0), Code::bad_safetensors);
  EXPECT_EQ(complaint_about(R"({"__metadata__":[]})", 0), Code::bad_safetensors);
}

TEST(Safetensors, IsKnownByItsHeaderOrItsName) {
  const auto matches = [](std::string_view text, const char* name) {
    return safetensors::looks_like_safetensors(*source_of(text, name)).matches;
  };
  using namespace std::string_view_literals;
  EXPECT_TRUE(matches(file_of("{}"), "model.pt"));
  EXPECT_FALSE(matches("version https://git-lfs.github.com/spec/v1", "a.safetensors"));
  EXPECT_FALSE(matches("\x80\x02}q\x01.", "a.pt"));
  EXPECT_FALSE(matches("cposix\nsystem\n(S'x'\ntR.", "a.safetensors"));
  EXPECT_TRUE(matches("\xff\0\0\0\0\0\0\0[1]"sv, "a.safetensors"));
  EXPECT_FALSE(matches("\xff\0\0\0\0\0\0\0[1]"sv, "a.pt"));
  EXPECT_FALSE(matches("", "a.safetensors"));
}

constexpr std::string_view kSmall =
    R"({"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"I64","shape":[2],"data_offsets":[24,40]}})";

TEST(Safetensors, EveryPrefixIsRejected) {
  const std::string whole = file_of(kSmall, std::string(40, 'x'));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(complaint([&] { open_text(whole.substr(0, size)); })) << size;
}

// The format has no checksums: a flipped bit may give another legal file, but never one that reaches outside
// itself.
TEST(Safetensors, AFlippedBitIsRejectedOrLeavesAllBytesInTheirPlaces) {
  const std::string whole = file_of(kSmall, std::string(40, 'x'));
  const Bytes bytes = as_bytes(whole);
  std::size_t rejected = 0;
  for (std::size_t bit = 0; bit < 8 * (whole.size() - 40); ++bit) {
    const auto damaged = with_bit_flipped({bytes.begin(), bytes.end()}, bit);
    const auto code = complaint([&] {
      const Checkpoint checkpoint = open_text(as_text(Bytes(damaged)));
      std::uint64_t size = 0;
      for (const Storage& storage : checkpoint.storages) size += storage.bytes.size;
      EXPECT_EQ(size, 40u);
      EXPECT_FALSE(content_of(checkpoint).empty());
    });
    rejected += code ? 1 : 0;
  }
  EXPECT_GT(rejected, 8 * (whole.size() - 40) / 2);
}

// --- indices of shards

// Opens shards from memory.
class Shards {
 public:
  void add(const std::string& name, const std::string& file) { files_[name] = file; }
  Checkpoint open(const std::string& index, const std::string& path = "models/m.safetensors.index.json") {
    return open_index(source_of(index, path), Limits{}, [this](const std::string& shard) {
      opened.push_back(shard);
      return open_safetensors(source_of(files_.at(shard), shard), Limits{});
    });
  }
  std::vector<std::string> opened;

 private:
  std::map<std::string, std::string> files_;
};

std::string shard_of(const std::string& name, std::string_view data) {
  const std::string size = std::to_string(data.size());
  return file_of(
      R"({")" + name + R"(":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}}",
      data);
}

TEST(ShardIndex, MergesShardsInTheOrderOfTheIndex) {
  Shards shards;
  shards.add("models/1", shard_of("a", "aa"));
  shards.add("models/2", shard_of("b", "bbb"));
  const Checkpoint checkpoint =
      shards.open(R"({"metadata":{"total_size":5},"weight_map":{"b":"2","a":"1"}})");
  EXPECT_EQ(shards.opened, (std::vector<std::string>{"models/2", "models/1"}));
  EXPECT_EQ(keys_of(checkpoint), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(checkpoint.container.format, "sharded safetensors");
  EXPECT_EQ(checkpoint.source->name(), "models/m.safetensors.index.json");
  const Storage& a = checkpoint.storages.at(tensor_named(checkpoint, "a").storage);
  EXPECT_EQ(a.bytes.source->name(), "models/1");
  EXPECT_EQ(as_text(Bytes(a.bytes.source->read({a.bytes.offset, a.bytes.size}))), "aa");
  EXPECT_EQ(checkpoint.shape(tensor_named(checkpoint, "b"))[0], 3);
  EXPECT_EQ(checkpoint.notes.size(), 1u);  // no checksums: said once
}

TEST(ShardIndex, RefusesTensorsThatIndexAndShardDoNotAgreeOn) {
  Shards shards;
  shards.add("1", shard_of("a", "aa"));
  shards.add("2", shard_of("b", "bb"));
  const auto code = [&](const std::string& map) {
    return complaint([&] { shards.open(R"({"weight_map":)" + map + "}", "m.safetensors.index.json"); });
  };
  EXPECT_EQ(code(R"({"a":"1","b":"2"})"), std::nullopt);
  EXPECT_EQ(code(R"({"a":"1","b":"1"})"), Code::missing_record);
  EXPECT_EQ(code(R"({"a":"2","b":"1"})"), Code::missing_record);
  EXPECT_EQ(code(R"({"x":"1","a":"1"})"), Code::missing_record);
  shards.add(
      "3",
      file_of(
          R"({"c":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"));
  EXPECT_EQ(code(R"({"c":"3"})"), Code::bad_safetensors);
  EXPECT_EQ(code(R"({"d":"3","c":"3"})"), std::nullopt);
}

TEST(ShardIndex, OpensNothingOutsideItsFolder) {
  Shards shards;
  for (const char* name :
       {"../x", "/etc/passwd", "a/b", "a\\\\b", "", ".", "..", "a\\u0000b", "m.index.json"})
    EXPECT_EQ(complaint([&] { shards.open(R"({"weight_map":{"a":")" + std::string(name) + R"("}})"); }),
              Code::bad_json)
        << name;
  EXPECT_TRUE(shards.opened.empty());
  for (const char* index : {"[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})"})
    EXPECT_EQ(complaint([&] { shards.open(index); }), Code::bad_json) << index;
}

// What a shard of torch.save may hold: two names of one tensor, names in its pickle, other devices.
TEST(ShardIndex, KeepsSharingDevicesAndMentionedNames) {
  const auto open = [](const std::string&) {
    Checkpoint shard;
    shard.source = source_of("", "1");
    const std::uint32_t tensor =
        shard.add_tensor(DType::uint8, std::array<std::int64_t, 1>{2}, {2, std::byte{7}}, false, "t");
    shard.storages[0].device = shard.device_index("cuda:1");
    shard.globals[shard.globals.note("torch", "FloatStorage", 3)].called = true;
    const NodeId node = shard.values.make_indexed(Kind::tensor, tensor);
    const NodeId root = shard.values.make_dict(DictFlavor::ordered);
    shard.values.set_entry(root, "a", node);
    shard.values.set_entry(root, "b", node);
    shard.values.set_root(root);
    return shard;
  };
  const Checkpoint checkpoint = open_index(source_of(R"({"weight_map":{"a":"1","b":"1"}})"), Limits{}, open);
  const ValueGraph& graph = checkpoint.values;
  EXPECT_EQ(graph.find(graph.root(), "a"), graph.find(graph.root(), "b"));
  EXPECT_EQ(checkpoint.tensors.size(), 1u);
  EXPECT_EQ(checkpoint.devices.at(checkpoint.storages.at(0).device), "cuda:1");
  EXPECT_TRUE(checkpoint.globals.uses().at(0).called);
}

TEST(ShardIndex, RefusesShardsThatHoldMoreThanTensors) {
  const auto open = [](const std::string&) {
    Checkpoint shard;
    const NodeId root = shard.values.make_dict(DictFlavor::plain);
    shard.values.set_entry(root, "a", shard.values.make_integer(1));
    shard.values.set_root(root);
    return shard;
  };
  EXPECT_EQ(complaint([&] { open_index(source_of(R"({"weight_map":{"a":"1"}})"), Limits{}, open); }),
            Code::unsupported_value);
}

}  // namespace
}  // namespace ferry
