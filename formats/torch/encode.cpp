#include "formats/torch/encode.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "formats/pickle/emitter.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

using pickle::Emitter;
using pickle::Op;

// Python 3 reads the name of Python 2 as its own in programs of protocol 2 (pickle's fix_imports).
constexpr std::string_view kBuiltins = "builtins", kBuiltins2 = "__builtin__";
constexpr std::size_t kBatch = 1000;  // items between a MARK and its end, as Python's own pickler has it

// How often each value is referred to, so that only shared ones go to the memo.
class References {
 public:
  explicit References(const ValueGraph& graph) : graph_(graph), counts_(graph.node_count()) {
    std::vector<NodeId> stack{graph.root()}, parts;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      if (counts_[id] < 2 && ++counts_[id] > 1) continue;
      if (counts_[id] > 1) continue;
      parts.clear();
      graph.children(id, parts);
      stack.insert(stack.end(), parts.begin(), parts.end());
    }
  }
  bool shared(NodeId id) const { return counts_[id] > 1; }

 private:
  const ValueGraph& graph_;
  std::vector<std::uint8_t> counts_;
};

class Encoder {
 public:
  Encoder(const Checkpoint& checkpoint, Dialect dialect)
      : dialect_(dialect),
        checkpoint_(checkpoint),
        graph_(checkpoint.values),
        references_(graph_),
        memo_(graph_.node_count(), kNoNode),
        open_(graph_.node_count()),
        storage_keys_(checkpoint.storages.size(), kNoStorage) {}

  EncodedProgram run() {
    out_.proto();
    begin(graph_.root());
    while (!frames_.empty()) step();
    out_.op(Op::stop);
    return {out_.take(), std::move(storage_order_)};
  }

 private:
  // A container that is being written: its items, and how far they are.
  struct Frame {
    NodeId id;
    std::uint32_t next;  // the item that comes next; items + 1 when the attributes have been written
  };

  struct WrittenGlobal {
    const char *module, *name;
    std::uint32_t memo;
  };

  // --- names and texts that repeat

  // Names come from literals and tables, so that their addresses tell them apart; there are few.
  void global(std::string_view module, std::string_view name) {
    for (const WrittenGlobal& known : globals_)
      if (known.name == name.data() && known.module == module.data()) return out_.get(known.memo);
    out_.global(module, name);
    globals_.push_back({module.data(), name.data(), out_.put()});
  }

  // A text that the encoder itself repeats, such as "storage": always worth a place in the memo; there are
  // few.
  void fixed_text(std::string_view value) {
    for (const auto& [text, memo] : texts_)
      if (text == value) return out_.get(memo);
    out_.text(value);
    constexpr std::size_t kKnownMost = 64;  // the walk above stays short whatever a file names its devices
    if (texts_.size() < kKnownMost) texts_.emplace_back(value, out_.put());
  }

