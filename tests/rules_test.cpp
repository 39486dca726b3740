// The rules of convert, on checkpoints built by hand in memory: what changes, what must not, and what the log
// says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <ctime>

#include "src/convert/intervals.h"
#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "tests/support/checkpoint_maker.h"

namespace ferry::convert {
namespace {

using test::code_of;
using test::Maker;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- Prefixes

TEST(Prefixes, AreStrippedWhereEveryKeyCarriesThem) {
  Maker m;
  const NodeId model = m.state_dict({"module.conv.weight", "module.conv.bias"});
  m.convert(m.dict({{"epoch", m.number(3)}, {"model_state", model}}));
  EXPECT_THAT(m.keys(model), ElementsAre("conv.weight", "conv.bias"));
  EXPECT_EQ(m.change(Code::prefix_stripped).path, "model_state");
  EXPECT_EQ(m.change(Code::prefix_stripped).what, "module. stripped from 2 keys");
  EXPECT_EQ(m.change(Code::ambiguous_prefix).path, "model_state");
}

TEST(Prefixes, OfSeveralWrappersAreStrippedTogether) {
  Maker m;
  const NodeId twice = m.state_dict({"module.module.a.weight", "module.module.a.bias"});
  const NodeId mixed = m.state_dict({"_orig_mod.module.a.weight", "_orig_mod.module.a.bias"});
  const NodeId fsdp = m.state_dict({"module._fsdp_wrapped_module.a.weight"});
  m.convert(m.dict({{"twice", twice}, {"mixed", mixed}, {"fsdp", fsdp}}));
  EXPECT_THAT(m.keys(twice), ElementsAre("a.weight", "a.bias"));
  EXPECT_THAT(m.keys(mixed), ElementsAre("a.weight", "a.bias"));
  EXPECT_THAT(m.keys(fsdp), ElementsAre("a.weight"));
}

TEST(Prefixes, OfCompileAloneAreNotAmbiguous) {
  Maker m;
  const NodeId model = m.state_dict({"_orig_mod.a", "_orig_mod.b"});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("a", "b"));
  EXPECT_FALSE(m.log.has(Code::ambiguous_prefix));
}

TEST(Prefixes, StayInMixedDicts) {
  Maker m;
  const NodeId model = m.state_dict({"module.conv.weight", "head.weight"});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("module.conv.weight", "head.weight"));
  EXPECT_THAT(m.log.changes(), IsEmpty());
}

TEST(Prefixes, InsideNamesSurvive) {
  Maker m;
  const NodeId model = m.state_dict({"module.encoder.module.weight", "module.submodule.weight"});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("encoder.module.weight", "submodule.weight"));
}

TEST(Prefixes, OfAveragedModelStay) {
  Maker m;
  const NodeId model = m.state_dict({"n_averaged", "module.conv.weight"});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("n_averaged", "module.conv.weight"));
}

TEST(Prefixes, ThatAreAllOfAKeyStay) {
  Maker m;
  const NodeId model = m.state_dict({"module.", "module.a"});
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("module.", "module.a"));
}

TEST(Prefixes, AreStrippedFromExtrasToo) {
  Maker m;
  const NodeId model = m.state_dict({"module.conv.weight"});
  m.graph.set_entry(model, "module.conv.bias", m.graph.make_none());
  m.graph.set_entry(model, "module.conv._extra_state", m.dict({{"amax", m.number(1)}}));
  m.convert(model);
  EXPECT_THAT(m.keys(model), ElementsAre("conv.weight", "conv.bias", "conv._extra_state"));
}

TEST(Prefixes, OfDictsWithoutTensorsStay) {
  Maker m;
  const NodeId config = m.dict({{"module.lr", m.real(0.1)}, {"module.name", m.text("x")}});
  const NodeId nested = m.dict({{"module.a", m.tensor()}, {"module.b", m.dict({})}});
  m.convert(m.dict({{"config", config}, {"nested", nested}}));
  EXPECT_THAT(m.keys(config), ElementsAre("module.lr", "module.name"));
  EXPECT_THAT(m.keys(nested), ElementsAre("module.a", "module.b"));
}

TEST(Prefixes, AreFoundAnywhereInTheTree) {
  Maker m;
  const NodeId a = m.state_dict({"module.w"}), b = m.state_dict({"module.w"}),
               shadow = m.state_dict({"module.w"});
  m.convert(
      m.dict({{"best_states", m.list({a, m.dict({{"net", b}})})}, {"ema", m.dict({{"shadow", shadow}})}}));
  for (const NodeId model : {a, b, shadow}) EXPECT_THAT(m.keys(model), ElementsAre("w"));
  EXPECT_EQ(m.count(Code::prefix_stripped), 3u);
  EXPECT_EQ(m.count(Code::ambiguous_prefix), 1u);
  EXPECT_EQ(m.change(Code::prefix_stripped).path, "best_states.0");
}

TEST(Prefixes, OfASharedStateDictAreStrippedOnce) {
  Maker m;
  const NodeId model = m.state_dict({"module.module.w"});
  m.convert(m.dict({{"model", model}, {"best", model}}));
  EXPECT_THAT(m.keys(model), ElementsAre("w"));
  EXPECT_EQ(m.count(Code::prefix_stripped), 1u);
}

TEST(Prefixes, LeaveMetadataAsTorchDoes) {
  Maker m;
  const NodeId outer = m.dict({{"version", m.number(1)}}), inner = m.dict({{"version", m.number(2)}});
  const NodeId conv = m.dict({{"version", m.number(3)}});
  const NodeId model =
      m.state_dict({"module.conv.weight"}, {{"", outer}, {"module", inner}, {"module.conv", conv}});
  m.convert(model);
  const NodeId metadata = m.metadata(model);
  EXPECT_THAT(m.keys(metadata), ElementsAre("", "conv"));
  EXPECT_EQ(m.graph.find(metadata, ""), inner);
  EXPECT_EQ(m.graph.find(metadata, "conv"), conv);
}

