// An inert graph of Python values, as a pickle program describes it.  Nothing in it was ever executed.
//
// Nodes refer to each other by index, so sharing stays sharing, cycles are legal and the order of dicts is
// kept.  A node has 16 bytes; text and bytes live in one arena or in the pickle they came from; items of
// containers live in one pool.  Immutable values (None, numbers, text, tuples) may be shared by many parents:
// never change one in place, make a new node and set it into the parent.  The one exception is a `call`,
// which a pass replaces in place by what the call means, so that every parent sees the result.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"

namespace ferry {

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = 0xffffffff;

enum class Kind : std::uint8_t {
  // What a pickle program makes.
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  byte_string,
  bytes,
  byte_array,
  tuple,
  list,
  set,
  dict,
  global,      // a name: module and attribute
  persistent,  // a persistent id: items()[0] is the id
  call,        // a call that never happens: callee(), arguments(), extras
  // What passes make of calls.
  complex,
  tensor,
  storage,
  size,
  dtype,
  device,
  layout,
  composite,  // a tensor that torch makes of others: items() are the parts that its form names
};

enum class DictFlavor : std::uint8_t { plain, ordered, counter };

// How a composite tensor is put together, and from which parts, in order:
//   sparse_coo: indices, values, size[, is_coalesced]; sparse_csr, sparse_csc, sparse_bsr, sparse_bsc:
//   compressed indices, plain indices, values, size; nested: buffer, sizes, strides, offsets;
//   per_tensor (quantized): the integers, scale, zero point; per_channel, per_channel_float: the integers,
//   scales, zero points, axis.
// Source: the arguments of torch._utils._rebuild_sparse_tensor, _rebuild_nested_tensor and _rebuild_qtensor.
enum class Composite : std::uint8_t {
  sparse_coo,
  sparse_csr,
  sparse_csc,
  sparse_bsr,
  sparse_bsc,
  nested,
  per_tensor,
  per_channel,
  per_channel_float,
};
std::string_view composite_name(
    Composite form);                          // "sparse_coo", "per_tensor_affine": torch's layouts, schemes
std::string_view torch_name(Composite form);  // "torch.sparse_coo"
std::optional<Composite> composite_by_name(std::string_view name);
std::span<const std::string_view> part_names(Composite form);  // "indices", "values" …
inline constexpr bool is_quantized(Composite form) { return form >= Composite::per_tensor; }

enum class CallForm : std::uint8_t { reduce, newobj, newobj_ex, obj, inst };

struct Node {
  Kind kind = Kind::none;
  std::uint8_t aux =
      0;  // boolean value, DictFlavor, CallForm, Composite, frozen flag of a set, place of text
  std::uint16_t flags = 0;  // of a composite: kParameter, kRequiresGrad
  std::uint32_t at = 0;     // byte offset in the pickle where the value was made; saturates
  std::uint32_t a = 0;  // what a and b say depends on the kind: begin and count of items or characters, parts
  std::uint32_t b = 0;  // of a call or a global, an index, or together 64 bits of a number

  std::uint64_t word() const { return a | std::uint64_t{b} << 32; }
  void set_word(std::uint64_t value) {
    a = static_cast<std::uint32_t>(value);
    b = static_cast<std::uint32_t>(value >> 32);
  }
};
static_assert(sizeof(Node) == 16);
inline constexpr std::uint16_t kParameter = 1, kRequiresGrad = 2;

// What is done to the result of a call after it: items appended, entries set, state built.
struct CallExtras {
  std::vector<NodeId> list_items;
  std::vector<NodeId> dict_items;  // key, value, key, value …
  NodeId keyword_arguments = kNoNode;
  NodeId state = kNoNode;
  NodeId built_at = kNoNode;  // the number of nodes when BUILD ran: all that the state holds is older
  std::uint32_t build = 0;    // how many BUILDs ran before: what is inside is built first
};

struct Entry {
  NodeId key, value;
};

// Which nodes of a graph are kept, and the numbers that they get: without gaps, in the order of the old ones.
class KeptNodes {
 public:
  explicit KeptNodes(std::size_t count);
  void keep(NodeId id);
  void number();  // after the last keep()

  NodeId count() const { return count_; }
  NodeId operator[](NodeId old) const;    // the new number; kNoNode of a node that is gone
  NodeId count_before(NodeId old) const;  // nodes kept that are older than this one

