#include "formats/torch/nested.h"

#include <cstring>
#include <optional>
#include <unordered_set>
#include <vector>

#include "formats/pickle/decoder.h"
#include "formats/pickle/scan.h"
#include "formats/torch/graft.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/zip/archive.h"
#include "src/core/error.h"
#include "src/core/slice.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

// Bytes that somebody else owns, for the time of one call.
class BorrowedSource final : public ByteSource {
 public:
  explicit BorrowedSource(Bytes bytes) : bytes_(bytes) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
      throw Error(Code::truncated, "the nested checkpoint ends here").at(offset);
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::string name_ = "nested checkpoint";
  Bytes bytes_;
};

bool is_loader(const ValueGraph& graph, NodeId call) {
  const NodeId callee = graph.callee(call);
  return graph.kind(callee) == Kind::global && graph.is_text(graph.attribute(callee), "_load_from_bytes") &&
         graph.is_text(graph.module(callee), "torch.storage");
}

bool has_loader(const GlobalLog& globals) {
  for (const GlobalUse& use : globals.uses())
    if (use.name == "_load_from_bytes" && use.module == "torch.storage") return true;
  return false;
}

// The bytes of an argument before any call was interpreted: as they are, or encoded by _codecs.encode as
// Python 3 writes them in protocols 0 to 2.
std::optional<std::string> literal_bytes(const ValueGraph& graph, NodeId argument) {
  if (graph.kind(argument) == Kind::call && graph.kind(graph.callee(argument)) == Kind::global &&
      graph.is_text(graph.attribute(graph.callee(argument)), "encode")) {
    const auto arguments = graph.items(graph.arguments(argument));
    return arguments.empty() ? std::nullopt : python::octets(graph, arguments[0]);
  }
  return python::octets(graph, argument);
}

void note_program_names(pickle::Program program, GlobalLog& globals, std::size_t depth) {
  const pickle::Decoded decoded = pickle::decode(std::move(program), 0, globals);
  note_nested_names(decoded.graph, globals, depth);
}

void note_archive_names(const SourcePtr& source, GlobalLog& globals, std::size_t depth) {
  const zip::Archive archive = zip::Archive::open(source, Limits{});
  for (const zip::Record& record : archive.records())
    if (record.name.ends_with(".pkl"))
      note_program_names(
          std::make_shared<const std::vector<std::byte>>(archive.read(record, Limits{}.inflated_pickle_max)),
          globals, depth);
}

// One pickle after the other; behind those of a legacy stream come storages, which are none.
void note_stream_names(const ByteSource& source, GlobalLog& globals, std::size_t depth) {
  constexpr std::size_t kProgramsMost = 5;
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < kProgramsMost && offset < source.size(); ++i) {
    const pickle::Program program = read_program(source, offset, Limits{});
    const std::size_t size = program->size();
    note_program_names(program, globals, depth);
    offset += size;
  }
}

bool is_string(pickle::Op op) {
  using enum pickle::Op;
  return op == bytes1 || op == bytes4 || op == bytes8 || op == string1 || op == string4 || op == bytearray8;
}

bool is_text(pickle::Op op) {
  using enum pickle::Op;
  return op == unicode1 || op == unicode4 || op == unicode8;
}

void note_names_in(std::string_view bytes, GlobalLog& globals, std::size_t depth) {
  note_names(std::make_shared<BorrowedSource>(as_bytes(bytes)), globals, depth);
}

}  // namespace

void note_names(const SourcePtr& source, GlobalLog& globals, std::size_t depth) {
  try {
    if (zip::looks_like_zip(*source).matches)
      note_archive_names(source, globals, depth);
    else
      note_stream_names(*source, globals, depth);
  } catch (const Error&) {
    // What names there were before the fault are noted.
  }
}