TEST(Prefixes, OfTwoWrappersLeaveTheInnermostMetadata) {
  Maker m;
  const NodeId model = m.dict({});
  const NodeId last = m.dict({{"version", m.number(9)}});
  const NodeId state =
      m.state_dict({"module.module.conv.weight"},
                   {{"", model}, {"module", model}, {"module.module", last}, {"module.module.conv", model}});
  m.convert(state);
  EXPECT_THAT(m.keys(m.metadata(state)), ElementsAre("", "conv"));
  EXPECT_EQ(m.graph.find(m.metadata(state), ""), last);
}

TEST(Prefixes, StayWhenAskedTo) {
  Maker m;
  const NodeId model = m.state_dict({"module.w"});
  RuleOptions options;
  options.keep_prefix = true;
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("module.w"));
}

TEST(Prefixes, StayInLayoutKeep) {
  Maker m;
  const NodeId model = m.state_dict({"module.w"});
  RuleOptions options;
  options.layout = Layout::keep;
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("module.w"));
}

// --- apex amp

NodeId loss_scaler(Maker& m, NodeId scale, std::int64_t unskipped) {
  return m.dict({{"loss_scale", scale}, {"unskipped", m.number(unskipped)}});
}

TEST(Amp, BecomesGradScalerStateInItsPlace) {
  Maker m;
  const NodeId amp = m.dict({{"loss_scaler0", loss_scaler(m, m.real(131072), 3)}}, DictFlavor::ordered);
  m.convert(m.dict({{"epoch", m.number(1)}, {"amp", amp}, {"it", m.number(2)}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("epoch", "scaler", "it"));
  EXPECT_THAT(m.keys(m.at({"scaler"})),
              ElementsAre("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"));
  EXPECT_EQ(m.graph.kind(m.at({"scaler", "scale"})), Kind::real);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "scale"})), 131072.0);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "growth_factor"})), 2.0);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "backoff_factor"})), 0.5);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "growth_interval"})), 2000);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "_growth_tracker"})), 3);
  EXPECT_EQ(m.change(Code::amp_to_scaler).path, "amp");
}

TEST(Amp, OfSeveralLossesGivesScalerAndScalers) {
  Maker m;
  const NodeId amp = m.dict({{"loss_scaler0", loss_scaler(m, m.real(65536), 1)},
                             {"loss_scaler1", loss_scaler(m, m.real(1), 0)},
                             {"loss_scaler2", loss_scaler(m, m.real(16384), 0)}});
  m.convert(m.dict({{"amp", amp}, {"G", m.number(0)}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("scaler", "scalers", "G"));
  const auto all = m.graph.items(m.at({"scalers"}));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], m.at({"scaler"}));
  EXPECT_EQ(m.graph.kind(all[1]), Kind::none);
  EXPECT_EQ(m.graph.real(m.at({"scalers", "2", "scale"})), 16384.0);
  EXPECT_EQ(m.change(Code::static_loss_scale).path, "amp.loss_scaler1");
}

TEST(Amp, StaticScalesGiveNoneAndARemark) {
  struct Case {
    double scale;
    std::int64_t unskipped;
  };
  for (const Case& c : {Case{1.0, 0}, Case{128.0, 2000}, Case{1000.0, 5}}) {
    Maker m;
    m.convert(m.dict({{"amp", m.dict({{"loss_scaler0", loss_scaler(m, m.real(c.scale), c.unskipped)}})}}));
    EXPECT_EQ(m.graph.kind(m.at({"scaler"})), Kind::none) << c.scale;
    EXPECT_THAT(m.change(Code::static_loss_scale).what,
                HasSubstr("static loss scale " + std::to_string(int(c.scale))));
  }
}

TEST(Amp, ScaleMayBeTextOrInteger) {
  Maker m;
  m.convert(m.dict({{"a", m.dict({{"amp", m.dict({{"loss_scaler0", loss_scaler(m, m.text("128.0"), 7)}})}})},
                    {"b", m.dict({{"amp", m.dict({{"loss_scaler0", loss_scaler(m, m.number(256), 7)}})}})}}));
  EXPECT_EQ(m.graph.real(m.at({"a", "scaler", "scale"})), 128.0);
  EXPECT_EQ(m.graph.real(m.at({"b", "scaler", "scale"})), 256.0);
}

