#include <algorithm>
#include <array>

#include "src/convert/notes.h"
#include "src/convert/rule.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

// What was asked for comes first, so that the other rules see, and report, only what will be written; but
// names are changed when prefixes are gone, for they are the names that people write their patterns for.
// Parameters are numbered before steps move from groups into states, which are found by those numbers;
// compaction comes last, when no tensor is added or dropped any more.
constexpr auto kRules = std::to_array<Rule>({
    {"select", "only a part of the checkpoint is wanted", When::asked, select_subtree},
    {"filter", "only some of the tensors are wanted", When::asked, filter_tensors},
    {"prefixes", "a model that is not wrapped has no such keys", When::layout, strip_prefixes},
    {"rename", "the new code uses other names", When::asked, rename_keys},
    {"amp", "apex.amp is gone, torch.amp.GradScaler took its place", When::layout, convert_amp},
    {"optimizer_ids", "PyTorch 1.6 and later number parameters by their position", When::layout,
     number_parameters},
    {"optimizer_steps", "PyTorch 2.x keeps step counts as tensors", When::layout, convert_steps},
    {"optimizer_groups", "PyTorch 2.x has options that older groups lack", When::layout, complete_groups},
    {"devices", "a tag of a device that is not there stops torch.load", When::needed_to_load, devices_to_cpu},
    {"compact", "torch.save wrote whole storages for small views", When::layout, compact_storages},
    {"newer", "the first releases of 2.x know fewer kinds of values", When::needed_to_load,
     remark_newer_values},
});

bool called_for(const Rule& rule, const RuleOptions& options) {
  if (std::find(options.without.begin(), options.without.end(), rule.id) != options.without.end())
    return false;
  return rule.when != When::layout || options.layout == Layout::clean;
}

}  // namespace

std::span<const Rule> rules() { return kRules; }

void apply_rules(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  const NodeId source_root = checkpoint.values.root();
  bool notes_logged = false;
  for (const Rule& rule : kRules) {
    if (!notes_logged && rule.when != When::asked) {
      log_notes(checkpoint, source_root, log);
      notes_logged = true;
    }
    if (called_for(rule, options)) rule.apply(checkpoint, options, log);
  }
}

}  // namespace ferry::convert
