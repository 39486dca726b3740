// Versions of Python packages as PEP 440 defines and orders them.
//
//   [N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local]
//
// Read leniently, as pip does: "v1.0", "1.0-alpha.1", "1.0.Post2" and "1.0-3" are versions too.  Numbers may
// have any length (dates and build numbers do), so they are kept as digits and never overflow.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::doctor {

// A natural number in decimal, without leading zeros.
using Digits = std::string;
std::strong_ordering compare_digits(const Digits& a, const Digits& b);

struct Version {
  struct Pre {
    std::string phase;  // "a", "b" or "rc", which also is their order
    Digits number;
  };

  Digits epoch = "0";
  std::vector<Digits> release;  // as written: 1.0 and 1.0.0 are equal but not the same
  std::optional<Pre> pre;
  std::optional<Digits> post, dev;
  std::vector<std::string> local;  // lower case; numbers without leading zeros

  bool is_prerelease() const { return pre.has_value() || dev.has_value(); }
  bool is_postrelease() const { return post.has_value(); }

  Version without_local() const;
  Version base() const;  // epoch and release only
  std::string text() const;
};

// Nothing when the text is no version of PEP 440.
std::optional<Version> parse_version(std::string_view text);

// The order of PEP 440, local parts included: 1.dev0 < 1a1.dev0 < 1a1 < 1rc1 < 1 = 1.0 < 1+local < 1.post1.
std::strong_ordering compare(const Version& a, const Version& b);

// Releases alone, the shorter one filled up with zeros.
std::strong_ordering compare_releases(const std::vector<Digits>& a, const std::vector<Digits>& b);

}  // namespace ferry::doctor
