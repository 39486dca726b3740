// Goldens: what the writer writes is what the reader reads; what the layout does not allow is one clear
// error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>

#include "formats/golden/reader.h"
#include "formats/golden/sample.h"
#include "formats/golden/writer.h"
#include "formats/numpy/readers.h"
#include "src/core/error.h"
#include "tests/support/content.h"
#include "tests/support/golden_draft.h"

namespace ferry {
namespace {

using test::GoldenDraft;
using test::small_golden;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

SourcePtr source_of(std::vector<std::byte> bytes, std::string name = "golden.npz") {
  return std::make_shared<MemorySource>(std::move(name), std::move(bytes));
}

// The code and the message of what opening throws.
std::pair<Code, std::string> refusal_of(const SourcePtr& source) {
  try {
    golden::open_golden(source, Limits{});
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::internal, "nothing was thrown"};
}

// Of the small golden after a change.
std::pair<Code, std::string> refusal_after(const std::function<void(GoldenDraft&)>& change) {
  GoldenDraft draft = small_golden();
  change(draft);
  return refusal_of(source_of(draft.bytes()));
}

// A whole record of a module under a path of its own.
void add_record(GoldenDraft& draft, const std::string& path) {
  draft.array(path, {1}, std::vector<float>{1});
  draft.set(path, "module", std::string("other"));
  draft.set(path, "call", std::int64_t{0});
  draft.set(path, "output", std::string("0"));
  draft.set(path, "shape", std::string("[1]"));
  draft.set(path, "dtype", std::string("float32"));
}

#define EXPECT_BAD_GOLDEN(change, words)                                            \
  do {                                                                              \
    const auto [code, message] = refusal_after([](GoldenDraft& draft) { change; }); \
    EXPECT_EQ(code, Code::bad_golden) << message;                                   \
    EXPECT_THAT(message, HasSubstr(words));                                         \
  } while (false)

// --- Samples

TEST(Samples, FollowTheFormulaOfTheLayout) {
  EXPECT_THAT(golden::sample_indices(2050, 4), ElementsAre(287u, 841u, 1361u, 1937u));
  EXPECT_THAT(golden::sample_indices(5000, 8),
              ElementsAre(380u, 1191u, 1856u, 2282u, 2861u, 3132u, 3769u, 4818u));
}

TEST(Samples, GrowAndStayInTheirStrata) {
  for (const std::uint64_t numel : {1025u, 4096u, 1000003u}) {
    const auto indices = golden::sample_indices(numel, 1024);
    ASSERT_EQ(indices.size(), 1024u);
    for (std::uint64_t k = 0; k < 1024; ++k) {
      EXPECT_GE(indices[k], k * numel / 1024);
      EXPECT_LT(indices[k], (k + 1) * numel / 1024);
    }
  }
}

TEST(Samples, OfSizesBeyondThirtyTwoBitsDoNotOverflow) {
  const std::uint64_t numel = std::uint64_t{1} << 62;
  const auto indices = golden::sample_indices(numel, 1024);
  EXPECT_TRUE(std::is_sorted(indices.begin(), indices.end()));
  EXPECT_LT(indices.back(), numel);
  EXPECT_GE(indices.back(), numel / 1024 * 1023);
}

TEST(Samples, AreAllElementsWhenThereAreFew) {
  EXPECT_THAT(golden::sample_indices(3, 4), ElementsAre(0u, 1u, 2u));
  EXPECT_THAT(golden::sample_indices(3, 0), ElementsAre(0u, 1u, 2u));
  EXPECT_TRUE(golden::sample_indices(0, 4).empty());
}

// --- Reading what was written

TEST(Golden, HasWhatWasWritten) {
  const Golden golden = small_golden().open();
  EXPECT_EQ(golden.model, "Net");
  EXPECT_EQ(golden.writer, "a test");
  EXPECT_EQ(golden.environment("torch"), "1.4.0");
  EXPECT_EQ(golden.environment("threads"), "4");
  EXPECT_EQ(golden.environment("list"), "1 2");
  EXPECT_EQ(golden.f64, "ok");
  EXPECT_FALSE(golden.training);
  EXPECT_EQ(golden.samples, 4u);
  ASSERT_EQ(golden.weights.size(), 1u);
  EXPECT_EQ(golden.weights[0].name, "fc.weight");
  EXPECT_THAT(golden.weights[0].shape, ElementsAre(2, 3));
  ASSERT_EQ(golden.cases.size(), 2u);
  EXPECT_EQ(golden.cases[1].name, "normal 1");
  ASSERT_EQ(golden.cases[0].inputs.size(), 1u);
  EXPECT_THAT(golden.cases[0].inputs[0].tensor.shape, ElementsAre(2, 3));
  const GoldenRun* const run = golden.cases[0].run("f32");
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->repeats, 2u);
  EXPECT_EQ(run->repeat_maxabs, 0.5);
  ASSERT_EQ(run->modules.size(), 2u);
  EXPECT_EQ(run->modules[0].module, "fc");
  EXPECT_EQ(run->modules[0].cls, "Linear");
  EXPECT_EQ(run->modules[0].tensor.sampled, 4u);
  EXPECT_THAT(run->modules[0].tensor.shape, ElementsAre(10, 20));
  EXPECT_EQ(run->modules[0].tensor.l2, 12.5);
  EXPECT_EQ(run->modules[0].tensor.max_abs, HUGE_VAL);  // JSON has no infinity; the layout has
  EXPECT_EQ(run->modules[1].module, "");
}

TEST(Golden, NumbersLieWhereDataSays) {
  const Golden golden = small_golden().open();
  const GoldenTensor& output = golden.cases[1].run("f64")->outputs[0].tensor;
  const StorageBytes& place = golden.data.storages[golden.data.tensors[output.tensor].storage].bytes;
  const auto bytes = place.source->read({place.offset, place.size});
  double third = 0;
  std::memcpy(&third, &bytes[16], sizeof third);
  EXPECT_EQ(third, 3.0);
}

TEST(Golden, ModulesComeInTheOrderOfTheirNumbersAlsoBeyondFiveDigits) {
  GoldenDraft draft = small_golden();
  draft.module("case/0/f32", 100000, "late", "Linear", std::vector<float>{1});
  draft.module("case/0/f32", 20000, "early", "Linear", std::vector<float>{1});
  const Golden golden = draft.open();
  const auto& modules = golden.cases[0].run("f32")->modules;
  ASSERT_EQ(modules.size(), 4u);
  EXPECT_EQ(modules[2].module, "early");
  EXPECT_EQ(modules[3].module, "late");
}

TEST(Golden, SlashesAndPercentSignsOfNamesComeBack) {
  EXPECT_EQ(golden::path_part("a/b%c"), "a%2Fb%25c");
  GoldenDraft draft = small_golden();
  draft.array("case/0/f32/out/" + golden::path_part("a/b%2F"), {1}, std::vector<float>{1});
  const Golden golden = draft.open();
  const auto& outputs = golden.cases[0].run("f32")->outputs;
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[1].path, "a/b%2F");
}

