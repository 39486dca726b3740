#include "src/config/validation_policy.h"

#include <algorithm>
#include <array>

#include "src/config/toml_values.h"
#include "src/core/finding.h"
#include "src/core/text.h"

namespace ferry::config {
namespace {

using policy::CheckpointPolicy;

constexpr auto kDevices = std::to_array<std::string_view>({"auto", "cpu", "cuda"});
constexpr auto kLayouts = std::to_array<std::string_view>({"clean", "keep"});
constexpr auto kTypes = std::to_array<std::string_view>({"float16", "bfloat16", "float32"});
constexpr auto kRuns = std::to_array<std::string_view>(
    {"tf32", "tf32-rne", "tf32-rz", "bf16", "fp16", "autocast-bf16", "autocast-fp16"});

// How one key is read.
struct Field {
  std::string_view key;
  void (*read)(std::string_view key, const toml::node& node, CheckpointPolicy& to);
};

template <std::string CheckpointPolicy::*Member>
void read_text_to(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  to.*Member = text_of(node, key);
  if ((to.*Member).empty()) refuse(std::string(key) + " is empty", node.source());
}

template <std::optional<bool> CheckpointPolicy::*Member>
void read_truth_to(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  to.*Member = truth_of(node, key);
}

template <std::optional<double> CheckpointPolicy::*Member>
void read_bound_to(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  to.*Member = bound_of(node, key);
}

// Behind what is there: lists of a checkpoint are added to those of the defaults.
template <std::vector<std::string> CheckpointPolicy::*Member>
void add_texts_to(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  const std::vector<std::string> texts = texts_of(node, key);
  (to.*Member).insert((to.*Member).end(), texts.begin(), texts.end());
}

void add_codes(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  for (const std::string& text : texts_of(node, key)) {
    const CodeInfo* const found = find_code(text);
    if (found == nullptr) refuse("there is no code " + quote(text), node.source());
    to.expect.push_back(code_name(found->code));
  }
}

void add_runs(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) refuse(std::string(key) + " is a list of texts", node.source());
  for (const toml::node& item : *list) to.runs.push_back(word_of(item, "a run", kRuns));
}

void add_renames(std::string_view key, const toml::node& node, CheckpointPolicy& to) {
  for (const std::string& text : texts_of(node, key)) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
      refuse(quote(text) + " is not of the form 're=sub'", node.source());
    to.renames.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
}

void add_bounds(std::string_view, const toml::node& node, CheckpointPolicy& to) {
  const std::vector<BoundRow> rows = bounds_of(node);
  to.bounds.insert(to.bounds.end(), rows.begin(), rows.end());
}

using P = CheckpointPolicy;
constexpr auto kFields = std::to_array<Field>({
    {"name", read_text_to<&P::name>},
    {"before", read_text_to<&P::before>},
    {"after", read_text_to<&P::after>},
    {"model", read_text_to<&P::model>},
    {"golden", read_text_to<&P::golden>},
    {"rerun", read_text_to<&P::rerun>},
    {"device",
     [](std::string_view key, const toml::node& node, P& to) { to.device = word_of(node, key, kDevices); }},
    {"require_gpu", read_truth_to<&P::require_gpu>},
    {"runs", add_runs},
    {"semantic", read_bound_to<&P::semantic>},
    {"rounding", read_bound_to<&P::rounding>},
    {"rounding_inf", read_bound_to<&P::rounding_inf>},
    {"sides", read_bound_to<&P::sides>},
    {"reduced", read_bound_to<&P::reduced>},
    {"reduced_inf", read_bound_to<&P::reduced_inf>},
    {"unstable", add_texts_to<&P::unstable>},
    {"layout",
     [](std::string_view key, const toml::node& node, P& to) { to.layout = word_of(node, key, kLayouts); }},
    {"select", read_text_to<&P::select>},
    {"map", read_text_to<&P::map>},
    {"include", add_texts_to<&P::includes>},
    {"exclude", add_texts_to<&P::excludes>},
    {"rename", add_renames},
    {"dtype", [](std::string_view key, const toml::node& node,
                 P& to) { to.dtype = dtype_by_name(word_of(node, key, kTypes)); }},
    {"nan", [](std::string_view, const toml::node& node, P& to) { to.nan = nan_of(node); }},
    {"check_dtype", read_truth_to<&P::check_dtype>},
    {"bounds", add_bounds},
    {"ignore", add_texts_to<&P::ignores>},
    {"allow_removed", add_texts_to<&P::allowed_removed>},
    {"allow_added", add_texts_to<&P::allowed_added>},
    {"expect", add_codes},
    {"without", add_texts_to<&P::without>},
});

void read_fields(const toml::table& table, CheckpointPolicy& to) {
  std::vector<std::string_view> keys;
  for (const Field& field : kFields) keys.push_back(field.key);
  refuse_unknown(table, keys);
  for (const Field& field : kFields)
    if (const toml::node* const node = table.get(field.key)) field.read(field.key, *node, to);
}

CheckpointPolicy checkpoint_of(const toml::node& node, const CheckpointPolicy& defaults) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) refuse("checkpoints are written as [[checkpoint]]", node.source());
  CheckpointPolicy one = defaults;
  read_fields(*table, one);
  if (one.before.empty() || one.after.empty())
    refuse(std::string("this checkpoint has no ") + (one.before.empty() ? "before" : "after"), node.source());
  return one;
}

}  // namespace

policy::Policy parse_validation_policy(std::string_view text) {
  static constexpr std::array<std::string_view, 2> kKeys = {"defaults", "checkpoint"};
  const toml::table table = parse_table(text);
  refuse_unknown(table, kKeys);
  CheckpointPolicy defaults;
  if (const toml::node* const node = table.get("defaults")) {
    if (!node->is_table()) refuse("defaults are written as [defaults]", node->source());
    read_fields(*node->as_table(), defaults);
  }
  const toml::node* const list = table.get("checkpoint");
  if (list == nullptr) refuse("there is no [[checkpoint]] in it", table.source());
  if (!list->is_array()) refuse("checkpoints are written as [[checkpoint]]", list->source());
  policy::Policy policy;
  for (const toml::node& node : *list->as_array())
    policy.checkpoints.push_back(checkpoint_of(node, defaults));
  if (policy.checkpoints.empty()) refuse("there is no checkpoint in it", list->source());
  return policy;
}

}  // namespace ferry::config
