// What a conversion changed, line by line: one edit, where it was made and why it was needed.
#pragma once

#include <string>
#include <vector>

#include "src/core/finding.h"

namespace ferry {

struct Change {
  Code code;         // TF5xx for a change, TF6xx for a remark
  std::string path;  // "model_state", "optimizer.state.3.step"; empty for the whole checkpoint
  std::string what;  // "module. stripped from 684 keys"
  std::vector<std::string> details = {};  // what is too long for a line: "0 conv.weight [4, 3, 3, 3]"
};

class ChangeLog {
 public:
  void add(Code code, std::string path, std::string what, std::vector<std::string> details = {}) {
    changes_.push_back({code, std::move(path), std::move(what), std::move(details)});
  }
  const std::vector<Change>& changes() const { return changes_; }
  bool has(Code code) const {
    for (const Change& change : changes_)
      if (change.code == code) return true;
    return false;
  }

 private:
  std::vector<Change> changes_;
};

}  // namespace ferry
