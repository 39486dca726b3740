#include "src/report/difference_marks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "src/report/difference_words.h"

namespace ferry::report {
namespace {

constexpr std::size_t kBandsMost = 64;
constexpr std::size_t kTensorsLeast = 6;  // of a band, on average

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Containers that nearly all names begin with ("model_state.transformer."), which would only hide what tells
// bands apart.  One that holds numbered layers stays: "h.0" says more than "0".
std::string shared_prefix(const FileDiff& file) {
  std::string prefix;
  while (true) {
    std::map<std::string_view, std::pair<std::size_t, bool>>
        heads;  // component: how often, and with numbers below
    for (const TensorRow& row : file.tensors) {
      std::string_view path = shown_side(row).path;
      if (!path.starts_with(prefix)) continue;
      path.remove_prefix(prefix.size());
      const std::size_t dot = path.find('.');
      if (dot == std::string_view::npos) continue;
      auto& [count, numbered] = heads[path.substr(0, dot)];
      ++count;
      const std::string_view below = path.substr(dot + 1);
      numbered = numbered || is_number(below.substr(0, below.find('.')));
    }
    const auto most = std::max_element(heads.begin(), heads.end(), [](const auto& a, const auto& b) {
      return a.second.first < b.second.first;
    });
    if (most == heads.end() || most->second.second || is_number(most->first) ||
        most->second.first * 4 < file.tensors.size() * 3)
      return prefix;
    prefix += std::string(most->first) + ".";
  }
}

// Bands of neighbours whose first components are the same: as many components as leave the bands few and
// large enough to be told apart.
class Bands {
 public:
  explicit Bands(const FileDiff& file) : file_(file), prefix_(shared_prefix(file)) {}

  std::vector<Band> find() const {
    std::vector<Band> bands = at_depth(1);
    if (bands.size() > kBandsMost) return joined(bands);
    for (std::size_t depth = 2;; ++depth) {
      std::vector<Band> finer = at_depth(depth);
      if (finer.size() == bands.size()) return bands;
      if (bands.size() == 1 && finer.size() > kBandsMost) return joined(finer);
      if (finer.size() > kBandsMost || finer.size() * kTensorsLeast > file_.tensors.size()) return bands;
      bands = std::move(finer);
    }
  }

 private:
  // The first `depth` components of a name, but not its last: that is a parameter, no layer.
  std::string_view head(std::size_t tensor, std::size_t depth) const {
    std::string_view name = shown_side(file_.tensors[tensor]).path;
    if (name.starts_with(prefix_)) name.remove_prefix(prefix_.size());
    std::size_t end = name.find('.');
    for (std::size_t i = 1; i < depth && end != std::string_view::npos; ++i) {
      const std::size_t dot = name.find('.', end + 1);
      if (dot == std::string_view::npos) break;
      end = dot;
    }
    return name.substr(0, end);
  }

  std::vector<Band> at_depth(std::size_t depth) const {
    std::vector<Band> bands;
    for (std::size_t i = 0; i < file_.tensors.size(); ++i) {
      const std::string_view name = head(i, depth);
      if (bands.empty() || bands.back().name != name) bands.push_back({std::string(name), i, 0});
      ++bands.back().count;
    }
    return bands;
  }

  // "0 … 3": so many neighbours together that the rest is few enough.
  static std::vector<Band> joined(const std::vector<Band>& bands) {
    const std::size_t each = (bands.size() + kBandsMost / 2 - 1) / (kBandsMost / 2);
    std::vector<Band> fewer;
    for (std::size_t i = 0; i < bands.size(); i += each) {
      const Band& last = bands[std::min(i + each, bands.size()) - 1];
      fewer.push_back(
          {bands[i].name + " … " + last.name, bands[i].first, last.first + last.count - bands[i].first});
    }
    return fewer;
  }

  const FileDiff& file_;
  std::string prefix_;
};

// Orders kinds from harmless to grave, and within a kind by distance.
bool is_worse(const TensorRow& row, const TensorRow& than) {
  const auto gravity = [](const TensorRow& one) {
    const MarkKind kind = kind_of(one);
    return kind == MarkKind::not_compared ? -1 : static_cast<int>(kind);
  };
  if (gravity(row) != gravity(than)) return gravity(row) > gravity(than);
  return distance(row) > distance(than);
}

}  // namespace

Marks find_marks(const FileDiff& file) {
  Marks found;
  found.tensors = file.tensors.size();
  found.per_mark =
      file.tensors.size() <= kMarksMost ? 1 : (file.tensors.size() + kMarksMost / 2 - 1) / (kMarksMost / 2);
  found.bands = Bands(file).find();
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    if (i % found.per_mark == 0) found.marks.push_back({i, 0, &file.tensors[i], 0});
    Mark& mark = found.marks.back();
    ++mark.count;
    mark.over += counts_as_differing(file.tensors[i].state);
    if (is_worse(file.tensors[i], *mark.row)) mark.row = &file.tensors[i];
  }
  return found;
}

std::size_t shade(double distance) {
  if (!(distance >= 1e-8)) return 1;
  return std::min<std::size_t>(
      kShades, static_cast<std::size_t>(std::max(0.0, std::floor(std::log10(std::min(distance, 1.0))) + 10)));
}

MarkKind kind_of(const TensorRow& row) {
  switch (row.state) {
    case DiffState::equal:
      return MarkKind::equal;
    case DiffState::incomparable:
      return MarkKind::incomparable;
    case DiffState::removed:
      return MarkKind::removed;
    case DiffState::added:
      return MarkKind::added;
    case DiffState::not_compared:
      return MarkKind::not_compared;
    default:
      break;
  }
  if (!row.measured) return MarkKind::incomparable;
  if (row.drift.nonfinite_mismatches > 0) return MarkKind::nonfinite;
  return row.state == DiffState::within ? MarkKind::within : MarkKind::over;
}

std::string_view kind_id(MarkKind kind) {
  constexpr std::array<std::string_view, kMarkKinds> kIds = {"equal",        "within",  "over",  "nonfinite",
                                                             "incomparable", "removed", "added", "skipped"};
  return kIds[static_cast<std::size_t>(kind)];
}

std::string_view kind_words(MarkKind kind) {
  constexpr std::array<std::string_view, kMarkKinds> kWords = {
      "equal",          "within the bound", "over the bound", "NaN or infinite on one side",
      "not comparable", "removed",          "added",          "not compared"};
  return kWords[static_cast<std::size_t>(kind)];
}

bool has_distance(MarkKind kind) { return kind == MarkKind::within || kind == MarkKind::over; }

}  // namespace ferry::report
