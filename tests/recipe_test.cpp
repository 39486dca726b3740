// Recipes: what is wrong in a file and where, what a shape recognises, and what every verb does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/config/recipe_file.h"
#include "src/convert/place.h"
#include "src/convert/rule.h"
#include "src/core/error.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kHead[] = "name = \"mine\"\nabout = \"a test\"\n[match]\n\".\" = \"any\"\n";

// --- Files

struct Complaint {
  Code code = Code::internal;
  std::string what, where, hint;
};

Complaint complaint(const std::string& text) {
  try {
    config::parse_recipe(text);
  } catch (const Error& error) {
    return {error.code(), error.summary(), error.where().empty() ? "" : error.where()[0], error.hint()};
  }
  return {};
}

struct BrokenFile {
  const char* name;
  std::string text;  // after kHead, which has four lines
  const char* what;
  const char* where;
  const char* hint = "";
};

class BrokenRecipe : public ::testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenRecipe, SaysWhatIsWrongWhereAndWhatMayBeMeant) {
  const Complaint found = complaint(kHead + GetParam().text);
  EXPECT_EQ(found.code, Code::bad_recipe);
  EXPECT_THAT(found.what, HasSubstr(GetParam().what));
  EXPECT_EQ(found.where, GetParam().where);
  EXPECT_THAT(found.hint, HasSubstr(GetParam().hint));
}

const std::vector<BrokenFile>& broken_files() {
  static const std::vector<BrokenFile> files = {
      {"NoToml", "[[step]\n", "", "line 5, column 8"},
      {"UnknownTable", "[requires]\n\"a\" = \"int\"\n", "no key 'requires'", "line 5, column 2",
       "did you mean require?"},
      {"UnknownVerb", "[[step]]\nmovee = \"a\"\nto = \"b\"\n", "no key 'movee'", "line 6, column 1",
       "did you mean move?"},
      {"UnknownKeyOfStep", "[[step]]\nmove = \"a\"\nto = \"b\"\noptinal = true\n", "no key 'optinal'",
       "line 8, column 1", "did you mean optional?"},
      {"KeyOfAnotherVerb", "[[step]]\ndrop = \"a\"\nto = \"b\"\n", "no key 'to'", "line 7, column 1"},
      {"NoVerb", "[[step]]\nto = \"b\"\n", "a step has a verb", "line 5, column 1"},
      {"TwoVerbs", "[[step]]\ndrop = \"a\"\nselect = \"b\"\n", "one verb: select or drop", "line 6, column 8",
       "two steps"},
      {"UnknownForm", "[require]\n\"a\" = \"state_dic\"\n", "'state_dic' is nothing that can lie",
       "line 6, column 7", "did you mean state_dict?"},
      {"PathWithoutQuotes", "[require]\nmodel.conv = \"int\"\n", "what lies at 'model' is missing",
       "line 6, column 1", "in quotes"},
      {"BrokenPath", "[[step]]\ndrop = \"a.\"\n", "'a.' is no path", "line 6, column 8"},
      {"BrokenRegex", "[[step]]\nrename = '('\nto = \"\"\n", "no regular expression", "line 6, column 10"},
      {"MoveWithoutTo", "[[step]]\nmove = \"a\"\n", "move needs to", "line 5, column 1"},
      {"OtherNumberOfStars", "[[step]]\nmove = \"a.*\"\nto = \"b\"\n", "same number of *",
       "line 7, column 6"},
      {"SelectWithStar", "[[step]]\nselect = \"a.*\"\n", "names one place", "line 6, column 10"},
      {"SetWithoutValue", "[[step]]\nset = \"a\"\n", "set needs one of", "line 5, column 1"},
      {"SetWithTwoValues", "[[step]]\nset = \"a\"\nvalue = 1\nnone = true\n", "set needs one of",
       "line 5, column 1"},
      {"Date", "[[step]]\nset = \"a\"\nvalue = 2020-01-01\n", "dates", "line 7, column 9"},
      {"WrongType", "[[step]]\ndrop = 1\n", "drop is a text", "line 6, column 8"},
      {"StepsAsOneTable", "[step]\ndrop = \"a\"\n", "[[step]]", "line 5, column 1"},
      {"EmptyShape", "[require]\n", "names no path", "line 5, column 1"},
  };
  return files;
}

INSTANTIATE_TEST_SUITE_P(, BrokenRecipe, ::testing::ValuesIn(broken_files()),
                         [](const auto& file) { return std::string(file.param.name); });