TEST(Golden, ARunThatFailedHasItsReason) {
  GoldenDraft draft = small_golden();
  draft.set("case/0/bf16", "error", std::string("no kernel"));
  const Golden golden = draft.open();
  ASSERT_NE(golden.cases[0].run("bf16"), nullptr);
  EXPECT_EQ(golden.cases[0].run("bf16")->error, "no kernel");
}

TEST(Golden, TextOfAttributesSurvivesWhateverItIs) {
  GoldenDraft draft = small_golden();
  const std::string odd = "\"\\\n\t\x01 é 漢 \x7f";
  draft.set("", "model", odd);
  EXPECT_EQ(draft.open().model, odd);
}

TEST(GoldenWriter, GivesTheSameBytesForTheSameCalls) {
  EXPECT_EQ(small_golden().bytes(), small_golden().bytes());
}

TEST(GoldenWriter, RefusesWhatDoesNotFitBeforeItIsWritten) {
  GoldenDraft draft;
  draft.arrays.push_back({"x", DType::float32, {3}, std::vector<std::byte>(8)});
  EXPECT_THROW(draft.bytes(), Error);
  draft.arrays = {{"x", DType::bfloat16, {4}, std::vector<std::byte>(8)}};
  EXPECT_THROW(draft.bytes(), Error);
  draft.arrays = {{"x", DType::int8, {1}, std::vector<std::byte>(1)},
                  {"x", DType::int8, {1}, std::vector<std::byte>(1)}};
  EXPECT_THROW(draft.bytes(), Error);
}

