// What loss scalers of apex counted, and the torch.amp.GradScaler state that goes on from there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/convert/dicts.h"
#include "src/convert/rule.h"
#include "src/core/change_log.h"

namespace ferry::convert {

struct LossScale {
  double scale = 0;
  double factor = 2.0;           // of growth; the scale shrinks by its inverse
  std::int64_t interval = 2000;  // good steps after which it grows
  std::int64_t tracker = 0;      // good steps since the last change
  std::string static_because;    // why it never changed; empty: it did, as far as can be told
};

// Numbers as files have them: floats, ints, and text where a command line gave "128.0".
std::optional<double> as_number(const ValueGraph& graph, NodeId id);

// A positive, finite number.
std::optional<double> as_scale(const ValueGraph& graph, NodeId id);

// A GradScaler state.  A static scale gives None or, frozen, a state in which nothing grows or shrinks; which
// of them and why is logged at `path`.
NodeId make_grad_scaler(ValueGraph& graph, const LossScale& scale, StaticScale wanted,
                        const std::string& path, ChangeLog& log);

// "scale 32768.0, growth tracker 1", "None".
std::string described(const LossScale& scale, StaticScale wanted);

// Where settings beside a model say which opt level of apex amp it was trained with: "O0" … "O3".
std::vector<Place> find_opt_levels(const ValueGraph& graph);

}  // namespace ferry::convert
