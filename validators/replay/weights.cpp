#include "validators/replay/weights.h"

#include <algorithm>

#include "formats/formats.h"
#include "src/convert/rule.h"
#include "src/convert/state_dict.h"
#include "src/core/error.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::replay {
namespace {

constexpr std::size_t kNamed = 5;

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

convert::RuleOptions rule_options(const Request& request) {
  convert::RuleOptions options;
  options.layout = request.clean ? convert::Layout::clean : convert::Layout::keep;
  options.select = request.select;
  options.without = {"compact", "newer"};  // storages stay whole, and every type may be read
  return options;
}

}  // namespace

NewWeights::NewWeights(const Request& request, const std::vector<ModelWeight>& model) {
  try {
    checkpoint_ = std::make_unique<Checkpoint>(
        open_checkpoint(open_file(request.weights), Limits{.list_records = false}));
    ChangeLog changes;
    convert::apply_rules(*checkpoint_, rule_options(request), changes);
    find(request, model);
    check(tensors_, model);
  } catch (Error& error) {
    throw error.of(request.weights);
  }
  stored_ = std::make_unique<StoredTensors>(*checkpoint_);
}

NewWeights::Names NewWeights::tensors_of(NodeId dict) const {
  const ValueGraph& values = checkpoint_->values;
  Names names;
  const auto items = values.items(dict);
  for (std::size_t i = 0; i < items.size(); i += 2)
    if (values.is_text(items[i]) && values.kind(items[i + 1]) == Kind::tensor)
      names.emplace(values.text(items[i]), values.index(items[i + 1]));
  return names;
}

void NewWeights::find(const Request& request, const std::vector<ModelWeight>& model) {
  const Paths paths(checkpoint_->values, Reach::containers);
  struct Candidate {
    std::string path;
    Names names;
    std::size_t missing;
  };
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < paths.visits().size(); ++i) {
    const NodeId node = paths.visits()[i].node;
    if (!convert::is_state_dict(checkpoint_->values, node)) continue;
    Candidate candidate{paths.path(i), tensors_of(node), 0};
    candidate.missing =
        static_cast<std::size_t>(std::count_if(model.begin(), model.end(), [&](const ModelWeight& weight) {
          return weight.needed && !candidate.names.contains(weight.name);
        }));
    candidates.push_back(std::move(candidate));
  }
  if (candidates.empty())
    throw Error(Code::weights_misfit, "the checkpoint holds no state_dict" +
                                          (request.select.empty() ? "" : " under " + quote(request.select)));
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.missing < b.missing; });
  if (candidates.size() > 1 && candidates[1].missing == 0) {
    std::vector<std::string> fitting;
    for (const Candidate& candidate : candidates)
      if (candidate.missing == 0) fitting.push_back(candidate.path);
    throw Error(Code::weights_misfit,
                "several state_dicts of the checkpoint fit the model: " + listed(fitting, kNamed))
        .with_hint("--select says which one is meant");
  }
  tensors_ = std::move(candidates.front().names);
  path_ = std::move(candidates.front().path);
}

void NewWeights::check(const Names& names, const std::vector<ModelWeight>& model) const {
  std::vector<std::string> missing, unexpected, reshaped;
  std::map<std::string, const ModelWeight*> known;
  for (const ModelWeight& weight : model) {
    known.emplace(weight.name, &weight);
    const auto found = names.find(weight.name);
    if (found == names.end()) {
      if (weight.needed) missing.push_back(weight.name);
      continue;
    }
    const auto shape = checkpoint_->shape(checkpoint_->tensors[found->second]);
    if (!std::equal(shape.begin(), shape.end(), weight.shape.begin(), weight.shape.end()))
      reshaped.push_back(weight.name + " " + shape_text(shape) + ", not " + shape_text(weight.shape));
  }
  for (const auto& [name, tensor] : names)
    if (!known.contains(name)) unexpected.push_back(name);
  std::string what;
  const auto say = [&](const char* word, const std::vector<std::string>& list) {
    if (!list.empty()) what += (what.empty() ? "" : "; ") + std::string(word) + ": " + listed(list, kNamed);
  };
  say("missing", missing);
  say("unexpected", unexpected);
  say("of another shape", reshaped);
  if (what.empty()) return;
  Error error(Code::weights_misfit, "the weights do not fit the model: " + what);
  if (!path_.empty()) error.in("in " + quote(path_));
  throw error;
}

}  // namespace ferry::replay
