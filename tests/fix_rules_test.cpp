// The rules that --fix turns on: what they change, what they leave alone, and that they say so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/convert/joined_source.h"
#include "src/convert/rule.h"
#include "tests/support/checkpoint_maker.h"

namespace ferry::convert {
namespace {

using test::code_of;
using test::Maker;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RuleOptions fix(std::string rule, std::string modules = "") {
  RuleOptions options;
  options.fixes.push_back({std::move(rule), std::move(modules)});
  return options;
}

NodeId shaped(Maker& m, std::vector<std::int64_t> shape, DType dtype = DType::float32) {
  std::int64_t count = 1;
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = count;
    count *= shape[i];
  }
  return m.view(m.storage(dtype, count), dtype, shape, strides, 0);
}

std::vector<std::int64_t> shape_of(const Maker& m, NodeId id) {
  const auto shape = m.checkpoint.shape(m.tensor_of(id));
  return {shape.begin(), shape.end()};
}

TEST(Fixes, AreOffUnlessNamed) {
  Maker m;
  const NodeId model = m.dict({{"a.weight_g", shaped(m, {2, 1})}, {"a.weight_v", shaped(m, {2, 3})}});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("a.weight_g", "a.weight_v"));
}

TEST(Fixes, OnTopOfLayoutKeepChangeOnlyWhatTheyName) {
  Maker m;
  const NodeId model =
      m.dict({{"module.weight_g", shaped(m, {2, 1})}, {"module.weight_v", shaped(m, {2, 3})}});
  RuleOptions options = fix("weight_norm");
  options.layout = Layout::keep;
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("module.parametrizations.weight.original0",
                                         "module.parametrizations.weight.original1"));
}

TEST(Fixes, WithAPatternTouchOnlyTheModulesItNames) {
  Maker m;
  const NodeId model = m.dict({{"a.weight_g", shaped(m, {2, 1})},
                               {"a.weight_v", shaped(m, {2, 3})},
                               {"b.weight_g", shaped(m, {2, 1})},
                               {"b.weight_v", shaped(m, {2, 3})}});
  m.convert(model, fix("weight_norm", "b*"));
  EXPECT_THAT(m.keys(model), ElementsAre("a.weight_g", "a.weight_v", "b.parametrizations.weight.original0",
                                         "b.parametrizations.weight.original1"));
  EXPECT_THAT(m.change(Code::layout_fixed).what, HasSubstr("weight_norm: 1 weight"));
}

TEST(Rules, ThatAreLeftOutDoNothing) {
  Maker m;
  const NodeId model = m.state_dict({"module.w"});
  RuleOptions options;
  options.without.emplace_back("prefixes");
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("module.w"));
}

TEST(Rules, AreFoundByTheirName) {
  ASSERT_NE(find_rule("weight_norm"), nullptr);
  EXPECT_EQ(find_rule("weight_norm")->when, When::fix);
  EXPECT_EQ(find_rule("weight norm"), nullptr);
}

// --- weight_norm

TEST(WeightNorm, GoesToParametrizationsAndBack) {
  Maker m;
  const std::vector<std::pair<std::string, NodeId>> old = {{"bias", shaped(m, {2})},
                                                           {"weight_g", shaped(m, {2, 1})},
                                                           {"weight_v", shaped(m, {2, 3})},
                                                           {"rnn.weight_hh_l0_g", shaped(m, {8, 1})},
                                                           {"rnn.weight_hh_l0_v", shaped(m, {8, 2})},
                                                           {"all.weight_g", shaped(m, {})},
                                                           {"all.weight_v", shaped(m, {2, 3})}};
  const NodeId model = m.dict(old);
  m.convert(model, fix("weight_norm"));
  EXPECT_THAT(m.keys(model),
              ElementsAre("bias", "parametrizations.weight.original0", "parametrizations.weight.original1",
                          "rnn.parametrizations.weight_hh_l0.original0",
                          "rnn.parametrizations.weight_hh_l0.original1",
                          "all.parametrizations.weight.original0", "all.parametrizations.weight.original1"));
  m.convert(model, fix("weight_norm_hooks"));
  for (std::size_t i = 0; i < old.size(); ++i) {
    EXPECT_EQ(m.keys(model)[i], old[i].first);
    EXPECT_EQ(m.graph.entry(model, i).value, old[i].second);
  }
}

