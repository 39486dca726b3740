#include "src/config/known_changes.h"

#include <algorithm>
#include <array>
#include <set>

#include "src/config/toml_values.h"
#include "src/core/text.h"

namespace ferry::config {

extern const char kKnownChangesText[];  // made of the file by CMakeLists.txt

namespace {

class RowReader {
 public:
  explicit RowReader(const toml::table& table) : table_(table) {}

  KnownChange read() const {
    refuse_unknown(table_, kKeys);
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
  static constexpr auto kKeys =
      std::to_array<std::string_view>({"id", "title", "from", "to", "kind", "drift", "cuda_only",
                                       "edge_inputs", "weights", "ops", "modules", "text", "cure", "link"});

  std::string text(std::string_view key) const {
    const toml::node* const node = table_.get(key);
    return node == nullptr ? "" : text_of(*node, key);
  }

  std::string needed(std::string_view key) const {
    std::string value = text(key);
    if (value.empty()) refuse(std::string(key) + " is missing", table_.source());
    return value;
  }

  std::vector<std::string> texts(std::string_view key) const {
    const toml::node* const node = table_.get(key);
    return node == nullptr ? std::vector<std::string>{} : texts_of(*node, key);
  }

  bool truth(std::string_view key) const {
    const toml::node* const node = table_.get(key);
    return node != nullptr && truth_of(*node, key);
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
  refuse_unknown(document, std::array<std::string_view, 1>{"change"});
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

std::vector<KnownChange> parse_known_changes(std::string_view text) { return changes_of(parse_table(text)); }

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
