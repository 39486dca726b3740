// inspect, part by part: fingerprints, trees, tables, statistics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "formats/torch/fingerprint.h"
#include "src/report/inspection_table.h"
#include "src/report/inspection_tree.h"
#include "validators/structure/statistics.h"
#include "validators/structure/window.h"

namespace ferry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// --- fingerprints

Checkpoint zip_of(const std::string& root, bool numbered) {
  Checkpoint checkpoint;
  checkpoint.source = std::make_shared<MemorySource>("x.pth", std::vector<std::byte>(64));
  checkpoint.container.format = "torch zip";
  checkpoint.container.root_folder = root;
  checkpoint.container.storage_folder = "data";
  checkpoint.container.numbered_keys = numbered;
  Storage storage;
  storage.bytes.source = checkpoint.source;
  checkpoint.storages.push_back(storage);
  return checkpoint;
}

std::string possible(const Checkpoint& checkpoint) {
  return torch::releases_text(torch::find_fingerprint(checkpoint, "x.pth").possible);
}
std::string likely(const Checkpoint& checkpoint) {
  return torch::releases_text(torch::find_fingerprint(checkpoint, "x.pth").likely);
}

// {"param_groups": [{…keys, "params": [parameter]}], "state": {}} as the root.
void put_optimizer(Checkpoint& checkpoint, std::vector<std::string> keys, std::int64_t parameter) {
  ValueGraph& graph = checkpoint.values;
  const NodeId group = graph.make_dict(DictFlavor::plain), root = graph.make_dict(DictFlavor::plain);
  for (const std::string& key : keys) graph.set_entry(group, key, graph.make_none());
  const NodeId id = graph.make_integer(parameter);
  graph.set_entry(group, "params", graph.make_list({&id, 1}));
  graph.set_entry(root, "state", graph.make_dict(DictFlavor::plain));
  graph.set_entry(root, "param_groups", graph.make_list({&group, 1}));
  graph.set_root(root);
}

TEST(Fingerprint, ReadsTheContainer) {
  EXPECT_EQ(possible(zip_of("archive", false)), "1.5 – 1.8");
  Checkpoint third = zip_of("archive", false);
  third.container.version = "3";
  EXPECT_EQ(possible(third), "1.6 – 1.8");
  EXPECT_EQ(likely(third), "1.6 – 1.8");
  third.container.version = "2";
  EXPECT_EQ(possible(third), "1.5");
  EXPECT_EQ(possible(zip_of("archive", true)), "1.9 – 2.0");
  EXPECT_EQ(likely(zip_of("archive", true)), "1.9 – 1.12");
  EXPECT_EQ(possible(zip_of("x", true)), "1.13 – 2.0");
  Checkpoint newer = zip_of("x", true);
  newer.container.byte_order = "little";
  EXPECT_EQ(possible(newer), "2.1 – 2.6");
  newer.container.storage_alignment = true;
  EXPECT_EQ(possible(newer), "2.7 or later");
  Checkpoint older = zip_of("x", false);
  older.container.storage_folder = "tensors";
  EXPECT_EQ(possible(older), "1.4");
}

TEST(Fingerprint, SaysUnderWhichNameAFileWasSaved) {
  const auto found = torch::find_fingerprint(zip_of("first_name", true), "dir/x.pth");
  EXPECT_THAT(found.evidence, ::testing::Contains(HasSubstr("'first_name'")));
}

TEST(Fingerprint, ValuesBoundTheWriterFromBelowOnly) {
  Checkpoint legacy;
  legacy.container.format = "legacy stream";
  EXPECT_EQ(possible(legacy), "0.1.10 or later");
  EXPECT_EQ(likely(legacy), "1.5 or older");
  put_optimizer(legacy, {"betas", "eps", "amsgrad", "weight_decay"}, 139892094713520);
  EXPECT_EQ(possible(legacy), "0.1.10 or later");  // an old state that was saved again
  EXPECT_EQ(likely(legacy), "1.5 or older");
  put_optimizer(legacy, {"betas", "eps", "amsgrad", "weight_decay", "maximize", "foreach"}, 0);
  EXPECT_EQ(possible(legacy), "1.12 or later");
  EXPECT_EQ(likely(legacy), "1.12");  // 'differentiable' is missing
}