void note_nested_names(const ValueGraph& graph, GlobalLog& globals, std::size_t depth) {
  if (depth == 0 || !has_loader(globals)) return;
  std::unordered_set<NodeId> seen;  // bytes that are loaded a million times are looked at once
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (graph.kind(id) != Kind::call || !is_loader(graph, id)) continue;
    const auto arguments = graph.items(graph.arguments(id));
    if (arguments.size() != 1 || !seen.insert(arguments[0]).second) continue;
    if (const auto plain = python::plain_octets(graph, arguments[0]))
      note_names_in(*plain, globals, depth - 1);
    else if (const auto encoded = literal_bytes(graph, arguments[0]))
      note_names_in(*encoded, globals, depth - 1);
  }
}

void note_names_of_broken(Bytes program, GlobalLog& globals, std::size_t depth) {
  if (depth == 0 || !has_loader(globals)) return;
  try {
    for (std::size_t at = 0; at < program.size();) {
      const pickle::Instruction instruction = pickle::read_instruction(program, at);
      const std::string_view operand =
          as_text(program.subspan(instruction.operand_begin, instruction.operand_size));
      std::string latin1;
      if (is_string(instruction.opcode->op))
        note_names_in(operand, globals, depth - 1);
      else if (is_text(instruction.opcode->op) && utf8_to_latin1(operand, latin1))
        note_names_in(latin1, globals, depth - 1);
      at = instruction.next;
    }
  } catch (const Error&) {
    // This is where it breaks.
  }
}

bool NestedLoader::interpret(python::Call& call) {
  if (!call.known || call.known->role != Role::load_from_bytes) return false;
  const auto bytes = call.arguments.size() == 1 && !call.instance
                         ? python::plain_octets(call.graph, call.arguments[0])
                         : std::nullopt;
  if (!bytes)
    throw Error(Code::unsafe_global, "unsafe global " + call.module() + "." + call.name() +
                                         ": it would load something that is not in the file as bytes")
        .at(call.graph.at(call.id));
  call.need_nothing_after();
  const auto [found, fresh] = loaded_.try_emplace(call.arguments[0], kNoNode);
  if (fresh) {
    found->second = load(call, *bytes);
    ++count_;
  }
  call.become(found->second);
  return true;
}

NodeId NestedLoader::load(python::Call& call, std::string_view bytes) {
  const std::string name = "the checkpoint nested at byte " + std::to_string(call.graph.at(call.id));
  if (limits_.nesting_max == 0)
    throw Error(Code::limit_exceeded, "checkpoints are nested too deep").at(call.graph.at(call.id));
  const auto place = call.context.origin.find(bytes);
  SourcePtr source;
  if (place)
    source = std::make_shared<SliceSource>(call.context.origin.source, ByteRange{*place, bytes.size()}, name);
  else
    source = std::make_shared<MemorySource>(
        name, std::vector<std::byte>(as_bytes(bytes).begin(), as_bytes(bytes).end()));
  const bool legacy = starts_like_legacy(*source);
  if (!legacy && !bytes.starts_with("PK\3\4"))
    throw Error(Code::unsafe_global, "unsafe global " + call.module() + "." + call.name() +
                                         ": the bytes that it would load are no checkpoint of torch.save")
        .at(call.graph.at(call.id));
  Limits inner = limits_;
  --inner.nesting_max;
  try {
    Checkpoint part = legacy ? open_legacy(source, inner) : open_zip(source, inner);
    count_ += part.nested;
    for (Storage& storage : part.storages) storage.key = "nested " + storage.key;
    return Grafter(checkpoint_, [&](std::uint32_t storage) { return storages_.add_view(storage); }).add(part);
  } catch (Error& error) {
    error.in("in " + name);
    throw;
  }
}

void note_nested(Checkpoint& checkpoint, std::size_t count) {
  if (count == 0) return;
  checkpoint.nested += count;
  const bool one = count == 1;
  checkpoint.note(checkpoint.values.root(), Code::nested_checkpoint,
                  std::to_string(count) + (one ? " checkpoint lay" : " checkpoints lay") +
                      " inside the pickle as bytes (torch.storage._load_from_bytes); what " +
                      (one ? "it holds" : "they hold") + " was put in " + (one ? "its" : "their") + " place");
}

}  // namespace ferry::torch
