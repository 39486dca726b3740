#include "validators/replay/line.h"

#include <string_view>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::replay {
namespace {

using pt2::Argument;

constexpr std::string_view kHigherOrder = "torch.ops.higher_order.";

[[noreturn]] void misfit(const pt2::Node& node) {
  throw Error(Code::bad_pt2, "the arguments of " + quote(node.target, 80) + " are not those that it takes")
      .in("in node " + quote(node.name, 60));
}

// Values of one graph as slots of the line: what inputs bind, and what nodes make.
class Scope {
 public:
  Scope(const pt2::Graph& graph, std::vector<bool>& symbolic)
      : graph_(graph), bindings_(graph.names.size()), symbolic_(symbolic) {}

  void bind(pt2::Value value, Argument what) { bindings_[value.id] = std::move(what); }
  Argument fresh(pt2::Value value) {
    Argument slot{pt2::Value{static_cast<Slot>(symbolic_.size())}};
    symbolic_.push_back(graph_.symbolic[value.id]);
    bind(value, slot);
    return slot;
  }
  // The same argument with slots in place of values.
  Argument translate(const Argument& argument) const {
    if (const auto* value = argument.get<pt2::Value>()) return bindings_[value->id];
    if (const auto* list = argument.get<pt2::List>()) {
      pt2::List result;
      for (const Argument& item : *list) result.push_back(translate(item));
      return {std::move(result)};
    }
    if (const auto* mapping = argument.get<pt2::Mapping>()) {
      pt2::Mapping result;
      for (const auto& [key, item] : *mapping) result.emplace_back(key, translate(item));
      return {std::move(result)};
    }
    return argument;
  }
  Argument define(const Argument& output) {
    if (const auto* value = output.get<pt2::Value>()) return fresh(*value);
    if (const auto* list = output.get<pt2::List>()) {
      pt2::List result;
      for (const Argument& item : *list) result.push_back(define(item));
      return {std::move(result)};
    }
    return output;
  }

 private:
  const pt2::Graph& graph_;
  std::vector<Argument> bindings_;
  std::vector<bool>& symbolic_;
};

class LineMaker {
 public:
  Line make(const pt2::Graph& graph) {
    Line line;
    Scope scope(graph, symbolic_);
    for (const Argument& input : graph.inputs) line.inputs.push_back(scope.define(input));
    add_nodes(graph, scope, line.steps);
    for (const Argument& output : graph.outputs) line.outputs.push_back(scope.translate(output));
    line.symbolic = std::move(symbolic_);
    return line;
  }

 private:
  void add_nodes(const pt2::Graph& graph, Scope& scope, std::vector<Step>& steps) {
    for (const pt2::Node& node : graph.nodes) {
      if (!node.target.starts_with(kHigherOrder))
        add_plain(node, scope, steps);
      else
        add_higher_order(node, node.target.substr(kHigherOrder.size()), scope, steps);
    }
  }

  static void add_plain(const pt2::Node& node, Scope& scope, std::vector<Step>& steps) {
    Step step;
    step.kind = node.target.starts_with("torch.ops.") ? Step::Kind::operation : Step::Kind::symbol;
    step.node = &node;
    for (const pt2::NamedArgument& input : node.inputs)
      step.inputs.push_back({input.name, scope.translate(input.value)});
    for (const Argument& output : node.outputs) step.outputs.push_back(scope.define(output));
    steps.push_back(std::move(step));
  }

  void add_higher_order(const pt2::Node& node, const std::string& name, Scope& scope,
                        std::vector<Step>& steps) {
    if (name == "wrap_with_set_grad_enabled") return add_wrapped(node, 1, scope, steps);
    if (name == "wrap_with_autocast") return add_autocast(node, scope, steps);
    if (name == "cond") return add_condition(node, scope, steps);
    throw Error(Code::unsupported_container,
                "the higher-order operator " + quote(name, 60) + " is not replayed")
        .in("in node " + quote(node.name, 60));
  }