TEST(WeightNorm, LeavesWhatOnlyLooksLikeIt) {
  Maker m;  // [3, 3] is no length of [2, 3]; a weight beside g and v is of another make
  const NodeId odd = m.dict({{"a.weight_g", shaped(m, {3, 3})}, {"a.weight_v", shaped(m, {2, 3})}});
  const NodeId both = m.dict({{"a.weight_g", shaped(m, {2, 1})},
                              {"a.weight_v", shaped(m, {2, 3})},
                              {"a.weight", shaped(m, {2, 3})}});
  const NodeId lone = m.dict({{"a.weight_g", shaped(m, {2, 1})}});
  m.convert(m.dict({{"odd", odd}, {"both", both}, {"lone", lone}}), fix("weight_norm"));
  EXPECT_THAT(m.keys(odd), ElementsAre("a.weight_g", "a.weight_v"));
  EXPECT_THAT(m.keys(both), ElementsAre("a.weight_g", "a.weight_v", "a.weight"));
  EXPECT_THAT(m.keys(lone), ElementsAre("a.weight_g"));
  EXPECT_EQ(m.count(Code::fix_not_applied), 2u);
  EXPECT_FALSE(m.log.has(Code::layout_fixed));
}

// --- spectral_norm

TEST(SpectralNorm, GoesToParametrizationsAndBack) {
  Maker m;
  const NodeId model = m.dict({{"c.bias", shaped(m, {4})},
                               {"c.weight_orig", shaped(m, {4, 3, 2})},
                               {"c.weight_u", shaped(m, {4})},
                               {"c.weight_v", shaped(m, {6})}});
  m.convert(model, fix("spectral_norm"));
  EXPECT_THAT(m.keys(model), ElementsAre("c.bias", "c.parametrizations.weight.original",
                                         "c.parametrizations.weight.0._u", "c.parametrizations.weight.0._v"));
  m.convert(model, fix("spectral_norm_hooks"));
  EXPECT_THAT(m.keys(model), ElementsAre("c.bias", "c.weight_orig", "c.weight_u", "c.weight_v"));
}

TEST(SpectralNorm, OfTransposedConvolutionsCountsAnotherDimension) {
  Maker m;
  const NodeId model = m.dict(
      {{"weight_orig", shaped(m, {3, 5, 2})}, {"weight_u", shaped(m, {5})}, {"weight_v", shaped(m, {6})}});
  m.convert(model, fix("spectral_norm"));
  EXPECT_TRUE(m.log.has(Code::layout_fixed));
}

TEST(SpectralNorm, WithoutVOrWithOtherVectorsStays) {
  Maker m;
  const NodeId old = m.dict({{"c.weight_orig", shaped(m, {4, 3})}, {"c.weight_u", shaped(m, {4})}});
  const NodeId odd = m.dict(
      {{"c.weight_orig", shaped(m, {4, 3})}, {"c.weight_u", shaped(m, {4})}, {"c.weight_v", shaped(m, {5})}});
  m.convert(m.dict({{"old", old}, {"odd", odd}}), fix("spectral_norm"));
  EXPECT_THAT(m.keys(old), ElementsAre("c.weight_orig", "c.weight_u"));
  EXPECT_THAT(m.keys(odd), ElementsAre("c.weight_orig", "c.weight_u", "c.weight_v"));
  EXPECT_EQ(m.count(Code::fix_not_applied), 2u);
  EXPECT_THAT(m.change(Code::fix_not_applied).what, HasSubstr("before 1.1"));
}

// --- num_batches_tracked

