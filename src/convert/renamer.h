// Keys of a dict, rewritten with regular expressions, and `_metadata` with them.
#pragma once

#include <regex>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "src/convert/rule.h"

namespace ferry::convert {

// Every state_dict and its path; what an optimizer keeps for a parameter is none.
std::vector<std::pair<NodeId, std::string>> state_dicts_of(const ValueGraph& graph);

class Renamer {
 public:
  // Throws Code::bad_usage for a pattern that is none.
  Renamer(ValueGraph& graph, const std::vector<Rename>& renames);

  // Rewrites the text keys of `dict`; returns the number of those that changed.  `path` is for messages.
  // Throws Code::key_collision, Code::limit_exceeded; nothing of the dict has changed then.
  std::size_t rename(NodeId dict, const std::string& path);

 private:
  struct Pattern {
    std::regex regex;
    std::string replacement;
  };

  std::string renamed(const std::string& key) const;

  ValueGraph& graph_;
  std::vector<Pattern> patterns_;
  std::unordered_set<NodeId> done_;  // copies of a state_dict may share one _metadata
};

}  // namespace ferry::convert
