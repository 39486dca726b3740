#include "validators/structure/optimizer_fit.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "src/core/paths.h"
#include "src/core/text.h"
#include "validators/structure/optimizer_classes.h"

namespace ferry::structure {
namespace {

using Shape = std::vector<std::int64_t>;

std::string shape_words(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::int64_t count_of(const Shape& shape) {
  std::int64_t count = 1;  // the sizes of a tensor in a file were multiplied without overflow before
  for (const std::int64_t size : shape) count *= size;
  return count;
}

// --- The model

// Buffers that the modules of torch.nn register: no optimizer has a state for them.
bool is_buffer(std::string_view name) {
  static constexpr std::string_view kBuffers = "running_mean running_var num_batches_tracked";
  return has_word(kBuffers, name.substr(name.rfind('.') + 1));
}

struct Model {
  std::string path;
  std::vector<Shape> parameters;  // in the order of the state_dict; tied ones once
};

class ModelSearch {
 public:
  explicit ModelSearch(const Checkpoint& checkpoint)
      : checkpoint_(checkpoint), graph_(checkpoint.values), paths_(graph_, Reach::containers) {}

  // Every dict of tensors outside of optimizers; behind them, all of them together.
  std::vector<Model> find() {
    std::vector<Model> models;
    std::vector<bool> inside(paths_.visits().size());  // of an optimizer
    for (std::size_t i = 0; i < paths_.visits().size(); ++i) {
      const Paths::Visit& visit = paths_.visits()[i];
      inside[i] = (i > 0 && inside[visit.parent]) || is_optimizer(visit.node);
      if (inside[i] || graph_.kind(visit.node) != Kind::dict) continue;
      Model model{paths_.path(i), {}};
      add_tensors(visit.node, model);
      if (!model.parameters.empty()) models.push_back(std::move(model));
    }
    if (models.size() > 1) models.push_back(union_of(models));
    return models;
  }

 private:
  bool is_optimizer(NodeId node) const {
    return graph_.kind(node) == Kind::dict && graph_.find(node, "param_groups") != kNoNode;
  }

  void add_tensors(NodeId dict, Model& model) {
    std::set<std::tuple<std::uint32_t, std::int64_t, Shape>> seen;
    for (std::size_t i = 0; i < graph_.entry_count(dict); ++i) {
      const Entry entry = graph_.entry(dict, i);
      if (graph_.kind(entry.value) != Kind::tensor) continue;
      if (graph_.is_text(entry.key) && is_buffer(graph_.text(entry.key))) continue;
      const Tensor& tensor = checkpoint_.tensors[graph_.index(entry.value)];
      const auto shape = checkpoint_.shape(tensor);
      Shape copy(shape.begin(), shape.end());
      const bool shared = tensor.storage != kNoStorage && count_of(copy) > 0 &&
                          !seen.insert({tensor.storage, tensor.offset, copy}).second;
      if (!shared) model.parameters.push_back(std::move(copy));
    }
  }

  static Model union_of(const std::vector<Model>& models) {
    Model all{"all dicts of tensors together", {}};
    for (const Model& one : models)
      all.parameters.insert(all.parameters.end(), one.parameters.begin(), one.parameters.end());
    return all;
  }

  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  const Paths paths_;
};

// --- The optimizer

// What one parameter of the groups has.
struct Slot {
  std::string key;             // as the state names it
  NodeId state = kNoNode;      // kNoNode: it has none
  std::optional<Shape> shape;  // what its tensors say
  NodeId group = kNoNode;
};

class Fit {
 public:
  Fit(const Checkpoint& checkpoint, const OptimizerParts& parts)
      : checkpoint_(checkpoint), graph_(checkpoint.values), parts_(parts) {}

  OptimizerFit judge() {
    kind_ = find_optimizer_class(graph_, parts_.groups);
    if (kind_ != nullptr) fit_.kind = kind_->name;
    read_groups();
    read_states();
    for (Slot& slot : slots_) judge_state(slot);
    judge_shapes();
    return std::move(fit_);
  }

 private:
  std::string path(std::string_view below) const { return join_path(parts_.path, below); }
  std::string path_of(const Slot& slot, std::string_view key = "") const {
    return join_path(path("state." + slot.key), key);
  }
  void misfit(std::string where, std::string what) {
    fit_.misfits.push_back({std::move(where), std::move(what)});
  }

  void read_groups() {
    const auto groups = graph_.items(parts_.groups);
    std::set<std::string> seen;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::string group = "param_groups." + std::to_string(g);
      for (const NodeId parameter : graph_.items(graph_.find(groups[g], "params"))) {
        Slot slot{key_text(graph_, parameter), kNoNode, {}, groups[g]};
        if (!seen.insert(slot.key).second)
          misfit(path(group + ".params"), "parameter " + slot.key + " stands in the groups twice");
        slots_.push_back(std::move(slot));
      }
      if (kind_ == nullptr) continue;
      each_word(kind_->group_needs, [&](std::string_view key) {
        if (graph_.find(groups[g], key) == kNoNode)
          misfit(path(group), quote(key) + " is missing, which " + fit_.kind + " needs at the next step");
      });
    }
    fit_.parameters = slots_.size();
  }

  void read_states() {
    std::unordered_map<std::string, std::size_t> by_key;
    for (std::size_t i = 0; i < slots_.size(); ++i) by_key.emplace(slots_[i].key, i);
    std::vector<std::string> stale;
    fit_.states = graph_.entry_count(parts_.state);
    for (std::size_t i = 0; i < fit_.states; ++i) {
      const Entry entry = graph_.entry(parts_.state, i);
      const std::string key = key_text(graph_, entry.key);
      const auto found = by_key.find(key);
      if (found == by_key.end())
        stale.push_back(key);
      else
        slots_[found->second].state = entry.value;
    }
    judge_stale(stale);
  }

  // A state that no group names is carried along by torch and never used; where a parameter lacks its state
  // at the same time, the two belong together.
  void judge_stale(const std::vector<std::string>& stale) {
    const auto bare = std::ranges::count_if(slots_, [](const Slot& slot) { return slot.state == kNoNode; });
    for (const std::string& key : stale) {
      if (bare > 0)
        misfit(path("state." + key),
               "no group has this parameter, while " + std::to_string(bare) +
                   (bare == 1 ? " parameter lacks its state" : " parameters lack theirs"));
      else
        fit_.remarks.push_back("state " + key + " belongs to no parameter of the groups");
    }
  }

  void judge_state(Slot& slot) {
    if (slot.state == kNoNode) return;
    if (graph_.kind(slot.state) != Kind::dict) return misfit(path_of(slot), "this is no dict");
    if (graph_.entry_count(slot.state) == 0) return;
    judge_keys(slot);
    std::string first;
    for (std::size_t i = 0; i < graph_.entry_count(slot.state); ++i) {
      const Entry entry = graph_.entry(slot.state, i);
      judge_value(slot, key_text(graph_, entry.key), entry.value, first);
    }
    join_factors(slot);
  }

  bool has(const Slot& slot, std::string_view key) const { return graph_.find(slot.state, key) != kNoNode; }
  // An option of the group that is on: True, or a number above 0.
  bool is_on(const Slot& slot, std::string_view key) const {
    const NodeId value = graph_.find(slot.group, key);
    if (value == kNoNode) return false;
    if (graph_.kind(value) == Kind::real) return graph_.real(value) > 0;
    return graph_.as_integer(value).value_or(0) > 0;
  }

  void judge_keys(const Slot& slot) {
    if (kind_ == nullptr) return;
    const auto need = [&](std::string_view key) {
      // apex counts steps in the group.
      const bool elsewhere = key == "step" && graph_.find(slot.group, "step") != kNoNode;
      if (!has(slot, key) && !elsewhere)
        misfit(path_of(slot), quote(key) + " is missing, which " + fit_.kind + " needs at the next step");
    };
    each_word(kind_->state_needs, need);
    if (fit_.kind == "Adam or AdamW" && is_on(slot, "amsgrad")) need("max_exp_avg_sq");
    if (fit_.kind == "RMSprop" && is_on(slot, "momentum")) need("momentum_buffer");
    if (fit_.kind == "RMSprop" && is_on(slot, "centered")) need("grad_avg");
    if (fit_.kind == "RAdam or Adamax" && !has(slot, "exp_inf")) need("exp_avg_sq");
    if (fit_.kind == "Adafactor" && !has(slot, "variance")) {
      need("row_var");
      need("col_var");
    }
  }

  void judge_value(Slot& slot, const std::string& key, NodeId value, std::string& first) {
    const StateShape rule = state_shape(key);
    const bool is_tensor = graph_.kind(value) == Kind::tensor;
    if (rule == StateShape::one_number && !is_tensor) return judge_number(slot, key, value);
    if (!is_tensor) {
      // momentum_buffer of an SGD that has not stepped is None.
      if (rule == StateShape::like_parameter && graph_.kind(value) != Kind::none)
        misfit(path_of(slot, key), "this is no tensor");
      return;
    }
    const auto sizes = checkpoint_.shape(checkpoint_.tensors[graph_.index(value)]);
    Shape shape(sizes.begin(), sizes.end());
    if (rule == StateShape::one_number) {
      if (count_of(shape) != 1) misfit(path_of(slot, key), "one number is wanted, not " + shape_words(shape));
    } else if (rule == StateShape::flat) {
      flat_ = std::pair(path_of(slot, key), shape);
    } else if (rule == StateShape::rows) {
      rows_ = std::move(shape);
    } else if (rule == StateShape::columns) {
      columns_ = std::move(shape);
    } else if (rule == StateShape::like_parameter) {
      take_shape(slot, key, std::move(shape), first);
    }
  }

  void judge_number(const Slot& slot, const std::string& key, NodeId value) {
    const Kind kind = graph_.kind(value);
    if (kind != Kind::integer && kind != Kind::real) return misfit(path_of(slot, key), "this is no number");
    const double number =
        kind == Kind::real ? graph_.real(value) : static_cast<double>(graph_.integer(value));
    if (!(number >= 0)) misfit(path_of(slot, key), real_text(number) + " is no count");
  }

  void take_shape(Slot& slot, const std::string& key, Shape shape, std::string& first) {
    if (!slot.shape) {
      slot.shape = std::move(shape);
      first = key;
    } else if (*slot.shape != shape) {
      misfit(path_of(slot, key), "its shape " + shape_words(shape) + " is not that of " + first + ", " +
                                     shape_words(*slot.shape));
    }
  }

  // Adafactor keeps sums over rows and over columns: [.., r, 1] and [.., 1, c] are of a parameter [.., r, c].
  void join_factors(Slot& slot) {
    if (rows_ && columns_) {
      const std::size_t rank = rows_->size();
      Shape shape = *rows_;
      Shape columns = *columns_;
      const bool fit = rank >= 2 && columns.size() == rank && rows_->back() == 1 && columns[rank - 2] == 1 &&
                       std::equal(shape.begin(), shape.end() - 2, columns.begin());
      if (fit) {
        shape.back() = columns.back();
        slot.shape = std::move(shape);
      } else {
        misfit(path_of(slot), "row_var " + shape_words(*rows_) + " and col_var " + shape_words(*columns_) +
                                  " are of no one parameter");
      }
    }
    rows_.reset();
    columns_.reset();
  }

  // --- Against the model

  // How well a model fits: shapes without a partner, then whether the order is that of the model, then how
  // many of its parameters the optimizer does not have.
  struct Match {
    std::vector<std::size_t> lonely;  // slots
    bool in_order = false;
    std::size_t left = 0;
    auto rank() const { return std::tuple(lonely.size(), !in_order, left); }
  };

  Match match(const Model& model) const {
    Match found;
    found.in_order = comes_in_order(model);
    if (!found.in_order) found.lonely = without_partner(model);
    found.left = model.parameters.size() - std::min(model.parameters.size(), slots_.size());
    return found;
  }

  bool comes_in_order(const Model& model) const {
    std::size_t at = 0;
    for (const Slot& slot : slots_) {
      if (slot.shape)
        while (at < model.parameters.size() && model.parameters[at] != *slot.shape) ++at;
      if (at == model.parameters.size()) return false;
      ++at;
    }
    return true;
  }

  // Where a shape is wanted more often than the model has it, those that are not at their own place have
  // none.
  std::vector<std::size_t> without_partner(const Model& model) const {
    std::map<Shape, std::int64_t> left;
    for (const Shape& shape : model.parameters) ++left[shape];
    const auto at_home = [&](std::size_t i) {
      return i < model.parameters.size() && model.parameters[i] == *slots_[i].shape;
    };
    std::vector<std::size_t> lonely;
    for (const bool home : {true, false})
      for (std::size_t i = 0; i < slots_.size(); ++i)
        if (slots_[i].shape && at_home(i) == home && --left[*slots_[i].shape] < 0) lonely.push_back(i);
    const std::size_t most = model.parameters.size();
    for (std::size_t i = most; i < slots_.size(); ++i)
      if (!slots_[i].shape) lonely.push_back(i);
    std::ranges::sort(lonely);
    return lonely;
  }

  void judge_shapes() {
    const std::vector<Model> models = ModelSearch(checkpoint_).find();
    if (models.empty()) return;
    fit_.has_model = true;
    const Model* best = nullptr;
    Match found;
    for (const Model& model : models) {
      Match one = match(model);
      if (best != nullptr && one.rank() >= found.rank()) continue;
      best = &model;
      found = std::move(one);
    }
    fit_.model = best->path;
    fit_.in_order = found.in_order;
    for (const std::size_t i : found.lonely)
      misfit(path_of(slots_[i]), slots_[i].shape
                                     ? "its shape " + shape_words(*slots_[i].shape) +
                                           " has no partner among the parameters of " + name(*best)
                                     : "there are only " + std::to_string(best->parameters.size()) +
                                           " parameters in " + name(*best));
    judge_flat(*best);
  }

  void judge_flat(const Model& model) {
    if (!flat_) return;
    std::int64_t all = 0;
    for (const Shape& shape : model.parameters) all += count_of(shape);
    if (slots_.size() == model.parameters.size() && count_of(flat_->second) != all)
      misfit(flat_->first, std::to_string(count_of(flat_->second)) + " numbers for the " +
                               std::to_string(all) + " of " + name(model));
  }

  static std::string name(const Model& model) { return model.path.empty() ? "the file" : model.path; }

  const Checkpoint& checkpoint_;
  const ValueGraph& graph_;
  const OptimizerParts& parts_;
  const OptimizerClass* kind_ = nullptr;
  OptimizerFit fit_;
  std::vector<Slot> slots_;
  std::optional<Shape> rows_, columns_;
  std::optional<std::pair<std::string, Shape>> flat_;
};

}  // namespace

OptimizerFit judge_optimizer(const Checkpoint& checkpoint, const OptimizerParts& optimizer) {
  return Fit(checkpoint, optimizer).judge();
}

}  // namespace ferry::structure