TEST(BatchCounters, AreAddedBehindTheStatisticsWithTheirVersion) {
  Maker m;
  const NodeId one = m.dict({{"version", m.number(1)}});
  const NodeId model = m.state_dict({"bn.weight", "bn.running_mean", "bn.running_var", "fc.weight"},
                                    {{"", one}, {"bn", one}, {"fc", one}});
  m.convert(model, fix("num_batches_tracked"));
  EXPECT_THAT(m.keys(model), ElementsAre("bn.weight", "bn.running_mean", "bn.running_var",
                                         "bn.num_batches_tracked", "fc.weight"));
  const NodeId counter = m.graph.find(model, "bn.num_batches_tracked");
  EXPECT_EQ(m.tensor_of(counter).dtype, DType::int64);
  EXPECT_EQ(m.tensor_of(counter).rank, 0);
  EXPECT_EQ(m.graph.integer(m.graph.find(m.graph.find(m.metadata(model), "bn"), "version")), 2);
  EXPECT_EQ(m.graph.integer(m.graph.find(m.graph.find(m.metadata(model), "fc"), "version")), 1);
}

TEST(BatchCounters, ThatAreThereStay) {
  Maker m;
  const NodeId model = m.state_dict({"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"});
  m.convert(model, fix("num_batches_tracked"));
  EXPECT_FALSE(m.log.has(Code::layout_fixed));
}

// --- InstanceNorm

TEST(InstanceNorm, WithoutWeightLosesItsStatistics) {
  Maker m;
  const NodeId model = m.state_dict({"in.running_mean", "in.running_var", "in.num_batches_tracked",
                                     "bn.weight", "bn.running_mean", "bn.running_var"});
  m.convert(model, fix("instance_norm"));
  EXPECT_THAT(m.keys(model), ElementsAre("bn.weight", "bn.running_mean", "bn.running_var"));
  EXPECT_THAT(m.change(Code::fix_not_applied).what, HasSubstr("may be a BatchNorm"));
}

TEST(InstanceNorm, WithWeightMustBeNamed) {
  Maker m;
  const NodeId model = m.state_dict({"g.in.weight", "g.in.running_mean", "g.in.running_var", "d.bn.weight",
                                     "d.bn.running_mean", "d.bn.running_var"});
  m.convert(model, fix("instance_norm", "g.*"));
  EXPECT_THAT(m.keys(model),
              ElementsAre("g.in.weight", "d.bn.weight", "d.bn.running_mean", "d.bn.running_var"));
}

// --- Wrappers and averages

TEST(Wrappers, AroundInnerModulesGo) {
  Maker m;
  const NodeId version = m.dict({{"version", m.number(2)}});
  const NodeId model =
      m.state_dict({"a._orig_mod.w", "layers.0._fsdp_wrapped_module._checkpoint_wrapped_module.w", "b"},
                   {{"a", version}, {"a._orig_mod", version}, {"layers.0._fsdp_wrapped_module", version}});
  m.convert(model, fix("wrappers"));
  EXPECT_THAT(m.keys(model), ElementsAre("a.w", "layers.0.w", "b"));
  EXPECT_THAT(m.keys(m.metadata(model)), ElementsAre("a", "layers.0"));
}

TEST(Wrappers, OfFlatParametersStayAndAreNamed) {
  Maker m;
  const NodeId model = m.state_dict({"_fsdp_wrapped_module._flat_param", "b"});
  m.convert(model, fix("wrappers"));
  EXPECT_THAT(m.keys(model), ElementsAre("_fsdp_wrapped_module._flat_param", "b"));
  EXPECT_TRUE(m.log.has(Code::fix_not_applied));
}

TEST(Wrappers, ThatMakeTwoKeysEqualAreAnError) {
  Maker m;
  const NodeId model = m.state_dict({"a._orig_mod.w", "a.w"});
  EXPECT_EQ(code_of([&] { m.convert(model, fix("wrappers")); }), Code::key_collision);
}

