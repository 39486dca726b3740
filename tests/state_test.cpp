// The tree beside named tensors: everything that a checkpoint can hold comes back.
#include "formats/state/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using testing::HasSubstr;

class State : public testing::Test {
 protected:
  NodeId tensor(std::string name, float value) {
    std::vector<std::byte> bytes(4);
    store_le(bytes.data(), std::bit_cast<std::uint32_t>(value));
    return graph().make_indexed(
        Kind::tensor, checkpoint_.add_tensor(DType::float32, {}, std::move(bytes), false, std::move(name)));
  }
  NodeId text(std::string_view value) { return graph().make_text(value); }
  NodeId dict(DictFlavor flavor, std::vector<NodeId> items) {
    const NodeId node = graph().make_dict(flavor);
    graph().set_items(node, items);
    return node;
  }
  NodeId container(Kind kind, std::vector<NodeId> items) {
    const NodeId node = graph().make_container(kind);
    graph().set_items(node, items);
    return node;
  }
  ValueGraph& graph() { return checkpoint_.values; }

  std::vector<std::string> names(const state::Flat& flat) const {
    std::vector<std::string> names(checkpoint_.tensors.size());
    for (const auto& named : flat.tensors) names[named.tensor] = named.name;
    return names;
  }

  // The checkpoint as its tree gives it back, and as it was, in the form in which content can be compared.
  void expect_round_trip(NodeId root) {
    graph().set_root(root);
    const std::string before = test::content_of(checkpoint_);
    const state::Flat flat = state::flatten(checkpoint_);
    graph().set_root(graph().make_none());
    state::restore(checkpoint_, names(flat), state::document(flat, "{}"));
    EXPECT_EQ(test::content_of(checkpoint_), before) << flat.tree;
  }

  std::string problem_of(std::string_view tree) {
    try {
      state::restore(checkpoint_, {},
                     "{\"schema\":\"torchferry.state/1\",\"root\":" + std::string(tree) + "}");
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::corrupt);
      return error.what();
    }
    return "";
  }

  Checkpoint checkpoint_;
};

TEST_F(State, NumbersComeBackToTheLastBit) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<NodeId> items;
  for (const double value : {0.0, -0.0, 0.1, 1e300, 5e-324, 1e16, 123456789.0, kInfinity, -kInfinity,
                             std::bit_cast<double>(std::uint64_t{0x7ff8000000000000}),
                             std::bit_cast<double>(std::uint64_t{0xfff8000000000001})})
    items.push_back(graph().make_real(value));
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN})
    items.push_back(graph().make_integer(value));
  std::vector<std::byte> large(12, std::byte{0x5a});
  items.push_back(graph().make_big_integer(large));
  items.push_back(graph().make_complex(-0.0, kInfinity));
  items.insert(items.end(), {graph().make_boolean(true), graph().make_boolean(false), graph().make_none()});
  expect_round_trip(container(Kind::list, items));
}

TEST_F(State, TextAndBytesComeBack) {
  const std::string odd("\"\\\x01\0\xed\xa0\x80", 7);  // with half a surrogate pair
  std::vector<std::byte> bytes = {std::byte{0}, std::byte{255}};
  expect_round_trip(container(
      Kind::list,
      {text(""), text("Größe 🚢"), text(odd), text("$tensor"), graph().make_bytes(Kind::bytes, bytes),
       graph().make_bytes(Kind::byte_array, bytes), graph().make_bytes(Kind::device, as_bytes("cuda:1")),
       graph().make_bytes(Kind::layout, as_bytes("torch.strided")),
       graph().make_indexed(Kind::dtype, static_cast<std::uint32_t>(DType::bfloat16))}));
}

TEST_F(State, ContainersKeepTheirKindTheirOrderAndTheirKeys) {
  const NodeId one = graph().make_integer(1);
  const NodeId ordered = dict(DictFlavor::ordered, {text("b"), one, text("a"), tensor("ordered.a", 1)});
  graph().set_attributes(ordered,
                         dict(DictFlavor::plain, {text("_metadata"), dict(DictFlavor::ordered, {})}));
  expect_round_trip(
      dict(DictFlavor::plain,
           {text("ordered"), ordered, one, text("an integer as a key"), text("1"), text("a text"),
            text("$id"), text("no mark"), graph().make_tuple(std::vector{one, one}), one, text("counter"),
            dict(DictFlavor::counter, {text("x"), one}), text("set"), container(Kind::set, {one}),
            text("size"), container(Kind::size, {one}), text("empty"), graph().make_tuple({})}));
}

TEST_F(State, SharedValuesStaySharedAndCyclesStayCycles) {
  const NodeId list = container(Kind::list, {graph().make_integer(1)});
  const NodeId both = tensor("t", 2);
  graph().append(list, std::vector{list});
  expect_round_trip(
      dict(DictFlavor::plain, {text("a"), list, text("b"), list, text("t"), both, text("u"), both}));
}

TEST_F(State, OneWindowHasOneNameAndTheFirstOfAllIsKept) {
  const NodeId first = tensor("w", 1);
  Tensor copy = checkpoint_.tensors[0];
  checkpoint_.tensors.push_back(copy);
  graph().set_root(
      dict(DictFlavor::ordered, {text("z"), first, text("b"), graph().make_indexed(Kind::tensor, 1)}));
  const state::Flat flat = state::flatten(checkpoint_);
  ASSERT_EQ(flat.tensors.size(), 1u);
  EXPECT_EQ(flat.tensors[0].name, "b");
  ASSERT_EQ(flat.aliases.size(), 1u);
  EXPECT_EQ(flat.aliases[0].name, "z");
  EXPECT_EQ(flat.aliases[0].kept, "b");
  EXPECT_FALSE(flat.needed);
}

