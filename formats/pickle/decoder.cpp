#include "formats/pickle/decoder.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "formats/pickle/joblib.h"
#include "formats/pickle/numbers.h"
#include "formats/pickle/scan.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pickle {
namespace {

// The memo: a vector where indices are dense, as every real pickler writes them, and a map for the rest, so
// that an index of 2^32 − 1 costs one entry.
class Memo {
 public:
  void put(std::uint64_t index, NodeId value) {
    if (index < used_ + 1024) {
      if (index >= dense_.size())
        dense_.resize(std::max<std::size_t>(static_cast<std::size_t>(index) + 1, 2 * used_), kNoNode);
      used_ = std::max(used_, static_cast<std::size_t>(index) + 1);
      count_ += dense_[static_cast<std::size_t>(index)] == kNoNode ? 1u : 0u;
      dense_[static_cast<std::size_t>(index)] = value;
      return;
    }
    count_ += sparse_.contains(index) ? 0u : 1u;
    sparse_[index] = value;
  }
  NodeId get(std::uint64_t index) const {
    if (index < dense_.size() && dense_[static_cast<std::size_t>(index)] != kNoNode)
      return dense_[static_cast<std::size_t>(index)];
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? kNoNode : found->second;
  }
  std::uint64_t size() const { return count_; }

 private:
  std::vector<NodeId> dense_;
  std::unordered_map<std::uint64_t, NodeId> sparse_;
  std::uint64_t count_ = 0;
  std::size_t used_ = 0;  // of dense_: it grows by doubling
};

class Machine {
 public:
  Machine(Program program, GlobalLog& globals, Dialect dialect)
      : program_(std::move(program)), bytes_(*program_), globals_(globals), dialect_(dialect) {
    decoded_.graph.set_program(program_);
    decoded_.program = program_;
    // What programs of real checkpoints make of their bytes; more grows as it comes.
    decoded_.graph.reserve(bytes_.size() / 8, bytes_.size() / 6);
  }

  Decoded run(std::size_t begin) {
    graph().set_root(run_program(begin));
    decoded_.size = current_.next - begin;
    check_keys(graph(), Repeats::merge, keyed_);
    return std::move(decoded_);
  }

 private:
  // Runs the program that starts at `at`; current_ is its STOP after it.
  NodeId run_program(std::size_t at) {
    while (true) {
      current_ = read_instruction(bytes_, at);
      ++decoded_.opcodes[static_cast<std::uint8_t>(current_.opcode->op)];
      if (current_.opcode->op == Op::stop) break;
      step();
      at = current_.next;
    }
    const NodeId result = pop();
    if (!marks_.empty()) fail("STOP comes with a MARK still open");
    return result;
  }