 private:
  static constexpr NodeId kBits = 64;
  std::vector<std::uint64_t> words_;  // a bit for each node
  std::vector<NodeId> before_;        // nodes kept in all words before
  NodeId count_ = 0;
};

class ValueGraph {
 public:
  ValueGraph();

  // The pickle that text nodes point into; kept alive as long as the graph.
  void set_program(std::shared_ptr<const std::vector<std::byte>> program) { program_ = std::move(program); }

  // Room for that many nodes and items: memory is taken when it is used.
  void reserve(std::size_t nodes, std::size_t items) {
    nodes_.reserve(nodes);
    pool_.reserve(items);
  }

  NodeId root() const { return root_; }
  void set_root(NodeId root) { root_ = root; }
  std::size_t node_count() const { return nodes_.size(); }

  // Making values.  `at` is the byte offset for messages.
  NodeId make_none() const { return kNone; }
  NodeId make_boolean(bool value) const { return value ? kTrue : kFalse; }
  NodeId make_integer(std::int64_t value, std::uint32_t at = 0);
  NodeId make_big_integer(Bytes two_complement_le, std::uint32_t at = 0);
  NodeId make_real(double value, std::uint32_t at = 0);
  NodeId make_complex(double re, double im, std::uint32_t at = 0);
  NodeId make_text(std::string_view utf8, std::uint32_t at = 0);    // copied into the arena
  NodeId make_bytes(Kind kind, Bytes bytes, std::uint32_t at = 0);  // bytes, byte_array, byte_string
  NodeId make_slice(Kind kind, std::uint64_t begin, std::uint64_t size,
                    std::uint32_t at);  // a slice of the program
  NodeId make_tuple(std::span<const NodeId> items, std::uint32_t at = 0);
  NodeId make_container(Kind kind, std::uint8_t aux = 0,
                        std::uint32_t at = 0);  // an empty list, set, dict, size …
  NodeId make_list(std::span<const NodeId> items, std::uint32_t at = 0);
  NodeId make_dict(DictFlavor flavor, std::uint32_t at = 0);
  NodeId make_composite(Composite form, std::uint16_t flags, std::span<const NodeId> parts,
                        std::uint32_t at = 0);
  NodeId make_global(NodeId module, NodeId name, std::uint32_t at);
  NodeId make_persistent(NodeId id, std::uint32_t at);
  NodeId make_call(NodeId callee, NodeId arguments, CallForm form, std::uint32_t at);
  NodeId make_indexed(Kind kind, std::uint32_t index, std::uint32_t at = 0);  // tensor, storage, dtype

