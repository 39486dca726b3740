// Graphs of values, and what is shared by many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/core/shared_array.h"
#include "src/core/value.h"

namespace ferry {
namespace {

using ::testing::ElementsAre;

// {name: value, …} under text keys.
NodeId dict_of(ValueGraph& graph, const std::vector<std::pair<std::string, NodeId>>& entries) {
  const NodeId dict = graph.make_dict(DictFlavor::ordered);
  for (const auto& [name, value] : entries) graph.set_entry(dict, name, value);
  return dict;
}

std::vector<std::string> texts(const ValueGraph& graph, NodeId container) {
  std::vector<std::string> all;
  for (const NodeId item : graph.items(container)) all.emplace_back(graph.text(item));
  return all;
}

TEST(ForgetUnreachable, KeepsWhatTheRootReaches) {
  ValueGraph graph;
  for (int i = 0; i < 1000; ++i) graph.make_text("what a tensor was made of");
  const NodeId half = graph.make_real(0.5), large = graph.make_integer(1 << 20);
  const NodeId pair[] = {half, large};
  graph.make_list(pair);
  const NodeId octets[] = {graph.make_bytes(Kind::bytes, as_bytes("\x01\x02"))};
  const NodeId root = dict_of(graph, {{"pair", graph.make_tuple(pair)},
                                      {"list", graph.make_list(octets)},
                                      {"none", graph.make_none()},
                                      {"yes", graph.make_boolean(true)},
                                      {"small", graph.make_integer(-5)},
                                      {"nothing", graph.make_tuple({})}});
  graph.set_root(root);
  graph.set_attributes(root, dict_of(graph, {{"version", graph.make_integer(1)}}));
  const std::size_t before = graph.node_count();

  const KeptNodes kept = graph.forget_unreachable({});
  EXPECT_LT(graph.node_count() + 1000, before);
  EXPECT_EQ(kept[root], graph.root());
  EXPECT_EQ(graph.flavor(graph.root()), DictFlavor::ordered);
  const auto tuple = graph.items(graph.find(graph.root(), "pair"));
  ASSERT_EQ(tuple.size(), 2u);
  EXPECT_EQ(graph.real(tuple[0]), 0.5);
  EXPECT_EQ(graph.integer(tuple[1]), 1 << 20);
  EXPECT_EQ(kept[half], tuple[0]);
  EXPECT_THAT(texts(graph, graph.find(graph.root(), "list")), ElementsAre("\x01\x02"));
  EXPECT_EQ(graph.kind(graph.find(graph.root(), "none")), Kind::none);
  EXPECT_TRUE(graph.boolean(graph.find(graph.root(), "yes")));
  EXPECT_EQ(graph.find(graph.root(), "small"), graph.make_integer(-5));
  EXPECT_EQ(graph.find(graph.root(), "nothing"), graph.make_tuple({}));
  EXPECT_EQ(graph.integer(graph.find(graph.attributes(graph.root()), "version")), 1);
}

TEST(ForgetUnreachable, KeepsSharingAndCycles) {
  ValueGraph graph;
  graph.make_text("gone");
  const NodeId inner = graph.make_container(Kind::list);
  const NodeId twice[] = {inner, inner};
  const NodeId root = graph.make_list(twice);
  graph.append(inner, std::span(&root, 1));
  graph.set_root(root);
  graph.forget_unreachable({});
  const auto items = graph.items(graph.root());
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0], items[1]);
  EXPECT_THAT(graph.items(items[0]), ElementsAre(graph.root()));
}

