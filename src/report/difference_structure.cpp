#include "src/report/difference_structure.h"

#include <algorithm>
#include <map>

#include "src/core/text.h"
#include "src/report/difference_words.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

constexpr std::size_t kNamesShown = 3;  // of tensors that changed in the same way

// Names of what changed in one way, in the order in which the ways appeared.
class Groups {
 public:
  void add(const std::string& way, const std::string& name) {
    const auto [at, is_new] = index_.try_emplace(way, groups_.size());
    if (is_new) groups_.push_back({way, {}, 0});
    Group& group = groups_[at->second];
    if (group.count++ < kNamesShown) group.names.push_back(name);
  }

  void append_to(std::vector<StructureLine>& lines, std::string_view kind) const {
    for (const Group& group : groups_) {
      std::string text = group.way.empty() ? "" : group.way + ": ";
      for (std::size_t i = 0; i < group.names.size(); ++i) text += (i == 0 ? "" : ", ") + group.names[i];
      if (group.count > group.names.size())
        text += " and " + grouped(group.count - group.names.size()) + " more";
      lines.push_back({kind, std::move(text)});
    }
  }

 private:
  struct Group {
    std::string way;
    std::vector<std::string> names;
    std::size_t count;
  };
  std::map<std::string, std::size_t, std::less<>> index_;
  std::vector<Group> groups_;
};

std::string with_type(const TensorSide& side) {
  return side.path + "  " + std::string(side.dtype_name()) + " " + shape_text(side.shape);
}

std::string joined(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) text += (text.empty() ? "" : ", ") + path;
  return text;
}

std::string sharing_text(const TyingRow& row) {
  if (row.tied_before.empty()) return row.what + ": " + joined(row.tied_after);
  if (row.tied_after.empty() || row.tied_after == row.tied_before)
    return row.what + ": " + joined(row.tied_before);
  return row.what + ": " + joined(row.tied_before) + " → " + joined(row.tied_after);
}

}  // namespace

std::vector<StructureLine> structure_lines(const FileDiff& file) {
  std::vector<StructureLine> removed, added, shapes, lines;
  Groups dtypes, names;
  for (const TensorRow& row : file.tensors) {
    if (row.state == DiffState::removed) removed.push_back({"removed", with_type(row.before)});
    if (row.state == DiffState::added) added.push_back({"added", with_type(row.after)});
    if (changes_shape(row)) shapes.push_back({"shape", row.before.path + "  " + shape_words(row)});
    if (changes_dtype(row)) dtypes.add(dtype_words(row), row.before.path.str());
    if (is_renamed(row)) names.add(row.matched_by.str(), row.before.path + " → " + row.after.path);
  }
  for (auto* part : {&removed, &added, &shapes})
    std::move(part->begin(), part->end(), std::back_inserter(lines));
  for (const TyingRow& row : file.tying) lines.push_back({"sharing", sharing_text(row)});
  dtypes.append_to(lines, "dtype");
  names.append_to(lines, "renamed");
  return lines;
}

std::vector<const FileDiff*> worst_files_first(const DiffReport& report) {
  struct Key {
    DiffVerdict found;
    double distance;
    const FileDiff* file;
  };
  std::vector<Key> keys;
  for (const FileDiff& file : report.files) {
    const DiffVerdict found = verdict(file);
    if (found == DiffVerdict::identical) continue;
    double largest = 0;
    for (const TensorRow& row : file.tensors) largest = std::max(largest, distance(row));
    keys.push_back({found, largest, &file});
  }
  std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return a.found != b.found ? a.found > b.found : a.distance > b.distance;
  });
  std::vector<const FileDiff*> files;
  files.reserve(keys.size());
  for (const Key& key : keys) files.push_back(key.file);
  return files;
}

}  // namespace ferry::report
