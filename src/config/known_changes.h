// The table of known changes, validators/known_changes.toml, as it was when torchferry was built.
//
//   [[change]]
//   id = "interp-scale"            # unique; what `explain` takes
//   title = "…"                    # a few words
//   from = "1.5"                   # last release with the old behaviour, and first one with the new
//   to = "1.6"                     # both are left out when it does not depend on the release
//   kind = "value"                 # value, rounding, index, shape, dtype, error
//   drift = [1e-2, 10]             # least and most of the relative drift of an output, an order of magnitude
//   cuda_only = true               # default false
//   edge_inputs = true             # it shows on zeros, silence, ties … and hardly elsewhere; default false
//   weights = true                # it is a change of the weights; default false
//   ops = ["aten.upsample_bilinear2d"]
//   modules = ["Upsample"]
//   text = "…"                     # what changed
//   cure = "…"                     # how to get the old behaviour back
//   link = "https://…"
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "src/core/known_change.h"

namespace ferry::config {

// Parsed once.
std::span<const KnownChange> known_changes();

// The row of this id; nullptr when there is none.
const KnownChange* find_known_change(std::string_view id);

// Throws Code::bad_policy with the line of what cannot be understood: a syntax error, an unknown key or kind,
// a missing id, title, kind or text, an id twice, one of `from` and `to` without the other, neither an
// operation nor a module.
std::vector<KnownChange> parse_known_changes(std::string_view text);

}  // namespace ferry::config
