#include "src/convert/loss_scale.h"

#include <array>
#include <charconv>
#include <cmath>

#include "src/core/text.h"

namespace ferry::convert {

std::optional<double> as_number(const ValueGraph& graph, NodeId id) {
  if (id == kNoNode) return std::nullopt;
  if (graph.kind(id) == Kind::real) return graph.real(id);
  if (graph.kind(id) == Kind::integer) return static_cast<double>(graph.integer(id));
  if (!graph.is_text(id)) return std::nullopt;
  const std::string_view text = graph.text(id);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> as_scale(const ValueGraph& graph, NodeId id) {
  const auto number = as_number(graph, id);
  return number && std::isfinite(*number) && *number > 0 ? number : std::nullopt;
}

// torch.amp.GradScaler.load_state_dict takes any factors; 1.0 keeps the scale where it is
// (aten/src/ATen/native/cuda/AmpKernels.cu, amp_update_scale).
NodeId make_grad_scaler(ValueGraph& graph, const LossScale& scale, StaticScale wanted,
                        const std::string& path, ChangeLog& log) {
  const bool frozen = !scale.static_because.empty();
  if (frozen) {
    const bool none = wanted == StaticScale::none;
    log.add(Code::static_loss_scale, path,
            "static loss scale " + real_text(scale.scale) + " → " +
                (none ? "None" : "a scaler that stays there; unlike apex's it skips steps with infinities") +
                " (" + scale.static_because + ")");
    if (none) return graph.make_none();
  }
  const NodeId state = graph.make_dict(DictFlavor::plain);
  graph.set_entry(state, "scale", graph.make_real(scale.scale));
  graph.set_entry(state, "growth_factor", graph.make_real(frozen ? 1.0 : scale.factor));
  graph.set_entry(state, "backoff_factor", graph.make_real(frozen ? 1.0 : 1.0 / scale.factor));
  graph.set_entry(state, "growth_interval", graph.make_integer(scale.interval));
  graph.set_entry(state, "_growth_tracker", graph.make_integer(frozen ? 0 : scale.tracker));
  return state;
}

std::vector<Place> find_opt_levels(const ValueGraph& graph) {
  static constexpr auto kKeys = std::to_array<std::string_view>(
      {"opt_level", "OPT_LEVEL", "amp_opt_level", "AMP_OPT_LEVEL", "fp16_opt_level", "amp_level"});
  auto places = find_dicts(graph, kKeys);
  std::erase_if(places, [&](const Place& place) {
    return !graph.is_text(place.value) || graph.text(place.value).size() != 2 ||
           graph.text(place.value)[0] != 'O' || graph.text(place.value)[1] < '0' ||
           graph.text(place.value)[1] > '3';
  });
  return places;
}

std::string described(const LossScale& scale, StaticScale wanted) {
  const bool frozen = !scale.static_because.empty();
  if (frozen && wanted == StaticScale::none) return "None";
  std::string text = "scale " + real_text(scale.scale);
  if (frozen) return text + ", frozen";
  text += ", growth tracker " + std::to_string(scale.tracker);
  if (scale.interval != 2000) text += " of " + std::to_string(scale.interval);
  return scale.factor == 2.0 ? text : text + ", factor " + real_text(scale.factor);
}

}  // namespace ferry::convert
