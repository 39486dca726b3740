// A golden: what one model said to given inputs in one environment, recorded so that another environment can
// be held against it.  formats/golden/FORMAT.md has the layout in files, and what every field means.
//
// As in a checkpoint, numbers are not here: `data` says where they lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry {

// One recorded array.
struct GoldenTensor {
  std::uint32_t tensor =
      0;              // index into Golden::data.tensors: where the numbers lie, in one row when sampled
  std::string dtype;  // what it was in the process: "bfloat16"
  std::vector<std::int64_t> shape;       // of the whole tensor
  std::uint64_t sampled = 0;             // how many of its elements were kept; 0: all
  std::string sha256;                    // of the whole tensor's bytes; may be empty
  double l2 = 0, max_abs = 0, mean = 0;  // of the whole tensor's finite elements; 0 where it was not recorded
  std::uint64_t nonfinite = 0;           // elements of the whole tensor
};

// An input or an output under its flattened path: "0", "1.0", "kw.mask", "logits".
struct GoldenOutput {
  std::string path;
  GoldenTensor tensor;
};

struct ModuleRecord {
  std::uint32_t seq = 0;   // order of completion: children before their parents
  std::string module;      // dotted path, empty for the root
  std::string cls;         // "Conv2d"
  std::uint32_t call = 0;  // the n-th call of this path in one forward pass, from 0
  std::string output;      // path inside the module's output, "0" for a lone tensor
  GoldenTensor tensor;
};

struct OpRecord {
  std::uint32_t seq = 0;
  std::string op;      // "aten.conv2d.default"
  std::string module;  // in which it was called
  std::uint32_t call = 0;
  std::string source;  // "model.py:31"; may be empty
  std::string output;
  GoldenTensor tensor;
};

struct GoldenRun {
  std::string name;  // "f32", "f64", "tf32-rz" …
  std::uint32_t repeats = 1;
  double repeat_maxabs = 0;  // the largest difference between the outputs of repeats
  std::string error;         // why the run failed; empty: it did not
  std::vector<GoldenOutput> outputs;
  std::vector<ModuleRecord> modules;  // by seq
  std::vector<OpRecord> ops;          // by seq
};

struct GoldenCase {
  std::string name;   // "normal 0", "zeros"
  bool edge = false;  // of the edge set: zeros, tiny, large, padding, other sizes
  std::vector<GoldenOutput> inputs;
  std::vector<GoldenRun> runs;

  const GoldenRun* run(std::string_view run_name) const {
    for (const GoldenRun& one : runs)
      if (one.name == run_name) return &one;
    return nullptr;
  }
};

// A weight of the model, without its numbers: binds the golden to a checkpoint.
struct GoldenWeight {
  std::string name, dtype, sha256;
  std::vector<std::int64_t> shape;
  double l2 = 0, max_abs = 0, mean = 0;
  std::uint64_t nonfinite = 0;
};

struct Golden {
  using Facts = std::vector<std::pair<std::string, std::string>>;  // name and value as text, in order

  Checkpoint data;
  std::string model, writer;
  Facts env;        // "torch" "1.4.0", "cudnn_allow_tf32" "true" …
  Facts meta;       // "checkpoint_sha256" …
  std::string f64;  // "ok", "contaminated: WHERE", "failed: WHY"
  bool training = false;
  std::uint32_t samples = 0;  // elements kept of larger tensors; 0: everything is whole
  std::vector<GoldenWeight> weights;
  std::vector<GoldenCase> cases;

  // The value of a fact of the environment; empty when there is none.
  std::string_view environment(std::string_view name) const {
    for (const auto& [key, value] : env)
      if (key == name) return value;
    return {};
  }
};

}  // namespace ferry
