// A torch.export archive: the graph, what its inputs and outputs are, and where its weights lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/pt2/graph.h"
#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::pt2 {

struct InputSpec {
  enum class Kind : std::uint8_t { parameter, buffer, tensor_constant, custom_object, token, user, constant };
  Kind kind = Kind::user;
  std::string target;      // state_dict key, name of the constant
  bool persistent = true;  // of a buffer: whether state_dict has it
  std::string path;        // of user and constant inputs: "0", "0.1", "kw.mask"
};

struct OutputSpec {
  enum class Kind : std::uint8_t {
    user,
    loss,
    buffer_mutation,
    parameter_mutation,
    user_input_mutation,
    parameter_gradient,
    user_input_gradient,
    token
  };
  Kind kind = Kind::user;
  std::string target;  // what a mutation changes: state_dict key, or the name of the input
  std::string path;    // of user outputs: "0", "1.0", "logits"
};

struct NamedTensor {
  std::string name;
  std::uint32_t tensor;  // index into Program::data.tensors
};

struct Program {
  Checkpoint data;                      // the root is a dict of `state`
  std::vector<NamedTensor> state;       // state_dict, in the order of the archive
  std::vector<NamedTensor> constants;   // buffers that are not persistent, and tensors that code made
  std::vector<std::string> unreadable;  // constants that are no plain tensors
  Graph graph;
  std::vector<InputSpec> inputs;    // one for each of graph.inputs
  std::vector<OutputSpec> outputs;  // one for each of graph.outputs
  std::int64_t schema_major = 0, schema_minor = 0;
  std::string torch_version;

  const NamedTensor* find_state(std::string_view name) const;
  const NamedTensor* find_constant(std::string_view name) const;
};

// Reads and checks everything but the bytes of weights.  Throws Code::bad_pt2, bad_version,
// missing_record, bad_record_size, unsupported_container, limit_exceeded and what zip and JSON throw.
Program open_program(SourcePtr source, const Limits& limits);

}  // namespace ferry::pt2
