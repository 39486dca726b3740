// A recipe, written in TOML.
//
//   name = "my-project"                    # letters, digits, - _ .
//   about = "one sentence"
//
//   [[match]]                              # a shape of files that it is for; one of several must hold
//   "net" = "state_dict"                   # a path (src/convert/place.h) and what lies there
//   "opt" = "optimizer"
//   "step" = "int | none"                  # one or the other
//   "amp" = "dict?"                        # or nothing at all
//   "labels" = { is = "dict", keys = "str|int", values = "int" }
//   "arch" = { is = "str", text = ["resnet*", "vit*"] }
//   "scaler" = "absent"
//
//   [[step]]                               # taken in their order; each has one verb
//   move = "net"                           # select, move … to, rename … to, drop, set … value/none/from,
//   note to = "model" if = { "model" = "absent" }            # only where this holds optional = true #
//   nothing need lie there
//
//   [[step]]
//   rename = '^backbone\.'                 # a regular expression, searched in every key
//   to = "encoder."
//   in = "model"                           # of this dict; without it, of every state_dict
//
//   [[step]]
//   set = "scaler"
//   none = true                            # or value = 1, or from = "another.path"
//
//   [[step]]
//   note = "what people should know"
//   at = "model"
//
//   [[require]]                            # a shape that the result may have; one of several must hold
//   "model" = "state_dict"
#pragma once

#include <string_view>

#include "src/convert/recipe.h"

namespace ferry::config {

// Throws Code::bad_recipe with line and column of what cannot be understood, and with what may have been
// meant.
convert::Recipe parse_recipe(std::string_view text);

}  // namespace ferry::config
