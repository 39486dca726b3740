// Recipes: how the checkpoints of a known project become what its code for PyTorch 2.x reads.
//
// A recipe is data: the shape by which its files are recognised, steps in order, and the shape that the
// result must have.  It is written in TOML (src/config/recipe_file.h); what it says is here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/value.h"

namespace ferry::convert {

// What lies at a place.
enum class Form : std::uint8_t {
  any,
  absent,  // nothing
  none,
  boolean,
  integer,
  real,
  number,  // integer or real
  text,
  tensor,
  list,
  tuple,
  dict,
  state_dict,  // see state_dict.h
  optimizer,   // see optimizer.h
  scaler,      // of torch.amp.GradScaler: its five keys
};

struct FormName {
  Form form;
  std::string_view name;    // in recipes: "state_dict"
  std::string_view phrase;  // in messages: "a state_dict"
};
std::span<const FormName> form_names();

struct Requirement {
  std::string path;  // a pattern, see place.h: every place that it names must be of a form
  std::vector<Form> forms;
  bool optional = false;          // there may be no such place
  std::vector<Form> keys;         // of a dict; empty: whatever they are
  std::vector<Form> values;       // of a dict, list or tuple
  std::vector<std::string> text;  // globs, of which a text must match one; empty: whatever it is
};
using RecipeShape = std::vector<Requirement>;

// A plain value as a recipe writes it down.
struct Literal;
using LiteralList = std::vector<Literal>;
using LiteralDict = std::vector<std::pair<std::string, Literal>>;
struct Literal {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, LiteralList, LiteralDict> value;
};

enum class Verb : std::uint8_t { select, move, rename, drop, set, note };

struct Step {
  Verb verb = Verb::note;
  std::string path;     // what is selected, moved, dropped, set; where keys are renamed, or ""; what is noted
  std::string to;       // where it goes; what replaces the matches; what the note says
  std::string pattern;  // of keys to rename: an ECMAScript regular expression
  std::string from;     // the value that is set is what lies there
  Literal value;        // or this
  bool optional = false;  // nothing need lie at `path`
  RecipeShape when;       // the step is taken where all of this holds
  std::size_t line = 0;   // in the file of the recipe
};

struct Recipe {
  std::string name;                  // "ffb6d"
  std::string about;                 // one sentence
  std::vector<RecipeShape> matches;  // it is for files of any of these shapes
  std::vector<Step> steps;
  std::vector<RecipeShape> results;  // what it leaves is of one of these shapes; empty: whatever it is
};

// What one requirement finds.
struct ShapeLine {
  const Requirement* requirement;
  std::string what;  // "is a state_dict", "is missing"
  bool holds;
};
std::vector<ShapeLine> find_shape(const ValueGraph& graph, const RecipeShape& shape);

// The shape of which most holds.
struct ShapeFit {
  bool fits = false;
  std::size_t weight = 0;             // requirements that hold
  std::vector<ShapeLine> lines;       // in the order of the shape
  std::string because() const;        // "model is a state_dict, epoch is an int …"
  std::string first_failure() const;  // "amp is missing, must be a dict"
};
ShapeFit find_fit(const ValueGraph& graph, std::span<const RecipeShape> shapes);

// A recipe that is part of the program, as it stands in src/convert/recipes.
struct RecipeText {
  std::string_view name, toml;
};
std::span<const RecipeText> built_in_recipes();

}  // namespace ferry::convert
