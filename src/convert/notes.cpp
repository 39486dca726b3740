#include "src/convert/notes.h"

#include <map>
#include <string>
#include <unordered_map>

#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

// The longest path that all given ones lie under, in whole parts.
std::string common_path(const std::vector<std::string>& paths) {
  std::string common = paths.front();
  for (const std::string& path : paths) {
    std::size_t same = 0;
    while (same < common.size() && same < path.size() && common[same] == path[same]) ++same;
    const bool whole = same == common.size() && (same == path.size() || path[same] == '.');
    if (whole) continue;
    if (same < common.size() && common[same] == '.' && same == path.size()) {
      common.resize(same);
      continue;
    }
    const std::size_t dot = common.rfind('.', same == 0 ? 0 : same - 1);
    common.resize(dot == std::string::npos ? 0 : dot);
  }
  return common;
}

bool is_loss(Code code) { return code == Code::attributes_dropped || code == Code::lost_value; }

// The path of every noted value that is still reached, by its node.
std::unordered_map<NodeId, std::string> find_paths(const Checkpoint& checkpoint) {
  std::vector<bool> noted(checkpoint.values.node_count());
  for (const Note& note : checkpoint.notes) noted[note.node] = true;
  std::unordered_map<NodeId, std::string> found;
  const Paths paths(checkpoint.values, Reach::everything);
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (const NodeId node = paths.visits()[i].node; noted[node]) found.emplace(node, paths.path(i));
  return found;
}

struct Line {
  Code code;
  std::string what;
  std::vector<std::string> paths;
};

void write(const Line& line, ChangeLog& log) {
  if (line.paths.size() == 1) return log.add(line.code, line.paths[0], line.what);
  std::vector<std::string> places = line.paths;
  std::erase(places, "");
  log.add(line.code, common_path(line.paths),
          line.what + " (" + counted(line.paths.size(), "value") + (places.empty() ? "" : ": ") +
              listed(places) + ")");
}

}  // namespace

void log_notes(const Checkpoint& checkpoint, NodeId source_root, ChangeLog& log) {
  if (checkpoint.notes.empty()) return;
  const auto paths = find_paths(checkpoint);
  std::vector<Line> lines;  // in the order of their first note
  std::map<std::pair<Code, std::string_view>, std::size_t> places;
  for (const Note& note : checkpoint.notes) {
    const auto path = paths.find(note.node);
    const bool whole_file = note.node == source_root;
    if (path == paths.end() && !whole_file && !is_loss(note.code)) continue;
    const auto [place, fresh] = places.try_emplace({note.code, note.what}, lines.size());
    if (fresh) lines.push_back({note.code, note.what, {}});
    lines[place->second].paths.push_back(whole_file || path == paths.end() ? std::string() : path->second);
  }
  for (const Line& line : lines) write(line, log);
}

}  // namespace ferry::convert
