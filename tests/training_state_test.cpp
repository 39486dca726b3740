// Rules for what training leaves beside a model: loss scalers of apex, FP16_Optimizer, schedulers, names of
// parameters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/convert/rule.h"
#include "tests/support/checkpoint_maker.h"

namespace ferry::convert {
namespace {

using test::Maker;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

NodeId loss_scaler(Maker& m, double scale, std::int64_t unskipped) {
  return m.dict({{"loss_scale", m.real(scale)}, {"unskipped", m.number(unskipped)}});
}

NodeId amp(Maker& m, double scale, std::int64_t unskipped) {
  return m.dict({{"loss_scaler0", loss_scaler(m, scale, unskipped)}});
}

NodeId half(Maker& m, std::vector<std::int64_t> shape, DType dtype = DType::float16) {
  std::int64_t count = 1;
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = count;
    count *= shape[i];
  }
  return m.view(m.storage(dtype, count), dtype, shape, strides, 0);
}
NodeId single(Maker& m, std::vector<std::int64_t> shape) { return half(m, shape, DType::float32); }

// --- --amp and --static-scale

TEST(AmpOptions, KeepLeavesTheStateAsItIs) {
  Maker m;
  RuleOptions options;
  options.amp = Amp::keep;
  m.convert(m.dict({{"amp", amp(m, 65536, 3)}}), options);
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("amp"));
}

TEST(AmpOptions, DropLeavesNothing) {
  Maker m;
  RuleOptions options;
  options.amp = Amp::drop;
  m.convert(m.dict({{"amp", amp(m, 65536, 3)}, {"epoch", m.number(1)}}), options);
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("epoch"));
  EXPECT_THAT(m.change(Code::amp_dropped).what, HasSubstr("65536"));
}

TEST(AmpOptions, AFrozenScaleNeitherGrowsNorShrinks) {
  Maker m;
  RuleOptions options;
  options.static_scale = StaticScale::frozen;
  m.convert(m.dict({{"amp", amp(m, 128, 2500)}}), options);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "scale"})), 128.0);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "growth_factor"})), 1.0);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "backoff_factor"})), 1.0);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "_growth_tracker"})), 0);
  EXPECT_THAT(m.change(Code::static_loss_scale).what, HasSubstr("skips steps with infinities"));
}

TEST(AmpEvidence, SaysWhatTheFileShowsOfTheOptLevel) {
  struct Case {
    double scale;
    bool masters, half_moments, recorded;
    const char* says;
  };
  for (const Case& c :
       {Case{65536, false, false, false, "O1 or O2"}, Case{1, false, false, false, "O0 or O3"},
        Case{65536, true, false, false, "O2 (it has master_params)"},
        Case{1, false, true, false, "O3 (the optimizer's moments are float16)"},
        Case{65536, false, false, true, "O2 (config.OPT_LEVEL says so)"}}) {
    Maker m;
    std::vector<std::pair<std::string, NodeId>> root{{"amp", amp(m, c.scale, c.scale == 1 ? 0 : 3)}};
    if (c.masters) root.emplace_back("master_params", m.list({m.tensor()}));
    if (c.half_moments)
      root.emplace_back("optimizer",
                        m.dict({{"state", m.numbered({{0, m.dict({{"exp_avg", half(m, {3})}})}})}}));
    if (c.recorded) root.emplace_back("config", m.dict({{"OPT_LEVEL", m.text("O2")}}));
    m.convert(m.dict(root));
    EXPECT_THAT(m.change(Code::amp_evidence).what, HasSubstr(c.says));
  }
}

TEST(AmpEvidence, SaysThatADynamicScaleIsAGuess) {
  Maker m;
  m.convert(m.dict({{"amp", amp(m, 16777216, 1)}}));
  EXPECT_THAT(m.change(Code::amp_evidence).what, HasSubstr("16777216.0 is a power of two and 1 good step"));
  EXPECT_THAT(m.change(Code::amp_evidence).what, HasSubstr("no higher than 2^24"));
}