TEST(GoldenWriter, ArraysAreOrdinaryMembersOfAnNpz) {
  const Checkpoint npz = numpy::open_npz(source_of(small_golden().bytes()), Limits{});
  EXPECT_EQ(npz.container.format, "npz");
  EXPECT_EQ(npz.tensors.size(), small_golden().arrays.size() + 1);  // and the attributes
}

// --- What old PyTorch recorded

TEST(RecordedGoldens, OpenWithEverythingInTheirPlaces) {
  namespace fs = std::filesystem;
  std::size_t seen = 0;
  for (const char* const version : {"1.4.0", "1.4.0-py27", "1.12.1"})
    for (const auto& entry : fs::directory_iterator(test::fixture("goldens") / version)) {
      if (entry.path().extension() != ".npz") continue;
      const SourcePtr source = open_file(entry.path());
      EXPECT_TRUE(golden::is_golden(source, Limits{})) << entry.path();
      const Golden golden = golden::open_golden(source, Limits{});
      EXPECT_EQ(golden.model, entry.path().stem().string());
      EXPECT_EQ(golden.f64, "ok");
      EXPECT_TRUE(golden.environment("torch").starts_with(std::string(version).substr(0, 5)));
      EXPECT_GE(golden.cases.size(), 10u);
      for (const GoldenCase& one : golden.cases) {
        ASSERT_NE(one.run("f32"), nullptr);
        ASSERT_NE(one.run("f64"), nullptr);
        EXPECT_EQ(one.run("f32")->modules.size(), one.run("f64")->modules.size());
        EXPECT_EQ(one.run("f32")->modules.back().module, "") << "the model itself returns last";
        for (const ModuleRecord& record : one.run("f32")->modules)
          if (record.tensor.sampled > 0) {
            EXPECT_EQ(record.tensor.sampled, golden.samples);
          }
      }
      ++seen;
    }
  EXPECT_EQ(seen, 18u);
}

// --- What is a golden at all

TEST(Golden, IsKnownByItsKind) {
  GoldenDraft draft = small_golden();
  EXPECT_TRUE(golden::is_golden(source_of(draft.bytes()), Limits{}));
  draft.set("", "layout", std::int64_t{7});
  EXPECT_TRUE(golden::is_golden(source_of(draft.bytes()), Limits{})) << "of another version";
  draft.set("", "kind", std::string("weights"));
  EXPECT_FALSE(golden::is_golden(source_of(draft.bytes()), Limits{}));
  EXPECT_FALSE(
      golden::is_golden(source_of(test::read_file(test::fixture("1.12.1/bare_tensor.pt"))), Limits{}));
}

TEST(Golden, OfAnotherLayoutIsRefusedByNumber) {
  const auto [code, message] =
      refusal_after([](GoldenDraft& draft) { draft.set("", "layout", std::int64_t{2}); });
  EXPECT_EQ(code, Code::bad_version);
  EXPECT_THAT(message, HasSubstr("layout 2"));
}

TEST(Golden, OfAnotherFormatIsNone) {
  EXPECT_EQ(refusal_of(source_of(test::read_file(test::fixture("1.12.1/bare_tensor.pt")), "x.pt")).first,
            Code::unknown_format);
}

// --- What the layout does not allow

