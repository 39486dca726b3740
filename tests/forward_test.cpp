// Verdicts on forward passes, against arithmetic written down a second time in long double, and against
// faults of known size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <random>

#include "src/config/known_changes.h"
#include "src/core/error.h"
#include "tests/support/forward_sides.h"
#include "validators/forward/emulations.h"
#include "validators/forward/likely_causes.h"
#include "validators/forward/measure.h"

namespace ferry {
namespace {

using forward::Symptom;
using test::ForwardSideDraft;
using test::judged;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Numbers = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// --- A model that is computed twice: exact values, what double makes of them, what float32 makes of them.

class Sampler {
 public:
  explicit Sampler(std::uint32_t seed) : random_(seed) {}

  Numbers exact(std::size_t count) {
    Numbers numbers(count);
    for (double& number : numbers) number = normal_(random_);
    return numbers;
  }
  // Errors of about `ulps` units of roundoff of the type, as a deep model makes them.
  Numbers rounded(const Numbers& exact, double unit, double ulps = 8) {
    Numbers numbers = exact;
    for (double& number : numbers) number += number * unit * ulps * normal_(random_);
    return numbers;
  }
  Numbers f32(const Numbers& exact, double ulps = 8) { return rounded(exact, 0x1p-24, ulps); }
  Numbers f64(const Numbers& exact, double ulps = 8) { return rounded(exact, 0x1p-53, ulps); }

 private:
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
};

struct Sides {
  ForwardSideDraft before, after;
};

// Honest runs of `inputs` inputs with one output "0", and of a chain of modules that ends in the model
// itself.
Sides honest_sides(std::uint32_t seed, std::size_t inputs = 5, std::size_t size = 200,
                   const std::vector<std::pair<std::string, std::string>>& modules = {}) {
  Sampler sampler(seed);
  Sides sides;
  for (std::size_t i = 0; i < inputs; ++i) {
    for (ForwardSideDraft* const side : {&sides.before, &sides.after})
      side->input("normal " + std::to_string(i));
    const auto record = [&](const auto& put) {
      const Numbers exact = sampler.exact(size);
      for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
        put(*side, "f32", sampler.f32(exact));
        put(*side, "f64", sampler.f64(exact));
      }
    };
    for (const auto& [module, cls] : modules)
      record([&](ForwardSideDraft& side, const char* run, Numbers numbers) {
        side.module(run, module, cls, std::move(numbers));
      });
    record([&](ForwardSideDraft& side, const char* run, Numbers numbers) {
      side.output(run, "0", std::move(numbers));
    });
  }
  return sides;
}

// One input, one output, given as numbers.
Sides one_output(const Numbers& y_before, const Numbers& z_before, const Numbers& y_after,
                 const Numbers& z_after, std::vector<std::int64_t> shape = {},
                 const std::string& dtype = "float32") {
  Sides sides;
  sides.before.input("normal 0");
  sides.after.input("normal 0");
  if (!y_before.empty()) sides.before.output("f32", "0", y_before, shape, dtype);
  if (!z_before.empty()) sides.before.output("f64", "0", z_before, shape, dtype);
  if (!y_after.empty()) sides.after.output("f32", "0", y_after, shape, dtype);
  if (!z_after.empty()) sides.after.output("f64", "0", z_after, shape, dtype);
  return sides;
}

long double naive_norm(const Numbers& a, const Numbers& b) {
  long double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += (static_cast<long double>(a[i]) - b[i]) * (static_cast<long double>(a[i]) - b[i]);
  return std::sqrt(sum);
}

Numbers scaled(Numbers numbers, double factor) {
  for (double& number : numbers) number *= factor;
  return numbers;
}

const ForwardRow& only_row(const ForwardVerdict& verdict) {
  EXPECT_THAT(verdict.outputs, SizeIs(1));
  return verdict.outputs.at(0);
}

// --- The same function

TEST(ForwardVerdict, OfOneRunAgainstItselfPassesWithoutAnyDistance) {
  const Sides sides = honest_sides(1);
  const ForwardVerdict verdict = judged(sides.before, sides.before);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::pass);
  EXPECT_TRUE(verdict.semantic);
  ASSERT_THAT(verdict.outputs, SizeIs(5));
  for (const ForwardRow& row : verdict.outputs) {
    EXPECT_EQ(row.semantic->ratio(), 0);
    EXPECT_EQ(row.closeness->max_abs, 0);
    EXPECT_EQ(row.closeness->cosine, 1);
    EXPECT_EQ(row.closeness->snr_db, kInfinity);
  }
  EXPECT_FALSE(verdict.first_module);
  EXPECT_THAT(verdict.warnings, IsEmpty());
}

TEST(ForwardVerdict, OfHonestRunsPasses) {
  EXPECT_TRUE(rc::check("whatever the noise", [](std::uint32_t seed) {
    const Sides sides = honest_sides(seed, 5, 100, {{"fc", "Linear"}, {"", "Net"}});
    const ForwardVerdict verdict = judged(sides.before, sides.after);
    RC_ASSERT(verdict.outcome == ForwardOutcome::pass);
    RC_ASSERT(!verdict.first_module);
  }));
}