TEST(Scaler, OfADisabledGradScalerBecomesNone) {
  Maker m;
  m.convert(m.dict({{"scaler", m.dict({})}, {"other", m.dict({})}}));
  EXPECT_EQ(m.graph.kind(m.at({"scaler"})), Kind::none);
  EXPECT_EQ(m.graph.kind(m.at({"other"})), Kind::dict);
  EXPECT_EQ(m.change(Code::scaler_to_none).path, "scaler");
}

// --- FP16_Optimizer

NodeId sgd(Maker& m, std::vector<std::vector<std::int64_t>> shapes) {
  std::vector<std::pair<std::int64_t, NodeId>> state;
  std::vector<std::int64_t> numbers;
  for (const auto& shape : shapes) {
    const auto id = static_cast<std::int64_t>(state.size());
    numbers.push_back(id);
    state.emplace_back(id, m.dict({{"momentum_buffer", single(m, shape)}}));
  }
  const NodeId group = m.dict({{"lr", m.real(0.1)},
                               {"momentum", m.real(0.9)},
                               {"dampening", m.number(0)},
                               {"weight_decay", m.number(0)},
                               {"nesterov", m.graph.make_boolean(false)},
                               {"params", m.numbers(numbers)}});
  return m.dict({{"state", m.numbered(state)}, {"param_groups", m.list({group})}});
}

NodeId new_scaler(Maker& m, bool dynamic, double scale, std::int64_t unskipped, std::int64_t window) {
  return m.dict({{"dynamic", m.graph.make_boolean(dynamic)},
                 {"_loss_scale", m.real(scale)},
                 {"_max_loss_scale", m.real(16777216)},
                 {"_min_loss_scale", m.graph.make_none()},
                 {"_scale_seq_len", m.number(window)},
                 {"_unskipped", m.number(unskipped)}});
}

NodeId old_scaler(Maker& m, double scale, std::int64_t at, std::int64_t overflow, double factor,
                  std::int64_t window) {
  return m.dict({{"cur_scale", m.real(scale)},
                 {"cur_iter", m.number(at)},
                 {"last_overflow_iter", m.number(overflow)},
                 {"scale_factor", m.real(factor)},
                 {"scale_window", m.number(window)}});
}

NodeId wrapper(Maker& m, NodeId scaler, bool dynamic, NodeId inner, NodeId masters) {
  return m.dict({{"loss_scaler", scaler},
                 {"dynamic_loss_scale", m.graph.make_boolean(dynamic)},
                 {"overflow", m.graph.make_boolean(false)},
                 {"first_closure_call_this_step", m.graph.make_boolean(true)},
                 {"optimizer_state_dict", inner},
                 {"fp32_from_fp16", masters}});
}

TEST(Fp16Optimizer, BecomesOptimizerScalerAndMasters) {
  Maker m;
  const NodeId masters = m.list({m.list({single(m, {4, 3}), single(m, {4})})});
  m.convert(m.dict(
      {{"optimizer", wrapper(m, new_scaler(m, true, 32768, 2, 2000), true, sgd(m, {{4, 3}, {4}}), masters)},
       {"epoch", m.number(1)}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("optimizer", "scaler", "fp32_masters", "epoch"));
  EXPECT_THAT(m.keys(m.at({"optimizer"})), ElementsAre("state", "param_groups"));
  EXPECT_EQ(m.graph.real(m.at({"scaler", "scale"})), 32768.0);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "growth_interval"})), 2000);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "_growth_tracker"})), 2);
  EXPECT_EQ(m.at({"fp32_masters"}), masters);
  EXPECT_THAT(m.change(Code::fp16_optimizer).what, HasSubstr("fp32_masters: 2 tensors"));
}

TEST(Fp16Optimizer, OfThe2019ScalerCountsFromTheLastOverflow) {
  Maker m;
  m.convert(m.dict({{"o", wrapper(m, old_scaler(m, 65536, 6, 1, 4, 3), true, sgd(m, {{3}}),
                                  m.list({m.list({single(m, {3})})}))}}));
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "_growth_tracker"})), 1);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "growth_interval"})), 3);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "growth_factor"})), 4.0);
  EXPECT_EQ(m.graph.real(m.at({"scaler", "backoff_factor"})), 0.25);
}

