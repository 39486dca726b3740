// Names of wrappers (core/wrapper_names.h).  Around a whole model they are on every key (prefixes.cpp);
// around parts of it they stand inside names.
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"
#include "src/convert/state_dict.h"
#include "src/core/wrapper_names.h"

namespace ferry::convert {
namespace {

std::string unwrapped(std::string_view name) {
  std::string kept;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    if (!is_wrapper_name(part)) kept.append(kept.empty() ? "" : ".").append(part);
    if (dot == std::string_view::npos) return kept;
    name.remove_prefix(dot + 1);
  }
}

// The model's own version wins over that of a wrapper: it comes later.
void unwrap_metadata(ValueGraph& graph, NodeId metadata) {
  if (metadata == kNoNode) return;
  const NodeId kept = graph.make_dict(graph.flavor(metadata));
  for (std::size_t i = 0; i < graph.entry_count(metadata); ++i) {
    const auto [key, value] = graph.entry(metadata, i);
    if (graph.is_text(key)) graph.set_entry(kept, unwrapped(graph.text(key)), value);
  }
  const auto items = graph.items(kept);
  graph.set_items(metadata, std::vector<NodeId>(items.begin(), items.end()));
}

}  // namespace

void unwrap_inner_modules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "wrappers", "key", "without names of wrappers", log,
             [](NamedTensors& tensors) {
               for (const std::string& name : tensors.names()) {
                 const std::string after = unwrapped(name);
                 if (after == name || !tensors.in_scope(module_of(name))) continue;
                 if (after.empty() || leaf_of(name) == "_flat_param") {
                   tensors.left(module_of(name), "a flat parameter of FSDP holds several in one");
                   continue;
                 }
                 tensors.rename(name, after);
                 tensors.done(after);
               }
               if (!tensors.all_done().empty())
                 unwrap_metadata(tensors.checkpoint().values,
                                 metadata_of(tensors.checkpoint().values, tensors.dict()));
             });
}

}  // namespace ferry::convert
