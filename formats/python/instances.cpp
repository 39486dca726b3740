// Instances of classes that torchferry does not have: plain data made of their state.
//
// The class never exists here.  What it would have done with its state is not guessed: a dict, list or tuple
// below it is shown as it was pickled, and the class is named in the report.
#include <algorithm>

#include "formats/python/interpret.h"
#include "src/core/error.h"

namespace ferry::python {
namespace {

bool is_scalar(const ValueGraph& graph, NodeId id) {
  switch (graph.kind(id)) {
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::big_integer:
    case Kind::real:
    case Kind::complex:
    case Kind::text:
    case Kind::byte_string:
    case Kind::bytes:
      return true;
    default:
      return false;
  }
}

// One argument that is plain all through: how members of an Enum are pickled.
bool is_plain(const ValueGraph& graph, NodeId id) {
  if (is_scalar(graph, id)) return true;
  if (graph.kind(id) != Kind::tuple) return false;
  const auto items = graph.items(id);
  return std::all_of(items.begin(), items.end(), [&](NodeId item) { return is_scalar(graph, item); });
}

// The attributes of an instance: (dict, slots), or a dict; nullopt when the state is of another make.
std::optional<std::vector<NodeId>> attributes_of(const ValueGraph& graph, NodeId state) {
  if (graph.kind(state) == Kind::dict) {
    const auto items = graph.items(state);
    return std::vector<NodeId>(items.begin(), items.end());
  }
  const auto parts = graph.items(state);
  if (graph.kind(state) != Kind::tuple || parts.size() != 2) return std::nullopt;
  std::vector<NodeId> all;
  for (const NodeId part : parts) {
    if (graph.kind(part) == Kind::none) continue;
    if (graph.kind(part) != Kind::dict) return std::nullopt;
    const auto items = graph.items(part);
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

NodeId dict_of(Call& call, std::span<const NodeId> entries, DictFlavor flavor = DictFlavor::plain) {
  const NodeId dict = call.graph.make_dict(flavor, call.graph.at(call.id));
  call.graph.append(dict, entries);
  return dict;
}

// omegaconf keeps a config as {_metadata, _parent, _content} and a leaf as {_val, …}: the content is the
// config.
NodeId omegaconf_content(const Call& call) {
  if (!call.module().starts_with("omegaconf.") || call.state == kNoNode) return kNoNode;
  const NodeId content = call.graph.find(call.state, "_content");
  return content != kNoNode ? content : call.graph.find(call.state, "_val");
}

// What a subclass of dict or list had beside its entries or items: the names, for the report.
std::string left_out(const Call& call, bool metadata_kept) {
  std::string names;
  const auto add = [&](std::string_view name) { names += (names.empty() ? "" : ", ") + std::string(name); };
  const auto attributes = call.state == kNoNode ? std::nullopt : attributes_of(call.graph, call.state);
  for (std::size_t i = 0; attributes && i + 1 < attributes->size(); i += 2) {
    const auto key = call.graph.as_text((*attributes)[i]);
    const bool known_as_entry =
        std::find(call.dict_items.begin(), call.dict_items.end(), (*attributes)[i]) != call.dict_items.end();
    if (key && !known_as_entry && !(metadata_kept && *key == "_metadata")) add(*key);
  }
  if (call.state != kNoNode && !attributes) add("its state");
  if (!call.arguments.empty() && !call.dict_items.empty()) add("the arguments of its class");
  return names.empty() ? "" : " (attributes left out: " + names + ")";
}

// A subclass of dict: its entries.  Attributes beside them are named in the report.
bool make_dict_subclass(Call& call, DictFlavor flavor) {
  const std::string lost = left_out(call, flavor == DictFlavor::ordered);
  const NodeId dict = dict_of(call, call.dict_items, flavor);
  if (flavor == DictFlavor::ordered && call.state != kNoNode &&
      call.graph.find(call.state, "_metadata") != kNoNode) {
    const NodeId kept = call.graph.make_dict(DictFlavor::plain);
    call.graph.set_entry(kept, "_metadata", call.graph.find(call.state, "_metadata"));
    call.graph.set_attributes(dict, kept);
  }
  call.become(dict);
  call.note_data((flavor == DictFlavor::ordered ? "OrderedDict" : "dict") + lost);
  return true;
}

bool make_list_subclass(Call& call) {
  const std::string lost = left_out(call, false);
  call.become_list(call.list_items);
  call.note_data("list" + lost);
  return true;
}

bool make_from_arguments(Call& call);

bool make_from_state(Call& call) {
  const auto attributes = attributes_of(call.graph, call.state);
  // Python 2 builds the empty __dict__ of a subclass of int or str.
  if (attributes && attributes->empty() && !call.arguments.empty()) return make_from_arguments(call);
  if (!attributes && call.arguments.empty()) {
    call.become(call.state);  // a __getstate__ of its own
    call.note_data("its state");
    return true;
  }
  std::vector<NodeId> entries;
  if (!call.arguments.empty()) {
    entries = {call.graph.make_text("args"), call.graph.make_tuple(call.arguments)};
    if (!attributes) entries.insert(entries.end(), {call.graph.make_text("state"), call.state});
  }
  if (attributes) entries.insert(entries.end(), attributes->begin(), attributes->end());
  call.become(dict_of(call, entries));
  call.note_data("dict of its state");
  return true;
}

// No state: a subclass of tuple (a namedtuple), text or number keeps its value in the arguments of __new__.
bool make_from_arguments(Call& call) {
  if (call.arguments.empty()) {
    call.become(dict_of(call, {}));
    call.note_data("empty dict: it had no state");
  } else if (call.arguments.size() == 1 &&
             (is_scalar(call.graph, call.arguments[0]) || call.graph.is_container(call.arguments[0]))) {
    call.become(call.arguments[0]);
    call.note_data("the value that it was made from");
  } else {
    call.become(call.graph.make_tuple(call.arguments, call.graph.at(call.id)));
    call.note_data("tuple");
  }
  return true;
}

bool make_instance(Call& call) {
  if (call.keywords != kNoNode) {
    // __getnewargs_ex__: the keywords are as much part of the value as the state.
    std::vector<NodeId> entries = {call.graph.make_text("args"), call.graph.make_tuple(call.arguments),
                                   call.graph.make_text("kwargs"), call.keywords};
    if (call.state != kNoNode) entries.insert(entries.end(), {call.graph.make_text("state"), call.state});
    call.become(dict_of(call, entries));
    call.note_data("dict of its arguments and state");
    return true;
  }
  if (const NodeId content = omegaconf_content(call); content != kNoNode) {
    call.become(content);
    if (call.name() == "DictConfig" || call.name() == "ListConfig")
      call.note_data(call.name() == "DictConfig" ? "dict" : "list");
    return true;
  }
  if (!call.dict_items.empty()) return make_dict_subclass(call, DictFlavor::plain);
  if (!call.list_items.empty()) return make_list_subclass(call);
  if (call.module() == "yacs.config" && call.name() == "CfgNode")
    return make_dict_subclass(call, DictFlavor::plain);
  return call.state != kNoNode ? make_from_state(call) : make_from_arguments(call);
}

// [[key, value] …] with text as keys: how Python 2 gives a subclass of OrderedDict its entries.
bool is_list_of_entries(const ValueGraph& graph, NodeId id) {
  const auto pairs = graph.items(id);
  return graph.kind(id) == Kind::list && !pairs.empty() &&
         std::all_of(pairs.begin(), pairs.end(), [&](NodeId pair) {
           return graph.kind(pair) == Kind::list && graph.items(pair).size() == 2 &&
                  graph.as_text(graph.items(pair)[0]);
         });
}

// A class called as a function: by custom an Enum member, or an object with a __reduce__ of its own.
bool make_called(Call& call) {
  if (!call.dict_items.empty())
    return make_dict_subclass(call, call.arguments.empty() ? DictFlavor::ordered : DictFlavor::plain);
  if (!call.list_items.empty()) return make_list_subclass(call);
  if (call.arguments.size() == 1 && is_list_of_entries(call.graph, call.arguments[0])) {
    for (const NodeId pair : call.graph.items(call.arguments[0])) {
      const auto parts = call.graph.items(pair);
      call.dict_items.insert(call.dict_items.end(), parts.begin(), parts.end());
    }
    call.arguments.clear();
    return make_dict_subclass(call, DictFlavor::ordered);
  }
  if (call.arguments.size() == 1 && call.state == kNoNode && is_plain(call.graph, call.arguments[0])) {
    call.become(call.arguments[0]);
    call.note_data("the value that it was made from");
    return true;
  }
  if (call.arguments.empty() && call.state != kNoNode) return make_from_state(call);  // SimpleNamespace
  std::vector<NodeId> entries = {call.graph.make_text("args"), call.graph.make_tuple(call.arguments)};
  const auto attributes = call.state == kNoNode ? std::nullopt : attributes_of(call.graph, call.state);
  if (attributes)
    entries.insert(entries.end(), attributes->begin(), attributes->end());
  else if (call.state != kNoNode)
    entries.insert(entries.end(), {call.graph.make_text("state"), call.state});
  call.become(dict_of(call, entries));
  call.note_data("dict of its arguments and state");
  return true;
}

// functools.partial: (function, arguments, keywords, attributes) is its state.
bool make_partial(Call& call) {
  ValueGraph& graph = call.graph;
  const auto parts = call.state == kNoNode ? std::span<const NodeId>() : graph.items(call.state);
  if (parts.size() < 3 || graph.kind(call.state) != Kind::tuple)
    call.fail("has no state of function, arguments and keywords");
  const NodeId keywords = graph.kind(parts[2]) == Kind::none ? graph.make_dict(DictFlavor::plain) : parts[2];
  const std::vector<NodeId> entries = {graph.make_text("func"),     graph.items(call.state)[0],
                                       graph.make_text("args"),     graph.items(call.state)[1],
                                       graph.make_text("keywords"), keywords};
  call.become(dict_of(call, entries));
  call.note_data("dict of func, args and keywords");
  return true;
}

}  // namespace

bool interpret_instance(Call& call) {
  if (!call.known) return call.instance ? make_instance(call) : make_called(call);
  switch (call.known->role) {
    case Role::partial:
      return make_partial(call);
    case Role::torch_version:
      if (!call.instance || call.arguments.size() != 1) return false;
      call.become(call.arguments[0]);
      call.note_data("text");
      return true;
    case Role::name_space:
    case Role::object_type:
    case Role::scheduler_class:
    case Role::optimizer_class:
    case Role::torch_class:
    case Role::module_class:
      return call.instance ? make_instance(call) : make_called(call);
    default:
      return false;
  }
}

}  // namespace ferry::python
