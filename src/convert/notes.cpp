#include "src/convert/notes.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>

#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

constexpr std::size_t kPathsListed = 3;

// The longest path that both lie under, in whole parts.
std::string common_path(const std::string& a, const std::string& b) {
  const auto [end_a, end_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const bool whole_a = end_a == a.end() || *end_a == '.', whole_b = end_b == b.end() || *end_b == '.';
  const auto same = static_cast<std::size_t>(end_a - a.begin());
  if (whole_a && whole_b) return a.substr(0, same);
  const std::size_t dot = a.substr(0, same).rfind('.');
  return dot == std::string::npos ? std::string() : a.substr(0, dot);
}

bool is_loss(Code code) { return code == Code::attributes_dropped || code == Code::lost_value; }

// The visit of every noted value that is still reached, by its node.
std::unordered_map<NodeId, std::size_t> find_visits(const Checkpoint& checkpoint, const Paths& paths) {
  std::vector<bool> noted(checkpoint.values.node_count());
  for (const Note& note : checkpoint.notes) noted[note.node] = true;
  std::unordered_map<NodeId, std::size_t> found;
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (const NodeId node = paths.visits()[i].node; noted[node]) found.emplace(node, i);
  return found;
}

// Notes that say the same.
struct Line {
  Code code;
  std::string_view what;
  std::size_t nowhere = 0;          // notes that have no path
  std::vector<std::size_t> visits;  // of the values of the others
};

void write(Line& line, const Paths& paths, ChangeLog& log) {
  std::sort(line.visits.begin(), line.visits.end());
  std::string common;
  std::vector<std::string> first;
  for (std::size_t i = 0; i < line.visits.size(); ++i) {
    const std::string path = paths.path(line.visits[i]);
    common = i == 0 ? path : common_path(common, path);
    if (i <= kPathsListed) first.push_back(path.empty() ? "the root" : path);  // one more, for the "…"
  }
  const std::size_t count = line.nowhere + line.visits.size();
  std::string what(line.what);
  if (count > 1)
    what += " (" + counted(count, "value") + (first.empty() ? "" : ": ") + listed(first, kPathsListed) + ")";
  log.add(line.code, common, what);
}

}  // namespace

void log_notes(const Checkpoint& checkpoint, NodeId source_root, ChangeLog& log) {
  if (checkpoint.notes.empty()) return;
  const Paths paths(checkpoint.values, Reach::everything);
  const auto visits = find_visits(checkpoint, paths);
  std::vector<Line> lines;  // in the order of their first note
  std::map<std::pair<Code, std::string_view>, std::size_t> same;
  for (const Note& note : checkpoint.notes) {
    const auto visit = visits.find(note.node);
    const bool nowhere = note.node == source_root || visit == visits.end();
    if (nowhere && note.node != source_root && !is_loss(note.code)) continue;
    const auto [place, fresh] = same.try_emplace({note.code, note.what}, lines.size());
    if (fresh) lines.push_back({note.code, note.what, 0, {}});
    Line& line = lines[place->second];
    if (nowhere)
      ++line.nowhere;
    else
      line.visits.push_back(visit->second);
  }
  for (Line& line : lines) write(line, paths, log);
}

}  // namespace ferry::convert