TEST(ForwardVerdict, DoesNotDependOnTheUnitOfTheOutputs) {
  EXPECT_TRUE(rc::check("powers of two change no ratio", [](std::uint32_t seed) {
    Sides sides = honest_sides(seed, 3, 50);
    const ForwardVerdict verdict = judged(sides.before, sides.after);
    const int exponent = *rc::gen::inRange(-60, 60);
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) side->scale(std::ldexp(1.0, exponent));
    const ForwardVerdict scaled = judged(sides.before, sides.after);
    RC_ASSERT(scaled.outcome == verdict.outcome);
    for (std::size_t i = 0; i < 3; ++i) {
      RC_ASSERT(scaled.outputs[i].semantic->ratio() == verdict.outputs[i].semantic->ratio());
      RC_ASSERT(scaled.outputs[i].rounding->ratio() == verdict.outputs[i].rounding->ratio());
      RC_ASSERT(scaled.outputs[i].rounding_inf->ratio() == verdict.outputs[i].rounding_inf->ratio());
    }
  }));
}

TEST(ForwardVerdict, HasTheRatiosOfTheFormulas) {
  EXPECT_TRUE(rc::check("computed again in long double", [](std::uint32_t seed) {
    Sampler sampler(seed);
    const Numbers exact = sampler.exact(40), zero(40, 0.0);
    const Numbers yb = sampler.f32(exact), zb = sampler.f64(exact), ya = sampler.f32(exact),
                  za = sampler.f64(exact);
    const Sides sides = one_output(yb, zb, ya, za);
    const ForwardVerdict verdict = judged(sides.before, sides.after);
    const ForwardRow& row = verdict.outputs.at(0);
    const long double u = std::ldexp(1.0L, -24), floor = 4 * u * naive_norm(za, zero);
    const long double e = std::max(naive_norm(ya, za), floor), old_e = std::max(naive_norm(yb, zb), floor);
    const auto near = [](double ratio, long double expected) {
      return std::fabs(ratio / expected - 1) < 1e-12L;
    };
    RC_ASSERT(near(row.semantic->ratio(), naive_norm(zb, za) / (e * std::ldexp(1.0L, -29))));
    RC_ASSERT(near(row.rounding->ratio(), naive_norm(yb, za) / e));
    RC_ASSERT(near(row.before_error->ratio(), naive_norm(yb, zb) / e));
    RC_ASSERT(near(row.after_error->ratio(), naive_norm(ya, za) / old_e));
    long double dot = 0, worst = 0;
    for (std::size_t i = 0; i < yb.size(); ++i) {
      dot += static_cast<long double>(yb[i]) * ya[i];
      worst = std::max(worst, std::fabs(static_cast<long double>(yb[i]) - ya[i]));
    }
    const long double before = naive_norm(yb, zero), after = naive_norm(ya, zero), apart = naive_norm(yb, ya);
    RC_ASSERT(near(row.closeness->cosine, dot / (before * after)));
    RC_ASSERT(near(row.closeness->snr_db, 20 * std::log10(before / apart)));
    RC_ASSERT(near(row.closeness->relative, apart / before));
    RC_ASSERT(std::fabs(row.closeness->max_abs - worst) <= 1e-15L);
  }));
}

// --- Faults of known size

TEST(ForwardVerdict, FailsForAFaultAboveTheBoundAndPassesBelow) {
  EXPECT_TRUE(rc::check("a relative fault in both precisions", [](std::uint32_t seed) {
    Sampler sampler(seed);
    const Numbers exact = sampler.exact(100);
    const Numbers y = sampler.f32(exact);
    const double bound =
        1024 *
        std::max<long double>(naive_norm(y, exact), 4 * 0x1p-24 * naive_norm(exact, Numbers(100, 0.0))) *
        0x1p-29L;
    const double norm = static_cast<double>(naive_norm(exact, Numbers(100, 0.0)));
    for (const double factor : {0.98, 1.02}) {
      const Numbers faulty = scaled(exact, 1 + factor * bound / norm);
      const Sides sides = one_output(y, faulty, y, exact);
      const ForwardVerdict verdict = judged(sides.before, sides.after);
      RC_ASSERT(verdict.outputs.at(0).semantic->within() == (factor < 1));
      RC_ASSERT((verdict.outcome == ForwardOutcome::fail) == (factor > 1));
    }
  }));
}

TEST(ForwardVerdict, SeesInDoubleWhatDrownsInTheNoiseOfFloat32) {
  Sampler sampler(7);
  const Numbers exact = sampler.exact(500);
  Numbers faulty = exact;
  faulty[3] *= 1 + 1e-7;  // one element, below the rounding of float32
  const Sides sides =
      one_output(sampler.f32(faulty), sampler.f64(faulty), sampler.f32(exact), sampler.f64(exact));
  const ForwardRow row = only_row(judged(sides.before, sides.after));
  EXPECT_EQ(row.outcome, ForwardOutcome::fail);
  EXPECT_TRUE(row.rounding->within());
  EXPECT_GT(row.semantic->ratio(), 1e4);
  EXPECT_THAT(row.why, HasSubstr("another function"));
}

