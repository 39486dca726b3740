// Which tensor of one checkpoint is which of another.
#include "validators/structure/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "validators/structure/tying.h"

namespace ferry::structure {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A checkpoint made of dicts by dotted keys, one dot a level where `nested`.
class Maker {
 public:
  Maker() { checkpoint_.values.set_root(checkpoint_.values.make_dict(DictFlavor::plain)); }

  Maker& tensor(const std::vector<std::string>& keys, std::vector<std::int64_t> shape = {2}) {
    std::size_t bytes = 4;
    for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
    const std::uint32_t index =
        checkpoint_.add_tensor(DType::float32, shape, std::vector<std::byte>(bytes), false, keys.back());
    return put(keys, checkpoint_.values.make_indexed(Kind::tensor, index));
  }
  Maker& integer(const std::vector<std::string>& keys, std::int64_t value) {
    return put(keys, checkpoint_.values.make_integer(value));
  }
  // The same tensor under another name.
  Maker& tied(const std::vector<std::string>& keys, std::uint32_t tensor) {
    return put(keys, checkpoint_.values.make_indexed(Kind::tensor, tensor));
  }
  Maker& put(const std::vector<std::string>& keys, NodeId value) {
    ValueGraph& graph = checkpoint_.values;
    NodeId dict = graph.root();
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      NodeId next = graph.find(dict, keys[i]);
      if (next == kNoNode) {
        next = graph.make_dict(DictFlavor::plain);
        graph.set_entry(dict, keys[i], next);
      }
      dict = next;
    }
    graph.set_entry(dict, keys.back(), value);
    return *this;
  }
  Checkpoint& checkpoint() { return checkpoint_; }

 private:
  Checkpoint checkpoint_;
};

// "before → after (how)" of every row.
std::vector<std::string> rows(const Pairing& pairing) {
  std::vector<std::string> all;
  for (const TensorMatch& row : pairing.tensors)
    all.push_back(row.before.path + " → " + row.after.path +
                  (row.matched_by.empty() ? "" : " (" + row.matched_by + ")"));
  return all;
}

Pairing pair_by_name(Maker& before, Maker& after) {
  Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  match_by_name(pairing, before.checkpoint(), after.checkpoint());
  return pairing;
}

TEST(Pairing, TensorsMeetAtTheirPathWhateverTheOrderOfKeys) {
  Maker before, after;
  before.tensor({"a"}).tensor({"b"});
  after.tensor({"b"}).tensor({"a"});
  const Pairing pairing = pair_by_name(before, after);
  EXPECT_THAT(rows(pairing), ElementsAre("a → a", "b → b"));
  EXPECT_THAT(pairing.reordered, ElementsAre(""));
}

TEST(Pairing, WhatOneSideLacksIsRemovedOrAdded) {
  Maker before, after;
  before.tensor({"a"}).tensor({"b"}, {3});
  after.tensor({"a"}).tensor({"zz"}, {5});
  EXPECT_THAT(rows(pair_by_name(before, after)), ElementsAre("a → a", "b → ", " → zz"));
}

TEST(Pairing, ADottedKeyMeetsThePathThroughContainers) {
  Maker before, after;
  before.tensor({"model", "conv.weight"}).tensor({"model", "fc.bias"});
  after.tensor({"model.conv.weight"}).tensor({"model.fc.bias"});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("model.conv.weight → model.conv.weight", "model.fc.bias → model.fc.bias"));
}

TEST(Pairing, APartThatMovedAsAWholeMeets) {
  Maker before, after;
  before.tensor({"state_dict", "conv.weight"}).tensor({"state_dict", "conv.bias"}).integer({"epoch"}, 3);
  after.tensor({"conv.weight"}).tensor({"conv.bias"});
  const Pairing pairing = pair_by_name(before, after);
  EXPECT_THAT(rows(pairing), ElementsAre("state_dict.conv.weight → conv.weight (prefix state_dict.)",
                                         "state_dict.conv.bias → conv.bias (prefix state_dict.)"));
}