TEST(Amp, EmptyOfDisabledAmpBecomesNone) {
  Maker m;
  m.convert(m.dict({{"amp", m.dict({})}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("scaler"));
  EXPECT_EQ(m.graph.kind(m.at({"scaler"})), Kind::none);
}

TEST(Amp, GivesWayToAnExistingScaler) {
  Maker m;
  const NodeId scaler = m.dict({{"scale", m.real(2)}});
  m.convert(m.dict({{"amp", m.dict({{"loss_scaler0", loss_scaler(m, m.real(8), 0)}})}, {"scaler", scaler}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("scaler"));
  EXPECT_EQ(m.at({"scaler"}), scaler);
  EXPECT_TRUE(m.log.has(Code::scaler_exists));
}

TEST(Amp, FillsAScalerThatIsNone) {
  Maker m;
  m.convert(m.dict({{"amp", m.dict({{"loss_scaler0", loss_scaler(m, m.real(8), 0)}})},
                    {"x", m.number(1)},
                    {"scaler", m.graph.make_none()}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("x", "scaler"));
  EXPECT_EQ(m.graph.real(m.at({"scaler", "scale"})), 8.0);
}

TEST(Amp, OfAnotherMeaningStays) {
  Maker m;
  const NodeId odd =
      m.dict({{"loss_scaler0", m.dict({{"loss_scale", m.text("dynamic")}, {"unskipped", m.number(0)}})}});
  m.convert(m.dict({{"args", m.dict({{"amp", m.graph.make_boolean(true)}})}, {"amp", odd}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("args", "amp"));
  EXPECT_THAT(m.keys(m.at({"args"})), ElementsAre("amp"));
}

// --- Optimizers

NodeId adam_group(Maker& m, std::vector<std::int64_t> ids) {
  return m.dict({{"lr", m.real(0.1)},
                 {"betas", m.graph.make_tuple(std::array{m.real(0.9), m.real(0.999)})},
                 {"eps", m.real(1e-8)},
                 {"weight_decay", m.number(0)},
                 {"amsgrad", m.graph.make_boolean(false)},
                 {"params", m.numbers(ids)}});
}

NodeId adam_state(Maker& m, NodeId step) {
  return m.dict({{"step", step}, {"exp_avg", m.tensor()}, {"exp_avg_sq", m.tensor()}});
}

TEST(OptimizerIds, BecomeIndicesInOrderOfTheGroups) {
  Maker m;
  const NodeId first = adam_state(m, m.number(4)), second = adam_state(m, m.number(4));
  m.convert(m.dict({{"state", m.numbered({{140001, first}, {140009, second}})},
                    {"param_groups", m.list({adam_group(m, {140009, 140005}), adam_group(m, {140001})})}}));
  EXPECT_THAT(m.keys(m.at({"state"})), ElementsAre("2", "0"));
  EXPECT_EQ(m.at({"state", "2"}), first);
  EXPECT_THAT(m.items(m.at({"param_groups", "0", "params"})), ElementsAre("0", "1"));
  EXPECT_THAT(m.items(m.at({"param_groups", "1", "params"})), ElementsAre("2"));
  EXPECT_THAT(m.change(Code::optimizer_ids).what, HasSubstr("3 parameter ids"));
}

TEST(OptimizerIds, ThatAreIndicesStay) {
  Maker m;
  const NodeId params = m.numbers({0, 1});
  const NodeId group = adam_group(m, {});
  m.graph.set_entry(group, "params", params);
  m.convert(
      m.dict({{"state", m.numbered({{1, adam_state(m, m.number(4))}})}, {"param_groups", m.list({group})}}));
  EXPECT_THAT(m.keys(m.at({"state"})), ElementsAre("1"));
  EXPECT_EQ(m.at({"param_groups", "0", "params"}), params);
  EXPECT_FALSE(m.log.has(Code::optimizer_ids));
  EXPECT_FALSE(m.log.has(Code::stale_optimizer_state));
}

TEST(OptimizerIds, OfStaleStatesFollowTheLast) {
  Maker m;
  m.convert(m.dict({{"state", m.numbered({{77, adam_state(m, m.number(1))},
                                          {500, adam_state(m, m.number(1))},
                                          {88, adam_state(m, m.number(1))}})},
                    {"param_groups", m.list({adam_group(m, {500, 600})})}}));
  EXPECT_THAT(m.keys(m.at({"state"})), ElementsAre("2", "0", "3"));
  EXPECT_THAT(m.change(Code::stale_optimizer_state).what, HasSubstr("2 entries"));
}

TEST(OptimizerIds, AsTextStay) {
  Maker m;
  const NodeId group = adam_group(m, {});
  m.graph.set_entry(group, "params", m.list({m.text("conv.weight")}));
  m.convert(m.dict(
      {{"state", m.dict({{"conv.weight", adam_state(m, m.number(1))}})}, {"param_groups", m.list({group})}}));
  EXPECT_THAT(m.keys(m.at({"state"})), ElementsAre("conv.weight"));
  EXPECT_THAT(m.items(m.at({"param_groups", "0", "params"})), ElementsAre("conv.weight"));
}

TEST(OptimizerIds, TextKeysBesideIdsStay) {
  Maker m;
  const NodeId state = m.numbered({{900, adam_state(m, m.number(1))}});
  m.graph.set_entry(state, "global", m.dict({}));
  m.convert(m.dict({{"state", state}, {"param_groups", m.list({adam_group(m, {900})})}}));
  EXPECT_THAT(m.keys(state), ElementsAre("0", "global"));
}

TEST(OptimizerIds, OfGroupsThatTwoOptimizersShareAreReadBeforeTheyChange) {
  Maker m;
  const NodeId groups = m.list({adam_group(m, {7, 5})});
  const NodeId a = m.numbered({{5, adam_state(m, m.number(1))}}),
               b = m.numbered({{7, adam_state(m, m.number(1))}});
  m.convert(m.dict({{"a", m.dict({{"state", a}, {"param_groups", groups}})},
                    {"b", m.dict({{"state", b}, {"param_groups", groups}})}}));
  EXPECT_THAT(m.keys(a), ElementsAre("1"));
  EXPECT_THAT(m.keys(b), ElementsAre("0"));
  EXPECT_THAT(m.items(m.at({"a", "param_groups", "0", "params"})), ElementsAre("0", "1"));
}

TEST(OptimizerSteps, BecomeTensorsOfTheirOwn) {
  Maker m;
  const NodeId twelve = m.graph.make_integer(12);  // one node for both, as pickles have it
  m.convert(m.dict(
      {{"optimizer", m.dict({{"state", m.numbered({{0, adam_state(m, twelve)}, {1, adam_state(m, twelve)}})},
                             {"param_groups", m.list({adam_group(m, {0, 1})})}})}}));
  const NodeId a = m.at({"optimizer", "state", "0", "step"}), b = m.at({"optimizer", "state", "1", "step"});
  ASSERT_EQ(m.graph.kind(a), Kind::tensor);
  EXPECT_EQ(m.tensor_of(a).rank, 0);
  EXPECT_EQ(m.tensor_of(a).dtype, DType::float32);
  EXPECT_EQ(m.value(a), 12.0f);
  EXPECT_EQ(m.value(b), 12.0f);
  EXPECT_NE(m.tensor_of(a).storage, m.tensor_of(b).storage);
  EXPECT_THAT(m.keys(m.at({"optimizer", "state", "0"})), ElementsAre("step", "exp_avg", "exp_avg_sq"));
  EXPECT_EQ(m.change(Code::optimizer_steps).path, "optimizer.state");
}

TEST(OptimizerSteps, ThatAreTensorsStay) {
  Maker m;
  const NodeId step = m.tensor(1);
  m.convert(m.dict(
      {{"state", m.numbered({{0, adam_state(m, step)}})}, {"param_groups", m.list({adam_group(m, {0})})}}));
  EXPECT_EQ(m.at({"state", "0", "step"}), step);
  EXPECT_FALSE(m.log.has(Code::optimizer_steps));
}

TEST(OptimizerSteps, AboveTwoToThe24AreRemarked) {
  Maker m;
  m.convert(m.dict({{"state", m.numbered({{0, adam_state(m, m.number((1 << 24) + 1))},
                                          {1, adam_state(m, m.number(1 << 24))}})},
                    {"param_groups", m.list({adam_group(m, {0, 1})})}}));
  EXPECT_THAT(m.change(Code::inexact_step).what, HasSubstr("1 step count above 2^24"));
}

TEST(OptimizerSteps, OfTheGroupGoIntoTheStates) {
  Maker m;
  const NodeId group = m.dict({{"lr", m.real(1)},
                               {"bias_correction", m.graph.make_boolean(true)},
                               {"betas", m.list({})},
                               {"eps", m.real(1)},
                               {"weight_decay", m.real(0)},
                               {"step", m.number(3)},
                               {"params", m.numbers({900, 901})}});
  const NodeId state = m.numbered({{900, m.dict({{"exp_avg", m.tensor()}, {"exp_avg_sq", m.tensor()}})}});
  m.convert(m.dict({{"state", state}, {"param_groups", m.list({group})}}));
  EXPECT_EQ(m.value(m.at({"state", "0", "step"})), 3.0f);
  EXPECT_EQ(m.graph.integer(m.graph.find(group, "step")), 3);  // apex's own class still finds it
  EXPECT_EQ(m.graph.kind(m.graph.find(group, "amsgrad")), Kind::boolean);
}

TEST(OptimizerSteps, OfFusedAdagradAreZero) {
  Maker m;
  const NodeId group = m.dict(
      {{"lr", m.real(1)}, {"eps", m.real(1)}, {"weight_decay", m.real(0)}, {"params", m.numbers({0})}});
  m.convert(m.dict(
      {{"state", m.numbered({{0, m.dict({{"sum", m.tensor()}})}})}, {"param_groups", m.list({group})}}));
  EXPECT_EQ(m.value(m.at({"state", "0", "step"})), 0.0f);
  EXPECT_EQ(m.graph.integer(m.graph.find(group, "lr_decay")), 0);
}

TEST(OptimizerSteps, OfAsgdLeaveEtaAndMuExact) {
  Maker m;
  const NodeId group = m.dict({{"lr", m.real(1)},
                               {"lambd", m.real(1)},
                               {"alpha", m.real(1)},
                               {"t0", m.real(1)},
                               {"weight_decay", m.real(0)},
                               {"params", m.numbers({0})}});
  const NodeId entry =
      m.dict({{"step", m.number(5)}, {"eta", m.real(0.1)}, {"mu", m.number(1)}, {"ax", m.tensor()}});
  m.convert(m.dict({{"state", m.numbered({{0, entry}})}, {"param_groups", m.list({group})}}));
  EXPECT_EQ(m.value(m.graph.find(entry, "step")), 5.0f);
  EXPECT_EQ(m.graph.real(m.graph.find(entry, "eta")), 0.1);
  EXPECT_EQ(m.graph.integer(m.graph.find(entry, "mu")), 1);
}

TEST(OptimizerSteps, OfSparseAdamAndUnknownClassesStay) {
  Maker m;
  const NodeId sparse =
      m.dict({{"lr", m.real(1)}, {"betas", m.list({})}, {"eps", m.real(1)}, {"params", m.numbers({0})}});
  const NodeId ranger = m.dict({{"lr", m.real(1)},
                                {"betas", m.list({})},
                                {"eps", m.real(1)},
                                {"weight_decay", m.real(1)},
                                {"N_sma_threshhold", m.number(5)},
                                {"params", m.numbers({0})}});
  m.convert(m.dict({{"sparse", m.dict({{"state", m.numbered({{0, adam_state(m, m.number(2))}})},
                                       {"param_groups", m.list({sparse})}})},
                    {"ranger", m.dict({{"state", m.numbered({{0, adam_state(m, m.number(2))}})},
                                       {"param_groups", m.list({ranger})}})}}));
  EXPECT_EQ(m.graph.kind(m.at({"sparse", "state", "0", "step"})), Kind::integer);
  EXPECT_EQ(m.graph.kind(m.at({"ranger", "state", "0", "step"})), Kind::integer);
  EXPECT_EQ(m.graph.find(ranger, "foreach"), kNoNode);
}

TEST(OptimizerGroups, GetWhatAdamAndAdamWHaveInCommon) {
  Maker m;
  const NodeId group = adam_group(m, {0});
  m.graph.set_entry(group, "maximize", m.graph.make_boolean(true));
  m.convert(m.dict({{"state", m.numbered({})}, {"param_groups", m.list({group})}}));
  EXPECT_THAT(m.keys(group), ElementsAre("lr", "betas", "eps", "weight_decay", "amsgrad", "params",
                                         "maximize", "foreach", "capturable", "differentiable", "fused"));
  EXPECT_TRUE(m.graph.boolean(m.graph.find(group, "maximize")));  // never overridden
  EXPECT_EQ(m.graph.kind(m.graph.find(group, "foreach")), Kind::none);
  EXPECT_EQ(m.change(Code::optimizer_groups).path, "param_groups");
}

TEST(OptimizerGroups, OfOldAdagradGetTheEpsThatWasBuiltIn) {
  Maker m;
  const NodeId group = m.dict({{"lr", m.real(1)},
                               {"lr_decay", m.number(0)},
                               {"weight_decay", m.number(0)},
                               {"params", m.numbers({0})}});
  m.convert(m.dict({{"state", m.numbered({{0, m.dict({{"step", m.number(1)}, {"sum", m.tensor()}})}})},
                    {"param_groups", m.list({group})}}));
  EXPECT_EQ(m.graph.real(m.graph.find(group, "eps")), 1e-10);
}

TEST(OptimizerGroups, ConvertedAgainStayTheSame) {
  Maker m;
  const NodeId root = m.dict({{"state", m.numbered({{900, adam_state(m, m.number(2))}})},
                              {"param_groups", m.list({adam_group(m, {900})})}});
  m.convert(root);
  EXPECT_FALSE(m.log.changes().empty());
  m.convert(root);
  EXPECT_THAT(m.log.changes(), IsEmpty());
}

// --- Devices

TEST(Devices, BecomeCpuInBothLayouts) {
  for (const Layout layout : {Layout::keep, Layout::clean}) {
    Maker m;
    RuleOptions options;
    options.layout = layout;
    const auto a = m.storage(DType::float32, 1, false, "cuda:0"),
               b = m.storage(DType::float32, 1, false, "cuda:1");
    m.convert(m.dict({{"a", m.view(a, DType::float32, {1}, {1}, 0)},
                      {"b", m.view(b, DType::float32, {1}, {1}, 0)},
                      {"c", m.tensor()}}),
              options);
    for (const Storage& storage : m.checkpoint.storages)
      EXPECT_EQ(m.checkpoint.devices[storage.device], "cpu");
    EXPECT_EQ(m.count(Code::device_to_cpu), 2u);
    EXPECT_EQ(m.change(Code::device_to_cpu).what, "1 storage tagged cuda:0 → cpu");
  }
}

// --- Intervals and compaction

std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs(const std::vector<ByteRange>& ranges) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
  for (const ByteRange& range : ranges) all.emplace_back(range.offset, range.end());
  return all;
}

TEST(Intervals, ThatOverlapOrTouchBecomeOne) {
  EXPECT_THAT(pairs(merge_intervals({{20, 4}, {0, 8}, {8, 4}, {4, 2}}, 4, 100)),
              ElementsAre(std::pair(0, 12), std::pair(20, 24)));
}
TEST(Intervals, ThatAreEmptyVanish) { EXPECT_THAT(merge_intervals({{8, 0}}, 4, 100), IsEmpty()); }
TEST(Intervals, InsideOthersChangeNothing) {
  EXPECT_THAT(pairs(merge_intervals({{0, 40}, {8, 4}}, 4, 100)), ElementsAre(std::pair(0, 40)));
}
TEST(Intervals, GrowToWholeUnitsAndStopAtTheEnd) {
  EXPECT_THAT(pairs(merge_intervals({{3, 2}, {17, 2}}, 8, 19)),
              ElementsAre(std::pair(0, 8), std::pair(16, 19)));
  EXPECT_THAT(pairs(merge_intervals({{3, 2}, {9, 1}}, 8, 64)), ElementsAre(std::pair(0, 16)));
}
TEST(Intervals, SayWhereABytesGoes) {
  const Kept kept({{8, 8}, {24, 4}, {100, 4}});
  EXPECT_EQ(kept.size(), 16u);
  EXPECT_EQ(kept.moved(8), 0u);
  EXPECT_EQ(kept.moved(15), 7u);
  EXPECT_EQ(kept.moved(24), 8u);
  EXPECT_EQ(kept.moved(102), 14u);
}

TEST(Compaction, KeepsWhatViewsReachAndTheirSharing) {
  Maker m;
  const auto big = m.storage(DType::float32, 1000);
  const NodeId a = m.view(big, DType::float32, {4}, {1}, 100),
               b = m.view(big, DType::float32, {2, 2}, {4, 1}, 102);
  const NodeId far = m.view(big, DType::float32, {1}, {1}, 999);
  m.convert(m.dict({{"a", a}, {"b", b}, {"far", far}}));
  EXPECT_THAT(pairs(m.checkpoint.storages[big].parts),
              ElementsAre(std::pair(400, 432), std::pair(3996, 4000)));
  EXPECT_EQ(m.checkpoint.storages[big].numel, 1000);
  EXPECT_EQ(m.tensor_of(a).offset, 0);
  EXPECT_EQ(m.tensor_of(b).offset, 2);
  EXPECT_EQ(m.tensor_of(far).offset, 8);
  EXPECT_THAT(m.checkpoint.strides(m.tensor_of(b)), ElementsAre(4, 1));
  EXPECT_EQ(m.tensor_of(a).storage, m.tensor_of(far).storage);
  EXPECT_EQ(m.change(Code::storage_compacted).what, "3.9 KiB that no tensor refers to left out of 1 storage");
}

TEST(Compaction, LeavesStoragesThatAreReachedWhole) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  m.convert(m.dict({{"t", m.view(storage, DType::float32, {2, 3}, {1, 2}, 0)},
                    {"part", m.view(storage, DType::float32, {2}, {1}, 1)}}));
  EXPECT_TRUE(m.checkpoint.storages[storage].parts.empty());
  EXPECT_FALSE(m.log.has(Code::storage_compacted));
}

TEST(Compaction, LeavesStoragesThatAreCoveredByPieces) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  const NodeId second = m.view(storage, DType::float32, {3}, {1}, 3);
  m.convert(m.dict({{"a", m.view(storage, DType::float32, {3}, {1}, 0)}, {"b", second}}));
  EXPECT_TRUE(m.checkpoint.storages[storage].parts.empty());
  EXPECT_EQ(m.tensor_of(second).offset, 3);
}

TEST(Compaction, LeavesBareStorages) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  m.convert(m.dict({{"t", m.view(storage, DType::float32, {1}, {1}, 2)},
                    {"s", m.graph.make_indexed(Kind::storage, storage)}}));
  EXPECT_TRUE(m.checkpoint.storages[storage].parts.empty());
}

TEST(Compaction, LeavesLayoutKeep) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  RuleOptions options;
  options.layout = Layout::keep;
  m.convert(m.dict({{"t", m.view(storage, DType::float32, {1}, {1}, 2)}}), options);
  EXPECT_TRUE(m.checkpoint.storages[storage].parts.empty());
}

TEST(Compaction, IgnoresTensorsThatAreNotWritten) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  const NodeId whole = m.view(storage, DType::float32, {6}, {1}, 0),
               part = m.view(storage, DType::float32, {2}, {1}, 2);
  RuleOptions options;
  options.excludes = {"whole"};
  m.convert(m.dict({{"whole", whole}, {"part", part}}), options);
  EXPECT_THAT(pairs(m.checkpoint.storages[storage].parts), ElementsAre(std::pair(8, 16)));
}

TEST(Compaction, OfEmptyViewsLeavesNothing) {
  Maker m;
  const auto storage = m.storage(DType::float32, 6);
  const NodeId empty = m.view(storage, DType::float32, {0}, {1}, 4);
  m.convert(m.dict({{"e", empty}}));
  ASSERT_EQ(m.checkpoint.storages[storage].parts.size(), 1u);
  EXPECT_EQ(m.checkpoint.storages[storage].kept_size(), 0u);
  EXPECT_EQ(m.tensor_of(empty).offset, 0);
}

TEST(Compaction, OfUntypedStoragesKeepsElementsAligned) {
  Maker m;
  const auto storage = m.storage(DType::uint8, 64, true);
  const NodeId a = m.view(storage, DType::float32, {1}, {1}, 3),
               b = m.view(storage, DType::float64, {2}, {1}, 4);
  m.convert(m.dict({{"a", a}, {"b", b}}));
  EXPECT_THAT(pairs(m.checkpoint.storages[storage].parts), ElementsAre(std::pair(8, 16), std::pair(32, 48)));
  EXPECT_EQ(m.tensor_of(a).offset, 1);
  EXPECT_EQ(m.tensor_of(b).offset, 1);
}

TEST(Compaction, OfExpandedViewsKeepsWhatRepeats) {
  Maker m;
  const auto storage = m.storage(DType::float32, 8);
  const NodeId expanded = m.view(storage, DType::float32, {5, 2}, {0, 1}, 3);
  m.convert(m.dict({{"x", expanded}}));
  EXPECT_THAT(pairs(m.checkpoint.storages[storage].parts), ElementsAre(std::pair(12, 20)));
  EXPECT_EQ(m.tensor_of(expanded).offset, 0);
}

// --- Selecting and filtering

RuleOptions selecting(std::string path) {
  RuleOptions options;
  options.select = std::move(path);
  return options;
}

TEST(Select, MakesASubtreeTheRoot) {
  Maker m;
  const NodeId model = m.state_dict({"module.w"});
  m.convert(m.dict({{"epoch", m.number(1)}, {"states", m.list({m.dict({}), model})}}), selecting("states.1"));
  EXPECT_EQ(m.graph.root(), model);
  EXPECT_THAT(m.keys(model), ElementsAre("w"));
  EXPECT_EQ(m.change(Code::prefix_stripped).path, "");
  EXPECT_TRUE(m.log.has(Code::selected));
}

TEST(Select, TakesTheLongestKeyThatFits) {
  Maker m;
  const NodeId longer = m.tensor(), shorter = m.tensor();
  m.convert(m.dict({{"a", m.dict({{"b", shorter}, {"c", shorter}})}, {"a.b", longer}}), selecting("a.b"));
  EXPECT_EQ(m.graph.root(), longer);
}

TEST(Select, GoesBackWhereTheLongestKeyLeadsNowhere) {
  Maker m;
  const NodeId wanted = m.tensor();
  m.convert(m.dict({{"a.b", m.dict({})}, {"a", m.dict({{"b.c", wanted}})}}), selecting("a.b.c"));
  EXPECT_EQ(m.graph.root(), wanted);
}

TEST(Select, FindsIntegerKeys) {
  Maker m;
  const NodeId wanted = m.tensor();
  m.convert(m.dict({{"state", m.numbered({{12, m.dict({{"exp_avg", wanted}})}})}}),
            selecting("state.12.exp_avg"));
  EXPECT_EQ(m.graph.root(), wanted);
}

TEST(Select, OfNothingIsAnError) {
  Maker m;
  const NodeId root = m.dict({{"model", m.state_dict({"w"})}});
  EXPECT_EQ(code_of([&] { m.convert(root, selecting("model.x")); }), Code::nothing_selected);
  EXPECT_EQ(code_of([&] { m.convert(root, selecting("mod")); }), Code::nothing_selected);
}

TEST(Filter, KeepsIncludedTensorsAndAllOtherValues) {
  Maker m;
  RuleOptions options;
  options.includes = {"model.*.weight"};
  const NodeId model = m.state_dict({"conv.weight", "conv.bias"});
  m.convert(m.dict({{"model", model}, {"epoch", m.number(1)}, {"list", m.list({m.tensor()})}}), options);
  EXPECT_THAT(m.keys(model), ElementsAre("conv.weight"));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("model", "epoch", "list"));
  EXPECT_EQ(m.change(Code::excluded).what, "1 tensor left out: model.conv.bias");
}

TEST(Filter, ExcludesWinOverIncludes) {
  Maker m;
  RuleOptions options;
  options.includes = {"*"};
  options.excludes = {"*running*"};
  const NodeId model = m.state_dict({"bn.weight", "bn.running_mean"});
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("bn.weight"));
}