TEST_F(State, ADictOfTensorsNeedsNoTreeAndAnythingElseDoes) {
  const NodeId t = tensor("t", 1);
  graph().set_root(dict(DictFlavor::plain, {text("t"), t}));
  EXPECT_FALSE(state::flatten(checkpoint_).needed);
  graph().set_root(dict(DictFlavor::plain, {text("t"), t, text("epoch"), graph().make_integer(3)}));
  EXPECT_TRUE(state::flatten(checkpoint_).needed);
  graph().set_root(t);
  EXPECT_TRUE(state::flatten(checkpoint_).needed);
  checkpoint_.tensors[0].parameter = true;
  graph().set_root(dict(DictFlavor::plain, {text("t"), t}));
  EXPECT_TRUE(state::flatten(checkpoint_).needed);
}

TEST_F(State, TwoTensorsOfOneNameAreRefused) {
  const NodeId inner = dict(DictFlavor::plain, {text("b"), tensor("1", 1)});
  graph().set_root(dict(DictFlavor::plain, {text("a"), inner, text("a.b"), tensor("2", 2)}));
  try {
    state::flatten(checkpoint_);
    FAIL() << "it was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::key_collision);
    EXPECT_THAT(error.what(), HasSubstr("'a.b'"));
  }
}

TEST_F(State, ATreeThatLiesIsRefused) {
  EXPECT_THAT(problem_of("{\"$tensor\":\"w\"}"), HasSubstr("there is no tensor 'w'"));
  EXPECT_THAT(problem_of("{\"$ref\":0}"), HasSubstr("not there yet"));
  EXPECT_THAT(problem_of("{\"$id\":0,\"is\":{\"$tuple\":[{\"$ref\":0}]}}"), HasSubstr("not there yet"));
  EXPECT_THAT(problem_of("[{\"$id\":0,\"is\":[]},{\"$id\":0,\"is\":[]}]"), HasSubstr("$id"));
  EXPECT_THAT(problem_of("{\"$exec\":\"00\"}"), HasSubstr("there is no mark '$exec'"));
  EXPECT_THAT(problem_of("{\"$bytes\":\"0g\"}"), HasSubstr("hexadecimal"));
  EXPECT_THAT(problem_of("{\"$device\":\"cuda:x\"}"), HasSubstr("no device"));
  EXPECT_THAT(problem_of("{\"$dtype\":\"float\\u0000\"}"), HasSubstr("no dtype"));
  EXPECT_THAT(problem_of("18446744073709551615"), HasSubstr("beyond 64 bits"));
  EXPECT_NE(problem_of("{\"$dict\":[[[],1]]}"), "");  // a list is no key
  EXPECT_NE(problem_of("{\"$dict\":[[1,1],[true,2]]}"), "");
  EXPECT_NE(problem_of("[1,2"), "");
}

TEST_F(State, OfOtherTensorsItIsRefusedOrFitsInPart) {
  const auto document = [](std::string_view root) {
    return "{\"schema\":\"torchferry.state/1\",\"root\":" + std::string(root) + "}";
  };
  const std::string lost = document(
      "{\"a\":{\"$tensor\":\"a\"},\"b\":{\"$tensor\":\"b\"},\"l\":[{\"$tensor\":\"l.0\"},7],"
      "\"q\":{\"$composite\":\"per_tensor_affine\",\"parts\":[{\"$tensor\":\"q.int_repr\"},0.5,0]},"
      "\"r\":[{\"$id\":0,\"is\":{\"$tensor\":\"r\"}},{\"$ref\":0}]}");
  tensor("a", 1);
  tensor("new", 1);
  const std::vector<std::string> names = {"a", "new"};
  EXPECT_THROW(state::restore(checkpoint_, names, lost), Error);
  state::restore(checkpoint_, names, lost, state::Fit::partial);
  const NodeId root = graph().root();
  EXPECT_EQ(graph().entry_count(root), 4u);  // a, l, r, new
  EXPECT_EQ(graph().index(graph().find(root, "a")), 0u);
  EXPECT_EQ(graph().index(graph().find(root, "new")), 1u);
  EXPECT_EQ(graph().kind(graph().items(graph().find(root, "l"))[0]), Kind::none);
  EXPECT_EQ(graph().kind(graph().items(graph().find(root, "r"))[1]), Kind::none);
  EXPECT_EQ(graph().find(root, "q"), kNoNode);
  // What has no name in common is the state of another file.
  EXPECT_THROW(state::restore(checkpoint_, {"x", "y"}, lost, state::Fit::partial), Error);
  // A name that the tree holds already cannot be a tensor's too.
  EXPECT_THROW(state::restore(checkpoint_, names, document("{\"a\":{\"$tensor\":\"a\"},\"new\":1}"),
                              state::Fit::partial),
               Error);
}

TEST_F(State, EveryPrefixOfADocumentIsRefused) {
  graph().set_root(dict(DictFlavor::ordered, {text("t"), tensor("t", 1), text("x"), graph().make_real(0.5)}));
  const state::Flat flat = state::flatten(checkpoint_);
  const std::string whole = state::document(flat, "");
  for (std::size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_THROW(state::restore(checkpoint_, {"t"}, std::string_view(whole).substr(0, size)), Error) << size;
}

}  // namespace
}  // namespace ferry