TEST(Fp16Optimizer, WithAStaticScaleHasNoScaler) {
  Maker m;
  const NodeId masters = m.list({m.list({single(m, {3})})});
  m.convert(m.dict(
      {{"a", m.dict({{"o", wrapper(m, new_scaler(m, false, 128, 4, 2000), false, sgd(m, {{3}}), masters)}})},
       {"b",
        m.dict({{"o", wrapper(m, m.dict({{"cur_scale", m.real(128)}}), false, sgd(m, {{3}}), masters)}})}}));
  EXPECT_EQ(m.graph.kind(m.at({"a", "scaler"})), Kind::none);
  EXPECT_EQ(m.graph.kind(m.at({"b", "scaler"})), Kind::none);
  EXPECT_EQ(m.count(Code::static_loss_scale), 2u);
}

TEST(Fp16Optimizer, OfContribIsFlat) {
  Maker m;
  const NodeId flat = m.dict({{"dynamic_loss_scale", m.graph.make_boolean(true)},
                              {"cur_scale", m.number(65536)},
                              {"cur_iter", m.number(0)},
                              {"last_overflow_iter", m.number(-1)},
                              {"scale_factor", m.number(2)},
                              {"scale_window", m.number(1000)},
                              {"optimizer_state_dict", sgd(m, {{3}})},
                              {"fp32_groups", m.list({m.list({single(m, {3})})})}});
  m.convert(m.dict({{"optimizer", flat}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("optimizer", "scaler", "fp32_masters"));
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "_growth_tracker"})), 0);
  EXPECT_EQ(m.graph.integer(m.at({"scaler", "growth_interval"})), 1000);
}

TEST(Fp16Optimizer, AtTheRootOrInAListGetsADictOfItsOwn) {
  Maker m;
  const NodeId masters = m.list({m.list({single(m, {3})})});
  const auto make = [&] { return wrapper(m, new_scaler(m, true, 8, 0, 2000), true, sgd(m, {{3}}), masters); };
  m.convert(make());
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("optimizer", "scaler", "fp32_masters"));
  m.convert(m.dict({{"optimizers", m.list({make()})}}));
  EXPECT_THAT(m.keys(m.at({"optimizers", "0"})), ElementsAre("optimizer", "scaler", "fp32_masters"));
}

TEST(Fp16Optimizer, TwiceInOneDictGivesNamesByTheirKeys) {
  Maker m;
  const NodeId masters = m.list({m.list({single(m, {3})})});
  const auto make = [&] { return wrapper(m, new_scaler(m, true, 8, 0, 2000), true, sgd(m, {{3}}), masters); };
  m.convert(m.dict({{"opt_g", make()}, {"opt_d", make()}}));
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("opt_g", "opt_g_scaler", "opt_g_fp32_masters", "opt_d",
                                                  "opt_d_scaler", "opt_d_fp32_masters"));
}

TEST(Fp16Optimizer, GivesWayToAScalerThatIsThere) {
  Maker m;
  const NodeId there = m.dict({{"scale", m.real(2)}});
  m.convert(m.dict({{"scaler", there},
                    {"optimizer", wrapper(m, new_scaler(m, true, 8, 0, 2000), true, sgd(m, {{3}}),
                                          m.list({m.list({single(m, {3})})}))}}));
  EXPECT_EQ(m.at({"scaler"}), there);
  EXPECT_TRUE(m.log.has(Code::scaler_exists));
}

TEST(Fp16Optimizer, WithAScalerThatCannotBeReadStaysWhole) {
  for (const bool broken_window : {true, false}) {
    Maker m;
    const NodeId scaler = broken_window ? old_scaler(m, 8, 6, 1, 2, 0) : m.dict({{"cur_scale", m.text("x")}});
    m.convert(
        m.dict({{"optimizer", wrapper(m, scaler, true, sgd(m, {{3}}), m.list({m.list({single(m, {3})})}))}}));
    EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("optimizer"));
    EXPECT_EQ(m.change(Code::fix_not_applied).path, "optimizer");
  }
}

