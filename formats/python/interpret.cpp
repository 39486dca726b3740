#include "formats/python/interpret.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::python {

NodeId callee_global(const ValueGraph& graph, NodeId call) {
  const NodeId callee = graph.callee(call);
  if (graph.kind(callee) == Kind::global) return callee;
  if (graph.kind(callee) == Kind::persistent) {
    // ('module', class, file, source): how torch ≤ 1.5 names the class of a module whose source it keeps.
    const NodeId id = graph.items(callee)[0];
    if (graph.kind(id) == Kind::tuple && graph.items(id).size() > 1 && graph.kind(graph.items(id)[1]) == Kind::global)
      return graph.items(id)[1];
  }
  return kNoNode;
}

Call::Call(Context& shared, NodeId call) : context(shared), graph(shared.graph()), id(call) {
  const auto items = graph.items(graph.arguments(id));
  arguments.assign(items.begin(), items.end());
  instance = graph.form(id) != CallForm::reduce;
  NodeId global = callee_global(graph, id);
  if (global != kNoNode) known = find_global(graph.text(graph.module(global)), graph.text(graph.attribute(global)));
  if (known && known->role == Role::reconstructor && !instance) {
    // copyreg._reconstructor(class, base, state): protocol 0 and 1 make instances like this.
    if (arguments.size() != 3 || graph.kind(arguments[0]) != Kind::global)
      throw Error(Code::bad_call, "copyreg._reconstructor is called with arguments that it does not take").at(graph.at(id));
    global = arguments[0];
    known = find_global(graph.text(graph.module(global)), graph.text(graph.attribute(global)));
    const NodeId base = arguments[2];
    arguments.clear();
    if (graph.kind(base) != Kind::none) arguments.push_back(base);
    instance = true;
  }
  if (global != kNoNode) {
    module = graph.text(graph.module(global));
    name = graph.text(graph.attribute(global));
  }
  if (const CallExtras* extras = graph.extras(id)) {
    keywords = extras->keyword_arguments;
    state = extras->state;
    list_items = extras->list_items;
    dict_items = extras->dict_items;
  }
}

std::string Call::class_name() const { return modern_name(module, name); }

void Call::fail(const std::string& what) const { throw Error(Code::bad_call, class_name() + " " + what).at(graph.at(id)); }

void Call::need_arguments(std::size_t least, std::size_t most) const {
  if (arguments.size() < least || arguments.size() > most || keywords != kNoNode)
    fail("is called with " + std::to_string(arguments.size()) + " arguments");
}

void Call::need_nothing_after() const {
  if (!list_items.empty() || !dict_items.empty()) fail("makes a value that takes no items, but items are put into it");
  if (state != kNoNode) fail("makes a value that takes no state, but a state is built into it");
}

void Call::become(NodeId other) {
  context.classes.emplace(id, class_name());
  if (const auto dtype = context.numpy_dtypes.find(other); dtype != context.numpy_dtypes.end())
    context.numpy_dtypes.emplace(id, dtype->second);
  graph.become(id, other);
}

void Call::note_data(std::string_view became) { note(Code::object_to_data, class_name() + " → " + std::string(became)); }

std::optional<std::string> octets(const ValueGraph& graph, NodeId id) {
  switch (graph.kind(id)) {
    case Kind::bytes:
    case Kind::byte_array:
    case Kind::byte_string: return std::string(graph.text(id));
    case Kind::text: {
      std::string out;
      if (utf8_to_latin1(graph.text(id), out)) return out;
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

void interpret_calls(Context& context, const std::function<bool(Call&)>& first) {
  for (const NodeId id : context.graph().calls_in_order()) {
    Call call(context, id);
    if (call.module.empty() && call.name.empty())
      throw Error(Code::unsafe_global, "a value that is no known name is called").at(context.graph().at(id));
    if (first(call) || interpret_container(call) || interpret_numpy(call) || interpret_time_or_path(call) || interpret_instance(call))
      continue;
    call.fail("cannot be called like this");
  }
}

void settle_names_and_strings(Context& context) {
  ValueGraph& graph = context.graph();
  bool latin1 = false;
  std::size_t strings = 0;
  for (const NodeId id : graph.reachable()) {
    if (graph.kind(id) == Kind::byte_string) {
      const std::string text(graph.text(id));
      const bool utf8 = is_utf8(text, false);
      latin1 = latin1 || !utf8;
      strings += static_cast<std::size_t>(std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }));
      graph.become(id, graph.make_text(utf8 ? text : latin1_to_utf8(text), graph.at(id)));
    } else if (graph.kind(id) == Kind::global) {
      const std::string module(graph.text(graph.module(id))), name(graph.text(graph.attribute(id)));
      const auto known = find_global(module, name);
      if (known && known->role == Role::dtype) {
        graph.become(id, graph.make_indexed(Kind::dtype, static_cast<std::uint32_t>(*known->dtype), graph.at(id)));
      } else {
        const std::string dotted = modern_name(module, name);
        graph.become(id, graph.make_text(dotted, graph.at(id)));
        context.checkpoint.note(id, Code::object_to_data, dotted + " (class or function) → its name as text");
      }
    }
  }
  if (strings > 0)
    context.checkpoint.note(graph.root(), Code::python2_text,
                            std::to_string(strings) + " byte strings of Python 2 with bytes above 0x7f became text, read as " +
                                (latin1 ? "UTF-8, or Latin-1 where they are none" : "UTF-8"));
}

}  // namespace ferry::python