TEST(AveragedModel, BecomesAPlainModel) {
  Maker m;
  const NodeId version = m.dict({{"version", m.number(2)}});
  const NodeId model = m.state_dict({"n_averaged", "module.conv.w"},
                                    {{"", version}, {"module", version}, {"module.conv", version}});
  m.convert(model, fix("averaged_model"));
  EXPECT_THAT(m.keys(model), ElementsAre("conv.w"));
  EXPECT_THAT(m.keys(m.metadata(model)), ElementsAre("", "conv"));
}

TEST(AveragedModel, WithOtherKeysStays) {
  Maker m;
  const NodeId model = m.state_dict({"n_averaged", "module.conv.w", "head.w"});
  m.convert(model, fix("averaged_model"));
  EXPECT_THAT(m.keys(model), ElementsAre("n_averaged", "module.conv.w", "head.w"));
  EXPECT_TRUE(m.log.has(Code::fix_not_applied));
}

// --- Attention

// Tensors with bytes: element i of the storage is first + i.
NodeId counted_tensor(Maker& m, std::vector<std::int64_t> shape, float first) {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * 4);
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = first + static_cast<float>(i);
    std::memcpy(bytes.data() + 4 * i, &value, 4);
  }
  return m.graph.make_indexed(Kind::tensor,
                              m.checkpoint.add_tensor(DType::float32, shape, std::move(bytes), false, "t"));
}

std::vector<float> numbers(const Maker& m, NodeId id) {
  const Tensor& tensor = m.tensor_of(id);
  const StorageBytes& bytes = m.checkpoint.storages[tensor.storage].bytes;
  std::vector<float> all(static_cast<std::size_t>(numel(m.checkpoint, tensor)));
  const auto octets =
      bytes.source->read({bytes.offset + static_cast<std::uint64_t>(tensor.offset) * 4, all.size() * 4});
  std::memcpy(all.data(), octets.data(), octets.size());
  return all;
}

NodeId attention(Maker& m) {
  return m.dict({{"a.q_proj.weight", counted_tensor(m, {2, 2}, 0)},
                 {"a.q_proj.bias", counted_tensor(m, {2}, 100)},
                 {"a.k_proj.weight", counted_tensor(m, {2, 2}, 4)},
                 {"a.k_proj.bias", counted_tensor(m, {2}, 102)},
                 {"a.v_proj.weight", counted_tensor(m, {2, 2}, 8)},
                 {"a.v_proj.bias", counted_tensor(m, {2}, 104)},
                 {"a.out_proj.weight", counted_tensor(m, {2, 2}, 50)}});
}