TEST(ForwardVerdict, WithoutTheOldFloat64RestsOnRoundingAndSaysSo) {
  Sampler sampler(3);
  const Numbers exact = sampler.exact(400);
  const Numbers y = sampler.f32(exact);
  const double e = static_cast<double>(naive_norm(y, exact)),
               norm = static_cast<double>(naive_norm(exact, Numbers(400, 0.0)));
  const auto outcome_of = [&](double errors) {
    // A relative change of the whole output: `errors` times E away in the 2-norm.
    const Sides sides = one_output(scaled(exact, 1 + errors * e / norm), {}, y, exact);
    const ForwardVerdict verdict = judged(sides.before, sides.after);
    EXPECT_FALSE(verdict.semantic);
    EXPECT_THAT(verdict.semantic_why, HasSubstr("before: there is no float64 run"));
    EXPECT_THAT(verdict.warnings.at(0), HasSubstr("judged by rounding only"));
    return only_row(verdict).outcome;
  };
  EXPECT_EQ(outcome_of(1.5), ForwardOutcome::pass);
  EXPECT_EQ(outcome_of(3), ForwardOutcome::warn);
  EXPECT_EQ(outcome_of(4.5), ForwardOutcome::fail);
}

TEST(ForwardVerdict, OneElementFarOffFailsThoughTheNormIsFine) {
  const std::size_t size = 10000;
  Sampler sampler(5);
  const Numbers exact = sampler.exact(size);
  Numbers y = exact, y_before = exact;
  for (std::size_t i = 0; i < size; ++i) y[i] += (i % 2 == 0 ? 1 : -1) * 1e-6;
  y_before[17] += 9e-6;
  const ForwardRow row =
      only_row(judged(one_output(y_before, {}, y, exact).before, one_output(y_before, {}, y, exact).after));
  EXPECT_LT(row.rounding->ratio(), 1);
  EXPECT_NEAR(row.rounding_inf->ratio(), 9, 0.01);
  EXPECT_EQ(row.outcome, ForwardOutcome::fail);
}

TEST(ForwardVerdict, FailsWhenOneSideRoundsFarWorseThanTheOther) {
  Sampler sampler(11);
  const Numbers exact = sampler.exact(300);
  const Sides sides =
      one_output(sampler.f32(exact, 8), exact, sampler.f32(exact, 8 * 5000), exact);  // as TF32 does
  const ForwardRow row = only_row(judged(sides.before, sides.after));
  EXPECT_TRUE(row.semantic->within());
  EXPECT_EQ(row.outcome, ForwardOutcome::fail);
  EXPECT_THAT(row.why, HasSubstr("the rounding of the new run"));
}

TEST(ForwardVerdict, TakesTheErrorOverAllOrdinaryInputs) {
  // Input 0 was lucky: its own error would be no yardstick.
  Sides sides;
  Sampler sampler(13);
  for (const double luck : {0.01, 1.0, 1.0}) {
    const Numbers exact = sampler.exact(200);
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
      side->input("normal");
      side->output("f32", "0", sampler.f32(exact, side == &sides.after ? 40 * luck : 40));
      side->output("f64", "0", exact);
    }
  }
  EXPECT_EQ(judged(sides.before, sides.after).outcome, ForwardOutcome::pass);
}

TEST(ForwardVerdict, AnEdgeInputHasAScaleOfItsOwn) {
  // Ten thousand times smaller, and wrong by a hundredth of what an ordinary input rounds.
  Sides sides = honest_sides(17, 3);
  Sampler sampler(18);
  const Numbers exact = scaled(sampler.exact(200), 1e-4);
  sides.before.golden.f64 = "failed: no double";
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
    side->input("tiny", true);
    side->output("f32", "0",
                 side == &sides.before ? scaled(sampler.f32(exact), 1 + 1e-4) : sampler.f32(exact));
    side->output("f64", "0", exact);
  }
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outputs.at(3).outcome, ForwardOutcome::fail);
  EXPECT_EQ(verdict.outputs.at(0).outcome, ForwardOutcome::pass);
}

TEST(ForwardVerdict, AnOutputThatCancelsToNothingIsJudgedOnItsUsualScale) {
  Sides sides = honest_sides(19, 3, 100);
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
    side->input("zeros", true);
    side->output("f32", "0", Numbers(100, 0.0));
    side->output("f64", "0", Numbers(100, side == &sides.before ? 0.0 : 1e-17));
  }
  EXPECT_EQ(judged(sides.before, sides.after).outcome, ForwardOutcome::pass);
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
    side->input("silence", true);
    side->output("f32", "0", Numbers(100, side == &sides.before ? 3e-4 : 1e-7));  // sqrt(eps) against eps
    side->output("f64", "0", Numbers(100, side == &sides.before ? 3e-4 : 1e-7));
  }
  EXPECT_EQ(judged(sides.before, sides.after).outputs.back().outcome, ForwardOutcome::fail);
}

// --- What is no number

TEST(ForwardVerdict, NumbersThatAreNotFiniteMustBeTheSame) {
  Numbers exact(50, 1.5);
  Numbers odd = exact;
  odd[3] = kInfinity;
  odd[4] = kNaN;
  EXPECT_EQ(
      only_row(judged(one_output(odd, odd, odd, odd).before, one_output(odd, odd, odd, odd).after)).outcome,
      ForwardOutcome::pass);
  const Sides gone = one_output(odd, odd, exact, exact);
  const ForwardRow row = only_row(judged(gone.before, gone.after));
  EXPECT_EQ(row.outcome, ForwardOutcome::fail);
  EXPECT_EQ(row.closeness->nonfinite_before, 2u);
  EXPECT_EQ(row.closeness->nonfinite_after, 0u);
  EXPECT_EQ(row.closeness->nonfinite_mismatches, 2u);
  Numbers negative = odd;
  negative[3] = -kInfinity;
  const Sides turned = one_output(odd, exact, negative, exact);
  EXPECT_EQ(only_row(judged(turned.before, turned.after)).outcome, ForwardOutcome::fail);
  const Sides both_overflow = one_output(odd, exact, odd, exact);  // in float32 on both sides, not in float64
  EXPECT_EQ(only_row(judged(both_overflow.before, both_overflow.after)).outcome, ForwardOutcome::pass);
}