TEST(Fingerprint, CarriedOverValuesDoNotContradictTheContainer) {
  Checkpoint checkpoint = zip_of("archive", true);
  put_optimizer(checkpoint, {"betas", "eps", "amsgrad", "weight_decay"}, 139892094713520);
  EXPECT_EQ(possible(checkpoint), "1.9 – 2.0");
  EXPECT_EQ(likely(checkpoint), "1.9 – 1.10");
}

TEST(Fingerprint, NamesThePackerOfACompressedArchive) {
  Checkpoint checkpoint = zip_of("archive", true);
  checkpoint.container.records.push_back({"archive/data/0", 0, 100, 40, 0});
  EXPECT_THAT(torch::find_fingerprint(checkpoint, "").tool, HasSubstr("zip program"));
  checkpoint.container.records.push_back({"archive/.data/torchferry.json", 0, 1, 1, 0});
  EXPECT_EQ(torch::find_fingerprint(checkpoint, "").tool, "torchferry");
}

// --- trees

struct TreeMaker {
  Checkpoint checkpoint;
  ValueGraph& graph = checkpoint.values;

  NodeId tensor(std::vector<std::int64_t> shape) {
    std::size_t size = 4;
    for (const std::int64_t one : shape) size *= static_cast<std::size_t>(one);
    const auto index = checkpoint.add_tensor(DType::float32, shape, std::vector<std::byte>(size), false, "t");
    return graph.make_indexed(Kind::tensor, index);
  }
  NodeId state_dict(std::vector<std::string> keys) {
    const NodeId dict = graph.make_dict(DictFlavor::ordered);
    for (const std::string& key : keys) graph.set_entry(dict, key, tensor({2, 3}));
    return dict;
  }
};

std::vector<std::string> names(const std::vector<report::TreeRow>& rows) {
  std::vector<std::string> list;
  for (const report::TreeRow& row : rows) list.push_back(std::string(row.depth, ' ') + row.name);
  return list;
}

TEST(InspectionTree, GroupsAStateDictByModule) {
  TreeMaker make;
  make.graph.set_root(make.state_dict({"enc.a.0.w", "enc.a.0.b", "enc.a.1.w", "head.w", "scale"}));
  const report::Tree tree(make.checkpoint);
  EXPECT_THAT(names(tree.summary(30)),
              ElementsAre("enc.a.", " 0.", "  w", "  b", " 1.", "  w", "head.", " w", "scale"));
  EXPECT_EQ(tree.summary(30)[0].text, "3 tensors, 18 parameters, 72 B float32");
  EXPECT_EQ(tree.summary(30)[1].path, "enc.a.0");
  EXPECT_THAT(names(tree.summary(4)), ElementsAre("enc.a.", "head.", "scale"));  // no room for a level below
}

TEST(InspectionTree, FitsAScreenHoweverMuchThereIs) {
  TreeMaker make;
  std::vector<std::string> keys;
  for (int i = 0; i < 500; ++i)
    keys.push_back("layer" + std::to_string(i % 50) + "." + std::to_string(i) + ".w");
  make.graph.set_root(make.state_dict(keys));
  const report::Tree tree(make.checkpoint);
  const auto rows = tree.summary(30);
  EXPECT_LE(rows.size(), 31u);
  EXPECT_THAT(rows.back().name, "…");
  EXPECT_THAT(rows.back().text, HasSubstr("21 more: 210 tensors"));
  std::size_t all = 0;
  tree.each([&](const report::TreeRow& row) { all += static_cast<std::size_t>(row.type == "float32"); });
  EXPECT_EQ(all, 500u);
}

