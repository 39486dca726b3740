#include "src/convert/renamer.h"

#include <optional>
#include <unordered_map>

#include "src/convert/optimizer.h"
#include "src/convert/state_dict.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

// std::regex recurses over the characters that it reads, and keys come from the file.
constexpr std::size_t kKeyLengthMax = 2000;

// Where the modules of a state_dict moved to, as far as its keys tell: `conv` to `net.conv` when every key
// `conv.weight`, `conv.bias` … became `net.conv.weight`, `net.conv.bias` …
class ModuleMoves {
 public:
  void add(std::string_view before, std::string_view after) {
    for (std::size_t dot = before.find('.'); dot != std::string_view::npos; dot = before.find('.', dot + 1)) {
      const std::string_view rest = before.substr(dot);
      auto moved = after.size() > rest.size() && after.ends_with(rest)
                       ? std::optional(std::string(after.substr(0, after.size() - rest.size())))
                       : std::nullopt;
      const auto [place, fresh] = moves_.try_emplace(std::string(before.substr(0, dot)), moved);
      if (!fresh && place->second != moved) place->second = std::nullopt;
    }
  }

  std::string moved(std::string_view module) const {
    const auto found = moves_.find(std::string(module));
    return found == moves_.end() || !found->second ? std::string(module) : *found->second;
  }

 private:
  std::unordered_map<std::string, std::optional<std::string>> moves_;
};

// An entry that would take the place of another keeps its old key.
void move_metadata(ValueGraph& graph, NodeId metadata, const ModuleMoves& moves) {
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < graph.entry_count(metadata); ++i) {
    const std::string_view key = graph.text(graph.entry(metadata, i).key);
    if (moves.moved(key) == key) names.emplace(key);
  }
  std::vector<NodeId> pairs;
  for (std::size_t i = 0; i < graph.entry_count(metadata); ++i) {
    const auto [key, value] = graph.entry(metadata, i);
    const std::string before(graph.text(key)), after = moves.moved(before);
    const bool moves_on = graph.is_text(key) && before != after && names.insert(after).second;
    pairs.insert(pairs.end(), {moves_on ? graph.make_text(after) : key, value});
  }
  graph.set_items(metadata, pairs);
}

// What an optimizer keeps for one parameter looks like a state_dict, and is none.
std::unordered_set<NodeId> optimizer_entries(const ValueGraph& graph) {
  std::unordered_set<NodeId> entries;
  for (const Optimizer& optimizer : find_optimizers(graph))
    for (std::size_t i = 0; i < graph.entry_count(optimizer.state); ++i)
      entries.insert(graph.entry(optimizer.state, i).value);
  return entries;
}

}  // namespace

std::vector<std::pair<NodeId, std::string>> state_dicts_of(const ValueGraph& graph) {
  std::vector<std::pair<NodeId, std::string>> dicts;
  const auto skipped = optimizer_entries(graph);
  const Paths paths(graph, Reach::containers);
  for (std::size_t i = 0; i < paths.visits().size(); ++i)
    if (const NodeId dict = paths.visits()[i].node; is_state_dict(graph, dict) && !skipped.contains(dict))
      dicts.emplace_back(dict, paths.path(i));
  return dicts;
}

Renamer::Renamer(ValueGraph& graph, const std::vector<Rename>& renames) : graph_(graph) {
  for (const Rename& rename : renames) {
    try {
      patterns_.push_back({std::regex(rename.pattern), rename.replacement});
    } catch (const std::regex_error& error) {
      throw Error(Code::bad_usage, quote(rename.pattern) + " is no regular expression: " + error.what());
    }
  }
}

std::string Renamer::renamed(const std::string& key) const {
  if (key.size() > kKeyLengthMax)
    throw Error(Code::limit_exceeded,
                "a key of " + grouped(key.size()) + " characters is too long to be renamed");
  std::string name = key;
  try {
    for (const Pattern& pattern : patterns_)
      name = std::regex_replace(name, pattern.regex, pattern.replacement);
  } catch (const std::regex_error& error) {
    throw Error(Code::bad_usage, "the pattern is too complex for " + quote(key) + ": " + error.what());
  }
  return name;
}

std::size_t Renamer::rename(NodeId dict, const std::string& path) {
  ModuleMoves moves;
  std::vector<NodeId> pairs;
  std::unordered_set<std::string> names;
  std::size_t count = 0;
  for (std::size_t i = 0; i < graph_.entry_count(dict); ++i) {
    const auto [key, value] = graph_.entry(dict, i);
    if (!graph_.is_text(key)) {
      pairs.insert(pairs.end(), {key, value});
      continue;
    }
    const std::string before(graph_.text(key));
    const std::string after = renamed(before);
    if (!names.insert(after).second)
      throw Error(Code::key_collision,
                  "two keys of " + (path.empty() ? "the root" : quote(path)) + " become " + quote(after));
    moves.add(before, after);
    count += before != after ? 1 : 0;
    pairs.insert(pairs.end(), {before == after ? key : graph_.make_text(after), value});
  }
  if (count == 0) return 0;
  graph_.set_items(dict, pairs);
  const NodeId metadata = metadata_of(graph_, dict);
  if (metadata != kNoNode && done_.insert(metadata).second) move_metadata(graph_, metadata, moves);
  return count;
}

}  // namespace ferry::convert
