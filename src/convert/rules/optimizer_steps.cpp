// Step counts: integers up to PyTorch 1.11, 0-dim float32 tensors in 2.x; apex's fused optimizers keep them
// in the group.  Source: torch/optim/*.py (__setstate__, where 2.13 does the same on loading),
// apex/optimizers/fused_*.py.
#include <bit>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "src/convert/optimizer.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"

namespace ferry::convert {
namespace {

std::optional<double> as_number(const ValueGraph& graph, NodeId id) {
  if (id == kNoNode) return std::nullopt;
  if (graph.kind(id) == Kind::integer) return static_cast<double>(graph.integer(id));
  if (graph.kind(id) == Kind::real && std::abs(graph.real(id)) < 1e30)
    return graph.real(id);  // a NaN counts nothing
  return std::nullopt;
}

// Collects counters and makes their tensors at once, each on a storage of its own in one block of memory:
// optimizers add to the step of a parameter in place, so no two may share it.
class Counters {
 public:
  explicit Counters(Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  void set(NodeId entry, double value) { wanted_.push_back({entry, static_cast<float>(value)}); }

  void make() {
    if (wanted_.empty()) return;
    std::vector<std::byte> bytes(4 * wanted_.size());
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      store_le(bytes.data() + 4 * i, std::bit_cast<std::uint32_t>(wanted_[i].value));
    const auto block = std::make_shared<MemorySource>("step counts", std::move(bytes));
    checkpoint_.storages.reserve(checkpoint_.storages.size() + wanted_.size());
    checkpoint_.tensors.reserve(checkpoint_.tensors.size() + wanted_.size());
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      checkpoint_.values.set_entry(wanted_[i].entry, "step", make_one(block, 4 * i));
  }

 private:
  struct Wanted {
    NodeId entry;
    float value;
  };

  NodeId make_one(const SourcePtr& block, std::uint64_t offset) {
    Storage& storage = checkpoint_.storages.emplace_back();
    storage.key = "step";
    storage.dtype = DType::float32;
    storage.numel = 1;
    storage.bytes = {block, offset, 4, 4, Compression::stored, false, std::nullopt};
    Tensor& tensor = checkpoint_.tensors.emplace_back();
    tensor.storage = static_cast<std::uint32_t>(checkpoint_.storages.size() - 1);
    tensor.dims = checkpoint_.add_dims({}, {});
    return checkpoint_.values.make_indexed(Kind::tensor,
                                           static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1));
  }

  Checkpoint& checkpoint_;
  std::vector<Wanted> wanted_;
};

class StepRule {
 public:
  StepRule(Checkpoint& checkpoint, ChangeLog& log)
      : graph_(checkpoint.values), log_(log), counters_(checkpoint), done_(graph_.node_count()) {}

  void run(const Optimizer& optimizer) {
    if (optimizer.kind == nullptr || optimizer.kind->steps == Steps::stay || !is_new(optimizer.state)) return;
    const auto from_groups = steps_of_groups(optimizer);
    Counts counts;
    for (std::size_t i = 0; i < graph_.entry_count(optimizer.state); ++i) {
      const auto [key, entry] = graph_.entry(optimizer.state, i);
      if (graph_.kind(entry) != Kind::dict || graph_.entry_count(entry) == 0 || !is_new(entry)) continue;
      const NodeId step = graph_.find(entry, "step");
      if (const auto value = as_number(graph_, step)) {
        convert(entry, *value, counts);
        ++counts.converted;
      } else if (step == kNoNode && graph_.kind(key) == Kind::integer) {
        const auto group = from_groups.find(graph_.integer(key));
        if (group == from_groups.end()) continue;
        convert(entry, group->second, counts);
        ++counts.added;
      }
    }
    report(optimizer, counts);
  }

  void finish() { counters_.make(); }

 private:
  struct Counts {
    std::size_t converted = 0, added = 0, inexact = 0;
  };

  void convert(NodeId entry, double value, Counts& counts) {
    counters_.set(entry, value);
    counts.inexact += static_cast<double>(static_cast<float>(value)) != value ? 1 : 0;
  }

  bool is_new(NodeId id) {
    const bool fresh = !done_[id];
    done_[id] = true;
    return fresh;
  }

  // The step that the group of a parameter holds for all its parameters.
  std::unordered_map<std::int64_t, double> steps_of_groups(const Optimizer& optimizer) const {
    std::unordered_map<std::int64_t, double> steps;
    // Where some states count for themselves, one that does not is incomplete, and not to be mended by a
    // guess.
    for (std::size_t i = 0; i < graph_.entry_count(optimizer.state); ++i) {
      const NodeId entry = graph_.entry(optimizer.state, i).value;
      if (graph_.kind(entry) == Kind::dict && graph_.find(entry, "step") != kNoNode) return steps;
    }
    for (const NodeId group : graph_.items(optimizer.groups)) {
      auto step = as_number(graph_, graph_.find(group, "step"));
      if (!step && optimizer.kind->steps == Steps::missing) step = 0;
      if (!step) continue;
      for (const NodeId id : graph_.items(graph_.find(group, "params")))
        if (graph_.kind(id) == Kind::integer) steps.try_emplace(graph_.integer(id), *step);
    }
    return steps;
  }

  void report(const Optimizer& optimizer, const Counts& counts) {
    const std::string path = join_path(optimizer.path, "state");
    const std::string name = " (" + std::string(optimizer.kind->name) + ")";
    const bool missing = optimizer.kind->steps == Steps::missing;
    if (counts.converted != 0)
      log_.add(Code::optimizer_steps, path,
               counted(counts.converted, "step count") + " → float32 tensors" + name);
    if (counts.added != 0)
      log_.add(Code::optimizer_steps, path,
               (missing ? "step 0 given to " : "step of the group given to ") +
                   counted(counts.added, "state") + name);
    if (counts.inexact != 0)
      log_.add(Code::inexact_step, path,
               counted(counts.inexact, "step count") + " above 2^24 rounded to float32");
  }

  ValueGraph& graph_;
  ChangeLog& log_;
  Counters counters_;
  std::vector<bool> done_;  // states and entries, by node
};

}  // namespace

void convert_steps(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  StepRule rule(checkpoint, log);
  for (const Optimizer& optimizer : find_optimizers(checkpoint.values)) rule.run(optimizer);
  rule.finish();
}

}  // namespace ferry::convert
