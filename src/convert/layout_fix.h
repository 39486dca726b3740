// What the layout rules of --fix share: state_dicts as names in order, edits that keep them unambiguous, and
// one line of the log for what was changed and one for what was left alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/convert/parameters.h"
#include "src/convert/rule.h"

namespace ferry::convert {

// "net.conv.weight_g" is {"net.conv", "weight_g"}; the root module has the path "".
std::string module_of(std::string_view name);
std::string leaf_of(std::string_view name);
std::string join(std::string_view module, std::string_view rest);  // their inverse

inline constexpr std::string_view kParametrizations = "parametrizations";  // the child that holds the parts

class NamedTensors {
 public:
  NamedTensors(Checkpoint& checkpoint, NodeId dict, std::string modules);

  // Names as they stood when the rule began, in order.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return index_.contains(std::string(name)); }
  NodeId find(std::string_view name) const;  // kNoNode where there is none, or it is no tensor
  Shape shape(std::string_view name) const;  // of a tensor that is there
  bool in_scope(std::string_view module) const;
  bool named_by_user() const { return !modules_.empty(); }

  // Throws Code::key_collision where the new name is taken.
  void rename(std::string_view name, std::string_view after);
  void remove(std::string_view name);
  void set(std::string_view name, NodeId value);
  void add_behind(std::string_view name, std::string_view added, NodeId value);
  void store();

  void done(std::string what) { done_.push_back(std::move(what)); }
  void left(std::string_view module, std::string_view why);

  NodeId dict() const { return dict_; }
  Checkpoint& checkpoint() { return checkpoint_; }
  const std::vector<std::string>& all_done() const { return done_; }
  const std::vector<std::string>& all_left() const { return left_; }

 private:
  struct Entry {
    std::string name;
    NodeId key, value;  // key: kNoNode when the name is new
    std::vector<std::pair<std::string, NodeId>> behind;
    bool gone = false;
  };
  Entry& at(std::string_view name);

  Checkpoint& checkpoint_;
  NodeId dict_;
  std::string modules_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::string> done_, left_;
};

// Runs `edit` on every state_dict and logs what it did: "3 modules …" where `noun` is "module".
void fix_layout(Checkpoint& checkpoint, const RuleOptions& options, std::string_view rule,
                std::string_view noun, std::string_view what, ChangeLog& log,
                const std::function<void(NamedTensors&)>& edit);

}  // namespace ferry::convert