TEST(InProj, JoinsQKVAndSplitsThemAgain) {
  Maker m;
  const NodeId model = attention(m);
  m.convert(model, fix("in_proj"));
  EXPECT_THAT(m.keys(model), ElementsAre("a.in_proj_weight", "a.in_proj_bias", "a.out_proj.weight"));
  const NodeId weight = m.graph.find(model, "a.in_proj_weight");
  EXPECT_THAT(shape_of(m, weight), ElementsAre(6, 2));
  EXPECT_THAT(numbers(m, weight), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(numbers(m, m.graph.find(model, "a.in_proj_bias")), ElementsAre(100, 101, 102, 103, 104, 105));
  m.convert(model, fix("qkv_proj"));
  EXPECT_THAT(m.keys(model),
              ElementsAre("a.q_proj.weight", "a.k_proj.weight", "a.v_proj.weight", "a.q_proj.bias",
                          "a.k_proj.bias", "a.v_proj.bias", "a.out_proj.weight"));
  EXPECT_THAT(numbers(m, m.graph.find(model, "a.k_proj.weight")), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(numbers(m, m.graph.find(model, "a.v_proj.bias")), ElementsAre(104, 105));
  EXPECT_THAT(shape_of(m, m.graph.find(model, "a.v_proj.weight")), ElementsAre(2, 2));
}

TEST(InProj, OfOtherWidthsKeepsThreeWeights) {
  Maker m;
  const NodeId model = m.dict({{"q_proj.weight", counted_tensor(m, {2, 2}, 0)},
                               {"k_proj.weight", counted_tensor(m, {2, 3}, 0)},
                               {"v_proj.weight", counted_tensor(m, {2, 3}, 0)},
                               {"out_proj.weight", counted_tensor(m, {2, 2}, 0)}});
  m.convert(model, fix("in_proj"));
  EXPECT_THAT(m.keys(model),
              ElementsAre("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"));
  m.convert(model, fix("qkv_proj"));
  EXPECT_THAT(m.keys(model),
              ElementsAre("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight"));
}

TEST(InProj, ThatWouldBeAGuessIsLeftAlone) {
  Maker m;
  const NodeId no_output = attention(m), some_biases = attention(m), types = attention(m),
               strided = attention(m);
  const auto entries = m.graph.items(no_output);
  m.graph.set_items(no_output, std::vector<NodeId>(entries.begin(), entries.begin() + 12));
  m.graph.set_entry(some_biases, "a.k_proj.bias", m.graph.make_none());
  m.graph.set_entry(types, "a.k_proj.weight", shaped(m, {2, 2}, DType::float16));
  m.graph.set_entry(strided, "a.k_proj.weight",
                    m.view(m.storage(DType::float32, 4), DType::float32, {2, 2}, {1, 2}, 0));
  m.convert(m.dict({{"a", no_output}, {"b", some_biases}, {"c", types}, {"d", strided}}), fix("in_proj"));
  EXPECT_EQ(m.count(Code::fix_not_applied), 4u);
  EXPECT_FALSE(m.log.has(Code::layout_fixed));
  for (const NodeId model : {some_biases, types, strided}) EXPECT_EQ(m.keys(model).size(), 7u);
}

TEST(QkvProj, OfSomethingThatIsNotThreeStays) {
  Maker m;
  const NodeId model = m.dict({{"a.in_proj_weight", counted_tensor(m, {4, 2}, 0)}});
  m.convert(model, fix("qkv_proj"));
  EXPECT_THAT(m.keys(model), ElementsAre("a.in_proj_weight"));
  EXPECT_TRUE(m.log.has(Code::fix_not_applied));
}

TEST(JoinedSource, ReadsAcrossItsPiecesAndChecksTheirRecords) {
  const auto bytes = [](std::string text) {
    std::vector<std::byte> all;
    for (const char c : text) all.push_back(static_cast<std::byte>(c));
    return all;
  };
  const auto source = std::make_shared<MemorySource>("file", bytes("..123456789.."));
  const std::uint32_t crc = 0xcbf43926;  // of "123456789", the check value of CRC-32
  const auto joined =
      join_pieces("a", {{source, {3, 2}, {2, 9}, crc}, {source, {10, 3}, {0, 13}, std::nullopt}});
  EXPECT_EQ(joined->size(), 5u);
  EXPECT_EQ(joined->read({0, 5}), bytes("239.."));
  EXPECT_EQ(joined->read({1, 2}), bytes("39"));
  EXPECT_EQ(code_of([&] { joined->read({4, 2}); }), Code::truncated);
  const auto broken = join_pieces("a", {{source, {3, 2}, {2, 9}, crc + 1}});
  EXPECT_EQ(code_of([&] { broken->read({0, 2}); }), Code::checksum_mismatch);
}

// --- Recurrent nets

TEST(FlatWeights, GetStoragesOfTheirOwn) {
  Maker m;
  const std::uint32_t flat = m.storage(DType::float32, 10);
  const NodeId first = m.view(flat, DType::float32, {2, 2}, {2, 1}, 0),
               second = m.view(flat, DType::float32, {6}, {1}, 4);
  const NodeId other = m.view(flat, DType::float32, {2}, {1}, 0);
  const NodeId model = m.dict({{"rnn.weight_ih_l0", first},
                               {"rnn.bias_hh_l0", second},
                               {"tied.bias_hh_l0", second},
                               {"view", other}});
  m.convert(model, fix("flat_weights"));
  const Tensor& bias = m.tensor_of(m.graph.find(model, "rnn.bias_hh_l0"));
  EXPECT_NE(bias.storage, flat);
  EXPECT_EQ(bias.offset, 0);
  ASSERT_EQ(m.checkpoint.storages[bias.storage].parts.size(), 1u);
  EXPECT_EQ(m.checkpoint.storages[bias.storage].parts[0].offset, 16u);
  EXPECT_EQ(m.checkpoint.storages[bias.storage].kept_size(), 24u);
  EXPECT_EQ(m.graph.find(model, "tied.bias_hh_l0"), m.graph.find(model, "rnn.bias_hh_l0"));
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "view")).storage, flat);
}

