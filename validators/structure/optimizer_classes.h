// What the classes of torch.optim keep for a parameter: one row each, told by the keys of their groups.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/core/value.h"

namespace ferry::structure {

// Lists of words are written as one text, separated by blanks.
struct OptimizerClass {
  std::string_view name;
  std::string_view group_keys;   // every group has all of these
  std::string_view absent;       // and none of these
  std::string_view group_needs;  // without these keys in a group the next step fails
  std::string_view state_needs;  // and without these in a state that is not empty
};

// nullptr when the groups are those of no class that we know.
const OptimizerClass* find_optimizer_class(const ValueGraph& graph, NodeId groups);

// How the shape of a tensor in a state follows from that of its parameter.
enum class StateShape : std::uint8_t {
  like_parameter,  // exp_avg, momentum_buffer …
  one_number,      // step, mu_product …
  rows,            // Adafactor: the last axis is 1
  columns,         // the last but one is 1
  flat,            // LBFGS: all parameters in one row
  unknown,
};
StateShape state_shape(std::string_view key);

// Calls `take` with every word of the list.
template <typename Take>
void each_word(std::string_view text, Take take) {
  while (!text.empty()) {
    const std::size_t end = text.find(' ') == std::string_view::npos ? text.size() : text.find(' ');
    if (end > 0) take(text.substr(0, end));
    text.remove_prefix(end < text.size() ? end + 1 : end);
  }
}
bool has_word(std::string_view list, std::string_view word);

}  // namespace ferry::structure
