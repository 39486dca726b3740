#include "validators/structure/scaler_state.h"

#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::structure {
namespace {

constexpr auto kFields = std::to_array<std::string_view>(
    {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"});

std::optional<double> number_of(const ValueGraph& graph, NodeId node) {
  if (graph.kind(node) == Kind::real) return graph.real(node);
  if (graph.kind(node) == Kind::integer) return static_cast<double>(graph.integer(node));
  return std::nullopt;
}

// "scaler", "grad_scaler", "scaler_state_dict", "amp_scaler": the words of training code for one state.
bool names_scaler(std::string_view key) {
  for (const std::string_view end : {"_state_dict", "_state"})
    if (key.ends_with(end)) key.remove_suffix(end.size());
  return key == "scaler" || key.ends_with("_scaler") || key == "gradscaler";
}

bool looks_like_state(const ValueGraph& graph, NodeId node) {
  return graph.kind(node) == Kind::dict && graph.find(node, "growth_factor") != kNoNode &&
         graph.find(node, "backoff_factor") != kNoNode;
}

class Judge {
 public:
  Judge(const ValueGraph& graph, NodeId node, ScalerState& state)
      : graph_(graph), node_(node), state_(state) {}

  void run() {
    if (graph_.entry_count(node_) == 0)
      return say("the dict is empty: GradScaler.load_state_dict raises, where the scaler is enabled");
    for (const std::string_view field : kFields)
      if (graph_.find(node_, field) == kNoNode) say(quote(field) + " is missing");
    judge_real(
        "scale", [](double x) { return x > 0; }, "a positive number");
    judge_real(
        "growth_factor", [](double x) { return x > 1; }, "above 1");
    judge_real(
        "backoff_factor", [](double x) { return x > 0 && x < 1; }, "between 0 and 1");
    const auto interval = judge_count("growth_interval", 1);
    const auto tracker = judge_count("_growth_tracker", 0);
    if (interval && tracker && *tracker >= *interval)
      say("_growth_tracker " + std::to_string(*tracker) + " is not below growth_interval " +
          std::to_string(*interval) + ": the scale would never grow");
    if (const NodeId scale = graph_.find(node_, "scale"); scale != kNoNode)
      state_.scale = number_of(graph_, scale).value_or(0);
  }

 private:
  void say(std::string what) { state_.faults.push_back(std::move(what)); }

  template <typename Fits>
  void judge_real(std::string_view field, Fits fits, std::string_view wanted) {
    const NodeId value = graph_.find(node_, field);
    if (value == kNoNode) return;
    const auto number = number_of(graph_, value);
    if (!number)
      say(std::string(field) + " is no number");
    else if (!std::isfinite(*number) || !fits(*number))
      say(std::string(field) + " is " + real_text(*number) + ", not " + std::string(wanted));
  }

  std::optional<std::int64_t> judge_count(std::string_view field, std::int64_t least) {
    const NodeId value = graph_.find(node_, field);
    if (value == kNoNode) return std::nullopt;
    if (graph_.kind(value) != Kind::integer) {
      say(std::string(field) + " is no integer");
      return std::nullopt;
    }
    if (graph_.integer(value) >= least) return graph_.integer(value);
    say(std::string(field) + " is " + std::to_string(graph_.integer(value)) + ", below " +
        std::to_string(least));
    return std::nullopt;
  }

  const ValueGraph& graph_;
  const NodeId node_;
  ScalerState& state_;
};

}  // namespace

std::vector<ScalerState> judge_scalers(const Checkpoint& checkpoint) {
  std::vector<ScalerState> found;
  const ValueGraph& graph = checkpoint.values;
  const Paths paths(graph, Reach::containers);
  const auto add = [&](std::string path, NodeId node) {
    ScalerState state;
    state.path = std::move(path);
    if (graph.kind(node) == Kind::none)
      state.none = true;
    else if (graph.kind(node) == Kind::dict)
      Judge(graph, node, state).run();
    else
      state.faults.emplace_back("it is neither a dict nor None");
    found.push_back(std::move(state));
  };
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId node = paths.visits()[i].node;
    if (i == 0 && looks_like_state(graph, node)) add("", node);
    const Kind kind = graph.kind(node);
    if (kind != Kind::dict && kind != Kind::list && kind != Kind::tuple) continue;
    const bool is_dict = kind == Kind::dict;
    const std::size_t count = is_dict ? graph.entry_count(node) : graph.items(node).size();
    for (std::size_t k = 0; k < count; ++k) {
      const NodeId value = is_dict ? graph.entry(node, k).value : graph.items(node)[k];
      const std::string key = is_dict ? key_text(graph, graph.entry(node, k).key) : std::to_string(k);
      const bool named = is_dict && names_scaler(key) && i == 0;
      if (named || looks_like_state(graph, value)) add(join_path(paths.path(i), key), value);
    }
  }
  return found;
}

}  // namespace ferry::structure
