#include "src/cli/doctor/torch_version.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/cli/doctor/text.h"

namespace ferry::doctor {
namespace {

bool is_name_character(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string_view without_front_space(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

// What stands right of the sign: a text, None, or something that only Python could evaluate.
struct Literal {
  bool understood = false;
  std::optional<std::string> text;
};

bool ends_statement(std::string_view rest) {
  rest = without_front_space(rest);
  return rest.empty() || rest.front() == '#' || rest.front() == ';';
}

Literal read_literal(std::string_view source) {
  source = without_front_space(source);
  if (source.starts_with("None") && ends_statement(source.substr(4))) return {true, std::nullopt};
  if (!source.empty() && (source.front() == 'u' || source.front() == 'U')) source.remove_prefix(1);
  if (source.empty() || (source.front() != '\'' && source.front() != '"')) return {};
  const std::size_t end = source.find(source.front(), 1);
  if (end == std::string_view::npos || !ends_statement(source.substr(end + 1))) return {};
  const std::string_view text = source.substr(1, end - 1);
  if (text.find('\\') != std::string_view::npos) return {};
  return {true, std::string(text)};
}

// "name: annotation = value" or "name = value"; nothing for other lines.
struct Assignment {
  std::string_view name, value;
};

std::optional<Assignment> read_assignment(std::string_view line) {
  std::size_t size = 0;
  while (size < line.size() && is_name_character(line[size])) ++size;
  const std::string_view rest = without_front_space(line.substr(size));
  if (size == 0 || rest.empty() || (rest.front() != '=' && rest.front() != ':')) return std::nullopt;
  const std::size_t equals = rest.find('=');
  if (equals == std::string_view::npos || rest.substr(equals).starts_with("==")) return std::nullopt;
  return Assignment{line.substr(0, size), rest.substr(equals + 1)};
}

void take(const Assignment& assignment, TorchVersion& to) {
  const std::array<std::pair<std::string_view, std::optional<std::string>*>, 6> places = {
      {{"__version__", &to.version},
       {"cuda", &to.cuda},
       {"hip", &to.hip},
       {"rocm", &to.rocm},
       {"xpu", &to.xpu},
       {"git_version", &to.git_version}}};
  for (const auto& [name, place] : places) {
    if (assignment.name != name) continue;
    Literal literal = read_literal(assignment.value);
    if (name == "cuda") to.says_devices = literal.understood;
    *place = std::move(literal.text);
    if (*place && (*place)->empty()) place->reset();
  }
}

// How often a text of three quotes begins or ends in the line.
std::size_t count_of(std::string_view line, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = line.find(what); at != std::string_view::npos; at = line.find(what, at + what.size()))
    ++count;
  return count;
}

// The part of the local version that begins with `tag`: "121" for "2.3.1+cu121" and "cu".
std::optional<std::string> local_after(std::string_view version, std::string_view tag) {
  const std::size_t plus = version.find('+');
  if (plus == std::string_view::npos) return std::nullopt;
  const std::string_view local = version.substr(plus + 1);
  if (!local.starts_with(tag)) return std::nullopt;
  return std::string(local.substr(tag.size()));
}

// The numbers that a text begins with: "6.2.41133-dd7f95766" and 2 give "6.2".
std::optional<std::string> first_numbers(std::string_view text, std::size_t count_max) {
  std::size_t at = 0, dots = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && (++dots == count_max || at + 1 == text.size() || !is_digit(text[at + 1]))) break;
    if (text[at] != '.' && !is_digit(text[at])) break;
  }
  if (at == 0 || !is_digit(text.front())) return std::nullopt;
  return std::string(text.substr(0, at));
}

// "121" → "12.1", "92" → "9.2": the last digit is the minor number.
std::optional<std::string> cuda_of_tag(std::string_view tag) {
  std::size_t size = 0;
  while (size < tag.size() && is_digit(tag[size])) ++size;
  if (size < 2) return std::nullopt;
  return std::string(tag.substr(0, size - 1)) + "." + tag[size - 1];
}

}  // namespace

std::string_view build_name(Build build) {
  switch (build) {
    case Build::cpu:
      return "cpu";
    case Build::cuda:
      return "cuda";
    case Build::rocm:
      return "rocm";
    case Build::xpu:
      return "xpu";
    case Build::unknown:
      break;
  }
  return "unknown";
}

TorchVersion read_torch_version(std::string_view source) {
  TorchVersion torch;
  std::string_view quotes;  // of the text of several lines that is open
  while (!source.empty()) {
    const std::size_t end = std::min(source.find_first_of("\r\n"), source.size());
    const std::string_view line = source.substr(0, end);
    source.remove_prefix(std::min(end + 1, source.size()));
    if (!quotes.empty()) {
      if (line.find(quotes) != std::string_view::npos) quotes = {};
      continue;
    }
    if (const auto assignment = read_assignment(line)) take(*assignment, torch);
    for (const std::string_view sign : {"\"\"\"", "'''"})
      if (quotes.empty() && count_of(line, sign) % 2 == 1) quotes = sign;
  }
  return torch;
}

Build build_of(const TorchVersion& torch, std::string_view version) {
  if (torch.hip || torch.rocm) return Build::rocm;
  if (torch.cuda) return Build::cuda;
  if (torch.xpu) return Build::xpu;
  if (torch.says_devices) return Build::cpu;
  if (local_after(version, "rocm")) return Build::rocm;
  if (local_after(version, "cu")) return Build::cuda;
  if (local_after(version, "xpu")) return Build::xpu;
  if (local_after(version, "cpu")) return Build::cpu;
  return Build::unknown;
}

std::optional<std::string> cuda_of(const TorchVersion& torch, std::string_view version) {
  if (torch.cuda) return torch.cuda;
  const auto tag = local_after(version, "cu");
  return tag ? cuda_of_tag(*tag) : std::nullopt;
}

std::optional<std::string> rocm_of(const TorchVersion& torch, std::string_view version) {
  if (torch.rocm) return torch.rocm;
  if (const auto tag = local_after(version, "rocm")) return first_numbers(*tag, 3);
  return torch.hip ? first_numbers(*torch.hip, 2) : std::nullopt;
}

}  // namespace ferry::doctor
