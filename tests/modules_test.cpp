// Whole modules and optimizers, from pickles that are put together here: the classes do not exist.
#include "src/report/modules.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "formats/pickle/decoder.h"
#include "formats/torch/interpret.h"
#include "src/core/error.h"

namespace ferry {
namespace {

using namespace std::string_literals;

std::string text(const std::string& value) {
  return "X" + std::string(1, static_cast<char>(value.size())) + "\0\0\0"s + value;
}
std::string put(int slot) { return "q" + std::string(1, static_cast<char>(slot)); }
std::string get(int slot) { return "h" + std::string(1, static_cast<char>(slot)); }

// A dict of keys and values that are programs themselves.
using Pairs = std::vector<std::pair<std::string, std::string>>;
std::string dict(const Pairs& pairs) {
  std::string program = "}(";
  for (const auto& [key, value] : pairs) program += text(key) + value;
  return program + "u";
}

constexpr int kNoSlot = 0;
std::string instance(const std::string& cls, const std::string& state, int slot = kNoSlot) {
  const std::string dotted = cls.substr(0, cls.rfind('.')) + "\n" + cls.substr(cls.rfind('.') + 1) + "\n";
  return "c" + dotted + ")\x81" + (slot == kNoSlot ? "" : put(slot)) + state + "b";
}

std::string module_state(const Pairs& parameters, const Pairs& modules, const Pairs& buffers = {},
                         Pairs more = {}) {
  Pairs all = {{"training", "\x88"},
               {"_parameters", dict(parameters)},
               {"_buffers", dict(buffers)},
               {"_modules", dict(modules)}};
  all.insert(all.end(), more.begin(), more.end());
  return dict(all);
}

std::string module(const std::string& cls, const Pairs& parameters, const Pairs& modules,
                   const Pairs& buffers = {}, const Pairs& more = {}) {
  return instance(cls, module_state(parameters, modules, buffers, more));
}

Checkpoint read(const std::string& program) {
  const Bytes bytes = as_bytes(program);
  Checkpoint checkpoint;
  checkpoint.values =
      pickle::decode(std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()), 0,
                     checkpoint.globals)
          .graph;
  torch::StorageTable table(checkpoint, torch::StorageTable::Layout::zip);
  table.resolve();
  torch::interpret(checkpoint, table, Limits{});
  return checkpoint;
}

std::string keys(const ValueGraph& graph, NodeId node) {
  std::string all;
  for (std::size_t i = 0; i < graph.entry_count(node); ++i)
    all += (i == 0 ? "" : " ") + std::string(graph.as_text(graph.entry(node, i).key).value_or("?"));
  return all;
}

Code failure(const std::string& program) {
  try {
    read(program);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal;
}

// Numbers stand for tensors: what a state_dict holds is not looked at.
const std::string one = "K\x01", two = "K\x02", none = "N";

TEST(Modules, ClassThatDoesNotExistGivesItsStateDict) {
  const std::string child = module("gone.away.Block", {{"weight", one}, {"bias", none}}, {}, {{"mean", two}});
  const Checkpoint checkpoint =
      read(module("gone.Net", {{"scale", one}}, {{"b", child}, {"absent", none}, {"a", child}}) + ".");
  const ValueGraph& graph = checkpoint.values;
  EXPECT_EQ(graph.flavor(graph.root()), DictFlavor::ordered);
  EXPECT_EQ(keys(graph, graph.root()), "scale b.weight b.mean a.weight a.mean");
  const NodeId metadata = graph.find(graph.attributes(graph.root()), "_metadata");
  EXPECT_EQ(keys(graph, metadata), " b a");
  EXPECT_EQ(graph.as_integer(graph.find(graph.find(metadata, "b"), "version")), 1);
}

TEST(Modules, BuffersThatDoNotPersistAreLeftOut) {
  const std::string names = "c__builtin__\nset\n](" + text("scratch") + "e\x85R";
  const Checkpoint checkpoint = read(module("gone.Net", {}, {}, {{"scratch", one}, {"kept", two}},
                                            {{"_non_persistent_buffers_set", names}}) +
                                     ".");
  EXPECT_EQ(keys(checkpoint.values, checkpoint.values.root()), "kept");
}

TEST(Modules, NormsHaveVersionTwoSinceTheyCountBatches) {
  const auto version = [](const Pairs& buffers) {
    const Checkpoint checkpoint =
        read(module("torch.nn.modules.batchnorm.BatchNorm2d", {}, {}, buffers) + ".");
    const ValueGraph& graph = checkpoint.values;
    const NodeId metadata = graph.find(graph.attributes(graph.root()), "_metadata");
    return graph.as_integer(graph.find(graph.find(metadata, ""), "version"));
  };
  EXPECT_EQ(version({{"running_mean", one}, {"running_var", one}}), 1);
  EXPECT_EQ(version({{"running_mean", one}, {"running_var", one}, {"num_batches_tracked", one}}), 2);
  EXPECT_EQ(version({{"running_mean", none}, {"running_var", none}, {"num_batches_tracked", none}}), 2);
}

// A child that is pickled first holds its parent, which is complete before the child is.
TEST(Modules, ChildMayHoldItsParent) {
  const std::string parent = module("gone.Net", {{"w", one}}, {{"head", get(1)}});
  const Checkpoint checkpoint =
      read("]" + instance("gone.Head", module_state({{"v", two}}, {}, {}, {{"owner", parent + put(2)}}), 1) +
           "a" + get(2) + "a.");
  const ValueGraph& graph = checkpoint.values;
  EXPECT_EQ(keys(graph, graph.items(graph.root())[0]), "v");
  EXPECT_EQ(keys(graph, graph.items(graph.root())[1]), "w head.v");
}

TEST(Modules, ModuleInsideItselfIsRefused) {
  EXPECT_EQ(failure(instance("gone.Net", module_state({}, {{"self", get(1)}}), 1) + "."), Code::bad_call);
}

// 2^40 names would come of 40 modules that each hold the one before twice.
TEST(Modules, NamesAreBoundedByTheFile) {
  std::string program = module("gone.Leaf", {{"w", one}}, {}) + put(1);
  for (int i = 0; i < 40; ++i)
    program += "0" + module("gone.Two", {}, {{"a", get(1)}, {"b", get(1)}}) + put(1);
  EXPECT_EQ(failure(program + "."), Code::limit_exceeded);
}

TEST(Modules, ChildWithAFormOfItsOwnIsKeptAsItIs) {
  const Checkpoint checkpoint =
      read(module("gone.Net", {}, {{"odd", instance("gone.Odd", dict({{"blob", one}}))}}) + ".");
  const ValueGraph& graph = checkpoint.values;
  EXPECT_EQ(keys(graph, graph.root()), "odd");
  EXPECT_EQ(graph.as_integer(graph.find(graph.find(graph.root(), "odd"), "blob")), 1);
}

TEST(Modules, DescriptionHasClassesAndPlainAttributes) {
  const std::string conv = module("torch.nn.modules.conv.Conv2d", {{"weight", one}}, {}, {},
                                  {{"kernel_size", "K\x03K\x01\x86"},
                                   {"eps", "G\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1"s},
                                   {"padding_mode", text("zeros")},
                                   {"_backward_hooks", "}"},
                                   {"act", "cgone.ops\nfast_relu\n"}});
  const Checkpoint checkpoint = read(dict({{"model", module("gone.Net", {}, {{"c", conv}})}}) + ".");
  const auto modules = report::describe_modules(checkpoint);
  ASSERT_EQ(modules.size(), 2u);
  EXPECT_EQ(modules[0].object, "model");
  EXPECT_EQ(modules[0].class_name, "gone.Net");
  EXPECT_EQ(modules[1].path, "c");
  EXPECT_EQ(report::module_line(modules[1]),
            "  c  Conv2d  training=True, kernel_size=(3, 1), eps=1e-05, padding_mode='zeros', "
            "act=gone.ops.fast_relu");
  EXPECT_EQ(report::object_line(modules), "gone.Net of 2 modules");
}

TEST(Modules, WhatPlainAttributesHoldIsSaidToBeLost) {
  const Checkpoint checkpoint = read(
      module("gone.Net", {}, {}, {}, {{"heads", "](" + module("gone.Head", {{"w", one}}, {}) + "e"}}) + ".");
  std::string said;
  for (const Note& note : checkpoint.notes)
    if (note.code == Code::lost_value) said = note.what;
  EXPECT_EQ(said, "attribute heads of gone.Net is no part of state_dict() and is left out");
}

TEST(Modules, LazyParameterWithoutValuesIsAClearError) {
  const std::string lazy = "ctorch.nn.parameter\nUninitializedParameter\n\x88\x85R";
  EXPECT_EQ(failure(module("gone.Net", {{"w", lazy}}, {}) + "."), Code::unsupported_tensor);
}

TEST(Optimizers, ParametersBecomePositionsAndComeLastInTheirGroup) {
  const std::string parameters[2] = {"(l" + put(1), "(l" + put(2)};  // lists stand for tensors
  const std::string group = dict({{"params", "](" + parameters[0] + parameters[1] + "e"}, {"lr", one}});
  const std::string program =
      instance("torch.optim.sgd.SGD", dict({{"param_groups", "](" + group + "e"}, {"state", dict({})}}));
  const Checkpoint checkpoint = read(program + ".");
  const ValueGraph& graph = checkpoint.values;
  EXPECT_EQ(keys(graph, graph.root()), "state param_groups");
  const NodeId made = graph.items(graph.find(graph.root(), "param_groups"))[0];
  EXPECT_EQ(keys(graph, made), "lr params");
  const auto numbers = graph.items(graph.find(made, "params"));
  ASSERT_EQ(numbers.size(), 2u);
  EXPECT_EQ(graph.as_integer(numbers[0]), 0);
  EXPECT_EQ(graph.as_integer(numbers[1]), 1);
}

// getattr(owner, 'name') of an owner that is a name.
TEST(Schedulers, GetattrOfASchedulersClassIsAName) {
  const auto taken = [](const std::string& owner) {
    return "c__builtin__\ngetattr\nc" + owner + text("_triangular") + "\x86R.";
  };
  const Checkpoint checkpoint = read(taken("torch.optim.lr_scheduler\nCyclicLR\n"));
  EXPECT_EQ(checkpoint.values.text(checkpoint.values.root()),
            "torch.optim.lr_scheduler.CyclicLR._triangular");
  EXPECT_EQ(failure(taken("torch.optim.lr_scheduler\nmath\n")), Code::unsafe_global);
  EXPECT_EQ(failure(taken("torch._C\n_nn\n")), Code::unsafe_global);
  EXPECT_EQ(failure(taken("gone\nNet\n")), Code::unsafe_global);
}

}  // namespace
}  // namespace ferry