TEST(InspectionTree, CountsAppearancesAndEndsOnCycles) {
  TreeMaker make;
  const NodeId list = make.graph.make_container(Kind::list), inner = make.state_dict({"w.x"});
  const NodeId items[] = {inner, inner, list};
  make.graph.append(list, items);
  make.graph.set_root(list);
  const report::Tree tree(make.checkpoint);
  EXPECT_EQ(tree.totals().tensors, 2u);
  std::vector<std::string> texts;
  tree.each([&](const report::TreeRow& row) { texts.push_back(row.text); });
  EXPECT_THAT(texts, ElementsAre(HasSubstr("1 tensor"), HasSubstr("1 tensor"), HasSubstr("[2, 3]"),
                                 "the same object as '0'", "the same object as the root"));
}

TEST(InspectionTree, AMemoBombCostsNothing) {
  TreeMaker make;
  NodeId top = make.state_dict({"w"});
  for (int i = 0; i < 200; ++i) {
    const NodeId twice[] = {top, top};
    top = make.graph.make_list(twice);
  }
  make.graph.set_root(top);
  const report::Tree tree(make.checkpoint);
  EXPECT_EQ(tree.totals().tensors, std::numeric_limits<std::uint64_t>::max());
  std::size_t rows = 0;
  tree.each([&](const report::TreeRow&) { ++rows; });
  EXPECT_LT(rows, 500u);
  EXPECT_LE(tree.summary(30).size(), 31u);
}

TEST(InspectionTree, PreviewsAreShortWhateverTheValue) {
  TreeMaker make;
  const NodeId list = make.graph.make_container(Kind::list);
  make.graph.append(list, {&list, 1});
  EXPECT_LE(report::preview(make.graph, list, 20).size(), 60u);
  const std::vector<std::byte> huge(100000, std::byte{0x7f});
  EXPECT_EQ(report::preview(make.graph, make.graph.make_big_integer(huge), 20),
            "an integer of 100,000 bytes");
  EXPECT_EQ(report::preview(make.graph, make.graph.make_text("a\x1b[31m"), 20), "'a\\x1b[31m'");
}

// --- tables

TEST(InspectionTable, CutsTheFirstColumnOnATerminalAndNothingInAPipe) {
  report::Table table({{"name"}, {"size", true}, {"never"}});
  table.add({"model.layers.12.attention.weight", "12", ""});
  table.add({"ä", "3", ""});
  std::string wide, narrow;
  table.print([&](std::string_view text) { wide += text; }, 0, "");
  table.print([&](std::string_view text) { narrow += text; }, 24, "");
  EXPECT_EQ(wide,
            "name                              size\n"
            "model.layers.12.attention.weight    12\n"
            "ä                                    3\n");
  EXPECT_EQ(narrow,
            "name                size\n"
            "model.…tion.weight    12\n"
            "ä                      3\n");
}

// --- statistics

template <typename T>
structure::Statistics measure(DType dtype, std::vector<T> values) {
  structure::StatisticsMeter meter(dtype);
  meter.add(std::as_bytes(std::span(values)));
  return meter.result();
}

TEST(Statistics, CountsWhatIsNoNumberApart) {
  const float inf = std::numeric_limits<float>::infinity();
  const auto found = measure<float>(DType::float32, {1, -inf, 3, std::nanf(""), 0, -0.0f});
  EXPECT_EQ(found.count, 6u);
  EXPECT_EQ(found.nans, 1u);
  EXPECT_EQ(found.infinities, 1u);
  EXPECT_EQ(found.zeros, 2u);
  EXPECT_EQ(found.min, 0);
  EXPECT_EQ(found.max, 3);
  EXPECT_EQ(found.mean, 1);
  EXPECT_DOUBLE_EQ(found.std, std::sqrt(6.0 / 4));
}