TEST(ForwardVerdict, IntegersAreEqualOrNot) {
  const Numbers a = {1, 2, 3}, b = {1, 2, 4};
  const auto row_of = [](const Sides& sides, const ForwardBounds& bounds = {}) {
    return only_row(judged(sides.before, sides.after, bounds));
  };
  EXPECT_EQ(row_of(one_output(a, a, a, a, {}, "int64")).outcome, ForwardOutcome::pass);
  EXPECT_EQ(row_of(one_output(a, a, b, b, {}, "int64")).outcome, ForwardOutcome::fail);
  const ForwardRow turned = row_of(one_output(a, a, b, a, {}, "int64"));
  EXPECT_EQ(turned.outcome, ForwardOutcome::warn);
  EXPECT_TRUE(turned.unstable);
  EXPECT_EQ(row_of(one_output(a, {}, b, {}, {}, "bool")).outcome, ForwardOutcome::fail);
  ForwardBounds marked;
  marked.unstable_outputs = {"0"};
  EXPECT_EQ(row_of(one_output(a, {}, b, {}, {}, "int64"), marked).outcome, ForwardOutcome::warn);
}

TEST(ForwardVerdict, AnOutputThatHangsOnADecisionIsMarkedNotFailed) {
  Sampler sampler(23);
  Sides sides = honest_sides(24, 4);
  const Numbers exact = sampler.exact(200);
  Numbers turned = sampler.f32(exact);
  for (std::size_t i = 40; i < 60; ++i) turned[i] = 3;  // another code word
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
    side->input("normal 4");
    side->output("f32", "0", side == &sides.before ? turned : sampler.f32(exact));
    side->output("f64", "0", sampler.f64(exact));
  }
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_TRUE(verdict.outputs.back().unstable);
  EXPECT_EQ(verdict.outputs.back().outcome, ForwardOutcome::warn);
  EXPECT_FALSE(verdict.outputs.front().unstable);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::warn);
}

TEST(ForwardVerdict, WithoutFloat64OnlyPerturbedRunsShowADecision) {
  Sampler sampler(29);
  const Numbers exact = sampler.exact(200);
  Numbers turned = sampler.f32(exact);
  turned[7] = 5;
  Sides sides = one_output(turned, {}, sampler.f32(exact), exact);
  EXPECT_EQ(only_row(judged(sides.before, sides.after)).outcome, ForwardOutcome::fail);
  sides.after.output("perturbed-0", "0", turned);
  EXPECT_EQ(only_row(judged(sides.before, sides.after)).outcome, ForwardOutcome::warn);
}

// --- What does not meet

TEST(ForwardVerdict, NamesOutputsThatAreGoneNewOrAnother) {
  Sides sides;
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) side->input("normal 0");
  sides.before.output("f32", "gone", {1});
  sides.after.output("f32", "new", {1});
  sides.before.output("f32", "shape", {1, 2, 3, 4}, {2, 2});
  sides.after.output("f32", "shape", {1, 2, 3, 4}, {4, 1});
  sides.before.output("f32", "type", {1}, {}, "float32");
  sides.after.output("f32", "type", {1}, {}, "float16");
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  std::vector<std::string> words;
  for (const ForwardRow& row : verdict.outputs) {
    EXPECT_EQ(row.outcome, ForwardOutcome::fail) << row.name.output;
    words.push_back(row.name.output + ": " + row.why.substr(0, row.why.find(';')));
  }
  EXPECT_THAT(words, ElementsAre("gone: the output is gone", "shape: shape [2, 2] became [4, 1]",
                                 "type: float32 became float16", "new: the output is new"));
}

TEST(ForwardVerdict, ARunThatFailedOnOneSideFailsAndOnBothIsNothing) {
  Sides sides;
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
    side->input("odd size");
    side->run("f32").error = "size mismatch";
    side->input("normal 0");
    side->output("f32", "0", {1, 2});
    side->output("f64", "0", {1, 2});
  }
  EXPECT_EQ(judged(sides.before, sides.after).outcome, ForwardOutcome::pass);
  sides.before.golden.cases[0].runs[0].error.clear();
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::fail);
  EXPECT_EQ(verdict.outputs[0].why, "the new run failed: size mismatch");
}

TEST(ForwardVerdict, OtherInputsAreNoComparison) {
  Sides sides = honest_sides(31, 1);
  GoldenTensor& input = sides.before.golden.cases[0].inputs.emplace_back(GoldenOutput{"0", {}}).tensor;
  input = sides.before.golden.cases[0].runs[0].outputs[0].tensor;
  sides.after.golden.cases[0].inputs.push_back({"0", sides.after.golden.cases[0].runs[0].outputs[0].tensor});
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::fail);
  EXPECT_THAT(only_row(verdict).why, HasSubstr("the inputs are not the same"));
}

TEST(ForwardVerdict, InputsOfOneSideOnlyAreToldAndNothingInCommonIsNotJudged) {
  Sides sides = honest_sides(37, 2);
  sides.after.golden.cases.pop_back();
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::warn);
  EXPECT_THAT(verdict.warnings.at(0), HasSubstr("only before: 'normal 1'"));
  sides.after.golden.cases.clear();
  EXPECT_EQ(judged(sides.before, sides.after).outcome, ForwardOutcome::not_judged);
}