TEST(Pairing, APrefixThatBecameAnotherIsNamed) {
  Maker before, after;
  before.tensor({"encoder.a.weight"}).tensor({"encoder.b.weight"}, {3}).tensor({"head.weight"}, {7});
  after.tensor({"backbone.a.weight"}).tensor({"backbone.b.weight"}, {3}).tensor({"head.weight"}, {7});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("encoder.a.weight → backbone.a.weight (prefix encoder. → backbone.)",
                          "encoder.b.weight → backbone.b.weight (prefix encoder. → backbone.)",
                          "head.weight → head.weight"));
}

// As many layers as real models have: what names have in common is in their middle.
TEST(Pairing, ComponentsInsideNamesThatBecameOthersThroughoutMeet) {
  Maker before, after;
  std::vector<std::string> expected;
  for (int layer = 0; layer < 40; ++layer)
    for (const std::string name : {"weight", "bias"}) {
      const std::string block = "blocks." + std::to_string(layer);
      before.tensor({block + ".attn." + name});
      after.tensor({block + ".attention.inner." + name});
      expected.push_back(block + ".attn." + name + " → " + block + ".attention.inner." + name +
                         " (attn → attention.inner)");
    }
  EXPECT_THAT(rows(pair_by_name(before, after)), testing::ElementsAreArray(expected));
}

TEST(Pairing, AComponentThatCameOrWentThroughoutIsSeenThrough) {
  Maker before, after;
  for (int layer = 0; layer < 12; ++layer) {
    const std::string block = "blocks." + std::to_string(layer);
    before.tensor({block + ".inner.attn.weight"});
    after.tensor({block + ".attn.weight"});
  }
  const std::vector<std::string> there = rows(pair_by_name(before, after));
  ASSERT_EQ(there.size(), 12u);
  EXPECT_EQ(there[11], "blocks.11.inner.attn.weight → blocks.11.attn.weight (component inner)");
  const std::vector<std::string> back = rows(pair_by_name(after, before));
  ASSERT_EQ(back.size(), 12u);
  EXPECT_EQ(back[11], "blocks.11.attn.weight → blocks.11.inner.attn.weight (component inner)");
}

TEST(Pairing, EndsOfNamesAloneThatDifferAreNoRenaming) {
  Maker before, after;
  for (const std::string layer : {"a", "b", "c"}) {
    before.tensor({layer + ".weight"}).tensor({layer + ".bias"});
    after.tensor({layer + ".weight"}).tensor({layer + ".scale"});
  }
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("a.weight → a.weight", "a.bias → ", "b.weight → b.weight", "b.bias → ",
                          "c.weight → c.weight", "c.bias → ", " → a.scale", " → b.scale", " → c.scale"));
}

// Where names leave a choice: by the last letter of a path, those of before are equal to those of after.
TEST(Pairing, OfTwoRenamingsThatWantTheSameTensorsEqualContentsDecide) {
  Maker before, after;
  for (const std::string part : {"ema", "model"})
    for (const std::string name : {"fc.weight", "fc.bias"}) before.tensor({part, name});
  after.tensor({"fc.weight"}).tensor({"fc.bias"});
  for (const std::string equal : {"ema", "model"}) {
    Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
    match_by_name(pairing, before.checkpoint(), after.checkpoint(),
                  [&](Side side, const SidedTensor& one) -> std::string {
                    if (side == Side::after) return equal;
                    return one.path.str().substr(0, one.path.str().find('.'));
                  });
    const std::vector<std::string> all = rows(pairing);
    EXPECT_THAT(all, testing::Contains(equal + ".fc.weight → fc.weight (prefix " + equal + ".)"));
    EXPECT_THAT(all, testing::Contains(equal + ".fc.bias → fc.bias (prefix " + equal + ".)"));
  }
}

