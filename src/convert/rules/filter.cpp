#include <algorithm>
#include <optional>
#include <string>

#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

constexpr std::size_t kListed = 4;  // paths that are kept for the log, the last for its "…"

bool any_matches(const std::vector<std::string>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return glob_match(glob, path); });
}

bool stays(const RuleOptions& options, std::string_view path) {
  return (options.includes.empty() || any_matches(options.includes, path)) &&
         !any_matches(options.excludes, path);
}

class Filter {
 public:
  Filter(ValueGraph& graph, const RuleOptions& options) : graph_(graph), options_(options) {}

  // Looks at everything before the first edit: an error must not leave half of it done.
  void run(ChangeLog& log) {
    const Paths paths(graph_, Reach::containers);
    for (std::size_t visit = 0; visit < paths.visits().size(); ++visit)
      if (graph_.kind(paths.visits()[visit].node) == Kind::dict) look_at(paths, visit);
    if (kept_ == 0) throw Error(Code::nothing_selected, "no tensor is left after --include and --exclude");
    for (const Rest& rest : rests_) graph_.set_items(rest.dict, rest.pairs);
    if (dropped_ != 0)
      log.add(Code::excluded, "", counted(dropped_, "tensor") + " left out: " + listed(names_, kListed - 1));
  }

 private:
  struct Rest {
    NodeId dict;
    std::vector<NodeId> pairs;
  };

  void look_at(const Paths& paths, std::size_t visit) {
    Rest rest{paths.visits()[visit].node, {}};
    std::optional<std::string> path;  // all of it, as globs match all of it; made when it is needed
    const auto pairs = graph_.items(rest.dict);
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
      if (graph_.is_tensor(pairs[i + 1])) {
        if (!path) path = paths.path(visit, std::string::npos);
        if (!keeps(join_path(*path, key_text(graph_, pairs[i])))) continue;
      }
      rest.pairs.insert(rest.pairs.end(), {pairs[i], pairs[i + 1]});
    }
    if (rest.pairs.size() != pairs.size()) rests_.push_back(std::move(rest));
  }

  bool keeps(const std::string& path) {
    if (stays(options_, path)) {
      ++kept_;
      return true;
    }
    if (++dropped_ <= kListed) names_.push_back(path);
    return false;
  }

  ValueGraph& graph_;
  const RuleOptions& options_;
  std::vector<Rest> rests_;
  std::vector<std::string> names_;  // of the first that are dropped
  std::size_t kept_ = 0, dropped_ = 0;
};

}  // namespace

void filter_tensors(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.includes.empty() && options.excludes.empty()) return;
  Filter(checkpoint.values, options).run(log);
}

}  // namespace ferry::convert