TEST(RecipeFile, MissingPartsAreNamed) {
  EXPECT_THAT(complaint("about = \"x\"\n[match]\n\"a\" = \"int\"\n").what, HasSubstr("name is missing"));
  EXPECT_THAT(complaint("name = \"x\"\nabout = \"x\"\n").what, HasSubstr("match is missing"));
  EXPECT_THAT(complaint("name = \"a b\"\nabout = \"x\"\n[match]\n\"a\" = \"int\"\n").what,
              HasSubstr("'a b' is no name"));
}

TEST(RecipeFile, RequirementsKeepTheirOrderAndSayAllTheyCan) {
  const Recipe recipe = config::parse_recipe(
      "name = \"x\"\nabout = \"y\"\n[[match]]\n\"z\" = \"int | none?\"\n"
      "\"a\" = { is = \"dict\", keys = \"str|int\", values = \"float\" }\n"
      "\"m\" = { is = \"str\", text = [\"a*\", \"b\"] }\n[[match]]\n\".\" = \"state_dict\"\n");
  ASSERT_EQ(recipe.matches.size(), 2u);
  const RecipeShape& shape = recipe.matches[0];
  ASSERT_EQ(shape.size(), 3u);
  EXPECT_EQ(shape[0].path, "z");
  EXPECT_TRUE(shape[0].optional);
  EXPECT_THAT(shape[0].forms, ElementsAre(Form::integer, Form::none));
  EXPECT_THAT(shape[1].keys, ElementsAre(Form::text, Form::integer));
  EXPECT_THAT(shape[1].values, ElementsAre(Form::real));
  EXPECT_THAT(shape[2].text, ElementsAre("a*", "b"));
}

TEST(RecipeFile, EveryBuiltInOneCanBeReadAndHasTheNameOfItsFile) {
  EXPECT_GE(built_in_recipes().size(), 12u);
  for (const RecipeText& text : built_in_recipes()) {
    SCOPED_TRACE(text.name);
    Recipe recipe;
    ASSERT_NO_THROW(recipe = config::parse_recipe(text.toml));
    EXPECT_EQ(recipe.name, text.name);
    EXPECT_FALSE(recipe.results.empty()) << "what it promises is not said";
  }
}

// --- Values in memory, and what a recipe makes of them

struct Maker {
  Checkpoint checkpoint;
  ValueGraph& graph = checkpoint.values;
  ChangeLog log;

  NodeId text(std::string_view value) { return graph.make_text(value); }
  NodeId number(std::int64_t value) { return graph.make_integer(value); }
  NodeId dict(const std::vector<std::pair<std::string, NodeId>>& entries) {
    const NodeId id = graph.make_dict(DictFlavor::plain);
    for (const auto& [key, value] : entries) graph.append(id, std::array{text(key), value});
    return id;
  }
  NodeId tensor() {
    Storage storage;
    storage.numel = 1;
    storage.bytes.size = storage.bytes.stored_size = info(storage.dtype).itemsize;
    checkpoint.storages.push_back(storage);
    Tensor made;
    made.storage = static_cast<std::uint32_t>(checkpoint.storages.size() - 1);
    made.dtype = storage.dtype;
    made.dims = checkpoint.add_dims({}, {});
    checkpoint.tensors.push_back(made);
    return graph.make_indexed(Kind::tensor, static_cast<std::uint32_t>(checkpoint.tensors.size() - 1));
  }
  NodeId model(std::string_view prefix = "") {
    return dict(
        {{std::string(prefix) + "conv.weight", tensor()}, {std::string(prefix) + "conv.bias", tensor()}});
  }
  NodeId optimizer() {
    const NodeId group = dict({{"params", graph.make_list({})}, {"lr", graph.make_real(0.1)}});
    return dict({{"state", dict({})}, {"param_groups", graph.make_list(std::array{group})}});
  }

  // Applies the steps of kHead + `toml`; returns the error's summary, "" where all went well.
  std::string cook(const std::string& toml) {
    RuleOptions options;
    options.recipe = std::make_shared<const Recipe>(config::parse_recipe(kHead + toml));
    try {
      apply_rules(checkpoint, options, log);
    } catch (const Error& error) {
      where = error.where();
      return error.summary();
    }
    return "";
  }
  std::vector<std::string> where;

  // Keys of the dict at a path.
  std::vector<std::string> keys(std::string_view path = ".") {
    std::vector<std::string> found;
    for (const PathMatch& place : find_places(graph, path))
      for (std::size_t i = 0; i < graph.entry_count(place.value); ++i)
        found.push_back(key_text(graph, graph.entry(place.value, i).key));
    return found;
  }
  NodeId at(std::string_view path) {
    const auto places = find_places(graph, path);
    return places.empty() ? kNoNode : places[0].value;
  }
  std::vector<std::string> lines(Code code) {
    std::vector<std::string> found;
    for (const Change& change : log.changes())
      if (change.code == code) found.push_back(change.path + ": " + change.what);
    return found;
  }
};

