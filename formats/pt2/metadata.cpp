#include "formats/pt2/metadata.h"

#include <charconv>

namespace ferry::pt2 {
namespace {

// Nodes that passes insert carry this in place of a module.
constexpr std::string_view kNoModule = "_empty_nn_module_stack_from_metadata_hook";

std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return piece;
}

// The "@2" at the end of a key says that the module was called for the third time.
std::uint32_t call_of(std::string_view key) {
  const std::size_t at = key.rfind('@');
  std::uint32_t call = 0;
  if (at == std::string_view::npos) return 0;
  const std::string_view digits = key.substr(at + 1);
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), call);
  return end.ec == std::errc() && end.ptr == digits.data() + digits.size() ? call : 0;
}

// The exporter writes paths relative to the model; with strict=True they begin with L['self'].
std::string_view path_of(std::string_view path) {
  for (const std::string_view prefix : {"L['self'].", "L__self__."})
    if (path.starts_with(prefix)) return path.substr(prefix.size());
  return path == "L['self']" || path == "L__self__" ? std::string_view() : path;
}

bool is_of_torch(std::string_view file) {
  return file.starts_with("torch/") || file.find("/site-packages/torch/") != std::string_view::npos ||
         file.find("/dist-packages/torch/") != std::string_view::npos || file.starts_with("<");
}

}  // namespace

std::vector<ModuleCall> module_stack(std::string_view text) {
  std::vector<ModuleCall> stack;
  while (!text.empty()) {
    std::string_view entry = take_until(text, ';');
    const std::string_view key = take_until(entry, ',');
    const std::string_view path = take_until(entry, ',');
    if (entry.empty() || key == kNoModule) return {};
    stack.push_back({std::string(path_of(path)), std::string(entry), call_of(key)});
  }
  return stack;
}

std::string source_line(std::string_view trace) {
  constexpr std::string_view kFile = "File \"", kLine = "\", line ";
  std::string found;
  for (std::size_t at = trace.find(kFile); at != std::string_view::npos; at = trace.find(kFile, at + 1)) {
    const std::string_view rest = trace.substr(at + kFile.size());
    const std::size_t end = rest.find(kLine);
    if (end == std::string_view::npos) break;
    const std::string_view file = rest.substr(0, end);
    std::string_view number = rest.substr(end + kLine.size());
    number = number.substr(0, number.find_first_not_of("0123456789"));
    if (is_of_torch(file) || file.find('\n') != std::string_view::npos) continue;
    found = std::string(file.substr(file.rfind('/') + 1)) + ":" + std::string(number);
  }
  return found;
}

}  // namespace ferry::pt2
