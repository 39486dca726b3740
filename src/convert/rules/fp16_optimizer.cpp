// FP16_Optimizer of apex.fp16_utils and of apex.contrib.optimizers → the optimizer that it wraps.
//
//   fp16_utils  {loss_scaler: <object>, dynamic_loss_scale, overflow, first_closure_call_this_step,
//                optimizer_state_dict, fp32_from_fp16: [[Parameter]]}
//   contrib     {dynamic_loss_scale, cur_scale, cur_iter, last_overflow_iter, scale_factor, scale_window,
//                optimizer_state_dict, fp32_groups: [[Parameter]]}
//
// The optimizer's own parameters are the fp32 masters, so its state needs no change; a model in float32 under
// autocast takes the masters as its weights.  The loss scaler is apex.amp.scaler.LossScaler since 2020:
// factors 2 and 1/2, a window of _scale_seq_len steps; before, DynamicLossScaler counts iterations: it grows
// when (cur_iter - last_overflow_iter) is a multiple of scale_window, so the good steps since the last change
// are (cur_iter - last_overflow_iter - 1) modulo scale_window.  Source: apex/fp16_utils/fp16_optimizer.py,
// loss_scaler.py, apex/amp/scaler.py, apex/contrib/optimizers/fp16_optimizer.py.
#include <cmath>
#include <optional>
#include <string>
#include <unordered_map>

#include "src/convert/dicts.h"
#include "src/convert/loss_scale.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

std::optional<std::int64_t> whole(const ValueGraph& graph, NodeId dict, std::string_view key) {
  const NodeId value = graph.find(dict, key);
  return value == kNoNode ? std::nullopt : graph.as_integer(value);
}

bool flag(const ValueGraph& graph, NodeId dict, std::string_view key) {
  const NodeId value = graph.find(dict, key);
  return value != kNoNode && graph.as_integer(value).value_or(0) != 0;
}

// apex.amp.scaler.LossScaler.
std::optional<LossScale> read_new(const ValueGraph& graph, NodeId scaler) {
  const auto scale = as_scale(graph, graph.find(scaler, "_loss_scale"));
  const auto interval = whole(graph, scaler, "_scale_seq_len"), good = whole(graph, scaler, "_unskipped");
  if (!scale || !interval || !good || *interval <= 0 || *good < 0) return std::nullopt;
  LossScale read{*scale, 2.0, *interval, *good, ""};
  if (!flag(graph, scaler, "dynamic")) read.static_because = "the loss scaler says that it is not dynamic";
  return read;
}

// What DynamicLossScaler and the contrib optimizer keep.
std::optional<LossScale> read_counters(const ValueGraph& graph, NodeId dict, bool dynamic) {
  const auto scale = as_scale(graph, graph.find(dict, "cur_scale"));
  if (!scale) return std::nullopt;
  LossScale read;
  read.scale = *scale;
  if (!dynamic) {
    read.static_because = "the optimizer says that it is not dynamic";
    return read;
  }
  const auto at = whole(graph, dict, "cur_iter"), overflow = whole(graph, dict, "last_overflow_iter");
  const auto window = whole(graph, dict, "scale_window");
  const auto factor = as_scale(graph, graph.find(dict, "scale_factor"));
  if (!at || !overflow || !window || !factor || *window <= 0 || *factor <= 1.0 || *at <= *overflow ||
      *overflow < -1)
    return std::nullopt;
  read.factor = *factor;
  read.interval = *window;
  read.tracker = (*at - *overflow - 1) % *window;
  return read;
}

std::optional<LossScale> read_scale(const ValueGraph& graph, NodeId wrapper) {
  const bool dynamic = flag(graph, wrapper, "dynamic_loss_scale");
  const NodeId scaler = graph.find(wrapper, "loss_scaler");
  if (scaler == kNoNode) return read_counters(graph, wrapper, dynamic);
  if (graph.kind(scaler) != Kind::dict) return std::nullopt;
  if (graph.find(scaler, "_loss_scale") != kNoNode) return read_new(graph, scaler);
  return read_counters(graph, scaler, dynamic);
}

struct Wrapper {
  NodeId inner, masters;
  std::optional<LossScale> scale;
  std::string form;
};