TEST(Places, KeysMayHoldDots) {
  Maker m;
  m.graph.set_root(m.dict({{"a.b", m.dict({{"c", m.number(1)}})}, {"a", m.dict({{"b.c", m.number(2)}})}}));
  std::vector<std::int64_t> found;
  for (const PathMatch& place : find_places(m.graph, "a.b.c")) found.push_back(m.graph.integer(place.value));
  EXPECT_THAT(found, ::testing::UnorderedElementsAre(1, 2));
}

TEST(Places, AStarStandsForPartOfOneKey) {
  Maker m;
  m.graph.set_root(m.dict({{"models", m.dict({{"g", m.model()}, {"d", m.model()}})}}));
  EXPECT_EQ(find_places(m.graph, "models.*").size(), 2u);
  EXPECT_EQ(find_places(m.graph, "models.*.conv.*").size(), 4u);
  const auto places = find_places(m.graph, "models.*.conv.w*t");
  ASSERT_EQ(places.size(), 2u);
  EXPECT_THAT(places[0].stars, ElementsAre("g", "eigh"));
  EXPECT_THAT(find_places(m.graph, "*.conv.weight"), IsEmpty());
}

TEST(Places, ListsHavePositions) {
  Maker m;
  m.graph.set_root(m.dict({{"history", m.graph.make_list(std::array{m.number(5), m.number(6)})}}));
  EXPECT_EQ(m.graph.integer(m.at("history.1")), 6);
  EXPECT_EQ(find_places(m.graph, "history.*").size(), 2u);
}

TEST(Shapes, SayWhatFailsAndWhere) {
  Maker m;
  m.graph.set_root(m.dict({{"net", m.model()}, {"epoch", m.text("3")}}));
  RuleOptions options;
  options.recipe = std::make_shared<const Recipe>(config::parse_recipe(
      "name = \"mine\"\nabout = \"x\"\n[match]\n\"net\" = \"state_dict\"\n\"epoch\" = \"int|float\"\n"));
  try {
    apply_rules(m.checkpoint, options, m.log);
    FAIL() << "the recipe was applied";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::recipe_mismatch);
    EXPECT_THAT(error.summary(),
                HasSubstr("recipe mine does not fit this file: epoch is '3', must be an int or a float"));
  }
}

TEST(Shapes, OneOfSeveralIsEnough) {
  Maker m;
  m.graph.set_root(m.dict({{"b", m.number(1)}}));
  const Recipe recipe = config::parse_recipe(
      "name = \"x\"\nabout = \"y\"\n[[match]]\n\"a\" = \"int\"\n[[match]]\n\"b\" = \"int\"\n\"a\" = "
      "\"absent\"\n");
  const ShapeFit fit = find_fit(m.graph, recipe.matches);
  EXPECT_TRUE(fit.fits);
  EXPECT_EQ(fit.because(), "b is an int");
}

TEST(Shapes, LookIntoDicts) {
  Maker m;
  m.graph.set_root(m.dict({{"labels", m.dict({{"cat", m.number(0)}, {"dog", m.text("1")}})}}));
  EXPECT_THAT(m.cook("[require]\n\"labels\" = { is = \"dict\", keys = \"str\", values = \"int\" }\n"),
              HasSubstr("labels has a value at 'dog' that is '1', must be an int"));
}

TEST(Shapes, TellStatesOfOptimizersAndScalers) {
  Maker m;
  const NodeId scaler = m.dict({{"scale", m.graph.make_real(2)},
                                {"growth_factor", m.graph.make_real(2)},
                                {"backoff_factor", m.graph.make_real(0.5)},
                                {"growth_interval", m.number(2000)},
                                {"_growth_tracker", m.number(0)}});
  m.graph.set_root(m.dict({{"o", m.optimizer()}, {"s", scaler}, {"e", m.dict({})}}));
  EXPECT_EQ(m.cook("[require]\n\"o\" = \"optimizer\"\n\"s\" = \"scaler\"\n"), "");
  EXPECT_THAT(m.cook("[require]\n\"e\" = \"scaler|none\"\n"),
              HasSubstr("e is a dict, must be a GradScaler state or None"));
}

