#include <algorithm>
#include <optional>

#include "formats/pickle/scan.h"
#include "formats/torch/graft.h"
#include "formats/torch/interpret.h"
#include "formats/torch/nested.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/zip/end_record.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::size_t kPicklesMost = 1 << 16;  // a log that was appended to for a long time
constexpr std::size_t kHeadBytes = 4096, kHeadInstructions = 8;

// --- recognition

// Instructions that a pickle can begin with, when nothing has been pushed yet.
constexpr std::string_view kFirst = "(cIL]}VSFNd)lKJMGUTXBC\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x96";

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Whether a line of text can be the operand that the instruction takes: prose begins with such letters, too.
bool is_plausible(const pickle::Instruction& instruction, Bytes head) {
  const std::string_view operand = as_text(head.subspan(instruction.operand_begin, instruction.operand_size));
  switch (instruction.opcode->op) {
    case pickle::Op::integer_text:
    case pickle::Op::long_text:
    case pickle::Op::get_text:
    case pickle::Op::put_text:
      return operand.find_first_not_of("0123456789-+L") == std::string_view::npos;
    case pickle::Op::real_text:
      return operand.find_first_not_of("0123456789.+-eEinfa") == std::string_view::npos;
    case pickle::Op::global:
    case pickle::Op::inst:
      return std::all_of(operand.begin(), operand.end(), [](char c) {
        return c == '\n' || (is_printable({&c, 1}) && c != ' ');
      });
    case pickle::Op::string_text:
      return operand.starts_with('\'') || operand.starts_with('"');
    default:
      return true;
  }
}

// The first instructions of a pickle without a protocol mark.
Likeness probe_instructions(Bytes head) {
  std::size_t at = 0;
  try {
    for (std::size_t count = 0; count < kHeadInstructions && at < head.size(); ++count) {
      const pickle::Instruction instruction = pickle::read_instruction(head, at);
      if (!is_plausible(instruction, head))
        return {false, "what follows " + std::string(instruction.opcode->name) + " at byte " +
                           std::to_string(at) + " is no operand of it"};
      if (instruction.opcode->op == pickle::Op::stop) break;
      at = instruction.next;
    }
  } catch (const Error& error) {
    // A pickle that is cut short, or whose first string is long, is still one.
    const bool prose =
        head[at] == std::byte{'c'} && as_text(head.subspan(at)).find(' ') != std::string_view::npos;
    if (error.code() != Code::truncated || prose)
      return {false, "it starts like a pickle of protocol 0 or 1, but byte " + std::to_string(at) +
                         " is no instruction"};
  }
  return {true, "its first bytes are instructions of a pickle of protocol 0 or 1"};
}

Likeness probe_at(const ByteSource& source, std::uint64_t offset) {
  const auto bytes = source.read({offset, std::min<std::uint64_t>(kHeadBytes, source.size() - offset)});
  const std::string_view head = as_text(Bytes(bytes));
  if (head.size() >= 2 && head[0] == '\x80' && static_cast<std::uint8_t>(head[1]) <= pickle::kProtocolMax)
    return {true, "it starts with a pickle protocol mark"};
  if (head.empty() || kFirst.find(head[0]) == std::string_view::npos)
    return {false, "it does not start like a pickle"};
  return probe_instructions(bytes);
}

// --- several in a row

bool is_blank(const ByteSource& source, std::uint64_t offset) {
  WindowReader reader(source);
  constexpr std::uint64_t kStep = 64 << 10;
  for (; offset < source.size(); offset += kStep) {
    const auto size = static_cast<std::size_t>(std::min(kStep, source.size() - offset));
    if (as_text(reader.view(offset, size)).find_first_not_of(std::string_view("\0\t\n\r ", 5)) !=
        std::string_view::npos)
      return false;
  }
  return true;
}

std::string ordinal(std::size_t i, std::uint64_t offset) {
  return "of pickle " + std::to_string(i + 1) + ", which starts at byte " + std::to_string(offset);
}

bool names_joblib(const GlobalLog& globals) {
  return std::any_of(globals.uses().begin(), globals.uses().end(), [](const GlobalUse& use) {
    return use.name == "NumpyArrayWrapper" && use.module.ends_with("joblib.numpy_pickle");
  });
}

// The pickles of a file, one after the other: where they lie, and what names they hold.
class Row {
 public:
  Row(Checkpoint& checkpoint, const Limits& limits) : checkpoint_(checkpoint), limits_(limits) {}

  // Decodes all of them for the names. Throws Code::unsafe_global with those of every pickle; then what is
  // wrong with the first broken one.
  void find_all() {
    while (offset_ < source().size() && !at_end()) {
      const std::uint64_t begin = offset_;
      decode_next();
      if (offset_ == begin) break;
    }
    refuse_unsafe(checkpoint_.globals);
    if (refused_) throw *refused_;
    if (broken_) throw *broken_;
  }

  std::size_t size() const { return begins_.size(); }
  std::uint64_t begin(std::size_t i) const { return begins_[i]; }
  std::uint64_t blank_bytes() const { return source().size() - offset_; }
  // Decodes again: of thousands of pickles one is in memory at a time.
  pickle::Decoded take(std::size_t i) {
    if (i == 0 && size() == 1) return std::move(*only_);
    return decode(begins_[i]);
  }

 private:
  const ByteSource& source() const { return *checkpoint_.source; }

