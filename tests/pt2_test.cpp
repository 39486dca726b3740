// torch.export archives: what real ones hold, and what is refused.  fixtures/write_pt2.py wrote the files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "formats/formats.h"
#include "formats/json/json.h"
#include "formats/pt2/graph_reader.h"
#include "formats/pt2/metadata.h"
#include "formats/pt2/program.h"
#include "formats/pt2/reader.h"
#include "formats/pt2/treespec.h"
#include "formats/zip/archive.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"
#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry::pt2 {
namespace {

using test::content_of;
using test::fixture;
using test::open_bytes;
using test::read_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Program program_of(const std::string& name) {
  return open_program(open_file(fixture("pt2/" + name + ".pt2").string()), Limits{});
}

Code code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal;
}

std::vector<std::string> paths_of(const std::vector<OutputSpec>& specs) {
  std::vector<std::string> paths;
  for (const OutputSpec& spec : specs) paths.push_back(spec.path);
  return paths;
}

const Node& node_with(const Graph& graph, std::string_view target) {
  const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                  [&](const Node& node) { return node.target == target; });
  if (found == graph.nodes.end()) throw std::runtime_error("no such node");
  return *found;
}

// --- Real archives

TEST(Pt2, IsACheckpointOfItsStateDict) {
  const Checkpoint checkpoint = open_checkpoint(open_file(fixture("pt2/conv.pt2").string()), Limits{});
  EXPECT_EQ(checkpoint.container.format, "torch.export archive");
  const NodeId weight = checkpoint.values.find(checkpoint.values.root(), "layer.1.conv.weight");
  ASSERT_NE(weight, kNoNode);
  const Tensor& tensor = checkpoint.tensors[checkpoint.values.index(weight)];
  EXPECT_THAT(checkpoint.shape(tensor), ElementsAre(4, 4, 3, 3));
  EXPECT_TRUE(tensor.parameter);
  EXPECT_EQ(checkpoint.values.entry_count(checkpoint.values.root()), 18u);
}

TEST(Pt2, KeepsTiedWeightsOnOneStorage) {
  const Program program = program_of("zoo");
  const NamedTensor *a = program.find_state("emb.weight"), *b = program.find_state("tied.weight");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(program.data.tensors[a->tensor].storage, program.data.tensors[b->tensor].storage);
}

TEST(Pt2, NamesOutputsAsTheyAreNested) {
  EXPECT_THAT(paths_of(program_of("conv").outputs), ElementsAre("logits", "pair.0", "pair.1", "batch"));
  EXPECT_THAT(paths_of(program_of("recurrent").outputs), ElementsAre("0", "1", "2"));
  EXPECT_THAT(paths_of(program_of("zoo").outputs),
              ElementsAre("0.0", "0.1", "1", "2", "3", "4", "5", "6", "7.0", "7.1"));
}

TEST(Pt2, NamesInputsByPositionAndKeyword) {
  std::vector<std::string> paths;
  for (const InputSpec& input : program_of("zoo").inputs)
    if (input.kind == InputSpec::Kind::user) paths.push_back(input.path);
  EXPECT_THAT(paths, ElementsAre("0", "1.0", "1.1", "kw.mask.keep"));
}

TEST(Pt2, TellsBuffersFromConstants) {
  const Program program = program_of("counter");
  EXPECT_NE(program.find_state("count"), nullptr);
  EXPECT_EQ(program.find_state("scale"), nullptr);
  EXPECT_NE(program.find_constant("scale"), nullptr);  // a buffer that is not persistent
  EXPECT_NE(program.find_constant("table"), nullptr);  // a tensor that is no buffer
}

TEST(Pt2, CountsTheCallsOfAModule) {
  std::vector<std::uint32_t> calls;
  for (const Node& node : program_of("conv").graph.nodes)
    if (!node.stack.empty() && node.stack.back().path == "layer.0.relu")
      calls.push_back(node.stack.back().call);
  EXPECT_THAT(calls, ElementsAre(0u, 1u));
}

