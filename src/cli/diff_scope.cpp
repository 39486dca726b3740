// What counts of two checkpoints: what was wanted of them, and what the poorer of two formats can hold.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "src/cli/diff_rows.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"
#include "src/report/inspection_tree.h"

namespace ferry::cli {
namespace {

using report::DiffState;
using report::FileDiff;
using report::TensorRow;
using structure::kNoTensor;

bool same_tensor(const Checkpoint& checkpoint, std::uint32_t a, std::uint32_t b) {
  const Tensor &x = checkpoint.tensors[a], &y = checkpoint.tensors[b];
  return x.storage != kNoStorage && x.storage == y.storage && x.offset == y.offset && x.dtype == y.dtype &&
         std::ranges::equal(checkpoint.shape(x), checkpoint.shape(y)) &&
         std::ranges::equal(checkpoint.strides(x), checkpoint.strides(y));
}

// What `rich` has beyond a file that can hold named tensors only.
class Scope {
 public:
  Scope(const structure::Pairing& pairing, const Opened& rich, const Parts& parts, structure::Side side,
        FileDiff& file)
      : pairing_(pairing),
        rich_(rich),
        parts_(parts),
        rich_is_before_(side == structure::Side::before),
        file_(file) {}

  void narrow() {
    find_partners();
    for (std::size_t i = 0; i < pairing_.tensors.size(); ++i)
      narrow_tensor(pairing_.tensors[i], file_.tensors[i]);
    for (const auto& [part, count] : parts_left_)
      remark(std::string(part), report::plural(count, "tensor", "tensors") + ", only in " + side());
    narrow_values();
  }

 private:
  std::string side() const { return rich_is_before_ ? "before" : "after"; }
  const structure::SidedTensor& mine(const structure::TensorMatch& match) const {
    return rich_is_before_ ? match.before : match.after;
  }
  void remark(const std::string& path, std::string what) {
    file_.remarks.push_back({Code::not_compared, path, std::move(what)});
  }

  void find_partners() {
    for (const structure::TensorMatch& match : pairing_.tensors) {
      if (!match.paired()) continue;
      paired_by_storage_[rich_.checkpoint.tensors[mine(match).tensor].storage].push_back(&match);
      const std::string_view part = parts_.find(mine(match).path);
      if (part.empty()) continue;
      parts_met_.insert(part);
      same_root_ = same_root_ || match.before.path == match.after.path;
    }
  }

  void narrow_tensor(const structure::TensorMatch& match, TensorRow& row) {
    if (match.paired() || mine(match).tensor == kNoTensor) return;
    const auto tied = paired_by_storage_.find(rich_.checkpoint.tensors[mine(match).tensor].storage);
    if (tied != paired_by_storage_.end())
      for (const structure::TensorMatch* other : tied->second)
        if (same_tensor(rich_.checkpoint, mine(*other).tensor, mine(match).tensor)) {
          row.state = DiffState::not_compared;
          row.why = "the same tensor as " + mine(*other).path + ", which is there";
          return;
        }
    const std::string_view part = parts_.find(mine(match).path);
    if (part.empty() || parts_met_.contains(part)) return;
    // Where the other file holds parts of the model under their names, one of them is missing.
    if (same_root_ && parts_.holds_tensors_only(part)) return;
    row.state = DiffState::not_compared;
    row.why = "the other file holds nothing of " + std::string(part);
    ++parts_left_[part];
  }

  void narrow_values() {
    std::size_t count = 0;
    std::string first;
    std::erase_if(file_.values, [&](const report::ValueRow& row) {
      const bool alone = rich_is_before_ ? row.after.empty() : row.before.empty();
      if (alone || row.path.empty()) first = count++ == 0 ? row.path : first;
      return alone || row.path.empty();
    });
    if (count > 0)
      remark(first, report::plural(count, "value", "values") + " only in " + side() +
                        ": the other file can hold tensors only");
  }

  const structure::Pairing& pairing_;
  const Opened& rich_;
  const Parts& parts_;
  const bool rich_is_before_;
  FileDiff& file_;
  std::unordered_map<std::uint32_t, std::vector<const structure::TensorMatch*>> paired_by_storage_;
  std::unordered_set<std::string_view> parts_met_;
  bool same_root_ = false;  // some part is there under its own name
  std::map<std::string_view, std::size_t> parts_left_;
};

// Dicts of dicts whose values are tensors, by text: state_dicts, not states of optimizers.
bool holds_tensors_only(const ValueGraph& graph, NodeId part) {
  const Paths paths(graph, part, Reach::containers);
  std::vector<bool> attached(paths.visits().size());  // _metadata and what is in it
  for (std::size_t at = 0; at < paths.visits().size(); ++at) {
    const Paths::Visit& visit = paths.visits()[at];
    attached[at] = at > 0 && (visit.slot == Paths::kAttributes || attached[visit.parent]);
    if (attached[at]) continue;
    if (graph.kind(visit.node) != Kind::dict) return false;
    for (std::size_t i = 0; i < graph.entry_count(visit.node); ++i) {
      const Entry entry = graph.entry(visit.node, i);
      const Kind kind = graph.kind(entry.value);
      if (!graph.is_text(entry.key) || (kind != Kind::tensor && kind != Kind::dict)) return false;
    }
  }
  return true;
}

}  // namespace

Parts::Parts(const ValueGraph& graph) {
  if (graph.kind(graph.root()) != Kind::dict) return;
  for (std::size_t i = 0; i < graph.entry_count(graph.root()); ++i) {
    const Entry entry = graph.entry(graph.root(), i);
    if (!report::holds_items(graph.kind(entry.value))) continue;
    names_.push_back(key_text(graph, entry.key));
    tensors_only_.push_back(cli::holds_tensors_only(graph, entry.value));
  }
}

bool Parts::holds_tensors_only(std::string_view part) const {
  const auto found = std::ranges::find(names_, part);
  return found != names_.end() && tensors_only_[static_cast<std::size_t>(found - names_.begin())];
}

std::string_view Parts::find(std::string_view path) const {
  std::string_view best;
  for (const std::string& name : names_)
    if (name.size() > best.size() && path.size() > name.size() && path.starts_with(name) &&
        path[name.size()] == '.')
      best = name;
  return best;
}

void leave_out(const convert::RuleOptions& wanted, structure::Pairing& pairing, FileDiff& file) {
  if (wanted.includes.empty() && wanted.excludes.empty()) return;
  const auto matches = [](const std::vector<std::string>& globs, const structure::TensorMatch& match) {
    return (match.before.tensor != kNoTensor && matches_any(globs, match.before.path)) ||
           (match.after.tensor != kNoTensor && matches_any(globs, match.after.path));
  };
  const std::size_t left_out = std::erase_if(pairing.tensors, [&](const structure::TensorMatch& match) {
    return (!wanted.includes.empty() && !matches(wanted.includes, match)) || matches(wanted.excludes, match);
  });
  if (pairing.tensors.empty())
    throw Error(Code::nothing_selected, "no tensor is left after --include and --exclude");
  if (left_out > 0)
    file.remarks.push_back({Code::excluded, "", report::plural(left_out, "tensor", "tensors") + " left out"});
}

void narrow_scope(const structure::Pairing& pairing, const Opened& rich, const Parts& parts,
                  structure::Side side, FileDiff& file) {
  Scope(pairing, rich, parts, side, file).narrow();
}

}  // namespace ferry::cli
