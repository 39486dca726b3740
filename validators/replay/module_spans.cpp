#include "validators/replay/module_spans.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace ferry::replay {
namespace {

struct Use {
  std::size_t made = SIZE_MAX;  // the step that makes it; none for inputs
  bool leaves_graph = false;
};

struct Extent {
  std::size_t first = 0, last = 0, depth = 0;
};

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool is_recurrent(std::string_view class_name) {
  static constexpr std::array<std::string_view, 3> kNames = {"LSTM", "GRU", "RNN"};
  return std::find(kNames.begin(), kNames.end(), class_name) != kNames.end();
}

// What the arguments of a step refer to, and those of the branches inside it.
void slots_taken(const Step& step, std::vector<Slot>& out) {
  for (const pt2::NamedArgument& input : step.inputs) slots_in(input.value, out);
  for (const pt2::Argument& operand : step.operands) slots_in(operand, out);
}

class SpanFinder {
 public:
  explicit SpanFinder(const Line& line) : line_(line), uses_(line.symbolic.size()) {}

  std::vector<ModuleSpan> find() {
    follow_values();
    follow_modules();
    std::vector<ModuleSpan> spans;
    for (const auto& [key, extent] : extents_) {
      ModuleSpan span{key.first, "", key.second, extent.last, {}};
      span.class_name = std::string(last_part(classes_[key.first]));
      name_outputs(span, extent);
      if (!span.outputs.empty()) spans.push_back(std::move(span));
    }
    std::stable_sort(spans.begin(), spans.end(), [this](const ModuleSpan& a, const ModuleSpan& b) {
      if (a.last_step != b.last_step) return a.last_step < b.last_step;
      return extents_[{a.module, a.call}].depth > extents_[{b.module, b.call}].depth;
    });
    return spans;
  }

 private:
  using Key = std::pair<std::string, std::uint32_t>;

  void follow_values() {
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < line_.steps.size(); ++i) {
      slots.clear();
      for (const pt2::Argument& output : line_.steps[i].outputs) slots_in(output, slots);
      for (const Slot slot : slots) uses_[slot].made = i;
      slots.clear();
      slots_taken(line_.steps[i], slots);
      for (const Slot slot : slots) takers_[slot].push_back(i);
    }
    slots.clear();
    for (const pt2::Argument& output : line_.outputs) slots_in(output, slots);
    for (const Slot slot : slots) uses_[slot].leaves_graph = true;
  }

  void follow_modules() {
    for (std::size_t i = 0; i < line_.steps.size(); ++i) {
      const auto& stack = line_.steps[i].node->stack;
      for (std::size_t depth = 0; depth < stack.size(); ++depth) {
        const pt2::ModuleCall& call = stack[depth];
        if (call.path.empty()) continue;
        const auto [found, added] = extents_.try_emplace({call.path, call.call}, Extent{i, i, depth});
        if (!added) found->second.last = i;
        classes_[call.path] = call.class_name;
      }
    }
  }

  bool is_used_outside(Slot slot, const Key& key) const {
    if (uses_[slot].leaves_graph) return true;
    const auto found = takers_.find(slot);
    return found != takers_.end() && std::any_of(found->second.begin(), found->second.end(),
                                                 [&](std::size_t step) { return !is_inside(step, key); });
  }

  bool is_inside(std::size_t step, const Key& key) const {
    const auto& stack = line_.steps[step].node->stack;
    return std::any_of(stack.begin(), stack.end(), [&](const pt2::ModuleCall& call) {
      return call.path == key.first && call.call == key.second;
    });
  }

  void name_outputs(ModuleSpan& span, const Extent& extent) const {
    const Key key{span.module, span.call};
    const Step& last = line_.steps[extent.last];
    if (is_recurrent(span.class_name) && is_recurrent_operation(*last.node)) {
      name_recurrent(span, last);
      return;
    }
    std::vector<Slot> leaving, made;
    for (std::size_t i = extent.first; i <= extent.last; ++i) {
      if (!is_inside(i, key)) continue;
      made.clear();
      for (const pt2::Argument& output : line_.steps[i].outputs) slots_in(output, made);
      for (const Slot slot : made)
        if (!line_.symbolic[slot] && is_used_outside(slot, key)) leaving.push_back(slot);
    }
    for (std::size_t i = 0; i < leaving.size(); ++i)
      span.outputs.push_back({leaving.size() == 1 ? "0" : "~" + std::to_string(i), leaving[i]});
  }

  static bool is_recurrent_operation(const pt2::Node& node) {
    for (const std::string_view name : {"lstm", "gru", "rnn_tanh", "rnn_relu"})
      if (node.target.starts_with("torch.ops.aten." + std::string(name) + ".")) return true;
    return false;
  }

  // output, h_n, or output, (h_n, c_n): unused ones too, they are computed all the same.
  static void name_recurrent(ModuleSpan& span, const Step& step) {
    std::vector<Slot> slots;
    for (const pt2::Argument& output : step.outputs) slots_in(output, slots);
    const bool pair = slots.size() == 3;
    for (std::size_t i = 0; i < slots.size(); ++i)
      span.outputs.push_back({i == 0 ? "0"
                              : pair ? "1." + std::to_string(i - 1)
                                     : std::to_string(i),
                              slots[i]});
  }

  const Line& line_;
  std::vector<Use> uses_;
  std::map<Slot, std::vector<std::size_t>> takers_;
  std::map<Key, Extent> extents_;
  std::map<std::string, std::string> classes_;
};

}  // namespace

std::vector<ModuleSpan> find_module_spans(const Line& line) { return SpanFinder(line).find(); }

}  // namespace ferry::replay