TEST(Filter, ThatLeavesNoTensorIsAnError) {
  Maker m;
  RuleOptions options;
  options.excludes = {"*"};
  EXPECT_EQ(code_of([&] { m.convert(m.state_dict({"w"}), options); }), Code::nothing_selected);
}

// --- Renaming

RuleOptions renaming(std::string pattern, std::string replacement) {
  RuleOptions options;
  options.renames = {{std::move(pattern), std::move(replacement)}};
  return options;
}

TEST(Rename, RewritesKeysOfStateDictsOnly) {
  Maker m;
  const NodeId model = m.state_dict({"backbone.conv1.weight", "head.weight"});
  m.convert(m.dict({{"backbone.x", m.dict({})}, {"model", model}}),
            renaming("^backbone\\.conv(\\d)", "net.c$1"));
  EXPECT_THAT(m.keys(model), ElementsAre("net.c1.weight", "head.weight"));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("backbone.x", "model"));
  EXPECT_EQ(m.change(Code::renamed).path, "model");
  EXPECT_EQ(m.change(Code::renamed).what, "1 key renamed");
}

TEST(Rename, AppliesInTheOrderGiven) {
  Maker m;
  RuleOptions options = renaming("^a", "b");
  options.renames.push_back({"^b", "c"});
  const NodeId model = m.state_dict({"a.w"});
  m.convert(model, options);
  EXPECT_THAT(m.keys(model), ElementsAre("c.w"));
}