// --- Where they part

// A net of a child in a block, a functional call, and a head, with a fault from a module on.
Sides faulty_from(const std::string& first, std::uint32_t seed = 41) {
  const std::vector<std::pair<std::string, std::string>> chain = {{"block.conv", "Conv2d"},
                                                                  {"block.bn", "BatchNorm2d"},
                                                                  {"block", "Block"},
                                                                  {"head", "Linear"},
                                                                  {"", "Net"}};
  Sampler sampler(seed);
  Sides sides;
  for (const char* const input : {"normal 0", "normal 1"}) {
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) side->input(input);
    bool faulty = false;
    for (const auto& [module, cls] : chain) {
      faulty = faulty || module == first;
      const Numbers exact = sampler.exact(60);
      for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
        const Numbers meant = faulty && side == &sides.after ? scaled(exact, 1 + 1e-4) : exact;
        side->module("f32", module, cls, sampler.f32(meant));
        side->module("f64", module, cls, sampler.f64(meant));
        if (!module.empty()) continue;
        side->output("f32", "0", sampler.f32(meant));
        side->output("f64", "0", sampler.f64(meant));
      }
    }
  }
  return sides;
}

TEST(FirstDivergence, IsTheChildNotItsParents) {
  const Sides sides = faulty_from("block.conv");
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  ASSERT_TRUE(verdict.first_module);
  EXPECT_EQ(verdict.first_module->name.module, "block.conv");
  EXPECT_EQ(verdict.first_module->name.cls, "Conv2d");
  EXPECT_EQ(verdict.first_module->enclosing, "block");
  EXPECT_EQ(verdict.first_module->enclosing_cls, "Block");
  EXPECT_TRUE(verdict.first_module->by_float64);
  EXPECT_THAT(verdict.first_module->inputs, ElementsAre("normal 0", "normal 1"));
  EXPECT_EQ(verdict.modules.size(), 5u);
  EXPECT_EQ(verdict.modules[0].failed, 2u);
  EXPECT_EQ(verdict.modules[0].cases, 2u);
}

TEST(FirstDivergence, OfAFunctionBetweenModulesIsTheModuleAfterItAndTheOneAroundIt) {
  const Sides sides = faulty_from("head");
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.first_module->name.module, "head");
  EXPECT_TRUE(verdict.first_module->has_enclosing);
  EXPECT_EQ(verdict.first_module->enclosing, "");
  EXPECT_EQ(verdict.first_module->enclosing_cls, "Net");
  EXPECT_EQ(verdict.first_module->last_agreeing, "block");
}

TEST(FirstDivergence, AfterTheLastChildIsTheModuleItself) {
  const Sides sides = faulty_from("block");
  EXPECT_EQ(judged(sides.before, sides.after).first_module->name.module, "block");
}

TEST(FirstDivergence, TellsCallsOfOneModuleApart) {
  Sampler sampler(43);
  Sides sides;
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) side->input("normal 0");
  for (std::uint32_t call = 0; call < 3; ++call) {
    const Numbers exact = sampler.exact(50);
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
      const Numbers meant = call > 0 && side == &sides.after ? scaled(exact, 1.001) : exact;
      side->module("f32", "relu", "ReLU", sampler.f32(meant), call);
      side->module("f64", "relu", "ReLU", sampler.f64(meant), call);
    }
  }
  EXPECT_EQ(judged(sides.before, sides.after).first_module->name.call, 1u);
}

TEST(FirstDivergence, ModulesOfOneSideAreListedAndNoFault) {
  Sides sides = honest_sides(47, 2, 50, {{"encoder", "TransformerEncoderLayer"}});
  sides.before.module("f32", "encoder.linear1", "Linear", {1, 2});
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::pass);
  ASSERT_THAT(verdict.only_before, SizeIs(1));
  EXPECT_EQ(verdict.only_before[0].module, "encoder.linear1");
}

TEST(FirstDivergence, WithoutFloat64IsFarFromItsOwnRounding) {
  Sides sides = faulty_from("block.bn");
  sides.before.golden.f64 = "failed: a kernel is missing";
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_FALSE(verdict.semantic);
  EXPECT_THAT(verdict.semantic_why, HasSubstr("a kernel is missing"));
  EXPECT_EQ(verdict.first_module->name.module, "block.bn");
  EXPECT_FALSE(verdict.first_module->by_float64);
}

TEST(FirstDivergence, NamesTheOperationWhereBothSidesHaveThem) {
  Sampler sampler(53);
  Sides sides;
  for (ForwardSideDraft* const side : {&sides.before, &sides.after}) side->input("normal 0");
  for (const bool faulty : {false, true}) {  // the same operation twice in one module
    const Numbers exact = sampler.exact(50);
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
      const Numbers meant = faulty && side == &sides.after ? scaled(exact, 1.001) : exact;
      side->op("f32", "aten.add.Tensor", "block", sampler.f32(meant));
      side->op("f64", "aten.add.Tensor", "block", sampler.f64(meant));
    }
  }
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  ASSERT_TRUE(verdict.first_op);
  EXPECT_EQ(verdict.first_op->name.op, "aten.add.Tensor");
  EXPECT_EQ(verdict.first_op->name.source, "model.py:1");
  EXPECT_THAT(verdict.ops, SizeIs(2));
  EXPECT_EQ(verdict.ops[0].outcome, ForwardOutcome::pass);
}

