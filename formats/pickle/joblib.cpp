#include "formats/pickle/joblib.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pickle {
namespace {

[[noreturn]] void fail(const std::string& what, const Instruction& build) {
  throw Error(Code::bad_pickle, "an array of joblib " + what).at(build.at);
}

// "f8", "U5" of the dtype: its constructor is not called yet.
std::string_view type_code(const ValueGraph& graph, NodeId dtype, const Instruction& build) {
  if (dtype == kNoNode || graph.kind(dtype) != Kind::call) fail("has no dtype", build);
  const auto arguments = graph.items(graph.arguments(dtype));
  const auto code = arguments.empty() ? std::nullopt : graph.as_text(arguments[0]);
  if (!code || code->size() < 2) fail("has no type code", build);
  return *code;
}

std::uint64_t item_size(std::string_view code, const Instruction& build) {
  if (std::string_view("<>|=").find(code[0]) != std::string_view::npos) code.remove_prefix(1);
  std::uint32_t size = 0;
  const auto end = std::from_chars(code.data() + 1, code.data() + code.size(), size);
  if (end.ec != std::errc() || end.ptr != code.data() + code.size())
    fail("has the type code " + quote(code, 40), build);
  return std::uint64_t{size} * (code[0] == 'U' ? 4 : 1);
}

std::uint64_t data_size(const ValueGraph& graph, NodeId description, std::string_view code,
                        const Instruction& build) {
  const NodeId shape = graph.find(description, "shape");
  if (shape == kNoNode || graph.kind(shape) != Kind::tuple) fail("has no shape", build);
  std::uint64_t size = item_size(code, build);
  for (const NodeId item : graph.items(shape)) {
    const auto count = graph.as_integer(item);
    const auto product =
        count && *count >= 0 ? checked_mul(size, static_cast<std::uint64_t>(*count)) : std::nullopt;
    if (!product) fail("has a shape that is none", build);
    size = *product;
  }
  return size;
}

// Since 1.2 the data is aligned: a byte says how many bytes of padding follow it.
std::size_t padded_begin(const ValueGraph& graph, NodeId description, Bytes program,
                         const Instruction& build) {
  const NodeId alignment = graph.find(description, "numpy_array_alignment_bytes");
  if (alignment == kNoNode || graph.kind(alignment) == Kind::none) return build.next;
  if (build.next >= program.size())
    throw Error(Code::truncated, "the pickle ends before the data of an array").at(build.next);
  return build.next + 1 + std::to_integer<std::size_t>(program[build.next]);
}

}  // namespace

bool is_joblib_array(const ValueGraph& graph, NodeId call) {
  const NodeId callee = graph.callee(call);
  return graph.kind(callee) == Kind::global && graph.is_text(graph.attribute(callee), "NumpyArrayWrapper") &&
         graph.text(graph.module(callee)).ends_with("joblib.numpy_pickle");
}

JoblibData find_joblib_data(const ValueGraph& graph, NodeId description, Bytes program,
                            const Instruction& build) {
  if (graph.kind(description) != Kind::dict) fail("has no description", build);
  const std::string_view code = type_code(graph, graph.find(description, "dtype"), build);
  if (code.find('O') != std::string_view::npos) return {build.next, 0, true};
  const std::uint64_t size = data_size(graph, description, code, build);
  const std::size_t begin = padded_begin(graph, description, program, build);
  if (!fits(begin, size, program.size()))
    throw Error(Code::truncated,
                "the data of an array of joblib has " + std::to_string(size) + " bytes where " +
                    std::to_string(program.size() - std::min(begin, program.size())) + " are left")
        .at(build.next);
  return {begin, static_cast<std::size_t>(size), false};
}

}  // namespace ferry::pickle
