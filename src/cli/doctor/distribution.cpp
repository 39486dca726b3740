#include "src/cli/doctor/distribution.h"

#include <algorithm>
#include <utility>

#include "src/cli/doctor/specifier.h"
#include "src/cli/doctor/text.h"
#include "src/cli/doctor/version.h"
#include "src/core/text.h"

namespace ferry::doctor {
namespace {

constexpr std::size_t kMetadataMax = 4 << 20;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_name_character(char c) {
  c = lower(c);
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// The end of `text` from the first of its characters that is none of a name.
std::string_view take_name(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_name_character(text[size])) ++size;
  const std::string_view name = text.substr(0, size);
  text = trimmed(text.substr(size));
  return name;
}

// --- Entries of a folder

// "transformers-4.44.0.dist-info", "torch-1.4.0-py3.7.egg-info", "torch.egg-info", "torch-1.0-py3.6.egg".
struct Entry {
  std::string name, version;  // version: as the name of the entry says it; may be empty
  std::string file;           // what holds the headers, below the folder
};

std::optional<Entry> entry_of(const Root& root, const std::string& folder, const std::string& file,
                              std::span<const std::string> names) {
  std::string_view stem = file;
  std::string headers;
  if (stem.ends_with(".dist-info")) {
    stem.remove_suffix(10);
    headers = file + "/METADATA";
  } else if (stem.ends_with(".egg-info")) {
    stem.remove_suffix(9);
    headers = root.is_file(joined(folder, file)) ? file : file + "/PKG-INFO";
  } else if (stem.ends_with(".egg")) {
    stem.remove_suffix(4);
    headers = file + "/EGG-INFO/PKG-INFO";
  } else {
    return std::nullopt;
  }
  for (const std::string& name : names) {
    if (normalized_name(stem.substr(0, name.size())) != name) continue;
    std::string_view rest = stem.substr(std::min(stem.size(), name.size()));
    if (rest.empty()) return Entry{name, "", headers};
    if (rest.size() < 2 || rest[0] != '-' || !((rest[1] >= '0' && rest[1] <= '9') || rest[1] == 'v'))
      continue;
    rest.remove_prefix(1);
    return Entry{name, std::string(rest.substr(0, rest.find("-py"))), headers};
  }
  return std::nullopt;
}

// --- Headers

struct Headers {
  std::string name, version;
  std::vector<std::string> requires_dist;
};

// The lines before the first empty one; a line that begins with a space belongs to the one before it.
Headers read_headers(std::string_view text) {
  Headers headers;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (trimmed(line).empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.front() == ' ' || line.front() == '\t') continue;
    const std::string key = normalized_name(line.substr(0, colon));
    const std::string value(trimmed(line.substr(colon + 1)));
    if (key == "name" && headers.name.empty()) headers.name = value;
    if (key == "version" && headers.version.empty()) headers.version = value;
    if (key == "requires-dist") headers.requires_dist.push_back(value);
  }
  return headers;
}

std::string complaint_about(const Headers& headers, const Entry& entry) {
  if (headers.name.empty() && headers.version.empty()) return "it holds no metadata";
  if (headers.version.empty()) return "it names no version";
  if (!headers.name.empty() && normalized_name(headers.name) != entry.name)
    return "it describes " + quote(headers.name);
  if (!parse_version(headers.version)) return quote(headers.version) + " is no version";
  const auto of_name = parse_version(entry.version);
  if (of_name && compare(of_name->without_local(), parse_version(headers.version)->without_local()) != 0)
    return "it says " + headers.version;
  return "";
}

Distribution read_distribution(const Root& root, const std::string& folder, const Entry& entry) {
  Distribution found;
  found.name = entry.name;
  found.version = entry.version;
  found.metadata = joined(folder, entry.file);
  const auto text = root.read(found.metadata, kMetadataMax);
  if (!text) {
    found.complaint = "it cannot be read";
    return found;
  }
  const Headers headers = read_headers(*text);
  found.complaint = complaint_about(headers, entry);
  if (parse_version(headers.version) || found.version.empty()) found.version = headers.version;
  for (const std::string& line : headers.requires_dist)
    if (auto requirement = parse_requirement(line)) found.requirements.push_back(*std::move(requirement));
  return found;
}

bool is_later(const Distribution& a, const Distribution& b) {
  const auto a_version = parse_version(a.version), b_version = parse_version(b.version);
  if (!a_version || !b_version) return a_version.has_value() && !b_version;
  return compare(*a_version, *b_version) > 0;
}

// Keeps one of two that the same folder has: an update that was interrupted leaves both.
void merge(Distribution& kept, Distribution other) {
  if (is_later(other, kept)) std::swap(kept, other);
  if (is_later(kept, other)) kept.complaint = "another version is described beside it: " + other.metadata;
}

}  // namespace

std::string normalized_name(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool separates = c == '-' || c == '_' || c == '.';
    if (!separates)
      result += lower(c);
    else if (!result.ends_with('-'))
      result += '-';
  }
  return result;
}

std::optional<Requirement> parse_requirement(std::string_view text) {
  const std::size_t semicolon = text.find(';');
  std::string_view rest = trimmed(text.substr(0, semicolon));
  Requirement requirement;
  requirement.conditional = semicolon != std::string_view::npos;
  requirement.name = normalized_name(take_name(rest));
  if (requirement.name.empty()) return std::nullopt;
  if (rest.starts_with('[')) {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    rest = trimmed(rest.substr(bracket + 1));
  }
  if (rest.starts_with('(') && rest.ends_with(')')) rest = trimmed(rest.substr(1, rest.size() - 2));
  if (!parse_specifiers(rest)) return std::nullopt;  // "name @ https://…" among them
  requirement.specifiers = rest;
  return requirement;
}

std::vector<Distribution> find_distributions(const Root& root, std::span<const std::string> folders,
                                             std::span<const std::string> names) {
  std::vector<Distribution> found;
  for (const std::string& folder : folders) {
    const std::size_t earlier = found.size();
    for (const std::string& file : root.list(folder)) {
      const auto entry = entry_of(root, folder, file, names);
      if (!entry) continue;
      const auto known =
          std::find_if(found.begin(), found.end(), [&](const auto& one) { return one.name == entry->name; });
      if (known == found.end())
        found.push_back(read_distribution(root, folder, *entry));
      else if (static_cast<std::size_t>(known - found.begin()) >= earlier)
        merge(*known, read_distribution(root, folder, *entry));
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

}  // namespace ferry::doctor