TEST(Rename, MovesMetadataWithItsModules) {
  Maker m;
  const NodeId v = m.dict({{"version", m.number(2)}});
  const NodeId model = m.state_dict({"net.bn.weight", "net.bn.bias", "net.odd.weight", "net.odd.bias"},
                                    {{"", v}, {"net", v}, {"net.bn", v}, {"net.odd", v}, {"net.relu", v}});
  RuleOptions options = renaming("^net\\.bn\\.", "net.norm.");
  options.renames.push_back({"^net\\.odd\\.weight", "net.other.weight"});
  m.convert(model, options);
  EXPECT_THAT(m.keys(m.metadata(model)), ElementsAre("", "net", "net.norm", "net.odd", "net.relu"));
}

TEST(Rename, ThatMakesTwoKeysEqualIsAnError) {
  Maker m;
  EXPECT_EQ(code_of([&] {
              m.convert(m.state_dict({"a1.w", "a2.w"}), renaming("\\d", ""));
            }),
            Code::key_collision);
}

TEST(Rename, ByABadPatternIsBadUsage) {
  Maker m;
  EXPECT_EQ(code_of([&] { m.convert(m.state_dict({"a"}), renaming("(", "")); }), Code::bad_usage);
}

TEST(Rename, LeavesOptimizersAlone) {
  Maker m;
  m.convert(m.dict({{"state", m.numbered({{0, adam_state(m, m.tensor(1))}})},
                    {"param_groups", m.list({adam_group(m, {0})})}}),
            renaming("^", "net."));
  EXPECT_THAT(m.keys(m.at({"state", "0"})), ElementsAre("step", "exp_avg", "exp_avg_sq"));
}

