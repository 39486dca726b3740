// The graph of a torch.export archive as data: what would be called, with what, and where it came from.
//
// A value is a number in its graph; every reference was checked to be defined before it is used.  Lists,
// optional tensors and symbolic numbers of the schema's thirty kinds of argument are folded into a few: a
// symbol is a value like a tensor, and a list of anything but plain numbers is a list of arguments.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/dtype.h"

namespace ferry::pt2 {

// What a node or an input of the graph makes; an index into Graph::names.
struct Value {
  std::uint32_t id = 0;
  bool operator==(const Value&) const = default;
};

enum class Layout : std::uint8_t {
  sparse_coo = 1,
  sparse_csr,
  sparse_csc,
  sparse_bsr,
  sparse_bsc,
  mkldnn,
  strided
};
enum class MemoryFormat : std::uint8_t { contiguous = 1, channels_last, channels_last_3d, preserve };

struct Device {
  std::string type;  // "cpu", "cuda"
  std::optional<std::int64_t> index;
};

struct Graph;
struct Argument;

struct OperatorName {  // an operator passed as a value
  std::string target;
};
struct CustomObject {
  std::string name, class_name;
};
using List = std::vector<Argument>;  // of values, none, numbers: Tensor[], Tensor?[], SymInt[], int[][]
using Mapping = std::vector<std::pair<std::string, Argument>>;

struct Argument {
  using Content = std::variant<std::monostate, Value, bool, std::int64_t, double, std::complex<double>,
                               std::string, DType, Layout, MemoryFormat, Device, OperatorName, CustomObject,
                               std::shared_ptr<const Graph>, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<bool>, std::vector<std::string>, List, Mapping>;
  Content content;

  bool is_none() const { return std::holds_alternative<std::monostate>(content); }
  template <typename T>
  const T* get() const {
    return std::get_if<T>(&content);
  }
};

struct NamedArgument {
  std::string name;  // of the operator's schema; empty for higher-order operators
  Argument value;
};

// One entry of nn_module_stack: a call of a module that was under way.
struct ModuleCall {
  std::string path;        // "layer1.0.relu"; "" is the model itself
  std::string class_name;  // "torch.nn.modules.activation.ReLU"
  std::uint32_t call = 0;  // 0 the first time that this module was called, 1 the second …
  bool operator==(const ModuleCall&) const = default;
};

struct Node {
  std::string name;    // of the node; may be empty in old files
  std::string target;  // "torch.ops.aten.conv2d.default", "_operator.mul", "torch.sym_max"
  std::vector<NamedArgument> inputs;
  std::vector<Argument> outputs;  // each a Value, a List of values, or none
  std::vector<ModuleCall> stack;  // outermost first; empty where the exporter did not know
  std::string source;             // "model.py:31", the innermost line that is not of torch itself
};

// What the exporter knew of a tensor that goes into the model.
struct TensorFacts {
  DType dtype = DType::float32;
  // A number, or the expression of a size that may change: the same text, the same size.
  std::vector<std::variant<std::int64_t, std::string>> sizes;
};

struct Graph {
  std::vector<std::string> names;  // of values
  std::vector<bool> symbolic;      // of values: a number, not a tensor
  std::vector<Argument> inputs;    // a Value, or the constant that the input was exported with
  std::vector<std::optional<TensorFacts>> input_facts;  // of inputs that are tensors
  std::vector<Node> nodes;
  std::vector<Argument> outputs;
};

}  // namespace ferry::pt2