TEST(Fp16Optimizer, StaysWhereAmpIsKept) {
  Maker m;
  RuleOptions options;
  options.amp = Amp::keep;
  m.convert(m.dict({{"optimizer", wrapper(m, new_scaler(m, true, 8, 0, 2000), true, sgd(m, {{3}}),
                                          m.list({m.list({single(m, {3})})}))}}),
            options);
  EXPECT_THAT(m.keys(m.at({"optimizer"})), testing::Contains("fp32_from_fp16"));
}

// --- fp32 masters

NodeId half_model(Maker& m) {
  return m.dict({{"conv.weight", half(m, {4, 3})},
                 {"conv.bias", half(m, {4})},
                 {"bn.weight", single(m, {4})},
                 {"bn.running_mean", half(m, {4})},
                 {"fc.weight", half(m, {5, 4})}},
                DictFlavor::ordered);
}

RuleOptions into_model() {
  RuleOptions options;
  options.masters = Masters::model;
  return options;
}

TEST(Masters, TakeThePlacesOfHalfParameters) {
  Maker m;
  const NodeId model = half_model(m), first = single(m, {4, 3});
  m.checkpoint.tensors[m.graph.index(first)].parameter = true;
  const NodeId buffer = m.graph.find(model, "bn.running_mean"), norm = m.graph.find(model, "bn.weight");
  m.convert(m.dict({{"model", model},
                    {"fp32_masters", m.list({m.list({first, single(m, {4}), single(m, {5, 4})})})}}),
            into_model());
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("model"));
  const Tensor& placed = m.tensor_of(m.graph.find(model, "conv.weight"));
  EXPECT_EQ(placed.storage, m.tensor_of(first).storage);
  EXPECT_FALSE(placed.parameter);
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "fc.weight")).dtype, DType::float32);
  EXPECT_EQ(m.graph.find(model, "bn.running_mean"), buffer);
  EXPECT_EQ(m.graph.find(model, "bn.weight"), norm);
  EXPECT_EQ(m.change(Code::masters_to_model).path, "model");
}

TEST(Masters, StayUnlessAskedFor) {
  Maker m;
  const NodeId model = half_model(m);
  m.convert(
      m.dict({{"model", model},
              {"fp32_masters", m.list({m.list({single(m, {4, 3}), single(m, {4}), single(m, {5, 4})})})}}));
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "conv.weight")).dtype, DType::float16);
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("model", "fp32_masters"));
}

TEST(Masters, OfWhomTheModelLeavesADoubtStay) {
  Maker m;  // one master of shape [4], two half parameters that it could be
  const NodeId model = m.dict({{"a", half(m, {4})}, {"b", half(m, {4})}});
  m.convert(m.dict({{"model", model}, {"fp32_masters", m.list({m.list({single(m, {4})})})}}), into_model());
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("model", "fp32_masters"));
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "a")).dtype, DType::float16);
  EXPECT_THAT(m.change(Code::masters_unplaced).what, HasSubstr("cannot be told"));
}

TEST(Masters, OfOtherShapesStay) {
  Maker m;
  m.convert(m.dict({{"model", half_model(m)}, {"fp32_masters", m.list({m.list({single(m, {7})})})}}),
            into_model());
  EXPECT_TRUE(m.log.has(Code::masters_unplaced));
  EXPECT_FALSE(m.log.has(Code::masters_to_model));
}

TEST(Masters, ThatTwoModelsCouldTakeStay) {
  Maker m;
  m.convert(
      m.dict({{"model", half_model(m)},
              {"ema", half_model(m)},
              {"fp32_masters", m.list({m.list({single(m, {4, 3}), single(m, {4}), single(m, {5, 4})})})}}),
      into_model());
  EXPECT_THAT(m.change(Code::masters_unplaced).what, HasSubstr("more than one"));
}

TEST(Masters, OfAmpAreAllParametersInOrder) {
  Maker m;
  const NodeId model =
      m.dict({{"w", single(m, {4, 3})}, {"b", single(m, {4})}, {"bn.running_mean", single(m, {4})}});
  const NodeId second = single(m, {4});
  m.convert(m.dict({{"model_state", model}, {"master_params", m.list({single(m, {4, 3}), second})}}),
            into_model());
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "b")).storage, m.tensor_of(second).storage);
  EXPECT_THAT(m.keys(m.graph.root()), ElementsAre("model_state"));
}