TEST(Rename, OfVeryLongKeysIsRefusedAndNoCrash) {
  Maker m;
  EXPECT_EQ(code_of([&] { m.convert(m.state_dict({std::string(1 << 20, 'a')}), renaming("(a|b)*c", "")); }),
            Code::limit_exceeded);
}

// --- Notes of the reader

TEST(Notes, GetTheirPath) {
  Maker m;
  const NodeId config = m.dict({});
  m.checkpoint.note(config, Code::object_to_data, "Namespace → dict");
  m.convert(m.dict({{"args", m.list({config})}}));
  EXPECT_EQ(m.change(Code::object_to_data).path, "args.0");
  EXPECT_EQ(m.change(Code::object_to_data).what, "Namespace → dict");
}

TEST(Notes, OnKeysHaveThePathOfTheEntry) {
  Maker m;
  const NodeId key = m.text("cat");
  const NodeId labels = m.dict({});
  m.graph.append(labels, std::array{key, m.number(0)});
  m.checkpoint.note(key, Code::object_to_data, "numpy.str_ → str");
  m.convert(m.dict({{"label_to_idx", labels}}));
  EXPECT_EQ(m.change(Code::object_to_data).path, "label_to_idx.cat");
}

TEST(Notes, ThatSayTheSameBecomeOneLine) {
  Maker m;
  std::vector<NodeId> values;
  for (int i = 0; i < 500; ++i) {
    values.push_back(m.real(i));
    m.checkpoint.note(values.back(), Code::object_to_data, "numpy.float64 → float");
  }
  m.convert(m.dict({{"log", m.dict({{"loss", m.list(values)}})}}));
  EXPECT_EQ(m.count(Code::object_to_data), 1u);
  EXPECT_EQ(m.change(Code::object_to_data).path, "log.loss");
  EXPECT_EQ(m.change(Code::object_to_data).what,
            "numpy.float64 → float (500 values: log.loss.0, log.loss.1, log.loss.2 …)");
}