  // Looking at values.
  Kind kind(NodeId id) const { return nodes_[id].kind; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  std::uint32_t at(NodeId id) const { return nodes_[id].at; }
  bool boolean(NodeId id) const { return nodes_[id].aux != 0; }
  std::int64_t integer(NodeId id) const { return static_cast<std::int64_t>(nodes_[id].word()); }
  double real(NodeId id) const { return std::bit_cast<double>(nodes_[id].word()); }
  std::pair<double, double> complex(NodeId id) const;
  std::uint32_t index(NodeId id) const { return nodes_[id].a; }
  // The characters of text (UTF-8, surrogates passed), device and layout; the octets of the other byte kinds.
  std::string_view text(NodeId id) const;
  bool is_text(NodeId id) const { return kind(id) == Kind::text; }
  bool is_text(NodeId id, std::string_view value) const { return is_text(id) && text(id) == value; }
  std::optional<std::int64_t> as_integer(NodeId id) const;   // integers and booleans
  std::optional<std::string_view> as_text(NodeId id) const;  // text and byte_string
  std::string integer_text(NodeId id) const;                 // decimal digits of integer and big_integer
  bool is_container(NodeId id) const;
  DictFlavor flavor(NodeId id) const { return static_cast<DictFlavor>(nodes_[id].aux); }
  Composite composite(NodeId id) const { return static_cast<Composite>(nodes_[id].aux); }
  bool is_tensor(NodeId id) const { return kind(id) == Kind::tensor || kind(id) == Kind::composite; }
  bool frozen(NodeId id) const { return nodes_[id].aux != 0; }
  CallForm form(NodeId id) const { return static_cast<CallForm>(nodes_[id].aux); }
  NodeId callee(NodeId id) const { return nodes_[id].a; }
  NodeId arguments(NodeId id) const { return nodes_[id].b; }
  NodeId module(NodeId id) const { return nodes_[id].a; }  // of a global
  NodeId attribute(NodeId id) const { return nodes_[id].b; }
  std::string dotted_name(NodeId global) const;  // "collections.OrderedDict"

  // Items of tuple, list, set, size; parts of a composite; keys and values in turn of a dict; the id of a
  // persistent reference. The span is valid until items are added anywhere.
  std::span<const NodeId> items(NodeId id) const;
  std::size_t entry_count(NodeId dict) const { return items(dict).size() / 2; }
  Entry entry(NodeId dict, std::size_t i) const;
  NodeId find(NodeId dict, std::string_view key) const;  // the value under a text key, or kNoNode

  // Changing containers.
  void append(NodeId id, std::span<const NodeId> items);
  void set_items(NodeId id, std::span<const NodeId> items);
  void set_entry(NodeId dict, std::string_view key, NodeId value);  // replaces, or adds at the end
  void replace(NodeId id, Node node) { nodes_[id] = node; }         // of a call by what it means
  void become(NodeId id, NodeId other);  // `id` takes kind, items, attributes of `other`
  void become_dict(NodeId id, DictFlavor flavor, std::span<const NodeId> entries);  // key, value, key …
  void become_indexed(NodeId id, Kind kind, std::uint32_t index);                   // tensor, storage, dtype

  // Python attributes of a dict (state_dict._metadata), a dict node; kNoNode when there are none.
  NodeId attributes(NodeId id) const;
  void set_attributes(NodeId id, NodeId dict);

  // Extras of a call; made on demand.
  const CallExtras* extras(NodeId call) const;
  CallExtras& make_extras(NodeId call);
  void drop_extras(NodeId call) { extras_.erase(call); }
  // Every call, each after all that it needs: by age, calls with a state at the place of their BUILD.
  std::vector<NodeId> calls_in_order() const;

  // Children of a node in order: items, attributes, parts of calls.
  void children(NodeId id, std::vector<NodeId>& out) const;
  // Every node that the root reaches, parents before their first child; iterative.
  std::vector<NodeId> reachable(NodeId from) const { return reachable(std::span(&from, 1)); }
  std::vector<NodeId> reachable(std::span<const NodeId> from) const;
  std::vector<NodeId> reachable() const { return reachable(root_); }

  // Forgets every node that neither the root nor `also` reaches, and the program where little of its text is
  // left.  All other nodes get new numbers, which are returned.
  KeptNodes forget_unreachable(std::span<const NodeId> also);

 private:
  // Values that are there from the start, one node for all who have them.
  static constexpr NodeId kNone = 0, kFalse = 1, kTrue = 2, kFirstSmall = 3;
  static constexpr std::int64_t kSmallLeast = -5, kSmallMost = 256;  // integers
  static constexpr NodeId kEmptyTuple = kFirstSmall + static_cast<NodeId>(kSmallMost - kSmallLeast) + 1;
  static constexpr NodeId kFirstOwn = kEmptyTuple + 1;
  static constexpr std::uint8_t kInArena = 1;                // Node::aux of text: not in the program
  static constexpr std::uint64_t kAddressable = 0xffffffff;  // what a node can point at

  static bool lies_in_program(const Node& node);
  void renumber(const KeptNodes& kept);
  void forget_program(std::uint64_t characters);
  NodeId add(Kind kind, std::uint8_t aux, std::uint32_t at, std::uint32_t a, std::uint32_t b);
  std::pair<std::uint32_t, std::uint32_t> store(std::string_view characters);

  std::vector<Node> nodes_;
  std::vector<NodeId> pool_;  // items: [a, a + b), room up to the next power of two
  std::string arena_;
  std::shared_ptr<const std::vector<std::byte>> program_;
  std::unordered_map<NodeId, CallExtras> extras_;
  std::unordered_map<NodeId, NodeId> attributes_;
  NodeId root_ = 0;
};

// What happens to two equal keys of one dict: Python's own rule (the first place, the last value), or an
// error.
enum class Repeats : std::uint8_t { merge, refuse };

// Checks what Python's own objects would have refused in the dicts, sets and calls among `nodes`: unhashable
// keys and items; and repeated keys as told.  Throws Code::bad_pickle, Code::key_collision.
void check_keys(ValueGraph& graph, Repeats repeats, std::span<const NodeId> nodes);

// Throws Code::too_deep when the values below the root are nested deeper than `depth_max`.
void check_depth(const ValueGraph& graph, std::size_t depth_max);

}  // namespace ferry
