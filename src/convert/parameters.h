// Which parameter of a model is which of an optimizer: by order and by shape, with what remains in doubt.
//
// An optimizer numbers its parameters in the order in which the model listed them, so the names of a
// state_dict without its buffers, in order, are its parameters, unless they were sorted into groups, frozen
// ones left out, or buffers have names that nobody knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::convert {

using Shape = std::vector<std::int64_t>;

struct NamedParameter {
  std::string name;
  Shape shape;
  NodeId tensor;
};

// What a tensor looks at: equal for one tensor under two names.
using View = std::tuple<std::uint32_t, std::int64_t, Shape, Shape>;
View view_of(const Checkpoint& checkpoint, NodeId tensor);

// The entries of a state_dict that may be parameters: floating or complex, and by name no buffer of
// PyTorch's own modules.  A tensor under several names counts once, as Module.parameters() has it.
std::vector<NamedParameter> parameters_of(const Checkpoint& checkpoint, NodeId state_dict);

std::string shape_text(const Shape& shape);  // "[4, 3]"

enum class Fit : std::uint8_t {
  in_order,  // the same number, and every known shape agrees
  within,    // in one way only a part of the named ones, in their order
  by_shape,  // neither: only shapes pair them, and not all of them may be paired
};

inline constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

struct Pairs {
  Fit fit = Fit::by_shape;
  std::vector<std::size_t> named;  // for each that was asked for: index of the named one, or kNobody
  std::vector<bool> sure;          // and whether no other would do
  std::size_t known_shapes = 0;

  bool all_sure() const;
};

// `wanted` are the shapes of the optimizer's parameters in order, nullopt where nothing tells.  Every named
// parameter is given out once at most.
Pairs pair_parameters(const std::vector<std::optional<Shape>>& wanted,
                      const std::vector<NamedParameter>& named);

}  // namespace ferry::convert
