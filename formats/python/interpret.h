// What Python's own objects in a pickle mean, as plain values.
//
// Calls are visited in the order in which they were completed, so that each finds its arguments understood,
// and each is replaced in place by what it means: an OrderedDict, bytes, a number, a text, a dict of an
// instance's state.  The table of what becomes what is in docs of `convert`; FORMAT.md beside this file gives
// the layouts and their sources.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/python/numpy_dtype.h"
#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::python {

// Where the octets of a pickle lie as they are in a file, so that what its bytes hold need not be copied.
struct Origin {
  SourcePtr source = nullptr;  // nullptr: nowhere, the pickle was compressed
  std::uint64_t offset = 0;    // of the pickle's first byte
  Bytes program = {};          // the pickle as it was read
  // The place in the source of octets that are part of the program; nullopt when they are not.
  std::optional<std::uint64_t> find(std::string_view octets) const;
};

// What passes over one pickle share.
struct Context {
  Checkpoint& checkpoint;
  const Limits& limits;
  std::unordered_map<NodeId, std::string> schedulers;   // instances of torch's schedulers, by class
  std::unordered_map<NodeId, NumpyDType> numpy_dtypes;  // of numpy.dtype objects
  std::unordered_map<NodeId, std::uint32_t> modules;  // values that the modules' own pass fills, by its index
  std::unordered_map<NodeId, std::optional<KnownGlobal>>
      globals;  // rows of the allow-list, by node of the name
  Origin origin = {};
  std::unordered_map<NodeId, SourcePtr> buffers = {};  // bytes of arrays that lie in no file, by their node
  std::unordered_map<NodeId, NodeId> encoded = {};     // bytes that _codecs.encode makes, by node of the text
  ValueGraph& graph() const { return checkpoint.values; }
  const std::optional<KnownGlobal>& find(NodeId global);
};

// One call, looked at; one object serves all calls in turn, so that its memory stays.
class Call {
 public:
  explicit Call(Context& shared) : context(shared), graph(shared.graph()) {}
  void look_at(NodeId call);

  Context& context;
  ValueGraph& graph;
  NodeId id = kNoNode;
  NodeId global = kNoNode;  // the class or function; of copyreg._reconstructor the class that is rebuilt
  std::optional<KnownGlobal> known;  // its row of the allow-list
  std::vector<NodeId> arguments;
  NodeId keywords = kNoNode;
  NodeId state = kNoNode;
  std::vector<NodeId> list_items, dict_items;
  bool instance = false;  // made by NEWOBJ, OBJ, INST or copyreg's functions, not called as a function

  std::string module() const { return std::string(graph.text(graph.module(global))); }  // as written
  std::string name() const { return std::string(graph.text(graph.attribute(global))); }
  std::string class_name() const { return modern_name(module(), name()); }
  [[noreturn]] void fail(const std::string& what) const;  // Code::bad_call with name and place
  void need_arguments(std::size_t least, std::size_t most) const;
  void need_nothing_after() const;  // no items, entries or state were put into the result

  // Replacing the call.
  void become(NodeId other);
  void become_text(std::string_view text) { become(graph.make_text(text, graph.at(id))); }
  void become_list(std::span<const NodeId> items) { become(graph.make_list(items, graph.at(id))); }
  void become_tensor(std::uint32_t index);
  // A change that the report describes: the class and what it became.
  void note_data(std::string_view became);
  void note(Code code, std::string what) { context.checkpoint.note(id, code, std::move(what)); }

 private:
  void make_instance_of_argument();
};

// Meanings of the roles that a handler knows; false when the role is not its business.
bool interpret_container(Call& call);
bool interpret_time_or_path(Call& call);
bool interpret_standard(Call& call);
bool interpret_numpy(Call& call);
bool interpret_instance(Call& call);  // everything else that may become plain data

// "UTC", "UTC+05:30": a time zone that is an offset.
std::string utc_offset_text(const Call& call, double seconds);

// The call becomes a tensor of one dimension over bytes in memory.
void become_tensor_of_bytes(Call& call, DType dtype, std::vector<std::byte> bytes, bool big_endian);

// Octets of bytes, byte_string and byte_array as they lie there; nullopt for other values.  Valid until text
// is added to the graph.
std::optional<std::string_view> plain_octets(const ValueGraph& graph, NodeId id);

// The same, and of text that holds Latin-1.
std::optional<std::string> octets(const ValueGraph& graph, NodeId id);

// The class of an instance's callee when the callee is a name; kNoNode otherwise.
NodeId callee_global(const ValueGraph& graph, NodeId call);

// Replaces every call that the handlers understand; `first` (torch's) is asked before Python's own.
// Throws Code::bad_call, Code::unsafe_global, Code::unsupported_value.
void interpret_calls(Context& context, const std::function<bool(Call&)>& first);

// Names that are left as values become their dotted name, Python 2 strings become text; `nodes` are those
// that the root reaches.
void settle_names_and_strings(Context& context, std::span<const NodeId> nodes);

}  // namespace ferry::python
