#include "formats/torch/program.h"

#include <algorithm>

#include "formats/pickle/scan.h"
#include "formats/torch/nested.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

// What is not on the list is named also when the file turns out to be broken.
std::string foreign_names(const GlobalLog& globals) {
  std::string names;
  for (const GlobalUse& use : globals.uses())
    if (classify(use).trust == Trust::foreign) names += (names.empty() ? "" : ", ") + use.dotted();
  return names;
}

// Functions that mean something by what they are given.
bool reaches_others(Role role) {
  return role == Role::getattr || role == Role::reconstructor || role == Role::load_from_bytes;
}

}  // namespace

void refuse_unsafe(const GlobalLog& globals) {
  const auto refused = refused_globals(globals);
  if (refused.empty()) return;
  constexpr std::size_t kNamedMost = 50;
  std::string names;
  for (std::size_t i = 0; i < refused.size() && i < kNamedMost; ++i) {
    names += (i > 0 ? ", " : "") + refused[i]->dotted();
    if (i == 0 || refused.size() <= 3) names += " (" + std::string(classify(*refused[i]).why) + ")";
  }
  // Allowed by themselves, but how a refused name is reached.
  for (const GlobalUse& use : globals.uses()) {
    const auto known = find_global(use.module, use.name);
    if (use.called && known && reaches_others(known->role)) names += ", reached through " + use.dotted();
  }
  if (refused.size() > kNamedMost) names += ", and " + std::to_string(refused.size() - kNamedMost) + " more";
  throw Error(Code::unsafe_global, (refused.size() == 1 ? "unsafe global " : "unsafe globals ") + names)
      .at(refused[0]->at);
}

pickle::Decoded decode_program(pickle::Program program, std::size_t begin, GlobalLog& globals,
                               pickle::Dialect dialect) {
  try {
    pickle::Decoded decoded = pickle::decode(std::move(program), begin, globals, dialect);
    note_nested_names(decoded.graph, globals, Limits{}.nesting_max);
    refuse_unsafe(globals);
    return decoded;
  } catch (Error& error) {
    if (error.fault() == Fault::refused) throw;
    refuse_unsafe(globals);
    if (const std::string names = foreign_names(globals); !names.empty())
      error.in("(the pickle names " + names + ")");
    throw;
  }
}

pickle::Program read_program(const ByteSource& source, std::uint64_t offset, const Limits& limits) {
  const auto size = pickle::find_program_size(source, offset, limits.pickle_bytes_max);
  constexpr std::uint64_t kBrokenMost = std::uint64_t{64} << 20;
  const std::uint64_t left = source.size() - std::min(offset, source.size());
  auto bytes = source.read({offset, size.value_or(std::min(left, kBrokenMost))});
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

pickle::Decoded decode_program_at(const ByteSource& source, std::uint64_t offset, const Limits& limits,
                                  GlobalLog& globals) {
  try {
    return decode_program(read_program(source, offset, limits), 0, globals);
  } catch (const Error& error) {
    if (error.code() != Code::truncated || source.size() - offset <= limits.pickle_bytes_max) throw;
    throw Error(Code::limit_exceeded,
                "the pickle has more than " + grouped(limits.pickle_bytes_max) + " bytes");
  }
}

void describe_program(Checkpoint& checkpoint, pickle::Decoded decoded) {
  Container& container = checkpoint.container;
  container.protocol = decoded.protocol;
  container.pickle_size = decoded.size;
  container.opcodes = decoded.opcodes;
  const bool old_strings = decoded.opcodes['U'] + decoded.opcodes['T'] + decoded.opcodes['S'] > 0;
  container.python = old_strings ? "2" : decoded.opcodes['X'] + decoded.opcodes[0x8c] > 0 ? "3" : "";
  checkpoint.values = std::move(decoded.graph);
}

void note_trailing(Checkpoint& checkpoint, std::uint64_t size, std::string_view record) {
  const std::uint64_t read = checkpoint.container.pickle_size;
  if (read != size)
    checkpoint.note(checkpoint.values.root(), Code::trailing_bytes,
                    std::to_string(size - read) + " bytes follow the end of the pickle in " + quote(record) +
                        "; nothing refers to them");
}

}  // namespace ferry::torch
