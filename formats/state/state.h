// A checkpoint as named tensors and a JSON text for all the rest, for containers that hold nothing but
// tensors.  FORMAT.md beside this file has the grammar.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::state {

inline constexpr std::string_view kSchema = "torchferry.state/1";
inline constexpr std::string_view kSuffix = ".json";  // of the file beside the tensors: model.npz.json

struct NamedTensor {
  std::string name;                // the parts, joined by dots
  std::vector<std::string> parts;  // of its path: keys, positions in lists
  std::uint32_t tensor;            // index into Checkpoint::tensors
};

// A further name of a tensor that is written once.
struct Alias {
  std::string name;
  std::vector<std::string> parts;
  std::string kept;  // the name under which it is written
};

// A number, truth value or text that is an entry of a dict.
struct Scalar {
  std::vector<std::string> parts;
  NodeId node;
};

struct Flat {
  std::vector<NamedTensor> tensors;  // in the order of the walk, every window on a storage once
  std::vector<Alias> aliases;
  std::vector<Scalar> scalars;
  std::string tree;     // JSON: the root, with tensors by their names
  bool needed = false;  // the tree says more than that there is a dict of these tensors
};

// Of the names of a tied tensor the first in the order of bytes is kept, as the safetensors library chooses
// where no other rule decides.  Throws Code::target_lacks, with the path, for what has no form (meta tensors,
// bare storages), Code::key_collision for two tensors of one name, Code::too_deep.
Flat flatten(const Checkpoint& checkpoint);

// The whole document: schema, provenance (an object of JSON, or empty) and tree.
std::string document(const Flat& flat, std::string_view provenance);

// What becomes of a state that names other tensors than those that are there.
enum class Fit : std::uint8_t {
  exact,    // it is refused
  partial,  // so it is where they have no name in common; else what is not there is left out of dicts (None
            // in lists; a sparse or quantized tensor without all of its parts counts as not there), and what
            // the state does not name lies in the root dict under its own name
};

// Gives a checkpoint that was read as named tensors the tree that `text` describes.  `names` has the names of
// all tensors by index.  Throws Code::bad_json when the text is none, or is that of other tensors.
void restore(Checkpoint& checkpoint, const std::vector<std::string>& names, std::string_view text,
             Fit fit = Fit::exact);

// Makes the names that a flat checkpoint's root dict has.
std::vector<std::string> names_of_root(const Checkpoint& checkpoint);

}  // namespace ferry::state