TEST(Notes, OnTheRootConcernTheFileAlsoWhenAPartIsSelected) {
  Maker m;
  const NodeId root = m.dict({{"model", m.state_dict({"w"})}});
  m.checkpoint.note(root, Code::no_checksums, "no checksums");
  m.convert(root, selecting("model"));
  EXPECT_EQ(m.change(Code::no_checksums).path, "");
}

TEST(Notes, OnValuesThatAreNotWrittenAreDroppedButLossesStay) {
  Maker m;
  const NodeId gone = m.dict({});
  m.checkpoint.note(gone, Code::object_to_data, "ListConfig → list");
  m.checkpoint.note(gone, Code::attributes_dropped, "backward hooks of a tensor");
  m.convert(m.dict({{"w", m.tensor()}}));
  EXPECT_FALSE(m.log.has(Code::object_to_data));
  EXPECT_EQ(m.change(Code::attributes_dropped).path, "");
}

// --- Paths

TEST(PathsOfValues, ThatAreVeryLongLoseTheirBeginning) {
  Maker m;
  const NodeId model = m.state_dict({"w"});
  m.graph.set_root(m.dict({{std::string(5000, 'k'), m.dict({{"net", model}})}}));
  const Paths paths(m.graph, Reach::containers);
  EXPECT_EQ(paths.path(2), "…net");
  EXPECT_EQ(paths.path(2, std::string::npos), std::string(5000, 'k') + ".net");
  EXPECT_EQ(paths.path(0), "");
}

