#include "src/cli/doctor/version.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/cli/doctor/text.h"

namespace ferry::doctor {
namespace {

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Digits without_leading_zeros(std::string_view digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? "0" : std::string(digits.substr(first));
}

// Spellings of the phases before a release, longest first where one begins another.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kPhases = {{{"alpha", "a"},
                                                                                   {"beta", "b"},
                                                                                   {"preview", "rc"},
                                                                                   {"pre", "rc"},
                                                                                   {"rc", "rc"},
                                                                                   {"a", "a"},
                                                                                   {"b", "b"},
                                                                                   {"c", "rc"}}};

// Takes one piece after the other from the front; what cannot be taken stays.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<Digits> take_number() {
    std::size_t size = 0;
    while (size < rest_.size() && is_digit(rest_[size])) ++size;
    if (size == 0) return std::nullopt;
    return without_leading_zeros(take_front(size));
  }
  // A word after an optional separator: ".post", "-a", "dev".
  bool take_word(std::string_view word) {
    const std::size_t skip = !rest_.empty() && is_separator(rest_.front()) ? 1 : 0;
    if (!rest_.substr(skip).starts_with(word)) return false;
    rest_.remove_prefix(skip + word.size());
    return true;
  }
  // The number that follows a word, maybe after a separator; none counts as 0.
  Digits take_number_of_word() {
    const std::string_view before = rest_;
    if (!rest_.empty() && is_separator(rest_.front())) rest_.remove_prefix(1);
    if (auto number = take_number()) return *number;
    rest_ = before;
    return "0";
  }
  // "-1": a post release without its word.
  std::optional<Digits> take_bare_post() {
    if (rest_.size() < 2 || rest_[0] != '-' || !is_digit(rest_[1])) return std::nullopt;
    rest_.remove_prefix(1);
    return take_number();
  }
  std::string_view take_local_part() {
    std::size_t size = 0;
    while (size < rest_.size() && (is_digit(rest_[size]) || is_letter(rest_[size]))) ++size;
    return take_front(size);
  }
  bool take_separator() {
    if (rest_.empty() || !is_separator(rest_.front())) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Whether a dot and a digit come next: the release goes on.
  bool release_goes_on() const { return rest_.size() > 1 && rest_[0] == '.' && is_digit(rest_[1]); }

 private:
  std::string_view take_front(std::size_t size) {
    const std::string_view front = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return front;
  }

  std::string_view rest_;
};

bool take_release(Scanner& from, Version& to) {
  auto number = from.take_number();
  if (!number) return false;
  if (from.take('!')) {
    to.epoch = *number;
    number = from.take_number();
    if (!number) return false;
  }
  to.release.push_back(*number);
  while (from.release_goes_on()) {
    from.take('.');
    to.release.push_back(*from.take_number());
  }
  return true;
}

void take_suffixes(Scanner& from, Version& to) {
  for (const auto& [spelling, phase] : kPhases) {
    if (!from.take_word(spelling)) continue;
    to.pre = Version::Pre{std::string(phase), from.take_number_of_word()};
    break;
  }
  if (auto number = from.take_bare_post())
    to.post = std::move(number);
  else if (from.take_word("post") || from.take_word("rev") || from.take_word("r"))
    to.post = from.take_number_of_word();
  if (from.take_word("dev")) to.dev = from.take_number_of_word();
}

bool take_local(Scanner& from, Version& to) {
  do {
    const std::string_view part = from.take_local_part();
    if (part.empty()) return false;
    to.local.push_back(std::all_of(part.begin(), part.end(), is_digit) ? without_leading_zeros(part)
                                                                       : std::string(part));
  } while (from.take_separator());
  return true;
}

// Before the phases, between them and the release, or after it: where a version stands within its release.
int rank_of_phase(const Version& version) {
  if (version.pre) return version.pre->phase == "a" ? 1 : version.pre->phase == "b" ? 2 : 3;
  return version.dev && !version.post ? 0 : 4;
}

std::strong_ordering compare_local_parts(const std::string& a, const std::string& b) {
  const bool a_number = is_digit(a[0]) && std::all_of(a.begin(), a.end(), is_digit);
  const bool b_number = is_digit(b[0]) && std::all_of(b.begin(), b.end(), is_digit);
  if (a_number && b_number) return compare_digits(a, b);
  if (a_number != b_number) return a_number <=> b_number;  // numbers come after words
  return a <=> b;
}

std::strong_ordering compare_locals(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (const auto order = compare_local_parts(a[i], b[i]); order != 0) return order;
  return a.size() <=> b.size();
}

// Compares what may be missing; `missing` says where it stands then.
std::strong_ordering compare_optional(const std::optional<Digits>& a, const std::optional<Digits>& b,
                                      std::strong_ordering missing) {
  if (a && b) return compare_digits(*a, *b);
  if (!a && !b) return std::strong_ordering::equal;
  return a ? (missing < 0 ? std::strong_ordering::greater : std::strong_ordering::less) : missing;
}

}  // namespace

std::strong_ordering compare_digits(const Digits& a, const Digits& b) {
  if (const auto order = a.size() <=> b.size(); order != 0) return order;
  return a <=> b;
}

std::optional<Version> parse_version(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');

  Scanner scanner(lower);
  Version version;
  scanner.take('v');
  if (!take_release(scanner, version)) return std::nullopt;
  take_suffixes(scanner, version);
  if (scanner.take('+') && !take_local(scanner, version)) return std::nullopt;
  if (!scanner.at_end()) return std::nullopt;
  return version;
}

std::strong_ordering compare_releases(const std::vector<Digits>& a, const std::vector<Digits>& b) {
  static const Digits kZero = "0";
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    if (const auto order = compare_digits(i < a.size() ? a[i] : kZero, i < b.size() ? b[i] : kZero);
        order != 0)
      return order;
  return std::strong_ordering::equal;
}

std::strong_ordering compare(const Version& a, const Version& b) {
  if (const auto order = compare_digits(a.epoch, b.epoch); order != 0) return order;
  if (const auto order = compare_releases(a.release, b.release); order != 0) return order;
  if (const auto order = rank_of_phase(a) <=> rank_of_phase(b); order != 0) return order;
  if (a.pre && b.pre)
    if (const auto order = compare_digits(a.pre->number, b.pre->number); order != 0) return order;
  if (const auto order = compare_optional(a.post, b.post, std::strong_ordering::less); order != 0)
    return order;
  if (const auto order = compare_optional(a.dev, b.dev, std::strong_ordering::greater); order != 0)
    return order;
  return compare_locals(a.local, b.local);
}

Version Version::without_local() const {
  Version version = *this;
  version.local.clear();
  return version;
}

Version Version::base() const {
  Version version;
  version.epoch = epoch;
  version.release = release;
  return version;
}

std::string Version::text() const {
  std::string text = epoch == "0" ? "" : epoch + "!";
  for (std::size_t i = 0; i < release.size(); ++i) text += (i == 0 ? "" : ".") + release[i];
  if (pre) text += pre->phase + pre->number;
  if (post) text += ".post" + *post;
  if (dev) text += ".dev" + *dev;
  for (std::size_t i = 0; i < local.size(); ++i) text += (i == 0 ? "+" : ".") + local[i];
  return text;
}

}  // namespace ferry::doctor
