// apex amp → torch.amp.GradScaler.
//
//   amp: {loss_scaler0: {loss_scale: 65536.0, unskipped: 3}, …}
//   scaler: {scale: 65536.0, growth_factor: 2.0, backoff_factor: 0.5, growth_interval: 2000, _growth_tracker:
//   3}
//
// Exact for dynamic scales: both double after 2000 good steps and halve on overflow.  Source:
// apex/amp/frontend.py (state_dict), apex/amp/scaler.py (LossScaler), torch/amp/grad_scaler.py (state_dict),
// whose five keys are the same from 1.5.1 to 2.13 and all required.
//
// apex records neither the opt level nor whether a scale was static; what else lies in the file tells a part
// of it.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "src/convert/dicts.h"
#include "src/convert/loss_scale.h"
#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

constexpr double kScaleMax = 16777216.0;  // 2^24, apex's own bound for dynamic scales

bool is_scaler_name(std::string_view name) {
  constexpr std::string_view kStem = "loss_scaler";
  return name.starts_with(kStem) && name.size() > kStem.size() &&
         name.find_first_not_of("0123456789", kStem.size()) == std::string_view::npos;
}

// Why a scale must have been static; empty where nothing says so.
std::string static_because(const LossScale& scale) {
  if (scale.scale == 1.0 && scale.tracker == 0)
    return "1.0 with no step counted: opt level O0 or O3, or static";
  if (scale.tracker >= scale.interval) return "a dynamic scale would have grown after 2000 good steps";
  int exponent = 0;
  if (std::frexp(scale.scale, &exponent) != 0.5) return "a dynamic scale is a power of two";
  return "";
}

std::optional<LossScale> read_scaler(const ValueGraph& graph, NodeId dict) {
  if (graph.kind(dict) != Kind::dict || graph.entry_count(dict) != 2) return std::nullopt;
  const NodeId unskipped = graph.find(dict, "unskipped");
  const auto number = as_scale(graph, graph.find(dict, "loss_scale"));
  if (!number || unskipped == kNoNode || graph.kind(unskipped) != Kind::integer ||
      graph.integer(unskipped) < 0)
    return std::nullopt;
  LossScale scale;
  scale.scale = *number;
  scale.tracker = graph.integer(unskipped);
  scale.static_because = static_because(scale);
  return scale;
}

// The loss scalers of an amp state in order; nullopt when it is something else of that name.
std::optional<std::vector<LossScale>> read_amp(const ValueGraph& graph, NodeId amp) {
  if (graph.kind(amp) != Kind::dict) return std::nullopt;
  std::vector<LossScale> all;
  for (std::size_t i = 0; i < graph.entry_count(amp); ++i) {
    const auto [key, value] = graph.entry(amp, i);
    const auto scaler = read_scaler(graph, value);
    if (!scaler || !graph.is_text(key) || !is_scaler_name(graph.text(key))) return std::nullopt;
    all.push_back(*scaler);
  }
  return all;
}

// --- What amp was

std::string recorded_level(const ValueGraph& graph) {
  const auto levels = find_opt_levels(graph);
  if (levels.empty()) return "";
  return std::string(graph.text(levels[0].value)) + " (" + join_path(levels[0].path, levels[0].key) +
         " says so)";
}

bool has_half_moments(const Checkpoint& checkpoint, NodeId dict) {
  const ValueGraph& graph = checkpoint.values;
  for (std::size_t i = 0; i < graph.entry_count(dict); ++i) {
    const NodeId state = graph.find(graph.entry(dict, i).value, "state");
    if (state == kNoNode || graph.entry_count(state) == 0) continue;
    const NodeId entry = graph.entry(state, 0).value;
    for (const std::string_view key : {"exp_avg", "momentum_buffer", "sum", "square_avg"})
      if (const NodeId moment = graph.find(entry, key);
          moment != kNoNode && graph.kind(moment) == Kind::tensor &&
          checkpoint.tensors[graph.index(moment)].dtype == DType::float16)
        return true;
  }
  return false;
}

std::string opt_level(const Checkpoint& checkpoint, NodeId parent, const std::vector<LossScale>& scales) {
  if (const std::string recorded = recorded_level(checkpoint.values); !recorded.empty()) return recorded;
  if (has_half_moments(checkpoint, parent)) return "O3 (the optimizer's moments are float16)";
  if (checkpoint.values.find(parent, "master_params") != kNoNode) return "O2 (it has master_params)";
  const bool unscaled =
      std::all_of(scales.begin(), scales.end(), [](const LossScale& scale) { return scale.scale == 1.0; });
  return unscaled ? "O0 or O3 (they do not scale the loss)" : "O1 or O2 (they scale the loss)";
}

