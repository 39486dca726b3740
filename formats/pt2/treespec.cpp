#include "formats/pt2/treespec.h"

#include <optional>

#include "formats/json/json.h"
#include "formats/pt2/schema.h"
#include "src/core/error.h"
#include "src/core/paths.h"

namespace ferry::pt2 {
namespace {

constexpr std::size_t kLeavesMax = 1'000'000;
constexpr std::int64_t kTreeVersion = 1;

json::Rules rules() {
  json::Rules rules;
  rules.depth_max = 256;
  rules.broken = Code::bad_pt2;
  return rules;
}

std::string key_of(const json::Value& key) {
  if (key.text() != nullptr) return *key.text();
  if (const auto number = key.integer()) return std::to_string(*number);
  throw Error(Code::bad_pt2, "a key in a tree of inputs or outputs is neither text nor an integer");
}

// A key as one step of a path: the signs that paths are made of are escaped, as in goldens.
std::string path_step(const std::string& key) {
  if (key.empty()) return "%00";
  std::string step;
  for (const char c : key) step += c == '%' ? "%25" : c == '/' ? "%2F" : c == '.' ? "%2E" : std::string(1, c);
  return step;
}

// The keys of a container that has keys: its context is the list of them, once more as JSON.
std::optional<std::vector<std::string>> keys_of(const json::Value& node, std::size_t count) {
  const json::Value* context = node.find("context");
  if (context == nullptr || context->text() == nullptr) return std::nullopt;
  const std::string& type = text_of(member(node, "type"), "the type of a container");
  json::Value parsed = json::parse(*context->text(), rules());
  const json::Value* list = &parsed;
  if (type == "collections.defaultdict" && parsed.find("dict_context") != nullptr)
    list = parsed.find("dict_context");
  if (list->array() == nullptr || list->array()->size() != count) {
    if (type == "builtins.dict" || type == "collections.OrderedDict")
      throw Error(Code::bad_pt2, "a dict in a tree of inputs or outputs has not as many keys as values");
    return std::nullopt;  // a class with a context of its own: positions
  }
  std::vector<std::string> keys;
  for (const json::Value& key : *list->array()) keys.push_back(path_step(key_of(key)));
  return keys;
}

struct Pending {
  const json::Value* node;
  std::string path;
};

// Iterative: the nesting is the file's.
void collect(const json::Value& root, const std::string& prefix, std::vector<std::string>& leaves) {
  std::vector<Pending> stack{{&root, prefix}};
  while (!stack.empty()) {
    const Pending at = std::move(stack.back());
    stack.pop_back();
    if (member(*at.node, "type").is_null()) {
      if (leaves.size() >= kLeavesMax)
        throw Error(Code::limit_exceeded, "a tree of inputs or outputs has too many leaves");
      leaves.push_back(at.path);
      continue;
    }
    const auto& children = array_of(member(*at.node, "children_spec"), "children_spec");
    const auto keys = keys_of(*at.node, children.size());
    for (std::size_t i = children.size(); i-- > 0;)
      stack.push_back({&children[i], join_path(at.path, keys ? (*keys)[i] : std::to_string(i))});
  }
}

json::Value parse_spec(std::string_view spec) {
  json::Value document = json::parse(spec, rules());
  const auto& pair = array_of(document, "a tree of inputs or outputs");
  if (pair.size() != 2 || integer_of(pair[0], "the version of a tree") != kTreeVersion)
    throw Error(Code::bad_version, "the tree of inputs or outputs has an unknown version");
  return pair[1];
}

}  // namespace

std::vector<std::string> leaf_paths(std::string_view spec) {
  std::vector<std::string> leaves;
  collect(parse_spec(spec), "", leaves);
  return leaves;
}

std::vector<std::string> argument_paths(std::string_view spec) {
  const json::Value root = parse_spec(spec);
  const auto& children = array_of(member(root, "children_spec"), "children_spec");
  if (children.size() != 2)
    throw Error(Code::bad_pt2, "the tree of inputs is not a pair of positional and keyword arguments");
  std::vector<std::string> leaves;
  collect(children[0], "", leaves);
  collect(children[1], "kw", leaves);
  return leaves;
}

}  // namespace ferry::pt2