TEST(Steps, MoveWithinADictKeepsTheOrder) {
  Maker m;
  m.graph.set_root(m.dict({{"net", m.model()}, {"epoch", m.number(3)}}));
  EXPECT_EQ(m.cook("[[step]]\nmove = \"net\"\nto = \"model\"\n"), "");
  EXPECT_THAT(m.keys(), ElementsAre("model", "epoch"));
  EXPECT_THAT(m.lines(Code::recipe_moved), ElementsAre("net: moved to model"));
}

TEST(Steps, MoveMakesTheDictsOnItsWay) {
  Maker m;
  m.graph.set_root(m.dict({{"scheduler", m.dict({})}, {"epoch", m.number(3)}}));
  EXPECT_EQ(m.cook("[[step]]\nmove = \"scheduler\"\nto = \"trainer.hooks.LRScheduler\"\n"), "");
  EXPECT_THAT(m.keys(), ElementsAre("epoch", "trainer"));
  EXPECT_THAT(m.keys("trainer.hooks"), ElementsAre("LRScheduler"));
}

TEST(Steps, MoveCarriesWhatStarsStandFor) {
  Maker m;
  m.graph.set_root(m.dict({{"nets", m.dict({{"g", m.model()}, {"d", m.model()}})}}));
  EXPECT_EQ(m.cook("[[step]]\nmove = \"nets.*\"\nto = \"models.*.state\"\n"), "");
  EXPECT_THAT(m.keys("models"), ElementsAre("g", "d"));
  EXPECT_THAT(m.keys("models.d"), ElementsAre("state"));
}

TEST(Steps, MoveNeverOverwrites) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.number(1)}, {"b", m.number(2)}}));
  EXPECT_THAT(m.cook("[[step]]\nmove = \"a\"\nto = \"b\"\n"), HasSubstr("something lies at 'b' already"));
  EXPECT_THAT(m.where, ElementsAre("the step in line 5 of recipe mine"));
  EXPECT_THAT(m.keys(), ElementsAre("a", "b"));
}

TEST(Steps, WhatIsNotThereIsAnErrorUnlessItMayBeMissing) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.number(1)}}));
  EXPECT_THAT(m.cook("[[step]]\nmove = \"b\"\nto = \"c\"\n"), HasSubstr("nothing lies at 'b'"));
  EXPECT_EQ(m.cook("[[step]]\nmove = \"b\"\nto = \"c\"\noptional = true\n"), "");
  EXPECT_THAT(m.keys(), ElementsAre("a"));
}

TEST(Steps, SelectMakesAPartTheWhole) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.dict({{"model.x", m.model()}})}, {"b", m.number(1)}}));
  EXPECT_EQ(m.cook("[[step]]\nselect = \"a.model.x\"\n"), "");
  EXPECT_THAT(m.keys(), ElementsAre("conv.weight", "conv.bias"));
}

TEST(Steps, RenameReachesOneDictOrEveryStateDict) {
  Maker m;
  m.graph.set_root(m.dict({{"x", m.model()}, {"y", m.model()}, {"conv", m.dict({{"conv.1", m.number(1)}})}}));
  EXPECT_EQ(m.cook("[[step]]\nrename = '^conv\\.'\nto = \"c.\"\nin = \"x\"\n"), "");
  EXPECT_THAT(m.keys("x"), ElementsAre("c.weight", "c.bias"));
  EXPECT_THAT(m.keys("y"), ElementsAre("conv.weight", "conv.bias"));
  EXPECT_EQ(m.cook("[[step]]\nrename = '^(conv|c)\\.'\nto = \"net.$1.\"\n"), "");
  EXPECT_THAT(m.keys("x"), ElementsAre("net.c.weight", "net.c.bias"));
  EXPECT_THAT(m.keys("y"), ElementsAre("net.conv.weight", "net.conv.bias"));
  EXPECT_THAT(m.keys("conv"), ElementsAre("conv.1"));
  EXPECT_THAT(m.cook("[[step]]\nrename = 'nowhere'\nto = \"\"\n"), HasSubstr("no key matches 'nowhere'"));
}

TEST(Steps, RenameSeesKeysWithoutPrefixes) {
  Maker m;
  m.graph.set_root(m.dict({{"x", m.model("module.")}}));
  EXPECT_EQ(m.cook("[[step]]\nrename = '^conv\\.'\nto = \"c.\"\n"), "");
  EXPECT_THAT(m.keys("x"), ElementsAre("c.weight", "c.bias"));
}