  void builtin(std::string_view name) { global(dialect_ == Dialect::legacy ? kBuiltins2 : kBuiltins, name); }

  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    out_.op(Op::empty_tuple);
    out_.op(Op::reduce);
  }

  // --- leaves

  void numbers(std::span<const std::int64_t> values) {
    if (values.empty()) return out_.op(Op::empty_tuple);
    if (values.size() > 3) out_.op(Op::mark);
    for (const std::int64_t value : values) out_.integer(value);
    static constexpr std::array kTuples = {Op::tuple1, Op::tuple2, Op::tuple3};
    out_.op(values.size() > 3 ? Op::tuple : kTuples[values.size() - 1]);
  }

  // bytes and bytearray come as text of Latin-1 characters and the name of the codec.
  void octets(std::string_view module, std::string_view name, std::string_view value,
              std::string_view codec) {
    global(module, name);
    out_.text(latin1_to_utf8(value));
    fixed_text(codec);
    out_.op(Op::tuple2);
    out_.op(Op::reduce);
  }

  void complex_number(NodeId id) {
    builtin("complex");
    const auto [re, im] = graph_.complex(id);
    out_.real(re);
    out_.real(im);
    out_.op(Op::tuple2);
    out_.op(Op::reduce);
  }

  void dtype(DType type) { global("torch", info(type).name); }

  void device(std::string_view name) {
    global("torch", "device");
    const std::size_t colon = name.find(':');
    fixed_text(name.substr(0, colon));
    if (colon != std::string_view::npos) out_.integer(std::stol(std::string(name.substr(colon + 1, 9))));
    out_.op(colon != std::string_view::npos ? Op::tuple2 : Op::tuple1);
    out_.op(Op::reduce);
  }

  void layout(std::string_view name) {
    global("torch.serialization", "_get_layout");
    fixed_text(name);
    out_.op(Op::tuple1);
    out_.op(Op::reduce);
  }

  // --- storages and tensors

  void persistent(std::uint32_t storage) {
    const Storage& row = checkpoint_.storages[storage];
    if (storage_keys_[storage] == kNoStorage) {
      storage_keys_[storage] = static_cast<std::uint32_t>(storage_order_.size());
      storage_order_.push_back(storage);
    }
    out_.op(Op::mark);
    fixed_text("storage");
    if (row.untyped)
      global("torch.storage", "UntypedStorage");
    else
      global("torch", info(row.dtype).storage_class);
    out_.text(std::to_string(storage_keys_[storage]));
    fixed_text(checkpoint_.devices[row.device]);
    out_.integer(static_cast<std::int64_t>(row.kept_size() / (row.untyped ? 1u : info(row.dtype).itemsize)));
    if (dialect_ == Dialect::legacy) out_.op(Op::none);  // it is no view of another storage
    out_.op(Op::tuple);
    out_.op(Op::persistent);
  }

  void metadata(const Tensor& tensor) {
    out_.op(Op::empty_dict);
    for (const auto& [name, set] : {std::pair{"conj", tensor.conjugated}, std::pair{"neg", tensor.negated}}) {
      if (!set) continue;
      fixed_text(name);
      out_.boolean(true);
      out_.op(Op::setitem);
    }
  }

  void meta_tensor(const Tensor& tensor) {
    global("torch._utils", "_rebuild_meta_tensor_no_storage");
    out_.op(Op::mark);
    dtype(tensor.dtype);
    numbers(checkpoint_.shape(tensor));
    numbers(checkpoint_.strides(tensor));
    out_.boolean(tensor.requires_grad);
    out_.op(Op::tuple);
    out_.op(Op::reduce);
  }

  void strided_tensor(const Tensor& tensor) {
    const bool untyped = checkpoint_.storages[tensor.storage].untyped;
    global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    out_.op(Op::mark);
    persistent(tensor.storage);
    out_.integer(tensor.offset);
    numbers(checkpoint_.shape(tensor));
    numbers(checkpoint_.strides(tensor));
    out_.boolean(tensor.requires_grad && !tensor.parameter);
    empty_ordered_dict();
    if (untyped) dtype(tensor.dtype);
    if (tensor.conjugated || tensor.negated) metadata(tensor);
    out_.op(Op::tuple);
    out_.op(Op::reduce);
  }

  void tensor(std::uint32_t index) {
    const Tensor& row = checkpoint_.tensors[index];
    if (row.parameter) {
      global("torch._utils", "_rebuild_parameter");
      out_.op(Op::mark);
    }
    if (row.storage == kNoStorage)
      meta_tensor(row);
    else
      strided_tensor(row);
    if (!row.parameter) return;
    out_.boolean(row.requires_grad);
    empty_ordered_dict();
    out_.op(Op::tuple);
    out_.op(Op::reduce);
  }

  // --- any value: leaves at once, containers by a frame

  void begin(NodeId id) {
    if (memo_[id] != kNoNode) return out_.get(memo_[id]);
    switch (graph_.kind(id)) {
      case Kind::none:
        return out_.op(Op::none);
      case Kind::boolean:
        return out_.boolean(graph_.boolean(id));
      case Kind::integer:
        return out_.integer(graph_.integer(id));
      case Kind::big_integer:
        return out_.big_integer(graph_.text(id));
      case Kind::real:
        return out_.real(graph_.real(id));
      case Kind::text:
        out_.text(graph_.text(id));
        return remember(id);
      case Kind::dtype:
        return dtype(static_cast<DType>(graph_.index(id)));
      case Kind::complex:
        complex_number(id);
        return remember(id);
      case Kind::bytes:
        octets("_codecs", "encode", graph_.text(id), "latin1");
        return remember(id);
      case Kind::byte_array:
        octets(dialect_ == Dialect::legacy ? kBuiltins2 : kBuiltins, "bytearray", graph_.text(id), "latin-1");
        return remember(id);
      case Kind::device:
        device(graph_.text(id));
        return remember(id);
      case Kind::layout:
        layout(graph_.text(id));
        return remember(id);
      case Kind::storage:
        persistent(graph_.index(id));
        return remember(id);
      case Kind::tensor:
        tensor(graph_.index(id));
        return remember(id);
      case Kind::tuple:
      case Kind::size:
      case Kind::list:
      case Kind::set:
      case Kind::dict:
      case Kind::composite:
        return begin_container(id);
      case Kind::byte_string:
      case Kind::global:
      case Kind::persistent:
      case Kind::call:
        break;
    }
    throw Error(Code::unsupported_value, "a value has no form that weights_only reads").at(graph_.at(id));
  }

  void remember(NodeId id) {
    if (references_.shared(id)) memo_[id] = out_.put();
  }

  void begin_container(NodeId id) {
    if (open_[id])
      throw Error(Code::unsupported_value, "a tuple that holds itself cannot be written").at(graph_.at(id));
    const bool mutable_now = graph_.kind(id) == Kind::list ||
                             (graph_.kind(id) == Kind::dict && graph_.flavor(id) != DictFlavor::counter);
    switch (graph_.kind(id)) {
      case Kind::tuple:
        if (graph_.items(id).empty()) return out_.op(Op::empty_tuple);
        if (graph_.items(id).size() > 3) out_.op(Op::mark);
        break;
      case Kind::size:
        global("torch", "Size");
        out_.op(Op::mark);
        break;
      case Kind::list:
        out_.op(Op::empty_list);
        break;
      case Kind::set:
        builtin("set");
        out_.op(Op::empty_list);
        break;
      case Kind::composite:
        if (begin_composite(id)) {  // its first part is written with it
          open_[id] = true;
          frames_.push_back({id, 1});
          return;
        }
        break;
      default:
        begin_dict(id);
        break;
    }
    // Lists and dicts go to the memo before their items, so that they can hold themselves.
    if (mutable_now)
      remember(id);
    else
      open_[id] = true;
    frames_.push_back({id, 0});
  }

  // --- composite tensors: how each begins, the parts come as items, and how it ends

  // True when the first part has been written: the integers of a quantized tensor are a storage and a window.
  bool begin_composite(NodeId id) {
    const Composite form = graph_.composite(id);
    if ((graph_.node(id).flags & kParameter) != 0) {
      global("torch._utils", "_rebuild_parameter");
      out_.op(Op::mark);
    }
    if (is_quantized(form)) {
      begin_quantized(id, form);
      return true;
    }
    global("torch._utils", form == Composite::nested ? "_rebuild_nested_tensor" : "_rebuild_sparse_tensor");
    if (form != Composite::nested) layout(torch_name(form));
    out_.op(Op::mark);
    return false;
  }

  void begin_quantized(NodeId id, Composite form) {
    const Tensor& integers = checkpoint_.tensors[graph_.index(graph_.items(id)[0])];
    global("torch._utils", "_rebuild_qtensor");
    out_.op(Op::mark);
    persistent(integers.storage);
    out_.integer(integers.offset);
    numbers(checkpoint_.shape(integers));
    numbers(checkpoint_.strides(integers));
    out_.op(Op::mark);
    global("torch", composite_name(form));
  }

  void end_composite(NodeId id) {
    const Composite form = graph_.composite(id);
    const std::uint16_t flags = graph_.node(id).flags;
    const bool parameter = (flags & kParameter) != 0, requires_grad = (flags & kRequiresGrad) != 0;
    out_.op(Op::tuple);
    if (is_quantized(form)) {
      out_.boolean(requires_grad && !parameter);
      empty_ordered_dict();
      out_.op(Op::tuple);
    } else if (form != Composite::nested) {
      out_.op(Op::tuple2);
    }
    out_.op(Op::reduce);
    if (parameter) {
      out_.boolean(requires_grad);
      empty_ordered_dict();
      out_.op(Op::tuple);
      out_.op(Op::reduce);
    }
    remember(id);
  }

  // Before 2.1 a sparse tensor had three parts; whether it is coalesced was not kept.
  std::span<const NodeId> written_items(NodeId id) const {
    const auto items = graph_.items(id);
    const bool cut = dialect_ == Dialect::legacy && graph_.kind(id) == Kind::composite &&
                     graph_.composite(id) == Composite::sparse_coo;
    return cut ? items.first(3) : items;
  }

  void begin_dict(NodeId id) {
    switch (graph_.flavor(id)) {
      case DictFlavor::plain:
        return out_.op(Op::empty_dict);
      case DictFlavor::ordered:
        return empty_ordered_dict();
      case DictFlavor::counter:
        global("collections", "Counter");
        return out_.op(Op::empty_dict);
    }
  }

  void step() {
    Frame& frame = frames_.back();
    const NodeId id = frame.id;
    const auto items = written_items(id);
    const Kind kind = graph_.kind(id);
    const bool batched = kind == Kind::list || kind == Kind::set || kind == Kind::dict;
    const std::size_t width = kind == Kind::dict ? 2 * kBatch : kBatch;
    if (batched && frame.next <= items.size() && frame.next > 0 &&
        (frame.next % width == 0 || frame.next == items.size()))
      out_.op(kind == Kind::dict ? Op::setitems : Op::appends);
    if (frame.next < items.size()) {
      if (batched && frame.next % width == 0) out_.op(Op::mark);
      begin(items[frame.next++]);  // may push a frame: `frame` is not used after this
      return;
    }
    if (const NodeId attributes = kind == Kind::dict ? graph_.attributes(id) : kNoNode;
        attributes != kNoNode) {
      if (frame.next == items.size()) {
        frame.next = static_cast<std::uint32_t>(items.size()) + 1;
        begin(attributes);
        return;
      }
      out_.op(Op::build);
    }
    frames_.pop_back();
    end(id);
  }

  void end(NodeId id) {
    open_[id] = false;
    switch (graph_.kind(id)) {
      case Kind::tuple: {
        const std::size_t count = graph_.items(id).size();
        static constexpr std::array kTuples = {Op::tuple1, Op::tuple2, Op::tuple3};
        out_.op(count > 3 ? Op::tuple : kTuples[count - 1]);
        return remember(id);
      }
      case Kind::size:
        out_.op(Op::tuple);
        out_.op(Op::tuple1);
        out_.op(Op::reduce);
        return remember(id);
      case Kind::set:
        out_.op(Op::tuple1);
        out_.op(Op::reduce);
        return remember(id);
      case Kind::composite:
        return end_composite(id);
      case Kind::dict:
        if (graph_.flavor(id) != DictFlavor::counter) return;
        out_.op(Op::tuple1);
        out_.op(Op::reduce);
        return remember(id);
      default:
        return;
    }
  }

  const Dialect dialect_;
  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  References references_;
  Emitter out_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> memo_;  // by node: its memo index, or kNoNode
  std::vector<bool> open_;           // tuples and sets that are being written
  std::vector<std::uint32_t> storage_keys_, storage_order_;
  std::vector<WrittenGlobal> globals_;
  std::vector<std::pair<std::string_view, std::uint32_t>> texts_;
};

}  // namespace

EncodedProgram encode(const Checkpoint& checkpoint, Dialect dialect) {
  return Encoder(checkpoint, dialect).run();
}

}  // namespace ferry::torch