TEST(ForgetUnreachable, LeavesContainersThatGrow) {
  ValueGraph graph;
  const auto text = [&](int i) { return graph.make_text(std::to_string(i)); };
  const NodeId first[] = {text(0), text(1), text(2)}, second[] = {text(3), text(4), text(5)};
  const NodeId lists[] = {graph.make_list(first), graph.make_list(second), graph.make_container(Kind::list)};
  graph.set_root(graph.make_tuple(lists));
  graph.forget_unreachable({});
  const auto list = [&](std::size_t i) { return graph.items(graph.root())[i]; };
  for (int i = 6; i < 16; ++i)
    for (std::size_t k = 0; k < 3; ++k) {
      const NodeId more = text(i);
      graph.append(list(k), std::span(&more, 1));
    }
  EXPECT_THAT(texts(graph, list(0)),
              ElementsAre("0", "1", "2", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"));
  EXPECT_THAT(texts(graph, list(1)),
              ElementsAre("3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"));
  EXPECT_THAT(texts(graph, list(2)), ElementsAre("6", "7", "8", "9", "10", "11", "12", "13", "14", "15"));
}

TEST(ForgetUnreachable, GivesUpTheProgramWhereLittleOfItIsLeft) {
  const std::string characters = "weight" + std::string(100, '.') + "bias";
  const Bytes bytes = as_bytes(characters);
  const auto program = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
  for (const bool all : {false, true}) {
    ValueGraph graph;
    graph.set_program(program);
    const NodeId texts_of[] = {graph.make_slice(Kind::text, 0, 6, 7),
                               graph.make_slice(Kind::bytes, 106, 4, 9),
                               graph.make_slice(Kind::text, 0, 110, 11)};
    graph.set_root(graph.make_list(std::span(texts_of).first(all ? 3 : 2)));
    graph.forget_unreachable({});
    EXPECT_EQ(program.use_count(), all ? 2 : 1);
    const auto items = graph.items(graph.root());
    EXPECT_EQ(graph.text(items[0]), "weight");
    EXPECT_EQ(graph.text(items[1]), "bias");
    EXPECT_EQ(graph.at(items[1]), 9u);
    if (all) {
      EXPECT_EQ(graph.text(items[2]), characters);
    }
  }
}

TEST(ForgetUnreachable, KeepsCallsInTheirOrder) {
  ValueGraph graph;
  graph.make_text("gone");
  const NodeId name = graph.make_global(graph.make_text("m"), graph.make_text("f"), 0);
  const NodeId gone = graph.make_call(name, graph.make_tuple({}), CallForm::reduce, 0);
  const NodeId early = graph.make_call(name, graph.make_tuple({}), CallForm::newobj, 0);
  const NodeId late = graph.make_call(name, graph.make_tuple(std::span(&early, 1)), CallForm::reduce, 0);
  const NodeId state = graph.make_text("state");
  graph.make_extras(early).state = state;
  graph.make_extras(early).built_at = static_cast<NodeId>(graph.node_count());
  graph.make_extras(gone).list_items = {state};
  graph.set_root(late);
  const KeptNodes kept = graph.forget_unreachable({});
  EXPECT_EQ(kept[gone], kNoNode);
  EXPECT_THAT(graph.calls_in_order(), ElementsAre(kept[late], kept[early]));
  ASSERT_NE(graph.extras(kept[early]), nullptr);
  EXPECT_EQ(graph.text(graph.extras(kept[early])->state), "state");
  EXPECT_EQ(graph.dotted_name(graph.callee(kept[late])), "m.f");
}

TEST(ForgetUnreachable, BringsWhatTheCheckpointNamesUpToDate) {
  Checkpoint checkpoint;
  ValueGraph& graph = checkpoint.values;
  graph.make_text("gone");
  const NodeId lone = graph.make_text("of an attribute"), source = graph.make_text("class Net: …");
  const NodeId root = graph.make_list({});
  graph.set_root(root);
  checkpoint.note(root, Code::trailing_bytes, "");
  checkpoint.note(lone, Code::lost_value, "");
  checkpoint.note(kNoNode, Code::lost_value, "");
  checkpoint.modules.push_back({root, "", "Net", {{lone, graph.make_none()}}});
  checkpoint.class_sources.push_back({"Net", "net.py", source});
  checkpoint.forget_unreachable();
  EXPECT_EQ(checkpoint.notes[0].node, graph.root());
  EXPECT_EQ(graph.text(checkpoint.notes[1].node), "of an attribute");
  EXPECT_EQ(checkpoint.notes[2].node, kNoNode);
  EXPECT_EQ(checkpoint.modules[0].object, graph.root());
  EXPECT_EQ(graph.text(checkpoint.modules[0].attributes[0].first), "of an attribute");
  EXPECT_EQ(graph.text(checkpoint.class_sources[0].text), "class Net: …");
}

TEST(SharedText, IsOneCopyForAll) {
  const SharedText first("a.dotted.path");
  SharedText second = first;
  EXPECT_EQ(first.view().data(), second.view().data());
  EXPECT_EQ(second, "a.dotted.path");
  EXPECT_EQ(second, SharedText(std::string("a.dotted.path")));
  EXPECT_NE(second, SharedText("another"));
  EXPECT_EQ("[" + second + "]", "[a.dotted.path]");
  second.clear();
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(second, SharedText());
  EXPECT_EQ(first, "a.dotted.path");
}

TEST(SharedText, IsDroppedByTheLastThread) {
  std::vector<std::thread> threads;
  {
    const SharedText text("held by many");
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([text] {
        for (int k = 0; k < 10'000; ++k) {
          const SharedText copy = text;
          if (copy.size() != 12) std::terminate();
        }
      });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ferry