  // Arguments: `leading` of the mode, the graph, what the graph takes.
  void add_wrapped(const pt2::Node& node, std::size_t leading, Scope& scope, std::vector<Step>& steps) {
    const pt2::Graph& graph = graph_at(node, leading);
    if (node.inputs.size() != leading + 1 + graph.inputs.size() ||
        graph.outputs.size() != node.outputs.size())
      misfit(node);
    Scope inner(graph, symbolic_);
    for (std::size_t i = 0; i < graph.inputs.size(); ++i)
      if (const auto* value = graph.inputs[i].get<pt2::Value>())
        inner.bind(*value, scope.translate(node.inputs[leading + 1 + i].value));
    add_nodes(graph, inner, steps);
    for (std::size_t i = 0; i < graph.outputs.size(); ++i)
      rebind(node, scope, node.outputs[i], inner.translate(graph.outputs[i]));
  }

  static void rebind(const pt2::Node& node, Scope& scope, const Argument& output, const Argument& what) {
    if (output.is_none()) return;
    const auto* value = output.get<pt2::Value>();
    if (value == nullptr) misfit(node);
    scope.bind(*value, what);
  }

  // Arguments: device, dtype or none, enabled, cache enabled or none, and the graph.
  void add_autocast(const pt2::Node& node, Scope& scope, std::vector<Step>& steps) {
    if (node.inputs.size() < 5) misfit(node);
    const auto* device = node.inputs[0].value.get<std::string>();
    const auto* dtype = node.inputs[1].value.get<DType>();
    const auto* enabled = node.inputs[2].value.get<bool>();
    if (device == nullptr || enabled == nullptr) misfit(node);
    Step step;
    step.kind = Step::Kind::enter_autocast;
    step.node = &node;
    step.autocast.device = *device;
    step.autocast.enabled = *enabled;
    if (dtype != nullptr)
      step.autocast.dtype = *dtype;
    else
      step.autocast.dtype = *device == "cpu" ? DType::bfloat16 : DType::float16;
    steps.push_back(step);
    add_wrapped(node, 4, scope, steps);
    step.kind = Step::Kind::leave_autocast;
    steps.push_back(std::move(step));
  }

  // Arguments: the predicate, two graphs, a list of what both take.
  void add_condition(const pt2::Node& node, Scope& scope, std::vector<Step>& steps) {
    if (node.inputs.size() != 4) misfit(node);
    Step step;
    step.kind = Step::Kind::condition;
    step.node = &node;
    step.inputs.push_back({"", scope.translate(node.inputs[0].value)});
    const Argument operands = scope.translate(node.inputs[3].value);
    const auto* list = operands.get<pt2::List>();
    if (list == nullptr) misfit(node);
    step.operands = *list;
    for (const std::size_t at : {std::size_t{1}, std::size_t{2}}) {
      const pt2::Graph& graph = graph_at(node, at);
      if (graph.inputs.size() != list->size() || graph.outputs.size() != node.outputs.size()) misfit(node);
      Branch branch;
      Scope inner(graph, symbolic_);
      for (std::size_t i = 0; i < graph.inputs.size(); ++i)
        if (const auto* value = graph.inputs[i].get<pt2::Value>()) inner.bind(*value, (*list)[i]);
      add_nodes(graph, inner, branch.steps);
      for (const Argument& output : graph.outputs) branch.outputs.push_back(inner.translate(output));
      step.branches.push_back(std::move(branch));
    }
    for (const Argument& output : node.outputs) step.outputs.push_back(scope.define(output));
    steps.push_back(std::move(step));
  }

  static const pt2::Graph& graph_at(const pt2::Node& node, std::size_t at) {
    if (at >= node.inputs.size()) misfit(node);
    const auto* graph = node.inputs[at].value.get<std::shared_ptr<const pt2::Graph>>();
    if (graph == nullptr) misfit(node);
    return **graph;
  }

  std::vector<bool> symbolic_;
};

}  // namespace

Line make_line(const pt2::Graph& graph) { return LineMaker().make(graph); }

void slots_in(const Argument& argument, std::vector<Slot>& out) {
  if (const auto* value = argument.get<pt2::Value>()) out.push_back(value->id);
  if (const auto* list = argument.get<pt2::List>())
    for (const Argument& item : *list) slots_in(item, out);
  if (const auto* mapping = argument.get<pt2::Mapping>())
    for (const auto& [key, item] : *mapping) slots_in(item, out);
}

}  // namespace ferry::replay
