#include "formats/pt2/reader.h"

#include <algorithm>

#include "formats/pt2/archive.h"
#include "formats/pt2/graph_reader.h"
#include "formats/pt2/payloads.h"
#include "formats/pt2/program.h"
#include "formats/pt2/schema.h"
#include "formats/pt2/signature.h"
#include "formats/zip/end_record.h"
#include "formats/zip/local.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

const NamedTensor* find(const std::vector<NamedTensor>& tensors, std::string_view name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const NamedTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

void check_versions(const json::Value& document, Program& program) {
  const json::Value& schema = member(document, "schema_version");
  program.schema_major = integer_of(member(schema, "major"), "the schema version");
  program.schema_minor = integer_of(member(schema, "minor"), "the schema version");
  if (program.schema_major != kSchemaMajor)
    throw Error(Code::bad_version, "schema " + std::to_string(program.schema_major) + "." +
                                       std::to_string(program.schema_minor) +
                                       " of exported programs is unknown");
  if (const json::Value* version = document.find("torch_version"); version != nullptr)
    program.torch_version = text_of(*version, "torch_version");
}

void describe(Checkpoint& checkpoint, const Records& records) {
  Container& container = checkpoint.container;
  container.format = "torch.export archive";
  container.root_folder = records.root().empty() ? "" : records.root().substr(0, records.root().size() - 1);
  container.storage_folder = "data/weights";
  container.version = records.version();
  if (records.find("byteorder") != nullptr) container.byte_order = records.big_endian() ? "big" : "little";
  container.serialization_id = records.find(".data/serialization_id") != nullptr;
  container.checksums = true;
  for (const zip::Record& record : records.archive().records())
    container.records.push_back(
        {record.name, record.data_offset, record.size, record.stored_size, record.crc});
}

void make_root(Program& program) {
  ValueGraph& values = program.data.values;
  std::vector<NodeId> items;
  for (const NamedTensor& tensor : program.state) {
    items.push_back(values.make_text(tensor.name));
    items.push_back(values.make_indexed(Kind::tensor, tensor.tensor));
  }
  const NodeId root = values.make_dict(DictFlavor::ordered);
  values.set_items(root, items);
  values.set_root(root);
}

// Every parameter, buffer and constant that the graph takes must be in the archive.
void check_targets(const Program& program) {
  for (const InputSpec& input : program.inputs) {
    const bool state = input.kind == InputSpec::Kind::parameter ||
                       (input.kind == InputSpec::Kind::buffer && input.persistent);
    const bool constant = input.kind == InputSpec::Kind::tensor_constant ||
                          (input.kind == InputSpec::Kind::buffer && !input.persistent);
    if (!state && !constant) continue;
    if ((state ? program.find_state(input.target) : program.find_constant(input.target)) != nullptr) continue;
    const auto& unreadable = program.unreadable;
    if (std::find(unreadable.begin(), unreadable.end(), input.target) != unreadable.end()) continue;
    throw Error(Code::bad_pt2,
                "the graph takes " + quote(input.target) + ", which the archive does not hold");
  }
}

Program read_program(SourcePtr source, const Limits& limits, bool with_constants) {
  const Records records(source, limits);
  const std::string& model = records.model();
  Program program;
  program.data.source = std::move(source);
  describe(program.data, records);
  const std::string weights = "data/weights/", constants = "data/constants/";
  program.state = read_payloads(program.data, records, weights + model + "_weights_config.json", weights,
                                limits, program.unreadable);
  if (!program.unreadable.empty())
    throw Error(Code::unsupported_value,
                "the weight " + quote(program.unreadable.front()) + " is pickled: it is no plain tensor");
  Checkpoint aside;  // constants are no part of the state_dict
  program.constants =
      read_payloads(with_constants ? program.data : aside, records,
                    constants + model + "_constants_config.json", constants, limits, program.unreadable);
  make_root(program);
  const std::string graph = "models/" + model + ".json";
  try {
    const json::Value document = records.read_json(graph);
    check_versions(document, program);
    const json::Value& graph_module = member(document, "graph_module");
    program.graph = read_graph(member(graph_module, "graph"));
    read_signature(graph_module, program);
    check_targets(program);
  } catch (Error& error) {
    if (error.where().empty() || error.where().back().find(graph) == std::string::npos)
      error.in(zip::in_record(records.root() + graph));
    throw;
  }
  const auto& stored = records.archive().records();
  if (std::any_of(stored.begin(), stored.end(), [](const zip::Record& r) { return !r.crc_computed; }))
    program.data.note(program.data.values.root(), Code::crc_not_computed,
                      "records of the archive have no CRC-32");
  return program;
}

}  // namespace

const NamedTensor* Program::find_state(std::string_view name) const { return find(state, name); }
const NamedTensor* Program::find_constant(std::string_view name) const { return find(constants, name); }

Program open_program(SourcePtr source, const Limits& limits) {
  return read_program(std::move(source), limits, true);
}

Likeness looks_like_pt2(const ByteSource& source) {
  const Likeness zip = zip::looks_like_zip(source);
  if (!zip.matches) return {false, zip.reason};
  constexpr std::string_view kNo = "it is a zip archive without archive_format and a model";
  // torch.save begins with its program; archives of 100,000 tensors must not be listed twice.
  if (zip::first_record_name(source).ends_with("data.pkl")) return {false, std::string(kNo)};
  try {
    const auto shared = SourcePtr(&source, [](const ByteSource*) {});
    const zip::Archive archive = zip::Archive::open(shared, Limits{});
    if (has_old_layout(archive)) return {true, "it is a zip archive with a serialized_exported_program.json"};
    const auto& records = archive.records();
    const bool format = std::any_of(records.begin(), records.end(), [](const zip::Record& record) {
      return record.name == "archive_format" || record.name.ends_with("/archive_format");
    });
    return {format, format ? "it is a zip archive with an archive_format" : std::string(kNo)};
  } catch (const Error&) {
    return {false, std::string(kNo)};  // whoever reads broken archives will say what is wrong with it
  }
}

Checkpoint open_pt2(SourcePtr source, const Limits& limits) {
  Program program = read_program(std::move(source), limits, false);
  if (!program.constants.empty() || !program.unreadable.empty())
    program.data.note(program.data.values.root(), Code::archive_metadata,
                      std::to_string(program.constants.size() + program.unreadable.size()) +
                          " constants of the graph are no part of the state_dict");
  return std::move(program.data);
}

}  // namespace ferry::pt2