TEST(Golden, NeedsTheAttributesThatGiveItMeaning) {
  EXPECT_BAD_GOLDEN(draft.drop("", "kind"), "'kind' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("", "layout"), "'layout' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("weights/00000", "name"), "'name' is missing; in 'weights/00000'");
  EXPECT_BAD_GOLDEN(draft.drop("weights/00000", "shape"), "'shape' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("case/1", "name"), "'name' is missing; in 'case/1'");
  EXPECT_BAD_GOLDEN(draft.drop("case/0/f32/mod/00000", "module"),
                    "'module' is missing; in 'case/0/f32/mod/00000'");
  EXPECT_BAD_GOLDEN(draft.drop("case/0/f32/mod/00000", "call"), "'call' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("case/0/f32/mod/00000", "output"), "'output' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("case/0/f32/mod/00000", "shape"), "'shape' is missing");
  EXPECT_BAD_GOLDEN(draft.drop("case/0/f32/mod/00000", "dtype"), "'dtype' is missing");
}

TEST(Golden, RefusesAttributesOfAnotherKind) {
  EXPECT_BAD_GOLDEN(draft.set("", "layout", std::string("1")), "'layout' is no integer");
  EXPECT_BAD_GOLDEN(draft.set("", "training", std::int64_t{2}), "from 0 to 1");
  EXPECT_BAD_GOLDEN(draft.set("", "env", std::string("{")), "'env'");
  EXPECT_BAD_GOLDEN(draft.set("", "env", std::string("[]")), "'env' is no object");
  EXPECT_BAD_GOLDEN(draft.set("weights/00000", "shape", std::string("[2, -3]")), "no list of sizes");
  EXPECT_BAD_GOLDEN(draft.set("weights/00000", "shape", std::string("[2, 1.5]")), "no list of sizes");
  EXPECT_BAD_GOLDEN(draft.set("weights/00000", "shape", std::string("[4294967296, 4294967296]")),
                    "no list of sizes");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32", "repeats", std::int64_t{-1}), "'repeats'");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "call", 0.5), "'call' is no integer");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "l2", std::string("big")), "'l2' is no number");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "dtype", std::string("float99")), "no type 'float99'");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "dtype", std::string("int64")), "kept as float32");
}

TEST(Golden, RefusesCountsThatDoNotFit) {
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "sampled", std::int64_t{3}),
                    "no row of the 3 elements");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "sampled", std::int64_t{0}),
                    "no row of the 200 elements");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "shape", std::string("[2, 2]")),
                    "4 samples of 4 elements");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00001", "shape", std::string("[5]")),
                    "no row of the 5 elements");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00000", "shape", std::string("[9000000000, 9000000000, 9]")),
                    "no list of sizes");
}

TEST(Golden, RefusesWhatIsThereTwiceOrNotAtAll) {
  EXPECT_BAD_GOLDEN(add_record(draft, "case/0/f32/mod/1"), "record 1 is there twice");
  EXPECT_BAD_GOLDEN(draft.set("case/0/f32/mod/00001", "module", std::string("fc")), "has output '0' twice");
  EXPECT_BAD_GOLDEN(draft.set("case/3", "name", std::string("late")),
                    "the case before it is missing; in 'case/3'");
  EXPECT_BAD_GOLDEN(draft.drop_array("case/0/f32/mod/00000"), "it has no array");
  EXPECT_BAD_GOLDEN(draft.array("case/0/f32/mod/x", {1}, std::vector<float>{1}), "'x' is no number");
  EXPECT_BAD_GOLDEN(draft.array("weights/00000", {1}, std::vector<float>{1}),
                    "an array where layout 1 has none");
  EXPECT_BAD_GOLDEN(draft.array("elsewhere", {1}, std::vector<float>{1}), "an array where layout 1 has none");
  EXPECT_BAD_GOLDEN(draft.array("case/0/f32/extra/0", {1}, std::vector<float>{1}),
                    "an array where layout 1 has none");
}

TEST(Golden, IsRefusedAtEveryLengthButItsOwn) {
  const std::vector<std::byte> whole = small_golden().bytes();
  for (std::size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 37) {
    const auto [code, message] =
        refusal_of(source_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
    EXPECT_NE(code, Code::internal) << size << ": " << message;
  }
}

TEST(Golden, IsRefusedOrTheSameWithAnyBitFlipped) {
  const std::vector<std::byte> whole = small_golden().bytes();
  for (std::size_t bit = 0; bit < 8 * whole.size(); bit += 41) {
    try {
      const Golden golden = golden::open_golden(source_of(test::with_bit_flipped(whole, bit)), Limits{});
      EXPECT_EQ(golden.cases.size(), 2u)
          << "bit " << bit;  // a number, a date, padding: not what is read at opening
      EXPECT_EQ(golden.environment("torch"), "1.4.0");
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Code::internal) << error.what();
    }
  }
}

}  // namespace
}  // namespace ferry
