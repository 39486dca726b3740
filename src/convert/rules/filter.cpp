#include <algorithm>
#include <string>

#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

bool any_matches(const std::vector<std::string>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return glob_match(glob, path); });
}

bool stays(const RuleOptions& options, std::string_view path) {
  return (options.includes.empty() || any_matches(options.includes, path)) &&
         !any_matches(options.excludes, path);
}

}  // namespace

void filter_tensors(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.includes.empty() && options.excludes.empty()) return;
  ValueGraph& graph = checkpoint.values;
  struct Rest {
    NodeId dict;
    std::vector<NodeId> pairs;
  };
  std::vector<Rest> rests;
  std::vector<std::string> dropped;
  std::size_t kept = 0;
  const Paths paths(graph, Reach::containers);
  for (std::size_t visit = 0; visit < paths.visits().size(); ++visit) {
    const NodeId dict = paths.visits()[visit].node;
    if (graph.kind(dict) != Kind::dict) continue;
    Rest rest{dict, {}};
    const std::string path = paths.path(visit);
    const auto pairs = graph.items(dict);
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const bool tensor = graph.kind(pairs[i + 1]) == Kind::tensor;
      std::string entry_path = tensor ? join_path(path, key_text(graph, pairs[i])) : std::string();
      if (tensor && !stays(options, entry_path)) {
        dropped.push_back(std::move(entry_path));
        continue;
      }
      kept += tensor ? 1 : 0;
      rest.pairs.insert(rest.pairs.end(), {pairs[i], pairs[i + 1]});
    }
    if (rest.pairs.size() != pairs.size()) rests.push_back(std::move(rest));
  }
  if (kept == 0) throw Error(Code::nothing_selected, "no tensor is left after --include and --exclude");
  for (const Rest& rest : rests) graph.set_items(rest.dict, rest.pairs);
  if (!dropped.empty())
    log.add(Code::excluded, "", counted(dropped.size(), "tensor") + " left out: " + listed(dropped));
}

}  // namespace ferry::convert
