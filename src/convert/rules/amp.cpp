// apex amp → torch.amp.GradScaler.
//
//   amp: {loss_scaler0: {loss_scale: 65536.0, unskipped: 3}, …}
//   scaler: {scale: 65536.0, growth_factor: 2.0, backoff_factor: 0.5, growth_interval: 2000, _growth_tracker:
//   3}
//
// Exact for dynamic scales: both double after 2000 good steps and halve on overflow.  Source:
// apex/amp/frontend.py (state_dict), apex/amp/scaler.py (LossScaler), torch/amp/grad_scaler.py (state_dict),
// whose five keys are the same from 1.5.1 to 2.13 and all required.
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

constexpr std::int64_t kGrowthInterval = 2000;  // of both, and apex has no other

struct LossScaler {
  double scale = 0;
  std::int64_t unskipped = 0;
};

// Numbers as files have them: floats, ints, and text where amp.initialize was given "128.0".
std::optional<double> as_number(const ValueGraph& graph, NodeId id) {
  if (graph.kind(id) == Kind::real) return graph.real(id);
  if (graph.kind(id) == Kind::integer) return static_cast<double>(graph.integer(id));
  if (!graph.is_text(id)) return std::nullopt;
  const std::string_view text = graph.text(id);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_scaler_name(std::string_view name) {
  constexpr std::string_view kStem = "loss_scaler";
  return name.starts_with(kStem) && name.size() > kStem.size() &&
         name.find_first_not_of("0123456789", kStem.size()) == std::string_view::npos;
}

std::optional<LossScaler> read_scaler(const ValueGraph& graph, NodeId dict) {
  if (graph.kind(dict) != Kind::dict || graph.entry_count(dict) != 2) return std::nullopt;
  const NodeId scale = graph.find(dict, "loss_scale"), unskipped = graph.find(dict, "unskipped");
  if (scale == kNoNode || unskipped == kNoNode || graph.kind(unskipped) != Kind::integer) return std::nullopt;
  const auto number = as_number(graph, scale);
  if (!number || !std::isfinite(*number) || *number <= 0 || graph.integer(unskipped) < 0) return std::nullopt;
  return LossScaler{*number, graph.integer(unskipped)};
}

// The loss scalers of an amp state in order; nullopt when it is something else of that name.
std::optional<std::vector<LossScaler>> read_amp(const ValueGraph& graph, NodeId amp) {
  if (graph.kind(amp) != Kind::dict) return std::nullopt;
  std::vector<LossScaler> all;
  for (std::size_t i = 0; i < graph.entry_count(amp); ++i) {
    const auto [key, value] = graph.entry(amp, i);
    const auto scaler = read_scaler(graph, value);
    if (!scaler || !graph.is_text(key) || !is_scaler_name(graph.text(key))) return std::nullopt;
    all.push_back(*scaler);
  }
  return all;
}

// Why a scale must have been static, or nullptr: apex does not say which it was.
const char* static_because(const LossScaler& scaler) {
  if (scaler.scale == 1.0 && scaler.unskipped == 0) return "1.0 with no step counted: opt level O0 or static";
  if (scaler.unskipped >= kGrowthInterval) return "a dynamic scale would have grown after 2000 good steps";
  int exponent = 0;
  if (std::frexp(scaler.scale, &exponent) != 0.5) return "a dynamic scale is a power of two";
  return nullptr;
}

NodeId grad_scaler(ValueGraph& graph, const LossScaler& scaler) {
  const NodeId state = graph.make_dict(DictFlavor::plain);
  graph.set_entry(state, "scale", graph.make_real(scaler.scale));
  graph.set_entry(state, "growth_factor", graph.make_real(2.0));
  graph.set_entry(state, "backoff_factor", graph.make_real(0.5));
  graph.set_entry(state, "growth_interval", graph.make_integer(kGrowthInterval));
  graph.set_entry(state, "_growth_tracker", graph.make_integer(scaler.unskipped));
  return state;
}

class AmpRule {
 public:
  AmpRule(Checkpoint& checkpoint, ChangeLog& log) : graph_(checkpoint.values), log_(log) {}

  // `amp_path` is the path of the `amp` entry of `dict`.
  void convert(NodeId dict, NodeId amp, const std::string& amp_path) {
    const auto scalers = read_amp(graph_, amp);
    if (!scalers) return;
    const NodeId there = graph_.find(dict, "scaler");
    if (there != kNoNode && graph_.kind(there) != Kind::none) {
      put(dict, {});
      log_.add(Code::scaler_exists, amp_path, "dropped: 'scaler' is there already and was kept");
      return;
    }
    std::vector<NodeId> states;
    for (std::size_t i = 0; i < scalers->size(); ++i) states.push_back(state_of((*scalers)[i], i, amp_path));
    put(dict, states);
    log_.add(Code::amp_to_scaler, amp_path, what_became(*scalers));
  }

 private:
  NodeId state_of(const LossScaler& scaler, std::size_t i, const std::string& amp_path) {
    const char* why = static_because(scaler);
    if (why == nullptr) return grad_scaler(graph_, scaler);
    log_.add(Code::static_loss_scale, join_path(amp_path, "loss_scaler" + std::to_string(i)),
             "static loss scale " + real_text(scaler.scale) + " → None (" + why + ")");
    return graph_.make_none();
  }

  static std::string what_became(const std::vector<LossScaler>& scalers) {
    if (scalers.empty()) return "empty (amp was disabled) → scaler: None";
    if (scalers.size() > 1)
      return "→ scaler (the first of " + counted(scalers.size(), "loss") + ") and scalers (all)";
    if (static_because(scalers[0]) != nullptr) return "→ scaler: None";
    return "→ scaler: scale " + real_text(scalers[0].scale) + ", growth tracker " +
           std::to_string(scalers[0].unskipped);
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

  ValueGraph& graph_;
  ChangeLog& log_;
};

}  // namespace

void convert_amp(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  const ValueGraph& graph = checkpoint.values;
  struct Found {
    NodeId dict, amp;
    std::string path;
  };
  std::vector<Found> all;
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId dict = paths.visits()[i].node;
    // Dicts with thousands of entries are state_dicts; looking for one key in each of them is still one pass.
    const NodeId amp = graph.find(dict, "amp");
    if (amp != kNoNode) all.push_back({dict, amp, join_path(paths.path(i), "amp")});
  }
  AmpRule rule(checkpoint, log);
  for (const Found& found : all) rule.convert(found.dict, found.amp, found.path);
}

}  // namespace ferry::convert
