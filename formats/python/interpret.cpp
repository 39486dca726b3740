#include "formats/python/interpret.h"

#include <algorithm>

#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::python {

NodeId callee_global(const ValueGraph& graph, NodeId call) {
  const NodeId callee = graph.callee(call);
  if (graph.kind(callee) == Kind::global) return callee;
  if (graph.kind(callee) == Kind::persistent) {
    // ('module', class, file, source), before 0.1.10 (class, file, source): how torch ≤ 1.5 names the class
    // of a module whose source it keeps.
    const NodeId id = graph.items(callee)[0];
    if (graph.kind(id) != Kind::tuple || graph.items(id).size() < 2) return kNoNode;
    const NodeId type = graph.items(id)[graph.kind(graph.items(id)[0]) == Kind::global ? 0 : 1];
    if (graph.kind(type) == Kind::global) return type;
  }
  return kNoNode;
}

std::optional<std::uint64_t> Origin::find(std::string_view octets) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(program.data());
  const auto at = reinterpret_cast<std::uintptr_t>(octets.data());
  if (source == nullptr || at < begin || !fits(at - begin, octets.size(), program.size()))
    return std::nullopt;
  return offset + (at - begin);
}

const std::optional<KnownGlobal>& Context::find(NodeId global) {
  const auto [found, fresh] = globals.try_emplace(global);
  if (fresh)
    found->second =
        find_global(graph().text(graph().module(global)), graph().text(graph().attribute(global)));
  return found->second;
}

void Call::look_at(NodeId call) {
  id = call;
  const auto items = graph.items(graph.arguments(id));
  arguments.assign(items.begin(), items.end());
  instance = graph.form(id) != CallForm::reduce;
  keywords = kNoNode;
  global = callee_global(graph, id);
  if (global == kNoNode)
    throw Error(Code::unsafe_global, "a value that is no known name is called").at(graph.at(id));
  known = context.find(global);
  if (known && !instance) make_instance_of_argument();
  state = kNoNode;
  list_items.clear();
  dict_items.clear();
  if (const CallExtras* extras = graph.extras(id)) {
    if (extras->keyword_arguments != kNoNode) keywords = extras->keyword_arguments;
    state = extras->state;
    list_items = extras->list_items;
    dict_items = extras->dict_items;
  }
}

// Functions of copyreg that make an instance of the class that they are given: the call is one of the class.
void Call::make_instance_of_argument() {
  const Role role = known->role;
  if (role != Role::reconstructor && role != Role::new_object && role != Role::new_object_ex) return;
  const bool counted = role == Role::new_object || arguments.size() == 3;
  if (!counted || arguments.empty() || graph.kind(arguments[0]) != Kind::global)
    fail("is called with arguments that it does not take");
  if (role == Role::reconstructor) {
    // (class, base, state of the base): protocols 0 and 1.
    const NodeId base = arguments[2];
    global = arguments[0];
    arguments.clear();
    if (graph.kind(base) != Kind::none) arguments.push_back(base);
  } else if (role == Role::new_object) {
    global = arguments[0];
    arguments.erase(arguments.begin());
  } else {
    if (graph.kind(arguments[1]) != Kind::tuple || graph.kind(arguments[2]) != Kind::dict)
      fail("is called with arguments that it does not take");
    if (graph.entry_count(arguments[2]) > 0) keywords = arguments[2];
    global = arguments[0];
    const auto items = graph.items(arguments[1]);
    arguments.assign(items.begin(), items.end());
  }
  known = context.find(global);
  instance = true;
}

void Call::fail(const std::string& what) const {
  throw Error(Code::bad_call, class_name() + " " + what).at(graph.at(id));
}

void Call::need_arguments(std::size_t least, std::size_t most) const {
  if (arguments.size() < least || arguments.size() > most || keywords != kNoNode)
    fail("is called with " + std::to_string(arguments.size()) + " arguments");
}

void Call::need_nothing_after() const {
  if (!list_items.empty() || !dict_items.empty())
    fail("makes a value that takes no items, but items are put into it");
  if (state != kNoNode) fail("makes a value that takes no state, but a state is built into it");
}

void Call::become(NodeId other) {
  if (known && known->role == Role::scheduler_class) context.schedulers.emplace(id, class_name());
  if (const auto module = context.modules.find(other); module != context.modules.end())
    context.modules.emplace(id, module->second);
  if (const auto dtype = context.numpy_dtypes.find(other); dtype != context.numpy_dtypes.end())
    context.numpy_dtypes.emplace(id, dtype->second);
  graph.become(id, other);
}

void Call::become_tensor(std::uint32_t index) { graph.become_indexed(id, Kind::tensor, index); }

void Call::note_data(std::string_view became) {
  note(Code::object_to_data, class_name() + " → " + std::string(became));
}

std::optional<std::string_view> plain_octets(const ValueGraph& graph, NodeId id) {
  switch (graph.kind(id)) {
    case Kind::bytes:
    case Kind::byte_array:
    case Kind::byte_string:
      return graph.text(id);
    default:
      return std::nullopt;
  }
}

std::optional<std::string> octets(const ValueGraph& graph, NodeId id) {
  if (const auto plain = plain_octets(graph, id)) return std::string(*plain);
  std::string latin1;
  if (graph.is_text(id) && utf8_to_latin1(graph.text(id), latin1)) return latin1;
  return std::nullopt;
}

void interpret_calls(Context& context, const std::function<bool(Call&)>& first) {
  Call call(context);
  for (const NodeId id : context.graph().calls_in_order()) {
    call.look_at(id);
    if (first(call) || interpret_container(call) || interpret_numpy(call) || interpret_time_or_path(call) ||
        interpret_standard(call) || interpret_instance(call))
      continue;
    call.fail("cannot be called like this");
  }
}

void settle_names_and_strings(Context& context, std::span<const NodeId> nodes) {
  ValueGraph& graph = context.graph();
  bool latin1 = false;
  std::size_t strings = 0;
  for (const NodeId id : nodes) {
    if (graph.kind(id) == Kind::byte_string) {
      const std::string text(graph.text(id));
      const bool utf8 = is_utf8(text, false);
      latin1 = latin1 || !utf8;
      strings += static_cast<std::size_t>(
          std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }));
      graph.become(id, graph.make_text(utf8 ? text : latin1_to_utf8(text), graph.at(id)));
    } else if (graph.kind(id) == Kind::global) {
      const auto& known = context.find(id);
      if (known && known->role == Role::dtype) {
        graph.become_indexed(id, Kind::dtype, static_cast<std::uint32_t>(*known->dtype));
      } else {
        const std::string dotted = modern_name(graph.text(graph.module(id)), graph.text(graph.attribute(id)));
        graph.become(id, graph.make_text(dotted, graph.at(id)));
        context.checkpoint.note(id, Code::object_to_data, dotted + " (class or function) → its name as text");
      }
    }
  }
  if (strings > 0)
    context.checkpoint.note(graph.root(), Code::python2_text,
                            std::to_string(strings) +
                                " byte strings of Python 2 with bytes above 0x7f became text, read as " +
                                (latin1 ? "UTF-8, or Latin-1 where they are none" : "UTF-8"));
}

}  // namespace ferry::python
