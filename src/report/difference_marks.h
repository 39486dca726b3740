// Tensors in model order as pictures show them: marks, a tensor each or several where there are too many, and
// bands of neighbours that belong together by name.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "src/report/difference.h"

namespace ferry::report {

struct Mark {
  std::size_t first = 0, count = 0;  // tensors, by their place in FileDiff::tensors
  const TensorRow* row = nullptr;    // the worst of them
  std::size_t over = 0;              // how many of them count as differing
};

struct Band {
  std::string name;  // "layer1", "h.0"
  std::size_t first = 0, count = 0;
};

struct Marks {
  std::vector<Mark> marks;
  std::vector<Band> bands;  // cover all tensors, in order
  std::size_t tensors = 0;
  std::size_t per_mark = 1;  // tensors a mark
};

inline constexpr std::size_t kMarksMost = 1000;  // above that, several tensors share a mark

Marks find_marks(const FileDiff& file);

// How a distance is coloured: 1 below 1e-8, 2 below 1e-7, … 8 below 0.1, 9 from there on.
inline constexpr std::size_t kShades = 9;
std::size_t shade(double distance);

// What a mark is: the names are classes of the style sheet and ids of the symbols.
enum class MarkKind : std::uint8_t {
  equal,
  within,
  over,
  nonfinite,
  incomparable,
  removed,
  added,
  not_compared
};
inline constexpr std::size_t kMarkKinds = 8;
MarkKind kind_of(const TensorRow& row);
std::string_view kind_id(MarkKind kind);     // "over"
std::string_view kind_words(MarkKind kind);  // "over the bound"
bool has_distance(MarkKind kind);            // within and over

}  // namespace ferry::report