TEST(Pt2, KeepsGraphsInsideTheGraph) {
  const Graph graph = program_of("modes").graph;
  const Node& autocast = node_with(graph, "torch.ops.higher_order.wrap_with_autocast");
  EXPECT_EQ(*autocast.inputs.at(1).value.get<DType>(), DType::bfloat16);
  const auto* inner = autocast.inputs.at(4).value.get<std::shared_ptr<const Graph>>();
  ASSERT_NE(inner, nullptr);
  EXPECT_EQ((*inner)->nodes.at(0).target, "torch.ops.aten.linear.default");
  EXPECT_EQ(node_with(graph, "torch.ops.higher_order.cond").inputs.size(), 4u);
}

TEST(Pt2, KnowsWhichSizesMayChange) {
  const Program program = program_of("conv");
  const auto& facts = program.graph.input_facts.back();
  ASSERT_TRUE(facts);
  EXPECT_TRUE(std::holds_alternative<std::string>(facts->sizes.at(0)));
  EXPECT_EQ(std::get<std::int64_t>(facts->sizes.at(1)), 3);
}

TEST(Pt2, SaysFromWhichLineANodeCame) {
  EXPECT_THAT(node_with(program_of("conv").graph, "torch.ops.aten.conv2d.default").source,
              HasSubstr("_replay_models.py:"));
}

// --- Texts inside

TEST(Pt2Trees, AClassWithKeysOfItsOwnIsReadByThem) {
  EXPECT_THAT(leaf_paths(R"([1, {"type": "my.Output", "context": "[\"a\", \"b.c\"]", "children_spec":
      [{"type": null, "context": null, "children_spec": []}, {"type": null, "context": null, "children_spec": []}]}])"),
              ElementsAre("a", "b%2Ec"));
}

TEST(Pt2Trees, AnotherVersionIsRefused) {
  EXPECT_EQ(code_of([] { leaf_paths(R"([2, {"type": null, "context": null, "children_spec": []}])"); }),
            Code::bad_version);
}

TEST(Pt2Metadata, ReadsStacksOfBothKindsOfExport) {
  EXPECT_THAT(module_stack("L__self__,,m.Net;L__self___a@2,a,m.A"),
              ElementsAre(ModuleCall{"", "m.Net", 0}, ModuleCall{"a", "m.A", 2}));
  EXPECT_THAT(module_stack("L['self'],L['self'],m.Net;a,L['self'].a,m.A"),
              ElementsAre(ModuleCall{"", "m.Net", 0}, ModuleCall{"a", "m.A", 0}));
  EXPECT_TRUE(module_stack("nonsense").empty());
}

TEST(Pt2Metadata, TheInnermostLineThatIsNotOfTorchCounts) {
  EXPECT_EQ(source_line("File \"/home/a/model.py\", line 31, in forward\n  File "
                        "\"/x/site-packages/torch/nn/modules/conv.py\", line 5, in forward"),
            "model.py:31");
  EXPECT_EQ(source_line("no traceback"), "");
}

// --- Graphs that contradict themselves

Graph graph_of(const std::string& nodes, const std::string& outputs) {
  return read_graph(json::parse(R"({"inputs": [{"as_tensor": {"name": "x"}}], "nodes": [)" + nodes +
                                R"(], "outputs": [)" + outputs + "]}"));
}

std::string relu(const std::string& from, const std::string& to) {
  return R"({"target": "torch.ops.aten.relu.default", "inputs": [{"name": "self", "arg": {"as_tensor": {"name": ")" +
         from + R"("}}, "kind": 1}], "outputs": [{"as_tensor": {"name": ")" + to + R"("}}], "metadata": {}})";
}

