// Rules: one known incompatibility with its cure each, one file each, one row in the ordered table.
//
// A rule edits the checkpoint in memory (values, tensors, storages; never a tensor byte) and logs what it
// changed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/change_log.h"
#include "src/core/checkpoint.h"

namespace ferry::convert {

enum class Layout : std::uint8_t {
  keep,   // change nothing but what would not load
  clean,  // the layout that code written for PyTorch 2.x expects
};

// When a rule is applied: in both layouts, in the clean one only, or where it was asked for.
enum class When : std::uint8_t { needed_to_load, layout, asked };

struct Rename {
  std::string pattern;      // ECMAScript regular expression, searched in every key of every state_dict
  std::string replacement;  // of every match; $1 … refer to groups
};

struct RuleOptions {
  Layout layout = Layout::clean;
  bool keep_prefix = false;
  std::string select;  // dotted path of the subtree to write; empty: all
  std::vector<Rename> renames;
  std::vector<std::string>
      includes;  // globs over dotted paths; when any is given, only tensors that match one stay
  std::vector<std::string> excludes;
  std::vector<std::string_view> without;  // identifiers of rules that are left out, whatever the layout
};

struct Rule {
  std::string_view id;       // "prefixes"
  std::string_view because;  // one sentence
  When when;
  void (*apply)(Checkpoint&, const RuleOptions&, ChangeLog&);
};

// The table, in the order of application.
std::span<const Rule> rules();

// Applies every rule that the options call for: first what was asked, then, after logging what the reader
// already turned into plain data (notes.h), the others.  Paths in the log are those of the selected subtree.
// Throws Code::nothing_selected, Code::key_collision, Code::bad_usage.
void apply_rules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log);

}  // namespace ferry::convert