TEST(Masters, OfTiedParametersGoToAllTheirNames) {
  Maker m;
  const NodeId tied = half(m, {4, 3});
  const NodeId model = m.dict({{"embed", tied}, {"b", half(m, {4})}, {"head", tied}});
  const NodeId first = single(m, {4, 3});
  m.convert(m.dict({{"model", model}, {"fp32_masters", m.list({m.list({first, single(m, {4})})})}}),
            into_model());
  EXPECT_EQ(m.tensor_of(m.graph.find(model, "head")).storage, m.tensor_of(first).storage);
  EXPECT_EQ(m.graph.find(model, "head"), m.graph.find(model, "embed"));
}

// --- Names of parameters

TEST(ParameterNames, FollowTheOrderOfTheModel) {
  Maker m;
  const NodeId model = half_model(m);
  m.convert(m.dict({{"model", model}, {"optimizer", sgd(m, {{4, 3}, {4}, {4}, {5, 4}})}}));
  const Change change = m.change(Code::parameter_names);
  EXPECT_EQ(change.path, "optimizer");
  EXPECT_THAT(change.what, HasSubstr("4 of 4 parameters named by model, by order and shape: 0 conv.weight"));
  EXPECT_THAT(change.details, ElementsAre("0 conv.weight [4, 3]", "1 conv.bias [4]", "2 bn.weight [4]",
                                          "3 fc.weight [5, 4]"));
  EXPECT_FALSE(m.log.has(Code::parameters_unmatched));
}

TEST(ParameterNames, SkipFrozenParametersWhereOnlyOneWayFits) {
  Maker m;
  m.convert(m.dict({{"model", half_model(m)}, {"optimizer", sgd(m, {{4, 3}, {5, 4}})}}));
  EXPECT_THAT(m.change(Code::parameter_names).details,
              ElementsAre("0 conv.weight [4, 3]", "1 fc.weight [5, 4]"));
  EXPECT_THAT(m.change(Code::parameters_unmatched).details, ElementsAre("conv.bias [4]", "bn.weight [4]"));
}

TEST(ParameterNames, SayWhatIsAmbiguous) {
  Maker m;
  m.convert(m.dict({{"model", half_model(m)}, {"optimizer", sgd(m, {{4, 3}, {4}, {5, 4}})}}));
  EXPECT_THAT(m.change(Code::parameter_names).what, HasSubstr("ambiguous: 1 of them"));
  EXPECT_THAT(m.change(Code::parameter_names).details[1], HasSubstr("or another of that shape"));
}

TEST(ParameterNames, NameWhatHasNoPartnerByItsShape) {
  Maker m;
  m.convert(m.dict({{"model", half_model(m)}, {"optimizer", sgd(m, {{4, 3}, {4}, {4}, {7, 4}})}}));
  const Change change = m.change(Code::parameters_unmatched);
  EXPECT_EQ(change.path, "optimizer");
  EXPECT_THAT(change.details, ElementsAre("group 0 parameter 3 [7, 4]"));
}

TEST(ParameterNames, OfAFreshOptimizerAreByOrderAlone) {
  Maker m;
  const NodeId fresh = sgd(m, {{4, 3}, {4}, {4}, {5, 4}});
  m.graph.set_items(m.graph.find(fresh, "state"), {});
  m.convert(m.dict({{"model", half_model(m)}, {"optimizer", fresh}}));
  EXPECT_THAT(m.change(Code::parameter_names).what, HasSubstr("by order alone"));
}

TEST(ParameterNames, OfAnOptimizerWithoutAModelAreNotGuessed) {
  Maker m;
  m.convert(m.dict({{"optimizer", sgd(m, {{4, 3}})}}));
  EXPECT_FALSE(m.log.has(Code::parameter_names));
  EXPECT_FALSE(m.log.has(Code::parameters_unmatched));
}

// --- LBFGS