TEST(Steps, DropTakesEveryPlace) {
  Maker m;
  m.graph.set_root(m.dict({{"x", m.model()}, {"y", m.model()}}));
  EXPECT_EQ(m.cook("[[step]]\ndrop = \"*.conv.bias\"\n"), "");
  EXPECT_THAT(m.keys("x"), ElementsAre("conv.weight"));
  EXPECT_THAT(m.keys("y"), ElementsAre("conv.weight"));
  EXPECT_THAT(m.lines(Code::recipe_dropped), ElementsAre("x.conv.bias: dropped (2 entries: *.conv.bias)"));
  EXPECT_THAT(m.cook("[[step]]\ndrop = \".\"\n"), HasSubstr("the root cannot be taken away"));
}

TEST(Steps, ItemsOfListsKeepTheirPlace) {
  Maker m;
  m.graph.set_root(m.dict({{"history", m.graph.make_list(std::array{m.number(5), m.number(6)})}}));
  EXPECT_THAT(m.cook("[[step]]\ndrop = \"history.0\"\n"), HasSubstr("lies in a list"));
}

TEST(Steps, SetWritesPlainValues) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.number(1)}}));
  EXPECT_EQ(m.cook("[[step]]\nset = \"a\"\nnone = true\n[[step]]\nset = \"hub\"\nvalue = { z = [1, 2.5], b = "
                   "\"x\" }\n"),
            "");
  EXPECT_EQ(m.graph.kind(m.at("a")), Kind::none);
  EXPECT_THAT(m.keys("hub"), ElementsAre("z", "b"));
  EXPECT_EQ(m.graph.kind(m.at("hub.z.0")), Kind::integer);
  EXPECT_EQ(m.graph.kind(m.at("hub.z.1")), Kind::real);
  EXPECT_THAT(m.lines(Code::recipe_set), ElementsAre("a: replaced by None", "hub: set to a dict of 2 keys"));
}

TEST(Steps, SetFromSharesTheValue) {
  Maker m;
  m.graph.set_root(m.model("net."));
  EXPECT_EQ(m.cook("[[step]]\nset = \"pi.*\"\nfrom = \"net.*\"\n"), "");
  EXPECT_THAT(m.keys(), ElementsAre("net.conv.weight", "net.conv.bias", "pi.conv.weight", "pi.conv.bias"));
  EXPECT_EQ(m.at("pi.conv.weight"), m.at("net.conv.weight"));
}

TEST(Steps, AreTakenOnlyWhereTheirConditionHolds) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.number(1)}}));
  EXPECT_EQ(m.cook("[[step]]\nset = \"b\"\nvalue = 1\nif = { \"a\" = \"str\" }\n"
                   "[[step]]\nset = \"c\"\nvalue = 1\nif = { \"a\" = \"int\", \"c\" = \"absent\" }\n"
                   "[[step]]\nnote = \"look\"\nat = \"c\"\nif = { \"b\" = \"absent\" }\n"),
            "");
  EXPECT_THAT(m.keys(), ElementsAre("a", "c"));
  EXPECT_THAT(m.lines(Code::recipe_note), ElementsAre("c: look"));
}

TEST(Recipes, FindAmpAsAScalerAlready) {
  Maker m;
  m.graph.set_root(m.dict({{"net", m.model("module.")},
                           {"amp", m.dict({{"loss_scaler0", m.dict({{"loss_scale", m.graph.make_real(1024)},
                                                                    {"unskipped", m.number(7)}})}})}}));
  EXPECT_EQ(
      m.cook("[[step]]\nmove = \"scaler\"\nto = \"amp_scaler\"\n[require]\n\"amp_scaler\" = \"scaler\"\n"),
      "");
  EXPECT_THAT(m.keys(), ElementsAre("net", "amp_scaler"));
}

TEST(Recipes, RequireOfTheResult) {
  Maker m;
  m.graph.set_root(m.dict({{"a", m.number(1)}}));
  EXPECT_THAT(m.cook("[require]\n\"b\" = \"int\"\n"),
              HasSubstr("the result is not what recipe mine requires: b is missing, must be an int"));
}

TEST(Recipes, NotesOnValuesHaveThePathsOfTheResult) {
  Maker m;
  const NodeId config = m.dict({{"lr", m.number(1)}}), gone = m.dict({});
  m.graph.set_root(m.dict({{"config", config}, {"gone", gone}}));
  m.checkpoint.note(config, Code::object_to_data, "CfgNode → dict");
  m.checkpoint.note(gone, Code::object_to_data, "Namespace → dict");
  EXPECT_EQ(m.cook("[[step]]\nmove = \"config\"\nto = \"cfg\"\n[[step]]\ndrop = \"gone\"\n"), "");
  EXPECT_THAT(m.lines(Code::object_to_data), ElementsAre("cfg: CfgNode → dict"));
}

}  // namespace
}  // namespace ferry::convert
