#include <algorithm>
#include <charconv>
#include <string>

#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

struct Default {
  std::string_view key, value;
};

Default split(std::string_view word) {
  const std::size_t sign = word.find('=');
  return {word.substr(0, sign), word.substr(sign + 1)};
}

NodeId make_value(ValueGraph& graph, std::string_view text) {
  if (text == "None") return graph.make_none();
  if (text == "False") return graph.make_boolean(false);
  if (text == "0") return graph.make_integer(0);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return graph.make_real(number);
}

}  // namespace

void complete_groups(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  ValueGraph& graph = checkpoint.values;
  for (const Optimizer& optimizer : find_optimizers(graph)) {
    if (optimizer.kind == nullptr) continue;
    std::vector<std::string> added;  // keys in the order of the table
    for (const std::string_view word : words(optimizer.kind->defaults)) {
      const Default option = split(word);
      bool missing = false;
      for (std::size_t i = 0; i < graph.items(optimizer.groups).size(); ++i) {
        const NodeId group = graph.items(optimizer.groups)[i];
        if (graph.find(group, option.key) != kNoNode) continue;  // what is there is never overridden
        graph.set_entry(group, option.key, make_value(graph, option.value));
        missing = true;
      }
      if (missing) added.emplace_back(option.key);
    }
    if (added.empty()) continue;
    log.add(Code::optimizer_groups, join_path(optimizer.path, "param_groups"),
            listed(added, added.size()) + " added to " +
                counted(graph.items(optimizer.groups).size(), "group") + " (" +
                std::string(optimizer.kind->name) + ")");
  }
}

}  // namespace ferry::convert