TEST(FlatWeights, ThatAreAloneStay) {
  Maker m;
  const NodeId weight = m.tensor();
  const NodeId model = m.dict({{"rnn.weight_ih_l0", weight}});
  m.convert(model, fix("flat_weights"));
  EXPECT_EQ(m.graph.find(model, "rnn.weight_ih_l0"), weight);
  EXPECT_THAT(m.log.changes(), IsEmpty());
}

// --- Generators.  That CPU states go on with the numbers of the old release is what
// tests/oracle/migration_states.py asks PyTorch.

NodeId state_of_bytes(Maker& m, std::vector<std::byte> content) {
  const std::int64_t shape[] = {static_cast<std::int64_t>(content.size())};
  return m.graph.make_indexed(
      Kind::tensor, m.checkpoint.add_tensor(DType::uint8, shape, std::move(content), false, "state"));
}

std::vector<std::byte> cuda_state() {
  std::vector<std::byte> state(816, std::byte{0xff});
  for (std::size_t i = 0; i < 16; ++i) state[800 + i] = static_cast<std::byte>(i + 1);
  return state;
}

std::vector<std::byte> content_of(const Maker& m, NodeId node) {
  const Tensor& tensor = m.checkpoint.tensors[m.graph.index(node)];
  const StorageBytes& content = m.checkpoint.storages[tensor.storage].bytes;
  return content.source->read({content.offset, content.size});
}

TEST(RngStates, OfCudaKeepSeedAndOffset) {
  Maker m;
  const NodeId state = state_of_bytes(m, cuda_state());
  const NodeId root = m.dict({{"cuda", state}});
  m.convert(root, fix("rng_states"));
  EXPECT_EQ(m.change(Code::rng_state).path, "cuda");
  const std::vector<std::byte> old = cuda_state(), now = content_of(m, state);
  EXPECT_EQ(now, std::vector<std::byte>(old.end() - 16, old.end()));
  EXPECT_FALSE(m.log.has(Code::old_rng_state));
}

TEST(RngStates, StayWithoutTheFixAndAreNamed) {
  Maker m;
  const NodeId state = state_of_bytes(m, cuda_state());
  m.convert(m.dict({{"cuda", state}}));
  EXPECT_EQ(content_of(m, state), cuda_state());
  EXPECT_THAT(m.change(Code::old_rng_state).what,
              HasSubstr("816 bytes, where 2.x takes 16: --fix rng_states"));
}

TEST(RngStates, OtherTensorsOfTheirSizesStay) {
  Maker m;
  std::vector<std::byte> bright = cuda_state();
  bright[0] = std::byte{0xfe};
  std::vector<std::byte> noise(5048, std::byte{1});
  const NodeId first = state_of_bytes(m, bright), second = state_of_bytes(m, noise);
  m.convert(m.dict({{"mask", first}, {"noise", second}}), fix("rng_states"));
  EXPECT_EQ(content_of(m, first), bright);
  EXPECT_EQ(content_of(m, second), noise);
  EXPECT_FALSE(m.log.has(Code::rng_state));
}

}  // namespace
}  // namespace ferry::convert
