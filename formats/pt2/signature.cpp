#include "formats/pt2/signature.h"

#include <array>

#include "formats/pt2/schema.h"
#include "formats/pt2/treespec.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

struct InputRow {
  std::string_view kind;
  InputSpec::Kind means;
  std::string_view target;  // the member that names it; empty: none
};

constexpr auto kInputs = std::to_array<InputRow>({
    {"parameter", InputSpec::Kind::parameter, "parameter_name"},
    {"buffer", InputSpec::Kind::buffer, "buffer_name"},
    {"tensor_constant", InputSpec::Kind::tensor_constant, "tensor_constant_name"},
    {"custom_obj", InputSpec::Kind::custom_object, "custom_obj_name"},
    {"token", InputSpec::Kind::token, ""},
    {"user_input", InputSpec::Kind::user, ""},
    {"constant_input", InputSpec::Kind::constant, "name"},
});

struct OutputRow {
  std::string_view kind;
  OutputSpec::Kind means;
  std::string_view target;
};

constexpr auto kOutputs = std::to_array<OutputRow>({
    {"user_output", OutputSpec::Kind::user, ""},
    {"loss_output", OutputSpec::Kind::loss, ""},
    {"buffer_mutation", OutputSpec::Kind::buffer_mutation, "buffer_name"},
    {"parameter_mutation", OutputSpec::Kind::parameter_mutation, "parameter_name"},
    {"user_input_mutation", OutputSpec::Kind::user_input_mutation, "user_input_name"},
    {"gradient_to_parameter", OutputSpec::Kind::parameter_gradient, "parameter_name"},
    {"gradient_to_user_input", OutputSpec::Kind::user_input_gradient, "user_input_name"},
    {"token", OutputSpec::Kind::token, ""},
});

template <typename Row, std::size_t N>
const Row& row_of(const std::array<Row, N>& rows, const std::string& kind, const char* what) {
  for (const Row& row : rows)
    if (row.kind == kind) return row;
  broken(std::string(what) + " of the unknown kind " + quote(kind, 40));
}

// The name of the value that an input or output stands for, or nothing where it is a constant.
const std::string* name_of(const json::Value& content) {
  const json::Value* arg = content.find("arg");
  if (arg == nullptr || arg->object() == nullptr || arg->object()->size() != 1) return nullptr;
  const auto& [kind, inner] = arg->object()->front();
  if (kind == "name") return inner.text();
  for (const char* tag : {"name", "as_name"})
    if (const json::Value* name = inner.find(tag); name != nullptr) return name->text();
  return nullptr;
}

// The signature must speak of the value that the graph has in this place.
void check_place(const Graph& graph, const Argument& argument, const json::Value& content, const char* what) {
  const std::string* name = name_of(content);
  const Value* value = argument.get<Value>();
  if (name != nullptr && (value == nullptr || graph.names[value->id] != *name))
    broken(std::string(what) + " " + quote(*name, 60) + " of the signature is not that of the graph");
}

void read_inputs(const json::Value& signature, Program& program) {
  const auto& specs = array_of(member(signature, "input_specs"), "input_specs");
  if (specs.size() != program.graph.inputs.size())
    broken("the signature has not as many inputs as the graph");
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& [kind, content] = tagged(specs[i], "an input");
    const InputRow& row = row_of(kInputs, kind, "an input");
    InputSpec spec;
    spec.kind = row.means;
    if (!row.target.empty()) spec.target = text_of(member(content, row.target), row.target);
    if (spec.kind == InputSpec::Kind::buffer)
      spec.persistent = boolean_of(member(content, "persistent"), "persistent");
    check_place(program.graph, program.graph.inputs[i], content, "the input");
    const bool held = spec.kind != InputSpec::Kind::constant && spec.kind != InputSpec::Kind::user;
    if (held && program.graph.inputs[i].get<Value>() == nullptr)
      broken("the input " + quote(spec.target, 60) + " is no value of the graph");
    program.inputs.push_back(std::move(spec));
  }
}

void read_outputs(const json::Value& signature, Program& program) {
  const auto& specs = array_of(member(signature, "output_specs"), "output_specs");
  if (specs.size() != program.graph.outputs.size())
    broken("the signature has not as many outputs as the graph");
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& [kind, content] = tagged(specs[i], "an output");
    const OutputRow& row = row_of(kOutputs, kind, "an output");
    OutputSpec spec;
    spec.kind = row.means;
    if (!row.target.empty()) spec.target = text_of(member(content, row.target), row.target);
    check_place(program.graph, program.graph.outputs[i], content, "the output");
    program.outputs.push_back(std::move(spec));
  }
}

template <typename Spec, typename Takes>
void give_paths(std::vector<Spec>& specs, const std::vector<std::string>& paths, const Takes& takes,
                const char* what) {
  std::size_t next = 0;
  for (Spec& spec : specs) {
    if (!takes(spec)) continue;
    if (next == paths.size()) broken(std::string("the tree of ") + what + " has too few leaves");
    spec.path = paths[next++].empty() ? "0" : paths[next - 1];
  }
  if (next != paths.size()) broken(std::string("the tree of ") + what + " has too many leaves");
}

// The signature of the whole model, whose path is "".
const json::Value* root_call(const json::Value& graph_module) {
  for (const json::Value& entry : array_of(member(graph_module, "module_call_graph"), "module_call_graph"))
    if (text_of(member(entry, "fqn"), "fqn").empty()) return &member(entry, "signature");
  return nullptr;
}

}  // namespace

void read_signature(const json::Value& graph_module, Program& program) {
  const json::Value& signature = member(graph_module, "signature");
  read_inputs(signature, program);
  read_outputs(signature, program);
  const json::Value* call = root_call(graph_module);
  if (call == nullptr || call->is_null()) broken("the module_call_graph says nothing of the model itself");
  give_paths(
      program.inputs, argument_paths(text_of(member(*call, "in_spec"), "in_spec")),
      [](const InputSpec& spec) {
        return spec.kind == InputSpec::Kind::user || spec.kind == InputSpec::Kind::constant;
      },
      "inputs");
  give_paths(
      program.outputs, leaf_paths(text_of(member(*call, "out_spec"), "out_spec")),
      [](const OutputSpec& spec) {
        return spec.kind == OutputSpec::Kind::user || spec.kind == OutputSpec::Kind::loss;
      },
      "outputs");
}

}  // namespace ferry::pt2