std::optional<Wrapper> read_wrapper(const ValueGraph& graph, NodeId dict) {
  const NodeId inner = graph.find(dict, "optimizer_state_dict");
  if (inner == kNoNode || graph.kind(inner) != Kind::dict || graph.find(inner, "param_groups") == kNoNode ||
      graph.find(dict, "dynamic_loss_scale") == kNoNode)
    return std::nullopt;
  for (const std::string_view key : {"fp32_from_fp16", "fp32_groups", "fp32_groups_flat"})
    if (const NodeId masters = graph.find(dict, key); masters != kNoNode && graph.kind(masters) == Kind::list)
      return Wrapper{inner, masters, read_scale(graph, dict),
                     key == "fp32_from_fp16" ? "apex.fp16_utils" : "apex.contrib.optimizers"};
  return std::nullopt;
}

std::size_t count_tensors(const ValueGraph& graph, NodeId masters) {
  std::size_t count = 0;
  for (const NodeId group : graph.items(masters))
    count += graph.kind(group) == Kind::tensor ? 1 : graph.items(group).size();
  return count;
}

class Unwrapper {
 public:
  Unwrapper(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log)
      : graph_(checkpoint.values), options_(options), log_(log) {}

  void run(const std::vector<Place>& places) {
    for (const Place& place : places)
      if (place.parent != kNoNode) ++siblings_[place.parent];
    for (const Place& place : places)
      if (const auto wrapper = read_wrapper(graph_, place.dict)) unwrap(place, *wrapper);
  }

 private:
  // The dict of the wrapper becomes that of the optimizer, so that all who hold it see it.  What lay beside
  // goes into the dict around it, or, where that is a list or the root, into a dict in its place.
  void unwrap(const Place& place, const Wrapper& wrapper) {
    if (!wrapper.scale) {
      log_.add(Code::fix_not_applied, place.path, "FP16_Optimizer: its loss scaler cannot be understood");
      return;
    }
    const std::string key = key_of(place);
    const std::string stem = !key.empty() && siblings_[place.parent] > 1 ? key + "_" : "";
    std::vector<std::pair<std::string, NodeId>> beside;
    std::string became = "→ " + (key.empty() ? std::string("optimizer") : key);
    if (options_.amp == Amp::scaler) {
      const NodeId scaler = make_grad_scaler(graph_, *wrapper.scale, options_.static_scale, place.path, log_);
      beside.emplace_back(stem + "scaler", scaler);
      became += ", " + stem + "scaler: " + described(*wrapper.scale, options_.static_scale);
    }
    if (options_.masters != Masters::drop) {
      beside.emplace_back(stem + "fp32_masters", wrapper.masters);
      became += ", " + stem + "fp32_masters: " + counted(count_tensors(graph_, wrapper.masters), "tensor");
    }
    put(place, key, wrapper.inner, beside);
    log_.add(Code::fp16_optimizer, place.path, "FP16_Optimizer (" + wrapper.form + ") " + became);
  }

  // The text key under which the dict around holds it; empty where there is none.
  std::string key_of(const Place& place) const {
    if (place.parent == kNoNode || graph_.kind(place.parent) != Kind::dict) return "";
    for (std::size_t i = 0; i < graph_.entry_count(place.parent); ++i) {
      const auto [key, value] = graph_.entry(place.parent, i);
      if (value == place.dict && graph_.is_text(key)) return std::string(graph_.text(key));
    }
    return "";
  }

  void put(const Place& place, const std::string& key, NodeId inner,
           std::vector<std::pair<std::string, NodeId>> beside) {
    if (key.empty()) {
      graph_.set_items(place.dict, {});
      graph_.set_entry(place.dict, "optimizer", inner);
      insert_behind(graph_, place.dict, "optimizer", beside);
      return;
    }
    const auto items = graph_.items(inner);
    graph_.set_items(place.dict, std::vector<NodeId>(items.begin(), items.end()));
    std::erase_if(beside, [&](const auto& entry) {
      const NodeId there = graph_.find(place.parent, entry.first);
      if (there == kNoNode) return false;
      if (graph_.kind(there) == Kind::none) {
        graph_.set_entry(place.parent, entry.first, entry.second);
      } else {
        log_.add(
            Code::scaler_exists, place.path,
            quote(entry.first) + " is there already and was kept; that of the FP16_Optimizer was left out");
      }
      return true;
    });
    insert_behind(graph_, place.parent, key, beside);
  }

  ValueGraph& graph_;
  const RuleOptions& options_;
  ChangeLog& log_;
  std::unordered_map<NodeId, std::size_t> siblings_;  // wrappers in one dict, by that dict
};

}  // namespace

void unwrap_fp16_optimizers(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  if (options.amp == Amp::keep) return;
  Unwrapper(checkpoint, options, log).run(find_dicts(checkpoint.values, "optimizer_state_dict"));
}

}  // namespace ferry::convert
