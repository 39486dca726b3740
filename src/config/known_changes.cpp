#include "src/config/known_changes.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <set>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::config {

extern const char kKnownChangesText[];  // made of the file by CMakeLists.txt

namespace {

[[noreturn]] void refuse(const std::string& what, const toml::source_region& place) {
  throw Error(Code::bad_policy, what).in("line " + std::to_string(place.begin.line));
}

class RowReader {
 public:
  explicit RowReader(const toml::table& table) : table_(table) {}

  KnownChange read() const {
    refuse_unknown();
    KnownChange change;
    change.id = needed("id");
    change.title = needed("title");
    change.kind = kind();
    change.text = needed("text");
    change.from = text("from");
    change.to = text("to");
    change.cure = text("cure");
    change.link = text("link");
    change.ops = texts("ops");
    change.modules = texts("modules");
    change.cuda_only = truth("cuda_only");
    change.edge_inputs = truth("edge_inputs");
    change.weights = truth("weights");
    read_drift(change);
    if (change.from.empty() != change.to.empty()) refuse("from and to come together", table_.source());
    if (change.ops.empty() && change.modules.empty())
      refuse("a change is in some operations or modules", table_.source());
    return change;
  }

 private:
  void refuse_unknown() const {
    static constexpr auto kKeys =
        std::to_array<std::string_view>({"id", "title", "from", "to", "kind", "drift", "cuda_only",
                                         "edge_inputs", "weights", "ops", "modules", "text", "cure", "link"});
    for (const auto& [key, value] : table_)
      if (std::find(kKeys.begin(), kKeys.end(), key.str()) == kKeys.end())
        refuse("there is no key " + quote(key.str()) + " here", key.source());
  }

  std::string text(std::string_view key) const {
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return "";
    if (auto value = node->value_exact<std::string>()) return std::move(*value);
    refuse(std::string(key) + " is a text", node->source());
  }

  std::string needed(std::string_view key) const {
    std::string value = text(key);
    if (value.empty()) refuse(std::string(key) + " is missing", table_.source());
    return value;
  }

  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> all;
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return all;
    const toml::array* const list = node->as_array();
    if (list == nullptr) refuse(std::string(key) + " is a list of texts", node->source());
    for (const toml::node& item : *list) {
      auto value = item.value_exact<std::string>();
      if (!value) refuse(std::string(key) + " is a list of texts", item.source());
      all.push_back(std::move(*value));
    }
    return all;
  }

  bool truth(std::string_view key) const {
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return false;
    if (const auto value = node->value_exact<bool>()) return *value;
    refuse(std::string(key) + " is true or false", node->source());
  }

  ChangeKind kind() const {
    static constexpr std::array kKinds = {ChangeKind::value, ChangeKind::rounding, ChangeKind::index,
                                          ChangeKind::shape, ChangeKind::dtype,    ChangeKind::error};
    const std::string name = needed("kind");
    for (const ChangeKind one : kKinds)
      if (change_kind_name(one) == name) return one;
    refuse("there is no kind " + quote(name), table_.get("kind")->source());
  }

  void read_drift(KnownChange& change) const {
    const toml::node* const node = table_.get("drift");
    if (node == nullptr) return;
    const toml::array* const pair = node->as_array();
    const auto least = pair != nullptr && pair->size() == 2 ? pair->get(0)->value<double>() : std::nullopt;
    const auto most = least ? pair->get(1)->value<double>() : std::nullopt;
    if (!least || !most || !(*least >= 0) || !(*most >= *least))
      refuse("drift is [least, most], two numbers of 0 or more", node->source());
    change.least = *least;
    change.most = *most;
  }

  const toml::table& table_;
};

std::vector<KnownChange> changes_of(const toml::table& document) {
  for (const auto& [key, value] : document)
    if (key.str() != "change") refuse("there is no key " + quote(key.str()) + " here", key.source());
  std::vector<KnownChange> changes;
  std::set<std::string> ids;
  const toml::array* const rows = document["change"].as_array();
  if (rows == nullptr) return changes;
  for (const toml::node& row : *rows) {
    if (row.as_table() == nullptr) refuse("changes are written as [[change]]", row.source());
    changes.push_back(RowReader(*row.as_table()).read());
    if (!ids.insert(changes.back().id).second)
      refuse(quote(changes.back().id) + " is there twice", row.source());
  }
  return changes;
}

}  // namespace

std::vector<KnownChange> parse_known_changes(std::string_view text) {
  try {
    return changes_of(toml::parse(text));
  } catch (const toml::parse_error& error) {
    refuse(std::string(error.description()), error.source());
  }
}

std::span<const KnownChange> known_changes() {
  static const std::vector<KnownChange> changes = parse_known_changes(kKnownChangesText);
  return changes;
}

const KnownChange* find_known_change(std::string_view id) {
  for (const KnownChange& change : known_changes())
    if (change.id == id) return &change;
  return nullptr;
}

}  // namespace ferry::config