// --- float64 that is none

// What a .float() inside gives: float64 runs that differ as float32 runs do.
Sides contaminated_sides() {
  Sampler sampler(59);
  Sides sides;
  for (const char* const input : {"normal 0", "normal 1", "normal 2"}) {
    const Numbers exact = sampler.exact(300);
    for (ForwardSideDraft* const side : {&sides.before, &sides.after}) {
      side->input(input);
      side->output("f32", "0", sampler.f32(exact));
      side->output("f64", "0", sampler.f32(exact, 4));
    }
  }
  return sides;
}

TEST(ForwardVerdict, FallsBackToRoundingWhenFloat64IsContaminatedAndTheWeightsAreEqual) {
  Sides sides = contaminated_sides();
  EXPECT_EQ(judged(sides.before, sides.after).outcome, ForwardOutcome::fail)
      << "nothing shows that the weights are equal";
  sides.before.weight("fc.weight", "aa");
  sides.after.weight("fc.weight", "aa");
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::warn);
  EXPECT_FALSE(verdict.semantic);
  EXPECT_THAT(verdict.semantic_why, HasSubstr("computes in float32 inside"));
  sides.after.golden.weights[0].sha256 = "bb";
  const ForwardVerdict differing = judged(sides.before, sides.after);
  EXPECT_EQ(differing.outcome, ForwardOutcome::fail);
  EXPECT_THAT(differing.weights_differing, ElementsAre("fc.weight"));
}

TEST(ForwardVerdict, TakesTheWordOfARecorderThatFoundFloat64Contaminated) {
  Sides sides = contaminated_sides();
  sides.before.golden.f64 = "contaminated: stft";
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_FALSE(verdict.semantic);
  EXPECT_THAT(verdict.semantic_why, HasSubstr("contaminated: stft"));
  EXPECT_EQ(verdict.outcome, ForwardOutcome::warn);
}

// --- Reduced precision

TEST(ReducedPrecision, IsHeldAgainstTheRunWithOperandsRoundedAlike) {
  Sampler sampler(61);
  const Numbers exact = sampler.exact(300);
  ForwardBounds tf32;
  tf32.precision = RunPrecision::tf32;
  const auto outcome_of = [&](double times) {
    Sides sides = one_output(sampler.f32(exact), exact, scaled(exact, 1 + times * 1e-3), exact);
    sides.after.output("tf32-rne", "0", scaled(exact, 1 + 3e-4));
    sides.after.output("tf32-rz", "0", scaled(exact, 1 + 1e-3));  // the envelope
    return only_row(judged(sides.before, sides.after, tf32));
  };
  EXPECT_EQ(outcome_of(3).outcome, ForwardOutcome::pass);
  EXPECT_NEAR(outcome_of(3).reduced->ratio(), 3, 1e-6);
  EXPECT_EQ(outcome_of(5).outcome, ForwardOutcome::fail);
}

TEST(ReducedPrecision, OfAutocastHasARowOfItsOwn) {
  Sampler sampler(67);
  const Numbers exact = sampler.exact(300);
  Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
  sides.after.output("autocast-bf16", "0", scaled(exact, 1 + 1.5e-2), {}, "bfloat16");
  sides.after.output("bf16", "0", scaled(exact, 1 + 1e-2));
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  ASSERT_THAT(verdict.outputs, SizeIs(2));
  EXPECT_EQ(verdict.outputs[1].run, "autocast-bf16");
  EXPECT_EQ(verdict.outputs[1].outcome, ForwardOutcome::pass);
  EXPECT_NEAR(verdict.outputs[1].reduced->ratio(), 1.5, 1e-6);
}

TEST(ReducedPrecision, OfTf32BesideAnExactRunIsHeldAgainstEitherRounding) {
  Sampler sampler(71);
  const Numbers exact = sampler.exact(300);
  const auto row_of = [&](double times) {
    Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
    sides.after.output("tf32", "0", scaled(exact, 1 + times * 1e-3));
    for (const std::string_view name : forward::emulations_of("tf32"))
      sides.after.output(std::string(name), "0", scaled(exact, 1 + (name == "tf32-rz" ? 1e-3 : 3e-4)));
    const ForwardVerdict verdict = judged(sides.before, sides.after);
    EXPECT_THAT(verdict.outputs, SizeIs(2));
    EXPECT_EQ(verdict.outputs.back().run, "tf32");
    return verdict.outputs.back();
  };
  EXPECT_EQ(row_of(3).outcome, ForwardOutcome::pass);
  EXPECT_NEAR(row_of(3).reduced->ratio(), 3, 1e-6);
  EXPECT_EQ(row_of(5).outcome, ForwardOutcome::fail);
  EXPECT_THAT(forward::emulations_of("f32"), IsEmpty());
}

