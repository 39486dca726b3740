// Tolerances, and what came of comparing a drift with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ferry {

enum class NaNPolicy : std::uint8_t {
  equal,   // a NaN equals a NaN
  strict,  // a NaN equals nothing, as IEEE 754 has it
};

// What is allowed.  Nothing given: the bits must be equal, payloads of NaNs and signs of zeros included; of
// two types, the values and the signs of zeros.  rtol/atol: |after − before| ≤ atol + rtol · |before| for
// every finite pair, as numpy and torch.testing have it; one of them given alone leaves the other 0.  ulp:
// the distance of every finite pair is at most that.  All that are given must hold.  Non-finite mismatches
// are over any bound.
struct Bound {
  std::optional<double> rtol, atol, ulp;
  NaNPolicy nan = NaNPolicy::equal;

  bool exact() const { return !rtol && !atol && !ulp; }
  friend bool operator==(const Bound&, const Bound&) = default;
};

struct Verdict {
  bool within = true;
  std::string why;  // when not within: "max |Δ| 0.001 exceeds 1e-05 + 1.3e-06 · |before|", shortest digits
};

// Bounds for tensors by name: the last row whose pattern matches the dotted path decides each number on its
// own.
struct BoundRow {
  std::string pattern;  // a glob; "*" for all
  std::optional<double> rtol, atol, ulp;
  bool torch_testing = false;  // take rtol and atol from the table of torch.testing
};

}  // namespace ferry