TEST(Statistics, KnowsEveryType) {
  EXPECT_EQ((measure<std::uint16_t>(DType::float16, {0x3c00, 0xc000, 0x0001}).min), -2);
  EXPECT_EQ((measure<std::uint16_t>(DType::float16, {0x3c00, 0x7c00}).infinities), 1u);
  EXPECT_EQ((measure<std::uint16_t>(DType::bfloat16, {0x3f80, 0x4000}).max), 2);
  EXPECT_EQ((measure<std::int8_t>(DType::int8, {-128, 127}).min), -128);
  EXPECT_EQ((measure<std::uint64_t>(DType::uint64, {~std::uint64_t{0}}).max), 0x1p64);
  EXPECT_EQ((measure<std::uint8_t>(DType::boolean, {0, 1, 2}).mean), 2.0 / 3);
  EXPECT_EQ((measure<float>(DType::complex64, {3, 4, 0, 0}).max), 5);
  EXPECT_EQ((measure<std::uint8_t>(DType::float8_e4m3fn, {0x38, 0x7e, 0x7f}).max), 448);
  EXPECT_EQ((measure<std::uint8_t>(DType::float8_e5m2, {0x3c, 0x7b, 0x7c}).max), 57344);
  EXPECT_EQ((measure<std::uint8_t>(DType::float8_e4m3fnuz, {0x40, 0x7f, 0x80}).max), 240);
  EXPECT_EQ((measure<std::uint8_t>(DType::float8_e5m2fnuz, {0x40, 0x7f, 0x80}).max), 57344);
  EXPECT_EQ((measure<std::uint8_t>(DType::float8_e8m0fnu, {127, 128, 255}).max), 2);
  EXPECT_FALSE(structure::is_measurable(DType::quint4x2));
}

TEST(Statistics, StaysExactFarFromZero) {
  std::vector<double> values(10000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1e9 + static_cast<double>(i % 2);
  const auto found = measure<double>(DType::float64, values);
  EXPECT_NEAR(found.mean, 1e9 + 0.5, 1e-6);
  EXPECT_NEAR(found.std, 0.5, 1e-6);
}

// --- windows

using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

structure::Window window_of(std::vector<std::int64_t> shape, std::vector<std::int64_t> strides,
                            std::int64_t offset) {
  Checkpoint checkpoint;
  Tensor tensor;
  tensor.rank = static_cast<std::uint16_t>(shape.size());
  tensor.dims = checkpoint.add_dims(shape, strides);
  tensor.offset = offset;
  return structure::window_of(checkpoint, tensor);
}

Runs runs_of(const structure::Window& window) {
  Runs runs;
  structure::each_run(window,
                      [&](std::uint64_t element, std::uint64_t count) { runs.emplace_back(element, count); });
  return runs;
}

TEST(Window, IsRunsInTheOrderOfTheStorage) {
  EXPECT_EQ(runs_of(window_of({}, {}, 3)), (Runs{{3, 1}}));
  EXPECT_EQ(runs_of(window_of({2, 3, 4}, {12, 4, 1}, 0)), (Runs{{0, 24}}));
  EXPECT_EQ(runs_of(window_of({4, 3, 2}, {1, 4, 12}, 0)), (Runs{{0, 24}}));  // transposed: the same bytes
  EXPECT_EQ(runs_of(window_of({3, 1}, {4, 1}, 1)), (Runs{{1, 1}, {5, 1}, {9, 1}}));
  EXPECT_EQ(runs_of(window_of({2, 2, 2}, {1, 20, 6}, 0)), (Runs{{0, 2}, {6, 2}, {20, 2}, {26, 2}}));
}

TEST(Window, CountsRepeatsInsteadOfWalkingThem) {
  const structure::Window window = window_of({1 << 20, 2, 1 << 20}, {0, 1, 0}, 0);
  EXPECT_EQ(window.times, std::uint64_t{1} << 40);
  EXPECT_EQ(runs_of(window), (Runs{{0, 2}}));
  EXPECT_EQ(window_of({1 << 30, 1 << 30, 1 << 30}, {0, 0, 0}, 0).times,
            std::numeric_limits<std::uint64_t>::max());
}

TEST(Window, KnowsOverlaps) {
  const structure::Window window = window_of({4, 4}, {2, 1}, 0);
  EXPECT_TRUE(window.overlaps);
  EXPECT_EQ(window.reach, 10u);
  EXPECT_EQ(runs_of(window), (Runs{{0, 4}, {2, 4}, {4, 4}, {6, 4}}));
  EXPECT_EQ(window_of({1 << 20, 1 << 20}, {1, 1}, 0).visits, std::uint64_t{1} << 40);
  EXPECT_FALSE(window_of({4, 3}, {1, 4}, 0).overlaps);
}

}  // namespace
}  // namespace ferry