NodeId lbfgs(Maker& m, std::size_t pairs, std::vector<NodeId> ro) {
  std::vector<NodeId> directions, steps;
  for (std::size_t i = 0; i < pairs; ++i) {
    directions.push_back(m.tensor());
    steps.push_back(m.tensor());
  }
  return m.dict({{"old_dirs", m.list(directions)}, {"old_stps", m.list(steps)}, {"ro", m.list(ro)}});
}

TEST(LbfgsHistory, EndsWhereItsPairsEnd) {
  Maker m;
  const NodeId none = m.graph.make_none();
  m.convert(m.dict({{"s", lbfgs(m, 2, {m.tensor(1), m.tensor(1), none, none})}}));
  EXPECT_EQ(m.graph.items(m.at({"s", "ro"})).size(), 2u);
  EXPECT_EQ(m.change(Code::optimizer_history).path, "s.ro");
}

TEST(LbfgsHistory, ThatDoesNotFitItsPairsStays) {
  Maker m;
  const NodeId none = m.graph.make_none();
  m.convert(m.dict(
      {{"a", lbfgs(m, 2, {m.tensor(1), none, none})}, {"b", lbfgs(m, 1, {m.tensor(1), m.tensor(1)})}}));
  EXPECT_EQ(m.graph.items(m.at({"a", "ro"})).size(), 3u);
  EXPECT_EQ(m.graph.items(m.at({"b", "ro"})).size(), 2u);
  EXPECT_FALSE(m.log.has(Code::optimizer_history));
}

// --- Schedulers

NodeId cyclic(Maker& m, NodeId scale_fn) {
  return m.dict({{"max_lrs", m.list({m.real(0.1)})},
                 {"total_size", m.real(4000)},
                 {"step_ratio", m.real(0.5)},
                 {"mode", m.text("triangular")},
                 {"scale_fn", scale_fn},
                 {"scale_mode", m.text("cycle")},
                 {"base_lrs", m.list({m.real(0.01)})},
                 {"last_epoch", m.number(2)}});
}

TEST(CyclicLr, LosesItsBoundMethod) {
  Maker m;
  m.convert(m.dict({{"s", cyclic(m, m.text("torch.optim.lr_scheduler.CyclicLR._triangular_scale_fn"))}}));
  EXPECT_THAT(m.keys(m.at({"s"})), Not(testing::Contains("scale_fn")));
  EXPECT_EQ(m.graph.kind(m.at({"s", "_scale_fn_custom"})), Kind::none);
  EXPECT_FALSE(m.log.has(Code::function_lost));
}

TEST(CyclicLr, NamesAFunctionThatIsLostAndKeepsAnObject) {
  Maker m;
  const NodeId object = m.dict({{"n", m.number(4)}});
  m.convert(m.dict({{"f", cyclic(m, m.text("train.my_scale"))}, {"o", cyclic(m, object)}}));
  EXPECT_EQ(m.change(Code::function_lost).path, "f.scale_fn");
  EXPECT_EQ(m.count(Code::function_lost), 1u);
  EXPECT_EQ(m.at({"o", "_scale_fn_custom"}), object);
}

TEST(CyclicLr, OfTodayStays) {
  Maker m;
  const NodeId today = cyclic(m, m.graph.make_none());
  m.graph.set_entry(today, "_scale_fn_custom", m.graph.make_none());
  m.convert(m.dict({{"s", today}}));
  EXPECT_FALSE(m.log.has(Code::scheduler_state));
}

TEST(OneCycleLr, GetsItsCurveAndPhases) {
  Maker m;
  m.convert(
      m.dict({{"s", m.dict({{"total_steps", m.number(10)},
                            {"step_size_up", m.real(2)},
                            {"step_size_down", m.real(7)},
                            {"anneal_func", m.text("torch.optim.lr_scheduler.OneCycleLR._annealing_linear")},
                            {"last_epoch", m.number(2)}})}}));
  EXPECT_THAT(m.keys(m.at({"s"})),
              ElementsAre("total_steps", "last_epoch", "_anneal_func_type", "_schedule_phases"));
  EXPECT_TRUE(m.graph.is_text(m.at({"s", "_anneal_func_type"}), "linear"));
  EXPECT_EQ(m.graph.real(m.at({"s", "_schedule_phases", "0", "end_step"})), 2.0);
  EXPECT_EQ(m.graph.integer(m.at({"s", "_schedule_phases", "1", "end_step"})), 9);
  EXPECT_TRUE(m.graph.is_text(m.at({"s", "_schedule_phases", "1", "end_momentum"}), "max_momentum"));
}

