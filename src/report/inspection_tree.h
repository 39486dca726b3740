// The tree of a checkpoint as people read it: containers, and inside long state_dicts the modules that dots
// in their keys tell of, each with what is below it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/core/checkpoint.h"

namespace ferry::report {

// What lies below a value.  A tensor counts as often as it appears, as sum(t.numel() for t in
// state_dict.values()) has it; sums that do not fit stay at the largest number.
struct Totals {
  std::uint64_t tensors = 0, elements = 0, bytes = 0;
  std::uint64_t dtypes = 0;  // a bit for each

  void add(const Totals& other);
};
std::string totals_text(const Totals& totals);  // "684 tensors, 33,852,972 parameters, 129.1 MiB float32"
std::vector<DType> dtypes_of(std::uint64_t dtypes);  // weights first, counters after them
std::string dtypes_text(std::uint64_t dtypes);       // "float32, int64"

// Totals of every container, each counted once.
class TotalsIndex {
 public:
  explicit TotalsIndex(const Checkpoint& checkpoint);
  Totals of(NodeId node) const;

 private:
  Totals of_tensor(NodeId node) const;

  const Checkpoint& checkpoint_;
  std::unordered_map<NodeId, Totals> containers_;
};

// Tensors that look at one storage: for each storage, how many tensors of the tree do, and the path of the
// first.
struct Sharing {
  std::vector<std::uint32_t> counts;
  std::vector<std::string> first;    // by storage; empty unless asked for
  std::uint64_t shared_tensors = 0;  // that are not alone on their storage
};
Sharing find_sharing(const Checkpoint& checkpoint, bool with_paths);

struct TreeRow {
  std::size_t depth = 0;
  std::string name;  // "epoch"; "layer1." for a module; as written, not escaped
  std::string path;  // "model_state.layer1"
  std::string type;  // "OrderedDict", "int"; empty for a module
  std::string text;  // what is in it, on one line, safe to print
  Totals totals;
  bool leaf = true;
};

class Tree {
 public:
  explicit Tree(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), totals_(checkpoint), sharing_(find_sharing(checkpoint, true)) {}

  const Sharing& sharing() const { return sharing_; }
  Totals totals() const { return totals_.of(checkpoint_.values.root()); }

  // The first levels, in at most about `rows` rows; what is left out is counted in rows named "…".
  std::vector<TreeRow> summary(std::size_t rows) const;
  // Everything, row by row.
  void each(const std::function<void(const TreeRow&)>& take) const;
  // The root itself.
  TreeRow root() const;

 private:
  // A value under its key, or the entries of a dict whose keys begin with one module's name.
  struct Item {
    std::string name, path;
    NodeId node = kNoNode;
    bool module = false;
    std::vector<std::uint32_t> entries;  // of the dict
    std::size_t prefix = 0;              // characters of their keys that are said already
    Totals totals;
  };
  struct Shown;

  std::vector<TreeRow> rows_of(const std::vector<Shown>& shown) const;
  std::vector<Item> children(const Item& item) const;
  std::vector<Item> modules(const Item& item, std::vector<std::uint32_t> entries, std::size_t prefix) const;
  void lengthen(Item& module) const;
  bool has_modules(NodeId dict) const;
  bool is_opened(const Item& item, std::size_t depth) const;
  Item root_item() const;
  TreeRow row(const Item& item, std::size_t depth) const;
  std::string describe(const Item& item) const;
  std::string describe_tensor(const Item& item) const;

  const Checkpoint& checkpoint_;
  TotalsIndex totals_;
  Sharing sharing_;
};

// "float32 [64, 3, 7, 7], 36.8 KiB, parameter", safe to print.
std::string tensor_text(const Checkpoint& checkpoint, const Tensor& tensor);
bool holds_items(Kind kind);  // dict, list, tuple, set, composite tensor
std::string plural(std::uint64_t count, std::string_view one, std::string_view many);  // "1 tensor"
std::string shape_text(std::span<const std::int64_t> shape);
std::uint64_t tensor_bytes(const Checkpoint& checkpoint, const Tensor& tensor);
// A value without tensors on one line of at most about `length_max` characters: "{lr: 0.1, betas: (0.9,
// 0.999)}".
std::string preview(const ValueGraph& graph, NodeId node, std::size_t length_max);
std::string composite_text(const Checkpoint& checkpoint,
                           NodeId node);  // "[2, 3]  12 B float32, 3 values stored"
std::string_view type_text(const Checkpoint& checkpoint, NodeId node);

// Every tensor where it appears, containers in the order of Paths; the path is as written, not escaped.
void each_tensor(const Checkpoint& checkpoint,
                 const std::function<void(const std::string& path, const Tensor& tensor)>& take);

}  // namespace ferry::report