TEST(PathsOfValues, NameKeysThatAreNoText) {
  Maker m;
  const NodeId key = m.graph.make_tuple(std::array{m.number(1), m.text("a")});
  const NodeId dict = m.dict({});
  m.graph.append(dict, std::array{key, m.dict({})});
  m.graph.append(dict, std::array{m.graph.make_none(), m.dict({})});
  m.graph.set_root(dict);
  const Paths paths(m.graph, Reach::containers);
  EXPECT_EQ(paths.path(1), "(1, a)");
  EXPECT_EQ(paths.visits().size(), 4u);  // the dict, the tuple, two dicts
  EXPECT_EQ(paths.path(3), "None");
}

// --- Hostile sizes

TEST(Rules, AreQuickOnLongKeys) {
  Maker m;
  std::string deep;
  for (int i = 0; i < 150'000; ++i) deep += "module.";
  const NodeId model = m.state_dict({deep + "a", deep + "b"});
  std::vector<NodeId> optimizers;
  for (int i = 0; i < 2000; ++i)
    optimizers.push_back(m.dict({{"state", m.dict({})}, {"param_groups", m.list({adam_group(m, {1})})}}));
  m.convert(m.dict({{"model", model}, {std::string(1 << 20, 'k'), m.list(optimizers)}}));
  EXPECT_THAT(m.keys(model), ElementsAre("a", "b"));
}

// --- All together

TEST(Rules, EndOnCyclesAndDeepNesting) {
  Maker m;
  NodeId root = m.dict({});
  m.graph.set_entry(root, "self", root);
  NodeId inner = m.state_dict({"module.w"});
  const NodeId model = inner;
  for (int i = 0; i < 100'000; ++i) inner = m.list({inner});
  m.graph.set_entry(root, "deep", inner);
  m.convert(root);
  EXPECT_THAT(m.keys(model), ElementsAre("w"));
}

TEST(Rules, TakeAPlainTensorAsRoot) {
  Maker m;
  m.convert(m.tensor());
  EXPECT_THAT(m.log.changes(), IsEmpty());
}

TEST(Rules, HaveNamesAndReasons) {
  for (const Rule& rule : rules()) {
    EXPECT_FALSE(rule.id.empty());
    EXPECT_FALSE(rule.because.empty());
  }
}

// 100,000 tensors: a model of 33,334 with Adam, all prefixed, on a device, with ids and integer steps.
// What is quadratic takes minutes of the processor; how quick it is, scripts/bench says.
TEST(Rules, AreNotQuadraticInTheNumberOfTensors) {
  Maker m;
  std::vector<std::string> names;
  std::vector<std::pair<std::int64_t, NodeId>> states;
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 33'334; ++i) {
    names.push_back("module.layers." + std::to_string(i) + ".self_attention.output.dense.weight");
    ids.push_back(140'000'000 + 72 * i);
    states.emplace_back(ids.back(), adam_state(m, m.number(1000)));
  }
  const NodeId model = m.state_dict(names);
  m.graph.set_root(m.dict({{"model", model},
                           {"optimizer", m.dict({{"state", m.numbered(states)},
                                                 {"param_groups", m.list({adam_group(m, ids)})}})}}));
  for (Storage& storage : m.checkpoint.storages) storage.device = m.checkpoint.device_index("cuda:0");
  const std::clock_t begin = std::clock();
  apply_rules(m.checkpoint, {}, m.log);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_EQ(m.count(Code::prefix_stripped), 1u);
  EXPECT_EQ(m.value(m.at({"optimizer", "state", "33333", "step"})), 1000.0f);
  EXPECT_LT(seconds, 60);  // 0.03 in a release build, 2 in a sanitizer build
}

}  // namespace
}  // namespace ferry::convert