TEST(OneCycleLr, WithACurveOfItsOwnIsNamed) {
  Maker m;
  m.convert(m.dict({{"s", m.dict({{"total_steps", m.number(10)}, {"anneal_func", m.text("train.curve")}})}}));
  EXPECT_EQ(m.change(Code::function_lost).path, "s.anneal_func");
  EXPECT_EQ(m.at({"s", "_anneal_func_type"}), kNoNode);
}

TEST(LambdaLr, NamesFunctionsThatAreLost) {
  Maker m;
  const NodeId object = m.dict({{"n", m.number(4)}});
  const NodeId state =
      m.dict({{"base_lrs", m.list({})},
              {"lr_lambdas", m.list({m.graph.make_none(), object, m.text("train.warmup")})}});
  m.convert(m.dict({{"s", state}}));
  EXPECT_THAT(m.change(Code::function_lost).what, HasSubstr("2 functions of 3 groups"));
  EXPECT_EQ(m.graph.kind(m.at({"s", "lr_lambdas", "2"})), Kind::none);
  EXPECT_EQ(m.at({"s", "lr_lambdas", "1"}), object);
  EXPECT_THAT(m.change(Code::scheduler_state).what, HasSubstr("train.warmup"));
}

// --- What apex left

TEST(ApexTraces, NameTheClassOfTorch) {
  Maker m;
  m.convert(m.dict({{"bn_class", m.text("apex.parallel.sync_batchnorm.SyncBatchNorm")}, {"t", m.tensor()}}));
  EXPECT_EQ(m.change(Code::apex_trace).path, "bn_class");
  EXPECT_THAT(m.change(Code::apex_trace).what, HasSubstr("torch.nn.SyncBatchNorm"));
}

TEST(ApexTraces, SayThatALevelWithoutStateStartsAnew) {
  Maker m;
  m.convert(m.dict({{"config", m.dict({{"TRAIN", m.dict({{"OPT_LEVEL", m.text("O1")}})}})}}));
  EXPECT_EQ(m.change(Code::apex_trace).path, "config.TRAIN.OPT_LEVEL");
}

NodeId fused(Maker& m, double decay, bool averaging) {
  std::vector<std::pair<std::string, NodeId>> group{{"lr", m.real(0.1)},
                                                    {"bias_correction", m.graph.make_boolean(true)},
                                                    {"betas", m.list({m.real(0.9), m.real(0.99)})},
                                                    {"eps", m.real(1e-8)},
                                                    {"weight_decay", m.real(decay)}};
  if (averaging) group.emplace_back("grad_averaging", m.graph.make_boolean(true));
  group.emplace_back("step", m.number(3));
  group.emplace_back("params", m.numbers({0}));
  const NodeId entry = m.dict({{"exp_avg", single(m, {3})}, {"exp_avg_sq", single(m, {3})}});
  return m.dict({{"state", m.numbered({{0, entry}})}, {"param_groups", m.list({m.dict(group)})}});
}

TEST(ApexTraces, SayWhichOptimizerGoesOn) {
  Maker m;
  m.convert(m.dict({{"a", fused(m, 0.01, false)}}));
  EXPECT_THAT(m.change(Code::apex_optimizer).what, HasSubstr("torch.optim.AdamW; with adam_w_mode=False"));
  m.convert(m.dict({{"a", fused(m, 0, false)}}));
  EXPECT_THAT(m.change(Code::apex_optimizer).what, HasSubstr("AdamW or Adam"));
  m.convert(m.dict({{"a", fused(m, 0, true)}}));
  EXPECT_THAT(m.change(Code::apex_optimizer).what, HasSubstr("no such class"));
}

}  // namespace
}  // namespace ferry::convert
