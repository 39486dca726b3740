#include "src/cli/doctor/specifier.h"

#include <algorithm>
#include <array>

namespace ferry::doctor {
namespace {

// Longest first: "===" begins with "==".
constexpr std::array<std::string_view, 8> kRelations = {"===", "==", "!=", "<=", ">=", "~=", "<", ">"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// The release of `candidate` begins with `prefix`; one that is shorter goes on with zeros.
bool begins_with(const Version& candidate, const Version& prefix, std::size_t count) {
  std::vector<Digits> front = candidate.release;
  front.resize(std::max(front.size(), count), "0");
  front.resize(count);
  return candidate.epoch == prefix.epoch && std::equal(front.begin(), front.end(), prefix.release.begin());
}

bool equals(const Specifier& specifier, const Version& candidate) {
  if (specifier.any_suffix)
    return begins_with(candidate, specifier.version, specifier.version.release.size());
  const Version known = specifier.version.local.empty() ? candidate.without_local() : candidate;
  return compare(known, specifier.version) == 0;
}

bool has_base_of(const Version& candidate, const Version& other) {
  return compare(candidate.base(), other.base()) == 0;
}

// "<4.50.0" means the release: 4.50.0rc1 is on its way to it and not before it.
bool is_before(const Specifier& specifier, const Version& candidate) {
  if (compare(candidate, specifier.version) >= 0) return false;
  return specifier.version.is_prerelease() || !candidate.is_prerelease() ||
         !has_base_of(candidate, specifier.version);
}

// ">4.50.0" means later releases: neither 4.50.0.post1 nor 4.50.0+local.
bool is_after(const Specifier& specifier, const Version& candidate) {
  if (compare(candidate, specifier.version) <= 0) return false;
  if (!has_base_of(candidate, specifier.version)) return true;
  if (!candidate.local.empty()) return false;
  return specifier.version.is_postrelease() || !candidate.is_postrelease();
}

bool is_compatible(const Specifier& specifier, const Version& candidate) {
  return compare(candidate.without_local(), specifier.version) >= 0 &&
         begins_with(candidate, specifier.version, specifier.version.release.size() - 1);
}

// What PEP 440 does not allow to stand together.
bool is_sound(const Specifier& specifier, bool wildcard) {
  const bool equality = specifier.relation == "==" || specifier.relation == "!=";
  const Version& version = specifier.version;
  if (wildcard)
    return equality && version.local.empty() && !version.is_prerelease() && !version.is_postrelease();
  if (!version.local.empty() && !equality) return false;
  return specifier.relation != "~=" || version.release.size() > 1;
}

std::optional<Specifier> parse_one(std::string_view text) {
  const auto* const relation = std::find_if(kRelations.begin(), kRelations.end(),
                                            [&](std::string_view sign) { return text.starts_with(sign); });
  if (relation == kRelations.end()) return std::nullopt;
  std::string_view version = trimmed(text.substr(relation->size()));
  Specifier specifier;
  specifier.relation = *relation;
  specifier.written = version;
  if (specifier.relation == "===") {
    if (version.empty() || version.find_first_of(" \t\r\n") != std::string_view::npos) return std::nullopt;
    return specifier;
  }
  const bool wildcard = version.ends_with(".*");
  if (wildcard) version.remove_suffix(2);
  const auto parsed = parse_version(version);
  if (!parsed) return std::nullopt;
  specifier.version = *parsed;
  specifier.any_suffix = wildcard;
  if (!is_sound(specifier, wildcard)) return std::nullopt;
  return specifier;
}

}  // namespace

bool Specifier::contains(const Version& candidate) const {
  if (relation == "===") return lower(candidate.text()) == lower(written);
  if (relation == "==") return equals(*this, candidate);
  if (relation == "!=") return !equals(*this, candidate);
  if (relation == "<=") return compare(candidate.without_local(), version) <= 0;
  if (relation == ">=") return compare(candidate.without_local(), version) >= 0;
  if (relation == "<") return is_before(*this, candidate);
  if (relation == ">") return is_after(*this, candidate);
  return is_compatible(*this, candidate);
}

bool Specifiers::contains(const Version& candidate) const {
  return std::all_of(all_.begin(), all_.end(), [&](const Specifier& one) { return one.contains(candidate); });
}

std::string Specifiers::text() const {
  std::string text;
  for (const Specifier& one : all_) text += (text.empty() ? "" : ",") + one.relation + one.written;
  return text;
}

std::optional<Specifiers> parse_specifiers(std::string_view text) {
  Specifiers specifiers;
  while (!trimmed(text).empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (one.empty()) continue;  // a comma too many, as pip takes it
    auto specifier = parse_one(one);
    if (!specifier) return std::nullopt;
    specifiers.all_.push_back(*std::move(specifier));
  }
  return specifiers;
}

}  // namespace ferry::doctor