  ValueGraph& graph() { return decoded_.graph; }
  std::uint32_t at() const {
    return static_cast<std::uint32_t>(std::min<std::size_t>(current_.at, 0xffffffff));
  }
  std::string name() const { return std::string(current_.opcode->name); }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Code::bad_pickle, what).at(current_.at);
  }

  // --- operands

  std::string_view operand() const {
    return as_text(bytes_.subspan(current_.operand_begin, current_.operand_size));
  }
  template <typename T>
  T number() const {
    return load_le<T>(bytes_.data() + current_.operand_begin);
  }
  std::uint64_t index_text() const {
    std::uint64_t index = 0;
    const std::string_view line = operand();
    const auto end = std::from_chars(line.data(), line.data() + line.size(), index);
    if (end.ec != std::errc() || end.ptr != line.data() + line.size() || line.empty())
      fail(name() + " has no memo index: " + quote(line, 40));
    return index;
  }

  // --- stack

  void push(NodeId id) { stack_.push_back(id); }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  void need(std::size_t count) const {
    if (stack_.size() - floor() < count)
      fail(name() + " needs " + std::to_string(count) + " values on the stack");
  }
  NodeId pop() {
    need(1);
    const NodeId id = stack_.back();
    stack_.pop_back();
    return id;
  }
  NodeId top() const {
    need(1);
    return stack_.back();
  }
  // The values above the last mark; the mark and they are gone.  Valid until the next push.
  std::span<const NodeId> pop_to_mark() {
    if (marks_.empty()) fail(name() + " without a MARK");
    const std::size_t begin = marks_.back();
    marks_.pop_back();
    above_.assign(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
    stack_.resize(begin);
    return above_;
  }

  // --- values

  void push_slice(Kind kind) {
    push(graph().make_slice(kind, current_.operand_begin, current_.operand_size, at()));
  }

  void push_text_slice() {
    if (!is_utf8(operand(), true)) fail(name() + " holds bytes that are no UTF-8");
    push_slice(Kind::text);
  }

  void push_integer_line(std::string_view line) {
    const auto octets = parse_integer(line);
    if (!octets) fail(name() + " is no integer: " + quote(line, 40));
    push(graph().make_big_integer(*octets, at()));
  }

  void integer_line() {
    if (operand() == "00") return push(graph().make_boolean(false));
    if (operand() == "01") return push(graph().make_boolean(true));
    push_integer_line(operand());
  }

  void long_line() {
    std::string_view line = operand();
    if (line.ends_with('L')) line.remove_suffix(1);
    push_integer_line(line);
  }

  void real_line() {
    const auto value = parse_real(operand());
    if (!value) fail("FLOAT is no number: " + quote(operand(), 40));
    push(graph().make_real(*value, at()));
  }

  void string_line() {
    const auto value = parse_string_literal(operand());
    if (!value) fail("STRING is no quoted string");
    push(graph().make_bytes(Kind::byte_string, as_bytes(*value), at()));
  }

  void unicode_line() {
    const auto value = parse_raw_unicode_escape(operand());
    if (!value) fail("UNICODE has a bad escape");
    push(graph().make_text(*value, at()));
  }

  void big_endian_real() {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i)
      bits = bits << 8 | std::to_integer<std::uint64_t>(bytes_[current_.operand_begin + i]);
    push(graph().make_real(std::bit_cast<double>(bits), at()));
  }

  void push_tuple(std::size_t count) {
    need(count);
    const auto items = std::span<const NodeId>(stack_).last(count);
    const NodeId id = graph().make_tuple(items, at());
    stack_.resize(stack_.size() - count);
    push(id);
  }

  // --- containers

  void append_to(NodeId target, std::span<const NodeId> items) {
    switch (graph().kind(target)) {
      case Kind::list:
        return graph().append(target, items);
      case Kind::call: {
        auto& list = graph().make_extras(target).list_items;
        list.insert(list.end(), items.begin(), items.end());
        return;
      }
      default:
        fail(name() + " on a value that is no list");
    }
  }

  void set_in(NodeId target, std::span<const NodeId> pairs) {
    if (pairs.size() % 2 != 0) fail(name() + " has a key without a value");
    switch (graph().kind(target)) {
      case Kind::dict:
        return graph().append(target, pairs);
      case Kind::call: {
        auto& entries = graph().make_extras(target).dict_items;
        if (entries.empty()) keyed_.push_back(target);
        entries.insert(entries.end(), pairs.begin(), pairs.end());
        return;
      }
      default:
        fail(name() + " on a value that is no dict");
    }
  }

  void add_items() {
    const auto items = pop_to_mark();
    if (graph().kind(top()) != Kind::set || graph().frozen(top())) fail("ADDITEMS on a value that is no set");
    graph().append(top(), items);
  }

  void push_dict_of(std::span<const NodeId> pairs) {
    const NodeId id = graph().make_dict(DictFlavor::plain, at());
    keyed_.push_back(id);
    set_in(id, pairs);
    push(id);
  }

  void push_set(bool frozen, std::span<const NodeId> items) {
    const NodeId id = graph().make_container(Kind::set, frozen ? 1 : 0, at());
    keyed_.push_back(id);
    graph().append(id, items);
    push(id);
  }

  // --- names and calls

  void push_global(std::string_view module, std::string_view name, NodeId module_text, NodeId name_text) {
    const NodeId id = graph().make_global(module_text, name_text, at());
    global_uses_[id] = globals_.note(module, name, current_.at);
    push(id);
  }

  // Module and name of GLOBAL and INST: two lines.
  void push_global_lines() {
    const std::string_view both = operand();
    const std::size_t cut = both.find('\n');
    if (!is_utf8(both, false)) fail(name() + " names bytes that are no UTF-8");
    const std::size_t begin = current_.operand_begin;
    const NodeId module = graph().make_slice(Kind::text, begin, cut, at());
    const NodeId name = graph().make_slice(Kind::text, begin + cut + 1, both.size() - cut - 1, at());
    push_global(both.substr(0, cut), both.substr(cut + 1), module, name);
  }

  void stack_global() {
    const NodeId name = pop(), module = pop();
    if (!graph().is_text(module) || !graph().is_text(name)) fail("STACK_GLOBAL takes two texts");
    push_global(std::string(graph().text(module)), std::string(graph().text(name)), module, name);
  }

  // Notes that the callee is called or instantiated; refuses what cannot be called at all.
  void note_call(NodeId callee, bool instantiated) {
    if (graph().kind(callee) == Kind::persistent) {
      // ('module', class, file, source), before 0.1.10 (class, file, source): the class of a module pickled
      // by torch ≤ 1.5 comes as a persistent id.
      const NodeId id = graph().items(callee)[0];
      if (graph().kind(id) == Kind::tuple && graph().items(id).size() > 1)
        callee = graph().items(id)[graph().kind(graph().items(id)[0]) == Kind::global ? 0 : 1];
    }
    const auto use = global_uses_.find(callee);
    if (use == global_uses_.end()) {
      if (graph().kind(callee) == Kind::call)
        throw Error(Code::unsafe_global, "the result of a call is called as a function").at(current_.at);
      fail(name() + " of a value that is no function or class");
    }
    auto& entry = globals_[use->second];
    (instantiated ? entry.instantiated : entry.called) = true;
  }

  bool is_bare_enum(NodeId callee, CallForm form) const {
    return dialect_ == Dialect::torchscript && form == CallForm::reduce &&
           decoded_.graph.kind(callee) == Kind::global &&
           decoded_.graph.text(decoded_.graph.module(callee)).starts_with("__torch__");
  }

  void push_call(NodeId callee, NodeId arguments, CallForm form) {
    if (graph().kind(arguments) != Kind::tuple) {
      if (!is_bare_enum(callee, form)) fail(name() + " with arguments that are no tuple");
      arguments = graph().make_tuple({&arguments, 1}, at());
    }
    note_call(callee, form != CallForm::reduce);
    push(graph().make_call(callee, arguments, form, at()));
  }

  bool is_name(NodeId id, std::string_view module, std::string_view name) {
    return graph().kind(id) == Kind::global && graph().is_text(graph().module(id), module) &&
           graph().is_text(graph().attribute(id), name);
  }

  // getattr(ZoneInfo, '_unpickle'), which is called in its turn: how Python pickles a time zone.  It is the
  // name of a function, as protocol 4 could have written it.
  bool push_zone_info(NodeId callee, NodeId arguments) {
    const auto items = graph().items(arguments);
    if (!(is_name(callee, "builtins", "getattr") || is_name(callee, "__builtin__", "getattr")) ||
        items.size() != 2 || !is_name(items[0], "zoneinfo", "ZoneInfo") ||
        !graph().is_text(items[1], "_unpickle"))
      return false;
    constexpr std::string_view kName = "ZoneInfo._unpickle";
    const NodeId module = graph().module(items[0]);
    push_global("zoneinfo", kName, module, graph().make_text(kName, at()));
    return true;
  }

  void call(CallForm form) {
    const NodeId arguments = pop(), callee = pop();
    if (form == CallForm::reduce && push_zone_info(callee, arguments)) return;
    push_call(callee, arguments, form);
  }

  void newobj_ex() {
    const NodeId keywords = pop(), arguments = pop(), callee = pop();
    if (graph().kind(keywords) != Kind::dict) fail("NEWOBJ_EX with keywords that are no dict");
    push_call(callee, arguments, CallForm::newobj_ex);
    if (graph().entry_count(keywords) > 0) graph().make_extras(stack_.back()).keyword_arguments = keywords;
  }

  void inst() {
    const auto items = pop_to_mark();
    const NodeId arguments = graph().make_tuple(items, at());
    push_global_lines();
    push_call(pop(), arguments, CallForm::inst);
  }

  void obj() {
    const auto items = pop_to_mark();
    if (items.empty()) fail("OBJ without a class");
    const NodeId arguments = graph().make_tuple(items.subspan(1), at());
    push_call(items[0], arguments, CallForm::obj);
  }

  void build() {
    const NodeId state = pop();
    if (graph().kind(top()) != Kind::call) fail("BUILD on a value that has no attributes");
    CallExtras& extras = graph().make_extras(top());
    if (extras.state != kNoNode) fail("BUILD on a value that was built already");
    extras.state = state;
    if (is_joblib_array(graph(), top())) take_joblib_data(state);
    extras.built_at = static_cast<NodeId>(graph().node_count());
    extras.build = builds_++;
  }

  // The data of an array that joblib.dump wrote into the stream, behind the BUILD of its description: it
  // becomes the entry "data" of the description, and the next instruction comes after it.
  void take_joblib_data(NodeId description) {
    const JoblibData data = find_joblib_data(graph(), description, bytes_, current_);
    const NodeId value =
        data.pickled ? run_inner(data.begin) : graph().make_slice(Kind::bytes, data.begin, data.size, at());
    if (!data.pickled) current_.next = data.begin + data.size;
    graph().set_entry(description, "data", value);
  }

  // A pickle inside this one, with stack and memo of its own: an array of objects of joblib.
  NodeId run_inner(std::size_t begin) {
    if (inner_++ > 0) fail("arrays of joblib hold each other");
    const Instruction outer = current_;
    std::vector<NodeId> stack = std::exchange(stack_, {});
    std::vector<std::size_t> marks = std::exchange(marks_, {});
    Memo memo = std::exchange(memo_, {});
    const NodeId result = run_program(begin);
    const std::size_t next = current_.next;
    stack_ = std::move(stack);
    marks_ = std::move(marks);
    memo_ = std::move(memo);
    current_ = outer;
    current_.next = next;
    --inner_;
    return result;
  }

  // --- memo

  void put(std::uint64_t index) { memo_.put(index, top()); }
  void get(std::uint64_t index) {
    const NodeId id = memo_.get(index);
    if (id == kNoNode) fail(name() + " of memo " + std::to_string(index) + ", which was never set");
    push(id);
  }

  void protocol() {
    decoded_.protocol = number<std::uint8_t>();
    if (decoded_.protocol > kProtocolMax)
      fail("pickle protocol " + std::to_string(decoded_.protocol) + " does not exist");
  }

  void pop_one() {
    // POP takes back a MARK too, when nothing lies above it.
    if (!marks_.empty() && marks_.back() == stack_.size())
      marks_.pop_back();
    else
      pop();
  }

  void frame() const {
    if (number<std::uint64_t>() > bytes_.size() - current_.next)
      throw Error(Code::truncated, "FRAME reaches beyond the pickle").at(current_.at);
  }

  void step() {
    switch (current_.opcode->op) {
      case Op::mark:
        marks_.push_back(stack_.size());
        break;
      case Op::stop:
        break;
      case Op::pop:
        pop_one();
        break;
      case Op::pop_mark:
        pop_to_mark();
        break;
      case Op::dup:
        push(top());
        break;
      case Op::none:
        push(graph().make_none());
        break;
      case Op::new_true:
        push(graph().make_boolean(true));
        break;
      case Op::new_false:
        push(graph().make_boolean(false));
        break;
      case Op::int4:
        push(graph().make_integer(static_cast<std::int32_t>(number<std::uint32_t>()), at()));
        break;
      case Op::uint1:
        push(graph().make_integer(number<std::uint8_t>(), at()));
        break;
      case Op::uint2:
        push(graph().make_integer(number<std::uint16_t>(), at()));
        break;
      case Op::integer_text:
        integer_line();
        break;
      case Op::long_text:
        long_line();
        break;
      case Op::long1:
      case Op::long4:
        push(graph().make_big_integer(as_bytes(operand()), at()));
        break;
      case Op::real_text:
        real_line();
        break;
      case Op::real:
        big_endian_real();
        break;
      case Op::string_text:
        string_line();
        break;
      case Op::string4:
      case Op::string1:
        push_slice(Kind::byte_string);
        break;
      case Op::bytes1:
      case Op::bytes4:
      case Op::bytes8:
        push_slice(Kind::bytes);
        break;
      case Op::bytearray8:
        push_slice(Kind::byte_array);
        break;
      case Op::unicode_text:
        unicode_line();
        break;
      case Op::unicode1:
      case Op::unicode4:
      case Op::unicode8:
        push_text_slice();
        break;
      case Op::empty_tuple:
        push(graph().make_tuple({}, at()));
        break;
      case Op::tuple1:
        push_tuple(1);
        break;
      case Op::tuple2:
        push_tuple(2);
        break;
      case Op::tuple3:
        push_tuple(3);
        break;
      case Op::tuple:
        push(graph().make_tuple(pop_to_mark(), at()));
        break;
      case Op::empty_list:
        push(graph().make_list({}, at()));
        break;
      case Op::list:
        push(graph().make_list(pop_to_mark(), at()));
        break;
      case Op::empty_dict:
        push_dict_of({});
        break;
      case Op::dict:
        push_dict_of(pop_to_mark());
        break;
      case Op::empty_set:
        push_set(false, {});
        break;
      case Op::frozenset:
        push_set(true, pop_to_mark());
        break;
      case Op::append: {
        const NodeId item = pop();
        append_to(top(), {&item, 1});
        break;
      }
      case Op::appends: {
        const auto items = pop_to_mark();
        append_to(top(), items);
        break;
      }
      case Op::setitem: {
        const NodeId value = pop(), key = pop();
        const NodeId pair[2] = {key, value};
        set_in(top(), pair);
        break;
      }
      case Op::setitems: {
        const auto pairs = pop_to_mark();
        set_in(top(), pairs);
        break;
      }
      case Op::additems:
        add_items();
        break;
      case Op::global:
        push_global_lines();
        break;
      case Op::stack_global:
        stack_global();
        break;
      case Op::reduce:
        call(CallForm::reduce);
        break;
      case Op::newobj:
        call(CallForm::newobj);
        break;
      case Op::newobj_ex:
        newobj_ex();
        break;
      case Op::inst:
        inst();
        break;
      case Op::obj:
        obj();
        break;
      case Op::build:
        build();
        break;
      case Op::persistent:
        push(graph().make_persistent(pop(), at()));
        break;
      case Op::persistent_text:
        push_text_slice();
        push(graph().make_persistent(pop(), at()));
        break;
      case Op::put_text:
        put(index_text());
        break;
      case Op::put1:
        put(number<std::uint8_t>());
        break;
      case Op::put4:
        put(number<std::uint32_t>());
        break;
      case Op::memoize:
        put(memo_.size());
        break;
      case Op::get_text:
        get(index_text());
        break;
      case Op::get1:
        get(number<std::uint8_t>());
        break;
      case Op::get4:
        get(number<std::uint32_t>());
        break;
      case Op::proto:
        protocol();
        break;
      case Op::frame:
        frame();
        break;
      case Op::ext1:
      case Op::ext2:
      case Op::ext4:
        fail(name() + ": extension codes mean nothing outside the process that wrote them");
      case Op::next_buffer:
      case Op::readonly_buffer:
        fail(name() + ": the buffers of protocol 5 are not in the file");
    }
  }

  Program program_;
  Bytes bytes_;
  GlobalLog& globals_;
  Dialect dialect_;
  Decoded decoded_;
  Instruction current_{};
  std::vector<NodeId> stack_, above_;
  std::vector<NodeId> keyed_;  // dicts, sets, and calls that take entries
  std::vector<std::size_t> marks_;
  std::uint32_t builds_ = 0, inner_ = 0;
  std::unordered_map<NodeId, std::size_t> global_uses_;
  Memo memo_;
};

}  // namespace

Decoded decode(Program program, std::size_t begin, GlobalLog& globals, Dialect dialect) {
  return Machine(std::move(program), globals, dialect).run(begin);
}

}  // namespace ferry::pickle
