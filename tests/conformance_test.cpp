// What every format promises: one suite, and a list that a new format adds itself to.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "formats/copy/storage_stream.h"
#include "formats/formats.h"
#include "formats/hdf5/process.h"
#include "formats/torch/write.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/paths.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

struct Sample {
  std::string file;      // below fixtures/containers
  std::string format;    // by which the list of formats knows it
  bool checksums;        // a flipped bit of a weight is seen
  std::size_t step = 1;  // every so many prefixes and bits: where each costs a process
};

void PrintTo(const Sample& sample, std::ostream* out) { *out << sample.file; }

const Sample kSamples[] = {
    {"state.pt", "torch zip", true},
    {"state.pt2", "torch.export archive", true},
    {"script.pt", "TorchScript archive", true},
    {"model_json.pt", "TorchScript archive", true},
    {"legacy.pt", "legacy stream", false},
    {"legacy.tar", "legacy tar", false},
    {"state.pkl", "pickle", false},
    {"arrays.pkl", "pickle", false},
    {"arrays.joblib", "pickle", false},
    {"state.zip", "checkpoint in a zip", true},
    {"state.safetensors", "safetensors", false},
    {"state.safetensors.index.json", "safetensors index", false},
    {"state.npz", "npz", true},
    {"deflated.npz", "npz", true},
    {"w.npy", "npy", false},
    {"state.h5", "hdf5", false, 131},
    {"chunked.h5", "hdf5", false, 311},
};

class Conformance : public testing::TestWithParam<Sample> {
 protected:
  void SetUp() override {
    if (GetParam().format != "hdf5") return;
    if (!std::filesystem::exists(hdf5::find_helper())) GTEST_SKIP() << "torchferry-hdf5 was not built";
  }

  std::filesystem::path path() const { return test::fixture("containers/" + GetParam().file); }
  SourcePtr file() const { return open_file(path().string()); }
  // The same bytes under the same name, which an index needs to find its shards.
  SourcePtr source_of(std::vector<std::byte> bytes) const {
    return std::make_shared<MemorySource>(path().string(), std::move(bytes));
  }
  std::optional<std::string> content_or_rejection(std::vector<std::byte> bytes) const {
    try {
      return test::content_of(open_checkpoint(source_of(std::move(bytes)), Limits{}));
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::internal) << error.what();
      EXPECT_FALSE(std::string(error.what()).empty());
      return std::nullopt;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, Conformance, testing::ValuesIn(kSamples), [](const auto& sample) {
  std::string name = sample.param.file;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.'; }, '_');
  return name;
});

TEST_P(Conformance, IsRecognisedByItsOwnFormatAndEveryProbeSaysWhy) {
  const SourcePtr source = file();
  std::string first;
  for (const Format& format : formats()) {
    const Likeness probe = format.probe(*source);
    EXPECT_FALSE(probe.reason.empty()) << format.name;
    if (probe.matches && first.empty()) first = format.name;
  }
  EXPECT_EQ(first, GetParam().format);
}

TEST_P(Conformance, ReadsWhatWasWritten) {
  const Checkpoint checkpoint = open_checkpoint(file(), Limits{});
  std::map<std::string, std::string> elements;
  const ValueGraph& graph = checkpoint.values;
  const auto add = [&](std::string name, NodeId node) {
    ASSERT_EQ(graph.kind(node), Kind::tensor);
    const Tensor& tensor = checkpoint.tensors[graph.index(node)];
    const Storage& storage = checkpoint.storages[tensor.storage];
    std::vector<std::byte> bytes(storage.bytes.size);
    copy::StorageStream(storage).read(bytes);
    const std::size_t size =
        static_cast<std::size_t>(numel(checkpoint, tensor)) * info(tensor.dtype).itemsize;
    const auto begin = static_cast<std::size_t>(tensor.offset) * info(tensor.dtype).itemsize;
    ASSERT_LE(begin + size, bytes.size());
    EXPECT_TRUE(is_contiguous(checkpoint, tensor));
    elements[std::move(name)] = std::string(as_text(Bytes(bytes).subspan(begin, size)));
  };
  if (graph.kind(graph.root()) == Kind::tensor)
    add("w", graph.root());
  else
    for (std::size_t i = 0; i < graph.entry_count(graph.root()); ++i)
      add(key_text(graph, graph.entry(graph.root(), i).key), graph.entry(graph.root(), i).value);
  const float w[] = {0, 1, 2, 3, 4, 5};
  const std::int64_t b[] = {1, 2};
  EXPECT_EQ(elements.at("w"), as_text(std::as_bytes(std::span(w))));
  if (elements.size() > 1) {
    EXPECT_EQ(elements.at("b"), as_text(std::as_bytes(std::span(b))));
  }
  EXPECT_EQ(elements.size(), GetParam().format == "npy" ? 1u : 2u);
}

TEST_P(Conformance, StoragesLieInsideTheirSource) {
  const Checkpoint checkpoint = open_checkpoint(file(), Limits{});
  for (const Storage& storage : checkpoint.storages) {
    ASSERT_NE(storage.bytes.source, nullptr);
    EXPECT_LE(storage.bytes.offset + storage.bytes.stored_size, storage.bytes.source->size());
  }
  EXPECT_FALSE(checkpoint.container.format.empty());
  EXPECT_NO_THROW(checkpoint.source->check_unchanged());
}

TEST_P(Conformance, CanBeWrittenAsAZipOfTorch) {
  const Checkpoint checkpoint = open_checkpoint(file(), Limits{});
  const torch::ZipFile written(checkpoint, {});
  EXPECT_GT(written.plan().size, written.tensor_bytes());
}

TEST_P(Conformance, EveryPrefixIsRejected) {
  const std::vector<std::byte> whole = test::read_file(path());
  // A line feed ends the index; without it nothing is missing.
  const std::size_t end = whole.size() - (GetParam().file.ends_with(".json") ? 1 : 0);
  for (std::size_t size = 0; size < end; size += GetParam().step)
    EXPECT_FALSE(content_or_rejection({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}))
        << "a prefix of " << size << " bytes";
}

TEST_P(Conformance, AFlippedBitIsRejectedOrReadSafely) {
  const std::vector<std::byte> whole = test::read_file(path());
  const std::optional<std::string> content = content_or_rejection(whole);
  ASSERT_TRUE(content);
  for (std::size_t bit = 0; bit < 8 * whole.size(); bit += 7 * GetParam().step) {
    const auto damaged = content_or_rejection(test::with_bit_flipped(whole, bit));
    if (GetParam().checksums) {
      EXPECT_EQ(damaged.value_or(*content), *content) << "bit " << bit;
    }
  }
}

}  // namespace
}  // namespace ferry
