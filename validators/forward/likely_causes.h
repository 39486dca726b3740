// Which known changes of PyTorch may be the reason for a divergence.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/known_change.h"

namespace ferry::forward {

// What is known of a divergence.
struct Symptom {
  std::string before_torch, after_torch;  // "1.4.0", "2.13.0+cpu"; empty: unknown
  std::string first_module;               // class of the first module that diverges
  std::vector<std::string> near_modules;  // classes around it and inside it
  std::vector<std::string> near_ops;      // names of operations there, "aten.conv2d.default"
  double relative = 0;                    // drift of the worst output, ‖before − after‖ / ‖before‖
  bool same_function = false;             // the float64 runs agree: it is rounding
  bool edge_inputs_only = false;          // ordinary inputs agree
  bool shape_changed = false, dtype_changed = false, index_changed = false, failed = false;
  bool cuda = false;                                   // the new side ran on a GPU
  bool weights_equal = false, weights_differ = false;  // neither: nothing is known of them
};

// The likeliest first; only those that at least one observation speaks for and none rules out.
std::vector<LikelyCause> likely_causes(std::span<const KnownChange> changes, const Symptom& symptom);

// −1, 0, 1: by numbers, "1.13" is after "1.4"; what follows a third number ("+cpu", "a0") does not count.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace ferry::forward