  // joblib.dump puts the bytes of arrays between the instructions: the end of such a pickle is known only
  // when it has run.
  pickle::Decoded decode(std::uint64_t offset) {
    try {
      return decode_program_at(source(), offset, limits_, checkpoint_.globals);
    } catch (const Error& error) {
      if (error.fault() == Fault::refused || !names_joblib(checkpoint_.globals)) throw;
    }
    const std::uint64_t size = std::min(source().size() - offset, limits_.pickle_bytes_max);
    return decode_program(std::make_shared<const std::vector<std::byte>>(source().read({offset, size})), 0,
                          checkpoint_.globals);
  }

  bool at_end() {
    if (begins_.empty()) return false;
    const Likeness next = probe_at(source(), offset_);
    if (next.matches && begins_.size() < kPicklesMost) return false;
    if (!next.matches && is_blank(source(), offset_)) return true;
    if (!broken_ && next.matches)
      broken_ = Error(Code::limit_exceeded, "more than " + grouped(kPicklesMost) + " pickles in one file");
    else if (!broken_)
      broken_ =
          Error(Code::bad_pickle, grouped(source().size() - offset_) +
                                      " bytes follow the last pickle that are no pickle: " + next.reason)
              .at(offset_);
    return true;
  }

  // A pickle that breaks is passed over where its end can be found: the names behind it count.
  void decode_next() {
    only_.reset();
    begins_.push_back(offset_);
    try {
      only_ = decode(offset_);
      offset_ += only_->size;
    } catch (Error& error) {
      std::optional<Error>& kept = error.fault() == Fault::refused ? refused_ : broken_;
      if (!kept) kept = error.in(ordinal(size() - 1, offset_));
      if (const auto size = pickle::find_program_size(source(), offset_, limits_.pickle_bytes_max))
        offset_ += *size;
    }
  }

  Checkpoint& checkpoint_;
  const Limits& limits_;
  std::vector<std::uint64_t> begins_;
  std::uint64_t offset_ = 0;
  std::optional<pickle::Decoded> only_;
  std::optional<Error> refused_, broken_;  // the first of each
};

// --- one of them

void refuse_persistent_ids(const ValueGraph& graph) {
  for (NodeId id = 0; id < graph.node_count(); ++id)
    if (graph.kind(id) == Kind::persistent)
      throw Error(Code::bad_storage,
                  "the pickle refers to something outside itself, which a plain pickle does not have")
          .at(graph.at(id))
          .with_hint("was it taken out of a checkpoint of torch.save (data.pkl)? Then give the whole of it");
}

Checkpoint read_one(const SourcePtr& source, std::uint64_t offset, pickle::Decoded decoded,
                    const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  const pickle::Program program = decoded.program;
  describe_program(checkpoint, std::move(decoded));
  refuse_persistent_ids(checkpoint.values);
  StorageTable table(checkpoint, StorageTable::Layout::zip);
  interpret(checkpoint, table, limits, {source, offset, *program});
  return checkpoint;
}

// What is known of several pickles together.
void add_description(Container& whole, const Container& part) {
  whole.protocol = std::max(whole.protocol, part.protocol);
  whole.pickle_size += part.pickle_size;
  for (std::size_t i = 0; i < whole.opcodes.size(); ++i) whole.opcodes[i] += part.opcodes[i];
  if (whole.python.empty() || part.python == "2") whole.python = part.python;
}

void read_row(Checkpoint& checkpoint, Row& row, const Limits& limits) {
  Grafter grafter(checkpoint);
  std::vector<NodeId> values;
  std::size_t nested = 0;
  for (std::size_t i = 0; i < row.size(); ++i) try {
      const Checkpoint part = read_one(checkpoint.source, row.begin(i), row.take(i), limits);
      values.push_back(grafter.add(part));
      add_description(checkpoint.container, part.container);
      nested += part.nested;
    } catch (Error& error) {
      error.in(ordinal(i, row.begin(i)));
      throw;
    }
  checkpoint.values.set_root(checkpoint.values.make_list(values));
  note_nested(checkpoint, nested);
  checkpoint.note(
      checkpoint.values.root(), Code::several_pickles,
      grouped(row.size()) + " pickles follow each other in the file; their values became one list");
}

}  // namespace

Likeness looks_like_pickle(const ByteSource& source) { return probe_at(source, 0); }

Likeness looks_like_pickle_of_archive(const ByteSource& source) {
  if (!zip::looks_like_zip(source).matches || as_text(Bytes(source.read({0, 1}))) != "\x80")
    return {false, "it is no pickle that ends like a zip archive"};
  const bool whole = pickle::find_program_size(source, 0, Limits{}.pickle_bytes_max) == source.size();
  return {whole, whole ? "it is one pickle from its first byte to its last, with an archive in it"
                       : "the pickle at its beginning is not all of it"};
}

Checkpoint open_pickle(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = source;
  Row row(checkpoint, limits);
  row.find_all();
  if (row.size() == 1) {
    GlobalLog globals = std::move(checkpoint.globals);
    checkpoint = read_one(source, 0, row.take(0), limits);
    checkpoint.globals = std::move(globals);
  } else {
    read_row(checkpoint, row, limits);
  }
  checkpoint.container.format = "pickle";
  const NodeId root = checkpoint.values.root();
  checkpoint.note(root, Code::no_checksums,
                  "a pickle carries no checksums: a flipped bit in a weight cannot be seen");
  if (row.blank_bytes() > 0)
    checkpoint.note(
        root, Code::trailing_bytes,
        grouped(row.blank_bytes()) + " blank bytes follow the last pickle; nothing refers to them");
  return checkpoint;
}

}  // namespace ferry::torch