TEST(Pairing, OfTwoRenamingsThatWantTheSameTensorsTheFirstInTheFileWinsWhereContentsDoNotTell) {
  Maker before, after;
  for (const std::string part : {"q", "k"}) before.tensor({part + ".weight"}).tensor({part + ".bias"});
  for (const std::string part : {"z", "y"}) after.tensor({part + ".weight"}).tensor({part + ".bias"});
  Pairing pairing = pair_by_name(before, after);
  EXPECT_THAT(rows(pairing), testing::Contains("q.weight → "));
  match_by_likely_name(pairing, before.checkpoint(), after.checkpoint());
  EXPECT_THAT(rows(pairing),
              ElementsAre("q.weight → z.weight (prefix q. → z.)", "q.bias → z.bias (prefix q. → z.)",
                          "k.weight → y.weight (prefix k. → y.)", "k.bias → y.bias (prefix k. → y.)"));
}

TEST(Pairing, NamesThatBecomeOneOnEitherSideAreLeftToTheirContents) {
  Maker before, after;
  before.tensor({"e.module.w"}).tensor({"e._orig_mod.w"}).tensor({"z"});
  after.tensor({"e.w"}).tensor({"z"});
  Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  match_by_name(pairing, before.checkpoint(), after.checkpoint(), [](Side, const SidedTensor& one) {
    return std::string(one.path == "e.module.w" ? "other" : "one");
  });
  EXPECT_THAT(rows(pairing),
              ElementsAre("e.module.w → ", testing::StartsWith("e._orig_mod.w → e.w"), "z → z"));
}

TEST(Pairing, WrappersInsideNamesAreSeenThrough) {
  Maker before, after;
  before.tensor({"net.module.conv.weight"}).tensor({"other"}, {9});
  after.tensor({"net.conv.weight"}).tensor({"other"}, {9});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("net.module.conv.weight → net.conv.weight (wrapper)", "other → other"));
}

TEST(Pairing, WeightNormMeetsItsParametrization) {
  Maker before, after;
  before.tensor({"c.weight_g"}, {4, 1}).tensor({"c.weight_v"}, {4, 3});
  after.tensor({"c.parametrizations.weight.original0"}, {4, 1})
      .tensor({"c.parametrizations.weight.original1"}, {4, 3});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("c.weight_g → c.parametrizations.weight.original0 (known renaming)",
                          "c.weight_v → c.parametrizations.weight.original1 (known renaming)"));
}

TEST(Pairing, SpectralNormMeetsItsParametrization) {
  Maker before, after;
  before.tensor({"c.weight_orig"}, {4, 3}).tensor({"c.weight_u"}, {4}).tensor({"c.weight_v"}, {3});
  after.tensor({"c.parametrizations.weight.original"}, {4, 3})
      .tensor({"c.parametrizations.weight.0._u"}, {4})
      .tensor({"c.parametrizations.weight.0._v"}, {3});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("c.weight_orig → c.parametrizations.weight.original (known renaming)",
                          "c.weight_u → c.parametrizations.weight.0._u (known renaming)",
                          "c.weight_v → c.parametrizations.weight.0._v (known renaming)"));
}

TEST(Pairing, AnotherShapeUnderAnotherNameIsNoMatch) {
  Maker before, after;
  before.tensor({"x.weight"}, {2}).tensor({"x.bias"}, {3});
  after.tensor({"y.weight"}, {5}).tensor({"y.bias"}, {6});
  EXPECT_THAT(rows(pair_by_name(before, after)),
              ElementsAre("x.weight → ", "x.bias → ", " → y.weight", " → y.bias"));
}

TEST(Pairing, AMapOutranksWhatNamesSay) {
  Maker before, after;
  before.tensor({"a"}).tensor({"b"});
  after.tensor({"a"}).tensor({"b"});
  Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  match_by_map(pairing, {{"a", "b"}, {"b", "a"}});
  EXPECT_THAT(rows(pairing), ElementsAre("a → b (map)", "b → a (map)"));
}