std::string why_dynamic(const std::vector<LossScale>& scales) {
  const auto dynamic = std::find_if(scales.begin(), scales.end(),
                                    [](const LossScale& scale) { return scale.static_because.empty(); });
  if (dynamic == scales.end()) return "";
  std::string text = "; scale taken as dynamic: " + real_text(dynamic->scale) + " is a power of two and " +
                     counted(static_cast<std::size_t>(dynamic->tracker), "good step") +
                     " below 2000, which a static one may be too";
  if (dynamic->scale >= kScaleMax) text += "; apex went no higher than 2^24, GradScaler does";
  return text;
}

class AmpRule {
 public:
  AmpRule(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log)
      : checkpoint_(checkpoint), graph_(checkpoint.values), options_(options), log_(log) {}

  // `amp_path` is the path of the `amp` entry of `dict`.
  void convert(NodeId dict, NodeId amp, const std::string& amp_path) {
    const auto scales = read_amp(graph_, amp);
    if (!scales) return;
    if (options_.amp == Amp::drop) {
      remove_entries(graph_, dict, std::array{std::string_view("amp")});
      log_.add(Code::amp_dropped, amp_path,
               "left out: " + (scales->empty() ? std::string("it was empty")
                                               : "scale " + real_text(scales->front().scale)));
      return;
    }
    const NodeId there = graph_.find(dict, "scaler");
    if (there != kNoNode && graph_.kind(there) != Kind::none) {
      put(dict, {});
      log_.add(Code::scaler_exists, amp_path, "dropped: 'scaler' is there already and was kept");
      return;
    }
    if (!scales->empty())
      log_.add(Code::amp_evidence, amp_path,
               "opt level " + opt_level(checkpoint_, dict, *scales) + why_dynamic(*scales));
    std::vector<NodeId> states;
    for (std::size_t i = 0; i < scales->size(); ++i)
      states.push_back(make_grad_scaler(graph_, (*scales)[i], options_.static_scale,
                                        join_path(amp_path, "loss_scaler" + std::to_string(i)), log_));
    put(dict, states);
    log_.add(Code::amp_to_scaler, amp_path, what_became(*scales));
  }

 private:
  std::string what_became(const std::vector<LossScale>& scales) const {
    if (scales.empty()) return "empty (amp was disabled) → scaler: None";
    if (scales.size() > 1)
      return "→ scaler (the first of " + counted(scales.size(), "loss") + ") and scalers (all)";
    return "→ scaler: " + described(scales[0], options_.static_scale);
  }

  // Replaces the entry `amp` by `scaler`, in its place, and after it `scalers` where there are several.
  // A `scaler` that is None already is the place to fill.
  void put(NodeId dict, const std::vector<NodeId>& states) {
    const NodeId there = graph_.find(dict, "scaler");
    const bool keep_there = there != kNoNode && graph_.kind(there) != Kind::none;
    const NodeId scaler = states.empty() ? graph_.make_none() : states.front();
    const NodeId all =
        states.size() > 1 && graph_.find(dict, "scalers") == kNoNode ? graph_.make_list(states) : kNoNode;
    std::vector<NodeId> pairs;
    for (std::size_t i = 0; i < graph_.entry_count(dict); ++i) {
      const auto [key, value] = graph_.entry(dict, i);
      const bool is_amp = graph_.is_text(key, "amp"), is_scaler = graph_.is_text(key, "scaler");
      const bool place = there == kNoNode ? is_amp : is_scaler && !keep_there;
      if (!is_amp && !place) pairs.insert(pairs.end(), {key, value});
      if (place) {
        pairs.insert(pairs.end(), {graph_.make_text("scaler"), scaler});
        if (all != kNoNode) pairs.insert(pairs.end(), {graph_.make_text("scalers"), all});
      }
    }
    graph_.set_items(dict, pairs);
  }

  Checkpoint& checkpoint_;
  ValueGraph& graph_;
  const RuleOptions& options_;
  ChangeLog& log_;
};

}  // namespace

void convert_amp(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.amp == Amp::keep) return;
  AmpRule rule(checkpoint, options, log);
  for (const Place& place : find_dicts(checkpoint.values, "amp"))
    rule.convert(place.dict, place.value, join_path(place.path, "amp"));
}

}  // namespace ferry::convert