TEST(ReducedPrecision, MayTurnADecisionThatFloat64DoesNot) {
  Sampler sampler(73);
  const Numbers exact = sampler.exact(300), codes = {1, 2, 3}, turned = {1, 2, 4};
  Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
  for (auto* const side : {&sides.before, &sides.after})
    for (const char* const run : {"f32", "f64"}) side->output(run, "1", codes, {}, "int64");
  sides.after.output("autocast-bf16", "0", scaled(exact, 1 + 1e-2), {}, "bfloat16");
  sides.after.output("autocast-bf16", "1", turned, {}, "int64");
  sides.after.output("bf16", "0", scaled(exact, 1 + 1e-2));
  sides.after.output("bf16", "1", turned, {}, "int64");
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::warn);
  for (const ForwardRow& row : verdict.outputs) {
    EXPECT_EQ(row.outcome == ForwardOutcome::warn, row.run != "f32" && row.name.output == "1") << row.why;
    EXPECT_EQ(row.unstable, row.run != "f32") << row.run << " " << row.name.output;
  }
}

// --- Decisions

TEST(Decisions, OnEqualKeysMayBeTakenEitherWay) {
  Sampler sampler(79);
  const Numbers exact = sampler.exact(300), near = {4, 7}, swapped = {7, 4};
  const auto verdict_of = [&](double gathered) {
    Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
    for (auto* const side : {&sides.before, &sides.after})
      for (const char* const run : {"f32", "f64"}) {
        const bool after = side == &sides.after;
        side->module(run, "knn", "Knn", after ? swapped : near, 0, "0", "int64");
        side->module(run, "gather", "Gather", after ? scaled(exact, gathered) : exact);
      }
    return judged(sides.before, sides.after);
  };
  const ForwardVerdict tied = verdict_of(1);
  EXPECT_EQ(tied.outcome, ForwardOutcome::pass);
  EXPECT_FALSE(tied.first_module);
  const ForwardVerdict other = verdict_of(1 + 1e-3);
  EXPECT_EQ(other.outcome, ForwardOutcome::fail);
  ASSERT_TRUE(other.first_module);
  EXPECT_EQ(other.first_module->name.module, "knn");
}

TEST(Decisions, ThatTheModelReturnsAreNamedWhereTheyWereMade) {
  Sampler sampler(89);
  const Numbers exact = sampler.exact(300), near = {4, 7}, swapped = {7, 4};
  Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
  for (auto* const side : {&sides.before, &sides.after})
    for (const char* const run : {"f32", "f64"}) {
      const Numbers& found = side == &sides.after ? swapped : near;
      side->output(run, "codes", found, {}, "int64");
      side->module(run, "quantizer", "Quantizer", found, 0, "0", "int64");
      side->module(run, "decoder", "Decoder", exact);
    }
  const ForwardVerdict verdict = judged(sides.before, sides.after);
  EXPECT_EQ(verdict.outcome, ForwardOutcome::fail);
  ASSERT_TRUE(verdict.first_module);
  EXPECT_EQ(verdict.first_module->name.module, "quantizer");
}

TEST(Decisions, OnEqualKeysAreNotExcusedByWhatTheSameCallReturned) {
  Sampler sampler(83);
  const Numbers exact = sampler.exact(300), near = {4, 7}, swapped = {7, 4};
  const auto verdict_of = [&](bool last) {
    Sides sides = one_output(sampler.f32(exact), exact, sampler.f32(exact), exact);
    for (auto* const side : {&sides.before, &sides.after})
      for (const char* const run : {"f32", "f64"}) {
        const bool after = side == &sides.after;
        side->module(run, "knn", "Knn", after ? swapped : near, 0, "0", "int64");
        side->module(run, "knn", "Knn", exact, 0, "1");
        if (!last) side->module(run, "gather", "Gather", after ? scaled(exact, 1 + 1e-3) : exact);
      }
    return judged(sides.before, sides.after);
  };
  for (const bool last : {false, true}) {
    const ForwardVerdict verdict = verdict_of(last);
    EXPECT_EQ(verdict.outcome, ForwardOutcome::fail) << last;
    ASSERT_TRUE(verdict.first_module) << last;
    EXPECT_EQ(verdict.first_module->name.module, "knn") << last;
  }
}

TEST(Decisions, AreCountedAlongTheClassAxis) {
  using forward::decisions_of;
  const Numbers before = {0.1, 0.9, 0.8, 0.2}, after = {0.2, 0.8, 0.3, 0.7};
  const auto rows = decisions_of(before, after, std::vector<std::int64_t>{2, 2}, 1, 0);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->rows, 2u);
  EXPECT_EQ(rows->equal, 1u);
  EXPECT_EQ(rows->ties, 0u);
  const auto images = decisions_of(before, after, std::vector<std::int64_t>{1, 2, 1, 2}, 1, 0);
  ASSERT_TRUE(
      images);  // classes at axis 1: pixels (0.1, 0.8) and (0.9, 0.2) against (0.2, 0.3) and (0.8, 0.7)
  EXPECT_EQ(images->axis, 1u);
  EXPECT_EQ(images->equal, 2u);
  EXPECT_FALSE(decisions_of(before, after, std::vector<std::int64_t>{4}, 1, 0));
  EXPECT_FALSE(decisions_of(before, after, std::vector<std::int64_t>{4, 1}, 1, 0));
}

TEST(Decisions, ThatRoundingMayTurnAreTies) {
  const Numbers before = {0.5, 0.5 + 1e-7, 0.0}, after = {0.5 + 1e-7, 0.5, 0.0};
  const auto found = forward::decisions_of(before, after, std::vector<std::int64_t>{1, 3}, 2, 1e-6);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->equal, 0u);
  EXPECT_EQ(found->ties, 1u);
  EXPECT_EQ(found->top_k_equal, 1u);
}

// --- Known changes