TEST(Pt2Graph, AValueMustBeMadeBeforeItIsUsed) {
  EXPECT_EQ(graph_of(relu("x", "y"), R"({"as_tensor": {"name": "y"}})").nodes.size(), 1u);
  EXPECT_EQ(code_of([] { graph_of(relu("z", "y"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([] { graph_of(relu("y", "y"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([] { graph_of(relu("x", "y"), R"({"as_tensor": {"name": "z"}})"); }), Code::bad_pt2);
}

TEST(Pt2Graph, AValueIsMadeOnce) {
  EXPECT_EQ(code_of([] { graph_of(relu("x", "x"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([] { graph_of(relu("x", "y") + "," + relu("x", "y"), ""); }), Code::bad_pt2);
}

TEST(Pt2Graph, AnArgumentHasOneKnownKind) {
  const auto node = [](const std::string& arg) {
    return R"({"target": "t", "inputs": [{"name": "a", "arg": )" + arg +
           R"(}], "outputs": [], "metadata": {}})";
  };
  EXPECT_EQ(graph_of(node(R"({"as_float": "-Infinity"})"), "").nodes.size(), 1u);
  EXPECT_EQ(code_of([&] { graph_of(node(R"({"as_int": 1, "as_float": 2})"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([&] { graph_of(node(R"({"as_int": 1.5})"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([&] { graph_of(node(R"({"as_scalar_type": 99})"), ""); }), Code::bad_pt2);
  EXPECT_EQ(code_of([&] { graph_of(node(R"({"as_poem": "x"})"), ""); }), Code::unsupported_container);
}

// --- Archives that were changed

// The archive with records replaced by what `change` makes of them; nothing: the record is left out.
std::vector<std::byte> rewritten(
    const std::string& name,
    const std::function<std::optional<std::string>(std::string, std::string)>& change) {
  const zip::Archive archive = zip::Archive::open(open_file(fixture(name).string()), Limits{});
  struct Kept {
    std::string name, content;
  };
  std::vector<Kept> kept;
  for (const zip::Record& record : archive.records()) {
    const auto bytes = archive.read(record, 1 << 20);
    if (auto content = change(record.name, std::string(as_text(Bytes(bytes)))))
      kept.push_back({record.name, std::move(*content)});
  }
  std::vector<std::byte> out;
  std::vector<zip::Entry> entries;
  const auto append = [&](const std::vector<std::byte>& bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  for (const Kept& record : kept) {
    const zip::Entry entry{record.name, record.content.size(), zip::crc32(0, as_bytes(record.content)),
                           out.size()};
    entries.push_back(entry);
    append(zip::local_header(entry));
    const Bytes content = as_bytes(record.content);
    out.insert(out.end(), content.begin(), content.end());
    append(zip::data_descriptor(entry));
  }
  append(zip::directory(entries, out.size()));
  return out;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("the fixture has no " + what);
  return text.replace(at, what.size(), with);
}

Code code_with(const std::string& record, const std::string& what, const std::string& with) {
  const auto bytes = rewritten("pt2/counter.pt2", [&](const std::string& name, std::string content) {
    return std::optional(name.ends_with(record) ? replaced(std::move(content), what, with)
                                                : std::move(content));
  });
  return code_of([&] { open_bytes(bytes); });
}

Code code_without(const std::string& record) {
  const auto bytes = rewritten("pt2/counter.pt2", [&](const std::string& name, std::string content) {
    return name.ends_with(record) ? std::nullopt : std::optional(std::move(content));
  });
  return code_of([&] { open_bytes(bytes); });
}

TEST(Pt2Archive, UnchangedItOpens) {
  const auto same = [](const std::string&, std::string content) { return std::optional(std::move(content)); };
  EXPECT_NO_THROW(open_bytes(rewritten("pt2/counter.pt2", same)));
}

TEST(Pt2Archive, LiesAreRefused) {
  EXPECT_EQ(code_with("archive_version", "0", "7"), Code::bad_version);
  EXPECT_EQ(code_with("archive_format", "pt2", "pt3"), Code::bad_version);
  EXPECT_EQ(code_with("byteorder", "little", "middle"), Code::bad_byte_order);
  EXPECT_EQ(code_with("models/model.json", "\"major\": 8", "\"major\": 9"), Code::bad_version);
  EXPECT_EQ(code_with("model_weights_config.json", "weight_0", "weight_9"), Code::missing_record);
  EXPECT_EQ(code_with("model_weights_config.json", "{\"as_int\": 3}", "{\"as_int\": 4}"),
            Code::bad_record_size);
  EXPECT_EQ(code_with("model_weights_config.json", "\"storage_offset\": {\"as_int\": 0}",
                      "\"storage_offset\": {\"as_int\": -1}"),
            Code::bad_tensor);
  EXPECT_EQ(code_with("model_weights_config.json", "\"dtype\": 7", "\"dtype\": 77"), Code::bad_pt2);
  EXPECT_EQ(code_with("model_weights_config.json", "\"use_pickle\": false", "\"use_pickle\": true"),
            Code::unsupported_value);
  EXPECT_EQ(code_with("models/model.json", "\"buffer_name\": \"count\"", "\"buffer_name\": \"other\""),
            Code::bad_pt2);
  EXPECT_EQ(code_with("models/model.json", "\"user_output\"", "\"users_output\""), Code::bad_pt2);
}

TEST(Pt2Archive, MissingRecordsAreNamed) {
  for (const char* record :
       {"archive_version", "model_weights_config.json", "model_constants_config.json", "weight_0"})
    EXPECT_EQ(code_without(record), Code::missing_record) << record;
  EXPECT_EQ(code_without("models/model.json"), Code::unsupported_container);
}

TEST(Pt2Archive, OldLayoutsAreRefusedByName) {
  // torch 2.1 to 2.7 had no folder, and these two records.
  std::vector<std::byte> out;
  std::vector<zip::Entry> entries;
  for (const std::string_view name : {"serialized_exported_program.json", "version"}) {
    const std::string_view content = name == "version" ? "8.5" : "{}";
    const zip::Entry entry{name, content.size(), zip::crc32(0, as_bytes(content)), out.size()};
    entries.push_back(entry);
    const auto head = zip::local_header(entry), tail = zip::data_descriptor(entry);
    out.insert(out.end(), head.begin(), head.end());
    const Bytes body = as_bytes(content);
    out.insert(out.end(), body.begin(), body.end());
    out.insert(out.end(), tail.begin(), tail.end());
  }
  const auto end = zip::directory(entries, out.size());
  out.insert(out.end(), end.begin(), end.end());
  try {
    open_bytes(out);
    FAIL() << "it was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported_container);
    EXPECT_THAT(error.what(), HasSubstr("2.1 to 2.7"));
    EXPECT_THAT(error.what(), HasSubstr("8.5"));
  }
}

// --- Damage

std::optional<std::string> content_or_rejection(std::vector<std::byte> bytes) {
  try {
    return content_of(open_bytes(std::move(bytes)));
  } catch (const Error& error) {
    EXPECT_FALSE(std::string(error.what()).empty());
    return std::nullopt;
  }
}

TEST(Pt2Damage, EveryPrefixIsRejected) {
  const std::vector<std::byte> whole = read_file(fixture("pt2/counter.pt2"));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(content_or_rejection({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}))
        << "a prefix of " << size << " bytes";
}

TEST(Pt2Damage, EveryFlippedBitIsRejectedOrChangesNothing) {
  const std::vector<std::byte> whole = read_file(fixture("pt2/counter.pt2"));
  const std::string content = content_of(open_bytes(whole));
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t kStep = 11;  // ten times as slow
#else
  constexpr std::size_t kStep = 3;
#endif
  for (std::size_t bit = 0; bit < 8 * whole.size(); bit += kStep)
    EXPECT_EQ(content_or_rejection(test::with_bit_flipped(whole, bit)).value_or(content), content)
        << "byte " << bit / 8;
}

}  // namespace
}  // namespace ferry::pt2
