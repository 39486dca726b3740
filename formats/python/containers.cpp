// Containers, numbers, bytes and other builtins.
#include <algorithm>

#include "formats/python/interpret.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::python {
namespace {

// Entries of dict(x): a dict, or a sequence of pairs.
std::vector<NodeId> entries_of(const Call& call, NodeId value) {
  const ValueGraph& graph = call.graph;
  const auto items = graph.items(value);
  if (graph.kind(value) == Kind::dict) return {items.begin(), items.end()};
  if (graph.kind(value) != Kind::list && graph.kind(value) != Kind::tuple) call.fail("takes a dict or pairs");
  std::vector<NodeId> entries;
  for (const NodeId pair : items) {
    const auto two = graph.items(pair);
    if (two.size() != 2 || graph.kind(pair) == Kind::dict) call.fail("takes pairs of key and value");
    entries.insert(entries.end(), two.begin(), two.end());
  }
  return entries;
}

std::vector<NodeId> elements_of(const Call& call, NodeId value) {
  const auto items = call.graph.items(value);
  if (!call.graph.is_container(value) || call.graph.kind(value) == Kind::dict) call.fail("takes a sequence");
  return {items.begin(), items.end()};
}

bool make_dict(Call& call, DictFlavor flavor, std::size_t first_argument) {
  ValueGraph& graph = call.graph;
  call.need_arguments(0, first_argument + 1);
  if (!call.list_items.empty()) call.fail("takes no list items");
  std::vector<NodeId> entries;
  if (call.arguments.size() > first_argument) entries = entries_of(call, call.arguments[first_argument]);
  entries.insert(entries.end(), call.dict_items.begin(), call.dict_items.end());
  graph.become_dict(call.id, flavor, entries);
  NodeId state = call.state;
  if (state != kNoNode && graph.kind(state) == Kind::tuple && graph.items(state).size() == 2)
    state = graph.items(state)[0];
  if (state != kNoNode && graph.kind(state) == Kind::dict && graph.entry_count(state) > 0 &&
      flavor == DictFlavor::ordered)
    graph.set_attributes(call.id, state);
  return true;
}

bool make_default_dict(Call& call) {
  const std::string factory = call.arguments.empty() || call.graph.kind(call.arguments[0]) != Kind::global
                                  ? std::string("none")
                                  : call.graph.dotted_name(call.arguments[0]);
  make_dict(call, DictFlavor::plain, 1);
  call.note_data("dict (its default factory was " + factory + ")");
  return true;
}

bool make_deque(Call& call) {
  call.need_arguments(0, 2);
  std::vector<NodeId> items;
  if (!call.arguments.empty()) items = elements_of(call, call.arguments[0]);
  items.insert(items.end(), call.list_items.begin(), call.list_items.end());
  const bool bounded = call.arguments.size() == 2 && call.graph.kind(call.arguments[1]) == Kind::integer;
  const std::string bound =
      bounded ? " (its maxlen was " + call.graph.integer_text(call.arguments[1]) + ")" : "";
  call.become_list(items);
  call.note_data("list" + bound);
  return true;
}

bool make_set(Call& call, bool frozen) {
  call.need_arguments(0, 1);
  call.need_nothing_after();
  std::vector<NodeId> items;
  if (!call.arguments.empty()) items = elements_of(call, call.arguments[0]);
  const NodeId set = call.graph.make_container(Kind::set, frozen ? 1 : 0, call.graph.at(call.id));
  call.graph.append(set, items);
  call.become(set);
  return true;
}

bool make_sequence(Call& call, Role role) {
  call.need_arguments(0, 1);
  std::vector<NodeId> items;
  if (!call.arguments.empty()) items = elements_of(call, call.arguments[0]);
  items.insert(items.end(), call.list_items.begin(), call.list_items.end());
  if (role == Role::tuple_type)
    call.become(call.graph.make_tuple(items, call.graph.at(call.id)));
  else
    call.become_list(items);
  return true;
}

// _codecs.encode(text, 'latin1'): bytes, as Python 3 writes them in protocol 2.
bool make_encoded(Call& call) {
  call.need_arguments(1, 2);
  call.need_nothing_after();
  const std::string codec(call.arguments.size() == 2 ? call.graph.as_text(call.arguments[1]).value_or("?")
                                                     : "utf-8");
  if (codec != "latin1" && codec != "latin-1" && codec != "iso-8859-1")
    call.fail("is called with codec " + quote(codec, 40));
  NodeId& bytes = call.context.encoded.try_emplace(call.arguments[0], kNoNode).first->second;
  if (bytes == kNoNode) {
    const auto value = octets(call.graph, call.arguments[0]);
    if (!value) call.fail("is called with text that is no Latin-1");
    bytes = call.graph.make_bytes(Kind::bytes, as_bytes(*value), call.graph.at(call.id));
  }
  call.become(bytes);
  return true;
}

bool make_bytes(Call& call, Kind kind) {
  call.need_arguments(0, 2);
  call.need_nothing_after();
  // A count would allocate; only bytes that are in the file are taken.
  if (!call.arguments.empty() && plain_octets(call.graph, call.arguments[0])) {
    Node node = call.graph.node(call.arguments[0]);  // the same octets, not a copy of them
    node.kind = kind;
    call.graph.drop_extras(call.id);
    call.graph.replace(call.id, node);
    return true;
  }
  const auto value =
      call.arguments.empty() ? std::optional<std::string>("") : octets(call.graph, call.arguments[0]);
  if (!value) call.fail("takes bytes, and no count");
  call.become(call.graph.make_bytes(kind, as_bytes(*value), call.graph.at(call.id)));
  return true;
}

double number_of(const Call& call, NodeId value) {
  if (call.graph.kind(value) == Kind::real) return call.graph.real(value);
  if (const auto integer = call.graph.as_integer(value)) return static_cast<double>(*integer);
  call.fail("takes numbers");
}

bool make_complex(Call& call) {
  call.need_arguments(1, 2);
  call.need_nothing_after();
  const double re = number_of(call, call.arguments[0]);
  const double im = call.arguments.size() == 2 ? number_of(call, call.arguments[1]) : 0.0;
  call.become(call.graph.make_complex(re, im, call.graph.at(call.id)));
  return true;
}

// int(5), str('a'), float(1.5), bool(True): the value itself, where it is of that kind already.
bool make_same(Call& call, std::initializer_list<Kind> kinds) {
  call.need_arguments(1, 1);
  call.need_nothing_after();
  if (std::find(kinds.begin(), kinds.end(), call.graph.kind(call.arguments[0])) == kinds.end())
    call.fail("would convert a value; only a value of its own kind is taken");
  call.become(call.arguments[0]);
  return true;
}

bool make_range_or_slice(Call& call) {
  call.need_arguments(3, 3);
  call.need_nothing_after();
  for (const NodeId part : call.arguments)
    if (!call.graph.as_integer(part) && call.graph.kind(part) != Kind::none &&
        call.graph.kind(part) != Kind::big_integer)
      call.fail("takes three numbers");
  call.become_list(call.arguments);
  call.note_data("list of its 3 numbers");
  return true;
}

// The class of an instance, or a class itself, of which CyclicLR of 2.x takes a static method; a scheduler
// holds its own bound methods, so it may not have been built yet.
std::string class_of(const Call& call, NodeId instance) {
  if (call.graph.kind(instance) == Kind::global) {
    const auto& known = call.context.find(instance);
    return known && known->role == Role::scheduler_class ? call.graph.dotted_name(instance) : "";
  }
  if (const auto done = call.context.schedulers.find(instance); done != call.context.schedulers.end())
    return done->second;
  if (call.graph.kind(instance) != Kind::call || call.graph.form(instance) == CallForm::reduce) return "";
  const NodeId global = callee_global(call.graph, instance);
  return global == kNoNode ? "" : call.graph.dotted_name(global);
}

// The class of functions that torch builds in: torch.tanh is pickled as getattr(torch._C._VariableFunctions,
// 'tanh').  Modules keep such functions as attributes.
bool is_torch_functions(const ValueGraph& graph, NodeId value) {
  if (graph.kind(value) != Kind::global || graph.text(graph.module(value)) != "torch._C") return false;
  const std::string_view name = graph.text(graph.attribute(value));
  return name == "_VariableFunctions" || name == "_VariableFunctionsClass";
}

// getattr(scheduler, 'method'): how OneCycleLR and CyclicLR pickle their bound methods; and getattr of
// torch's own functions, which is their name.  The rule allows nothing else.
bool make_bound_method(Call& call) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Code::unsafe_global, "unsafe global " + call.module() + "." + call.name() + ": " + why)
        .at(call.graph.at(call.id));
  };
  if (call.arguments.size() != 2) refuse("it does not take a scheduler and a name");
  const bool function = is_torch_functions(call.graph, call.arguments[0]);
  const std::string owner = function ? "torch" : class_of(call, call.arguments[0]);
  const auto attribute = call.graph.as_text(call.arguments[1]);
  if (!function && !owner.starts_with("torch.optim.lr_scheduler."))
    refuse("it takes an attribute of something that is no scheduler of torch");
  if (!attribute || !is_dotted_identifier(*attribute) || attribute->find('.') != std::string_view::npos)
    refuse("it takes an attribute that is no identifier");
  call.need_nothing_after();
  const std::string dotted = owner + "." + std::string(attribute.value_or(""));
  call.become_text(dotted);
  call.note(Code::object_to_data,
            std::string(function ? "function" : "bound method") + " → its name as text, " + dotted);
  return true;
}

}  // namespace

