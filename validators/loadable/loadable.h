// What torch.load says to a checkpoint, judged without torch: PyTorch 2.13, weights_only=True (the default
// since 2.6).
//
// The judgement follows torch/serialization.py and torch/_weights_only_unpickler.py of 2.13.  It is about the
// file as it is, before any conversion.  Not judged: calls of accepted functions with arguments that they
// would not take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::loadable {

// An instruction of the pickle that the weights_only unpickler does not know.  What instructions are is the
// business of formats; the judgement takes their names and places.
struct ForeignInstruction {
  std::string_view name;
  std::uint8_t byte = 0;
  std::optional<std::uint64_t> first;  // offset in the pickle
};

// What formats know of the pickle.
struct PickleFacts {
  std::vector<ForeignInstruction> foreign;
  std::optional<std::uint64_t> undecodable_text;  // place of the first string of Python 2 that is no UTF-8
};

enum class Obstacle : std::uint8_t { global, instruction, text, container, storage };
std::string_view obstacle_name(Obstacle obstacle);

struct Objection {
  Obstacle obstacle;
  std::string subject;  // "collections.defaultdict", "FRAME"
  std::string what;     // a sentence, with torch's own words where it has some
};

struct Loadability {
  bool loads = true;                  // torch.load(file, weights_only=True, map_location="cpu")
  std::vector<Objection> objections;  // the first one is torch's message
  bool maps = true;                   // mmap=True as well, where it loads
  std::string maps_because;           // why not
  std::vector<std::string>
      cautions;  // what depends on the machine or on options, and what goes wrong silently
};

Loadability judge_loadable(const Checkpoint& checkpoint, const PickleFacts& pickle);

}  // namespace ferry::loadable
