// What is decided before anything is copied: layouts of safetensors, npy headers, names of links, shards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/hdf5/names.h"
#include "formats/numpy/header.h"
#include "formats/numpy/write.h"
#include "formats/safetensors/write.h"
#include "src/core/bytes.h"
#include "src/core/error.h"

namespace ferry {
namespace {

using safetensors::TensorSpec;
using testing::ElementsAre;

TEST(SafetensorsLayout, LargeElementsComeFirstAndNamesDecideWithinAType) {
  const std::vector<TensorSpec> specs = {{"b", DType::float32, {2}},
                                         {"a", DType::float32, {1}},
                                         {"flag", DType::boolean, {3}},
                                         {"n", DType::int64, {}},
                                         {"h", DType::bfloat16, {5}}};
  const auto layout = safetensors::plan_layout(specs, {});
  EXPECT_THAT(layout.order, ElementsAre(3, 1, 0, 4, 2));
  EXPECT_EQ(layout.header.size() % 8, 0u);
  EXPECT_EQ(layout.places[3].offset, layout.header.size());
  EXPECT_EQ(layout.size, layout.header.size() + 8 + 4 + 8 + 10 + 3);
}

TEST(SafetensorsLayout, TheHeaderIsTheLibrarysOwn) {
  // safetensors.torch.save({"w": torch.zeros(2, 3)}, {"format": "pt"}) of 0.8.0 begins so.
  const std::vector<TensorSpec> specs = {{"w", DType::float32, {2, 3}}};
  const std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}};
  const std::string header = safetensors::plan_layout(specs, metadata).header;
  EXPECT_EQ(header.substr(8),
            "{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":"
            "[0,24]}}");
}

TEST(SafetensorsLayout, WhatHasNoNameIsRefusedByName) {
  const std::vector<TensorSpec> specs = {{"model.phase", DType::complex128, {1}}};
  try {
    safetensors::plan_layout(specs, {});
    FAIL() << "it was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::target_lacks);
    EXPECT_THAT(error.what(), testing::HasSubstr("complex128"));
    EXPECT_THAT(error.what(), testing::HasSubstr("'model.phase'"));
  }
}

TEST(Shards, AreFilledInOrderAndALargeTensorIsAlone) {
  const std::vector<TensorSpec> specs = {{"a", DType::uint8, {4}},
                                         {"b", DType::uint8, {4}},
                                         {"large", DType::uint8, {100}},
                                         {"c", DType::uint8, {2}},
                                         {"d", DType::uint8, {9}}};
  const auto shards = safetensors::split(specs, 10);
  EXPECT_EQ(shards[0], shards[1]);
  EXPECT_EQ(shards[0], shards[3]);  // the open shard waits for what fits, as in huggingface_hub
  EXPECT_NE(shards[2], shards[0]);
  EXPECT_NE(shards[4], shards[0]);
  EXPECT_EQ(safetensors::shard_name("model", 0, 3), "model-00001-of-00003.safetensors");
}

TEST(NpyHeader, IsReadBackAndAlignsTheData) {
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{}, {3}, {2, 3}, {0}, std::vector<std::int64_t>(64, 1)}) {
    const std::string text = numpy::array_header(DType::float32, shape);
    EXPECT_EQ(text.size() % 64, 0u);
    const Bytes bytes = as_bytes(text);
    const auto header = numpy::read_array_header(
        [&](std::size_t size) {
          return std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        },
        text.size());
    EXPECT_EQ(header.shape, shape);
    EXPECT_EQ(header.descr, "<f4");
    EXPECT_FALSE(header.fortran);
  }
}

TEST(NpyHeader, TypesThatNumpyLacksAreRefused) {
  EXPECT_THROW(numpy::array_header(DType::float8_e4m3fn, {}), Error);
  EXPECT_THROW(numpy::array_header(DType::qint8, {}), Error);
  EXPECT_THROW(numpy::array_header(DType::float32, std::vector<std::int64_t>(65, 1)), Error);
}

TEST(LinkNames, HoldEveryNameAndGiveItBack) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("conv.weight"), std::string("a/b"),
        std::string("%"), std::string("%2F"), std::string("100%/s"), std::string("a\0b", 3),
        std::string("Größe")}) {
    const std::string link = hdf5::link_name(name);
    EXPECT_EQ(hdf5::name_of_link(link), name);
    EXPECT_FALSE(link.empty() || link == "." || link.find('/') != std::string::npos ||
                 link.find('\0') != std::string::npos);
  }
  EXPECT_EQ(hdf5::link_name("conv.weight"), "conv.weight");
}

}  // namespace
}  // namespace ferry
