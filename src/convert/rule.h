// Rules: one known incompatibility with its cure each, one file each, one row in the ordered table.
//
// A rule edits the checkpoint in memory (values, tensors, storages; never a tensor byte) and logs what it
// changed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/convert/recipe.h"
#include "src/core/change_log.h"
#include "src/core/checkpoint.h"

namespace ferry::convert {

enum class Layout : std::uint8_t {
  keep,   // change nothing but what would not load
  clean,  // the layout that code written for PyTorch 2.x expects
};

// When a rule is applied: in both layouts; in the clean one only; where an option of its own asks for it
// (--select, --rename …); where `--fix` names it.
enum class When : std::uint8_t { needed_to_load, layout, asked, fix };

std::string_view when_name(When when);  // "always", "layout clean", "its option", "--fix"

// What becomes of the state of apex's loss scalers.
enum class Amp : std::uint8_t {
  scaler,  // the state of a torch.amp.GradScaler
  keep,    // stays as it is
  drop,    // is left out
};

// What becomes of a loss scale that never changed, which GradScaler has no notion of.
enum class StaticScale : std::uint8_t {
  none,    // None: the new code starts a scaler of its own, or works without
  frozen,  // a state whose growth and backoff are 1.0: the scale stays what it was
};

// What becomes of the fp32 masters that FP16_Optimizer and amp.master_params kept.
enum class Masters : std::uint8_t {
  keep,   // they stay, as `fp32_masters` where they lay inside an optimizer
  model,  // they replace the half or rounded parameters of the model
  drop,   // are left out
};

struct Rename {
  std::string pattern;      // ECMAScript regular expression, searched in every key of every state_dict
  std::string replacement;  // of every match; $1 … refer to groups
};

// A layout rule that was asked for, and the modules that it may touch: a glob over their paths inside a
// state_dict; empty: all.
struct Fix {
  std::string rule;
  std::string modules;
};

struct RuleOptions {
  Layout layout = Layout::clean;
  bool keep_prefix = false;
  std::string select;  // dotted path of the subtree to write; empty: all
  std::vector<Rename> renames;
  std::vector<std::string>
      includes;  // globs over dotted paths; when any is given, only tensors that match one stay
  std::vector<std::string> excludes;
  bool integer_steps = false;            // for optimizers of PyTorch before 1.12: the file goes back to them
  std::shared_ptr<const Recipe> recipe;  // none: the layout stays the user's own
  std::vector<std::string> without;      // identifiers of rules that are left out, whatever the layout
  std::vector<Fix> fixes;
  Amp amp = Amp::scaler;
  StaticScale static_scale = StaticScale::none;
  Masters masters = Masters::keep;
};

struct Rule {
  std::string_view id;       // "prefixes"
  std::string_view because;  // one sentence
  When when;
  void (*apply)(Checkpoint&, const RuleOptions&, ChangeLog&);
};

// The table, in the order of application.
std::span<const Rule> rules();
const Rule* find_rule(std::string_view id);  // nullptr when there is none

// Applies every rule that the options call for: first what was asked, then, after logging what the reader
// already turned into plain data (notes.h), the others.  Paths in the log are those of the selected subtree.
// Throws Code::nothing_selected, Code::key_collision, Code::bad_usage, Code::recipe_mismatch.
void apply_rules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

}  // namespace ferry::convert
