// Who wrote a checkpoint: which releases of PyTorch could have, and what says so.
//
// Two kinds of evidence are kept apart.  The container is made by the release that saves, so it bounds the
// release on both sides.  Values may be older than the file that holds them (a state that was loaded and
// saved again), but never newer: they bound the release from below only, and make a range likely.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::torch {

struct Release {
  std::uint8_t major = 0, minor = 0, patch = 0;
  auto operator<=>(const Release&) const = default;
};
std::string release_text(Release release);  // "1.13"; "0.1.9" where the last number counts

inline constexpr Release kFirstRelease{0, 1};
inline constexpr Release kLastRelease{
    2, 13};  // the last one whose files are known; later ones look the same so far

struct Releases {
  Release from = kFirstRelease, to = kLastRelease;
  bool contains(Release release) const { return from <= release && release <= to; }
  bool operator==(const Releases&) const = default;
};
std::string releases_text(const Releases& releases);  // "1.6 – 1.9", "2.7 or later", "1.4"

struct Fingerprint {
  Releases possible;   // no other release writes such a container with such values
  Releases likely;     // within possible: where nothing was carried over and no unusual option was used
  std::string python;  // "2", "3", or empty where nothing tells
  std::string tool;    // another program that wrote or rewrote the container; empty for PyTorch itself
  std::vector<std::string> evidence;  // sentences, the most telling first
};

// `file_name` is compared with the folder that the archive keeps its records in.  Of a checkpoint that was
// opened with Limits::list_records.
Fingerprint find_fingerprint(const Checkpoint& checkpoint, std::string_view file_name);

// An instruction of the main pickle that torch's weights_only unpickler does not know.
struct ForeignInstruction {
  std::string_view name;  // "FRAME"
  std::uint8_t byte = 0;
  std::uint32_t count = 0;
  std::optional<std::uint64_t> first;  // offset in the pickle; unknown when the pickle is compressed
};

// What the main pickle is made of, as far as it decides who can run it.
struct PickleCensus {
  std::vector<ForeignInstruction> foreign;        // by place, the first one first
  std::optional<std::uint64_t> undecodable_text;  // place of the first string of Python 2 that is no UTF-8
};
// Of a checkpoint that was opened with Limits::list_records.
PickleCensus take_census(const Checkpoint& checkpoint);

}  // namespace ferry::torch