bool interpret_container(Call& call) {
  if (!call.known) return false;
  switch (call.known->role) {
    case Role::ordered_dict:
      return make_dict(call, DictFlavor::ordered, 0);
    case Role::counter:
      return make_dict(call, DictFlavor::counter, 0);
    case Role::dict_type:
      return make_dict(call, DictFlavor::plain, 0);
    case Role::default_dict:
      return make_default_dict(call);
    case Role::deque:
      return make_deque(call);
    case Role::set_type:
      return make_set(call, false);
    case Role::frozen_set:
      return make_set(call, true);
    case Role::list_type:
    case Role::tuple_type:
      return make_sequence(call, call.known->role);
    case Role::encode:
      return make_encoded(call);
    case Role::bytes_type:
      return make_bytes(call, Kind::bytes);
    case Role::byte_array:
      return make_bytes(call, Kind::byte_array);
    case Role::complex_type:
      return make_complex(call);
    case Role::text_type:
      return make_same(call, {Kind::text, Kind::byte_string});
    case Role::boolean_type:
      return make_same(call, {Kind::boolean});
    case Role::integer_type:
      return make_same(call, {Kind::integer, Kind::big_integer, Kind::boolean});
    case Role::real_type:
      return make_same(call, {Kind::real});
    case Role::range:
    case Role::slice:
      return make_range_or_slice(call);
    case Role::getattr:
      return make_bound_method(call);
    default:
      return false;
  }
}

}  // namespace ferry::python