TEST(Pairing, AMapOfWhatIsNotThereIsRefused) {
  Maker before, after;
  before.tensor({"a"});
  after.tensor({"a"});
  Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  try {
    match_by_map(pairing, {{"a", "nowhere"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::nothing_selected);
  }
}

TEST(Pairing, EqualContentMeetsAndNamesThatEndAlikeComeFirst) {
  Maker before, after;
  before.tensor({"p.weight"}).tensor({"q.scale"});
  after.tensor({"one.scale"}).tensor({"two.weight"});
  Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  match_by_content(
      pairing, [](Side, const SidedTensor&) { return std::string("same"); }, "content");
  EXPECT_THAT(rows(pairing), ElementsAre("p.weight → two.weight (content)", "q.scale → one.scale (content)"));
}

TEST(Pairing, PlainValuesThatDifferAreListed) {
  Maker before, after;
  before.integer({"epoch"}, 3).integer({"step"}, 7).integer({"gone"}, 1);
  after.integer({"epoch"}, 4).integer({"step"}, 7).integer({"fresh"}, 1);
  const Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  std::vector<std::string> paths;
  for (const ValueDifference& one : pairing.values) paths.push_back(one.path);
  EXPECT_THAT(paths, ElementsAre("epoch", "gone", "fresh"));
  EXPECT_EQ(pairing.values_compared, 2u);
}

TEST(Pairing, CyclesEnd) {
  Maker before, after;
  for (Maker* maker : {&before, &after}) maker->put({"self"}, maker->checkpoint().values.root());
  before.integer({"n"}, 1);
  after.integer({"n"}, 1);
  const Pairing pairing = pair_trees(before.checkpoint(), after.checkpoint());
  EXPECT_THAT(pairing.values, IsEmpty());
}

// Two rings of lists whose lengths have no common factor meet in as many ways as their product.
TEST(Pairing, RingsThatMeetInTooManyWaysAreRefused) {
  const auto ring = [](std::size_t length) {
    Checkpoint checkpoint;
    ValueGraph& graph = checkpoint.values;
    std::vector<NodeId> lists;
    for (std::size_t i = 0; i < length; ++i) lists.push_back(graph.make_list({}));
    for (std::size_t i = 0; i < length; ++i)
      graph.append(lists[i], std::vector<NodeId>{lists[(i + 1) % length]});
    graph.set_root(lists[0]);
    return checkpoint;
  };
  const Checkpoint before = ring(9973), after = ring(10007);
  EXPECT_THROW(pair_trees(before, after), Error);
}

TEST(Tying, ATensorThatWasTiedAndIsNotAnyMoreIsSeen) {
  Maker before, after;
  before.tensor({"embed"}).tied({"head"}, 0).tensor({"other"});
  after.tensor({"embed"}).tensor({"head"}).tensor({"other"});
  const Pairing pairing = pair_by_name(before, after);
  const auto changes = compare_ties(before.checkpoint(), after.checkpoint(), pairing);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(changes[0].tied_before);
  EXPECT_THAT(changes[0].rows, ElementsAre(0u, 1u));
}

TEST(Tying, OfATieThatFellApartItIsToldWhatIsStillTogether) {
  Maker before, after;
  before.tensor({"a"}).tied({"b"}, 0).tied({"c"}, 0);
  after.tensor({"a"}).tied({"b"}, 0).tensor({"c"});
  const auto changes = compare_ties(before.checkpoint(), after.checkpoint(), pair_by_name(before, after));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_THAT(changes[0].rows, ElementsAre(0u, 1u, 2u));
  EXPECT_THAT(changes[0].together, ElementsAre(ElementsAre(0u, 1u)));
}

TEST(Tying, TheSameTiesOnBothSidesAreNoChange) {
  Maker before, after;
  for (Maker* maker : {&before, &after}) maker->tensor({"embed"}).tied({"head"}, 0).tensor({"other"});
  const Pairing pairing = pair_by_name(before, after);
  EXPECT_THAT(compare_ties(before.checkpoint(), after.checkpoint(), pairing), IsEmpty());
}

}  // namespace
}  // namespace ferry::structure
