// A change in how PyTorch computes: same code, same weights, other numbers.  The table is
// validators/known_changes.toml; src/config reads it, validators/forward ranks it, `explain` shows it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

enum class ChangeKind : std::uint8_t {
  value,     // other numbers, silently
  rounding,  // other rounding only
  index,     // other indices where values tie
  shape,     // another shape
  dtype,     // another type
  error,     // what ran now raises
};

struct KnownChange {
  std::string id;     // "interp-scale"
  std::string title;  // a few words
  // The last release that has the old behaviour and the first that has the new one, as "1.5" and "1.6";
  // empty: a change of the code, not of PyTorch, or one that depends on the hardware.
  std::string from, to;
  ChangeKind kind = ChangeKind::value;
  double least = 0,
         most = 0;  // relative drift of an output that it causes, an order of magnitude; 0: unknown
  bool cuda_only = false;
  bool edge_inputs = false;      // it shows on zeros, silence, ties … and hardly elsewhere
  bool weights = false;          // it is a change of the weights: ruled out where they are known to be equal
  std::vector<std::string> ops;  // aten names without overload: "aten.upsample_bilinear2d"
  std::vector<std::string> modules;  // classes of modules in which it happens: "Upsample"
  std::string text;                  // what changed
  std::string cure;                  // how to get the old behaviour back; may be empty
  std::string link;                  // where PyTorch says so; may be empty
};

// A known change that may be the reason for a divergence, and why it is thought so.
struct LikelyCause {
  std::string id, title, cure;
  double weight = 0;                 // for ordering only
  std::vector<std::string> reasons;  // "it lies between 1.4.0 and 2.13.0", "the first module is an Upsample"
};

std::string_view change_kind_name(ChangeKind kind);  // "value"

}  // namespace ferry