TEST(KnownChanges, OfThisBuildAreReadable) {
  const auto changes = config::known_changes();
  EXPECT_GT(changes.size(), 25u);
  for (const KnownChange& change : changes) {
    EXPECT_EQ(config::find_known_change(change.id), &change);
    EXPECT_FALSE(change.text.empty());
    if (!change.from.empty()) {
      EXPECT_LT(forward::compare_versions(change.from, change.to), 0) << change.id;
    }
    EXPECT_TRUE(change.link.empty() || change.link.starts_with("https://")) << change.id;
    for (const std::string& op : change.ops) EXPECT_TRUE(op.starts_with("aten.")) << change.id;
  }
}

TEST(KnownChanges, ThatCannotBeUnderstoodAreRefusedWithTheirLine) {
  const auto complaint = [](std::string_view text) -> std::string {
    try {
      config::parse_known_changes(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_policy);
      return error.what();
    }
    return "";
  };
  const std::string good =
      "[[change]]\nid = \"a\"\ntitle = \"t\"\nkind = \"value\"\ntext = \"x\"\nops = [\"aten.a\"]\n";
  EXPECT_EQ(complaint(good), "");
  EXPECT_THAT(complaint(good + good), HasSubstr("'a' is there twice; line 7"));
  EXPECT_THAT(complaint(good + "from = \"1.5\"\n"), HasSubstr("from and to come together"));
  EXPECT_THAT(complaint(good + "drift = [2, 1]\n"), HasSubstr("drift is [least, most]"));
  EXPECT_THAT(complaint(good + "colour = 1\n"), HasSubstr("no key 'colour' here; line 7"));
  EXPECT_THAT(complaint("[[change]]\nid = \"a\"\n"), HasSubstr("is missing"));
  EXPECT_THAT(complaint("[[change]]\nid = \"a\"\ntitle = \"t\"\nkind = \"odd\"\n"),
              HasSubstr("no kind 'odd'; line 4"));
  EXPECT_THAT(complaint("[[change]"), HasSubstr("line 1"));
}

TEST(LikelyCauses, AreThoseBetweenTheVersionsAtTheClassThatDiffers) {
  Symptom symptom;
  symptom.before_torch = "1.4.0";
  symptom.after_torch = "2.13.0+cpu";
  symptom.first_module = "Upsample";
  symptom.relative = 0.2;
  const auto causes = forward::likely_causes(config::known_changes(), symptom);
  ASSERT_FALSE(causes.empty());
  EXPECT_EQ(causes[0].id, "interp-scale");
  EXPECT_THAT(causes[0].reasons,
              ElementsAre("it lies between 1.4.0 and 2.13.0+cpu",
                          "the first module that differs is of class Upsample", "the drift is of that size"));
  symptom.before_torch = "1.12.1";
  const auto later = forward::likely_causes(config::known_changes(), symptom);
  for (const LikelyCause& cause : later) EXPECT_NE(cause.id, "interp-scale");
}

TEST(LikelyCauses, OfRoundingAreNotOfferedForAnotherFunction) {
  Symptom symptom;
  symptom.first_module = "Conv2d";
  symptom.relative = 2e-3;
  symptom.cuda = true;
  for (const LikelyCause& cause : forward::likely_causes(config::known_changes(), symptom))
    EXPECT_NE(cause.id, "tf32-conv");
  symptom.same_function = true;
  const auto causes = forward::likely_causes(config::known_changes(), symptom);
  ASSERT_FALSE(causes.empty());
  EXPECT_EQ(causes[0].id, "tf32-conv");
  symptom.cuda = false;
  for (const LikelyCause& cause : forward::likely_causes(config::known_changes(), symptom))
    EXPECT_NE(cause.id, "tf32-conv");
}

TEST(LikelyCauses, OfTheWeightsAreRuledOutByEqualOnesAndComeFirstWithOthers) {
  Symptom symptom;
  symptom.first_module = "Linear";
  symptom.relative = 1e-3;
  symptom.weights_differ = true;
  const auto causes = forward::likely_causes(config::known_changes(), symptom);
  ASSERT_FALSE(causes.empty());
  EXPECT_EQ(causes[0].id, "weights-differ");
  symptom.weights_differ = false;
  symptom.weights_equal = true;
  for (const LikelyCause& cause : forward::likely_causes(config::known_changes(), symptom))
    EXPECT_NE(cause.id, "weights-differ");
}

TEST(LikelyCauses, VersionsCompareByNumbers) {
  using forward::compare_versions;
  EXPECT_LT(compare_versions("1.4.0", "1.13"), 0);
  EXPECT_GT(compare_versions("2.13.0+cpu", "2.9"), 0);
  EXPECT_EQ(compare_versions("1.5", "1.5.0a0"), 0);
  EXPECT_LT(compare_versions("1.12.1", "2"), 0);
}

TEST(ForwardVerdict, NamesTheKnownChangeOfTheFirstModule) {
  Sides sides = faulty_from("block.bn");
  sides.before.environment("torch", "1.4.0");
  sides.after.environment("torch", "2.13.0");
  const ForwardVerdict verdict = judged(sides.before, sides.after, {}, config::known_changes());
  ASSERT_FALSE(verdict.causes.empty());
  EXPECT_EQ(verdict.causes[0].id, "batch-norm-eps");
  const Sides honest = honest_sides(71);
  EXPECT_THAT(judged(honest.before, honest.after, {}, config::known_changes()).causes, IsEmpty());
}

}  // namespace
}  // namespace ferry
