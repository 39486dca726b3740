// Prefixes that wrappers put before every key of a state_dict.
//
// nn.DataParallel, DistributedDataParallel and apex's wrap a model as `module`; torch.compile as `_orig_mod`;
// FSDP as
// `_fsdp_wrapped_module`.  Wrappers of wrappers give `module.module.` and the like.  Inside names the same
// words mean a child of the user's model and stay.
#include <array>
#include <string>
#include <unordered_set>

#include "src/convert/rules/apply.h"
#include "src/convert/state_dict.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

constexpr std::array<std::string_view, 3> kPrefixes = {"module.", "_orig_mod.", "_fsdp_wrapped_module."};

// True when every key goes on with `next` behind the first `at` characters, and does not end with it.
bool every_key_carries(const ValueGraph& graph, NodeId dict, std::size_t at, std::string_view next) {
  const auto pairs = graph.items(dict);
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const std::string_view key = graph.text(pairs[i]);
    if (key.size() <= at + next.size() || key.compare(at, next.size(), next) != 0) return false;
  }
  return true;
}

// All that every key carries, one wrapper after the other; "" where there is nothing or the dict is no
// state_dict.
std::string common_prefix(const ValueGraph& graph, NodeId dict) {
  if (graph.kind(dict) != Kind::dict || graph.entry_count(dict) == 0) return {};
  const std::string_view first = graph.text(graph.entry(dict, 0).key);
  std::size_t length = 0;
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view next : kPrefixes) {
      // The first key alone says no for most dicts.
      if (!first.substr(length).starts_with(next) || !every_key_carries(graph, dict, length, next)) continue;
      length += next.size();
      found = true;
    }
  }
  return length == 0 || !is_state_dict(graph, dict) ? std::string() : std::string(first.substr(0, length));
}

// All keys lose the same characters, so no two of them can become equal.
void strip_keys(ValueGraph& graph, NodeId dict, std::size_t length) {
  const auto old = graph.items(dict);
  std::vector<NodeId> pairs(old.begin(), old.end());
  for (std::size_t i = 0; i < pairs.size(); i += 2)
    pairs[i] = graph.make_text(graph.text(pairs[i]).substr(length), graph.at(pairs[i]));
  graph.set_items(dict, pairs);
}

}  // namespace

void strip_prefixes(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.keep_prefix) return;
  ValueGraph& graph = checkpoint.values;
  struct Found {
    NodeId dict;
    std::string path, prefix;
  };
  std::vector<Found> all;
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId dict = paths.visits()[i].node;
    if (std::string prefix = common_prefix(graph, dict); !prefix.empty())
      all.push_back({dict, paths.path(i), std::move(prefix)});
  }

  std::unordered_set<NodeId> done;  // copies of a state_dict may share one _metadata
  std::vector<std::string> ambiguous;
  for (const Found& found : all) {
    strip_keys(graph, found.dict, found.prefix.size());
    const NodeId metadata = metadata_of(graph, found.dict);
    if (metadata != kNoNode && done.insert(metadata).second) strip_metadata(graph, metadata, found.prefix);
    log.add(Code::prefix_stripped, found.path,
            found.prefix + " stripped from " + counted(graph.entry_count(found.dict), "key"));
    if (found.prefix.find("module.") == 0 || found.prefix.find(".module.") != std::string::npos)
      ambiguous.push_back(found.path);
  }
  if (!ambiguous.empty())
    log.add(
        Code::ambiguous_prefix, ambiguous.front(),
        "a model with one child named 'module' looks the same as a wrapped one" +
            (ambiguous.size() == 1 ? std::string() : " (" + counted(ambiguous.size(), "state_dict") + ")") +
            "; --keep-prefix keeps the prefix");
}

}  // namespace ferry::convert
