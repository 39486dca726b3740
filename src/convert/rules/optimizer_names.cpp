// Says which parameters the numbers of an optimizer are.  load_state_dict matches by number only: a model
// whose parameters changed their order or shape takes a state that is not its own, or fails at step.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/convert/dicts.h"
#include "src/convert/optimizer.h"
#include "src/convert/parameters.h"
#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"
#include "src/core/paths.h"
#include "src/core/text.h"

namespace ferry::convert {
namespace {

constexpr std::size_t kStateDictsTried = 64;

// Values of a state that have the shape of their parameter.
constexpr auto kShaped = std::to_array<std::string_view>(
    {"exp_avg", "momentum_buffer", "square_avg", "sum", "exp_inf", "acc_delta", "prev", "ax"});

// Parameters of an optimizer in the order of the groups.
struct Parameters {
  std::vector<std::int64_t> numbers;
  std::vector<std::size_t> groups;
  std::vector<std::optional<Shape>> shapes;
};

std::optional<Shape> shape_of_state(const Checkpoint& checkpoint, NodeId entry) {
  const ValueGraph& graph = checkpoint.values;
  if (graph.kind(entry) != Kind::dict) return std::nullopt;
  for (const std::string_view key : kShaped) {
    const NodeId value = graph.find(entry, key);
    if (value == kNoNode || graph.kind(value) != Kind::tensor) continue;
    const auto shape = checkpoint.shape(checkpoint.tensors[graph.index(value)]);
    return Shape(shape.begin(), shape.end());
  }
  return std::nullopt;
}

Parameters parameters_in(const Checkpoint& checkpoint, const Optimizer& optimizer) {
  const ValueGraph& graph = checkpoint.values;
  std::unordered_map<std::int64_t, NodeId> entries;
  for (std::size_t i = 0; i < graph.entry_count(optimizer.state); ++i) {
    const auto [key, entry] = graph.entry(optimizer.state, i);
    if (graph.kind(key) == Kind::integer) entries.emplace(graph.integer(key), entry);
  }
  Parameters all;
  for (std::size_t g = 0; g < graph.items(optimizer.groups).size(); ++g) {
    for (const NodeId id : graph.items(graph.find(graph.items(optimizer.groups)[g], "params"))) {
      if (graph.kind(id) != Kind::integer) return {};
      const auto entry = entries.find(graph.integer(id));
      all.numbers.push_back(graph.integer(id));
      all.groups.push_back(g);
      all.shapes.push_back(entry == entries.end() ? std::nullopt : shape_of_state(checkpoint, entry->second));
    }
  }
  return all;
}

struct Candidate {
  const Place* place;
  std::vector<NamedParameter> named;
  Pairs pairs;

  std::size_t count_sure() const {
    return static_cast<std::size_t>(std::count(pairs.sure.begin(), pairs.sure.end(), true));
  }
};

class NameRule {
 public:
  NameRule(const Checkpoint& checkpoint, ChangeLog& log)
      : checkpoint_(checkpoint), state_dicts_(find_state_dicts(checkpoint.values)), log_(log) {}

  void run(const Optimizer& optimizer, NodeId parent) {
    const Parameters parameters = parameters_in(checkpoint_, optimizer);
    if (parameters.numbers.empty()) return;
    if (const auto best = best_for(parameters, parent)) report(optimizer, parameters, *best);
  }

 private:
  // The state_dict that names most of them; of equal ones the one that lies beside the optimizer.
  std::optional<Candidate> best_for(const Parameters& parameters, NodeId parent) const {
    std::optional<Candidate> best;
    for (const bool beside : {true, false}) {
      std::size_t tried = 0;
      for (const Place& place : state_dicts_) {
        if ((place.parent == parent) != beside || ++tried > kStateDictsTried) continue;
        Candidate candidate{&place, parameters_of(checkpoint_, place.dict), {}};
        candidate.pairs = pair_parameters(parameters.shapes, candidate.named);
        if (candidate.count_sure() > (best ? best->count_sure() : 0) ||
            (!best && beside && candidate.pairs.known_shapes != 0))
          best = std::move(candidate);
      }
    }
    return best;
  }

  void report(const Optimizer& optimizer, const Parameters& parameters, const Candidate& found) {
    const std::string model = found.place->path.empty() ? "the checkpoint" : found.place->path;
    std::vector<std::string> details, unmatched;
    std::vector<bool> taken(found.named.size());
    std::size_t doubtful = 0;
    for (std::size_t i = 0; i < parameters.numbers.size(); ++i) {
      const std::string number = std::to_string(parameters.numbers[i]);
      const std::size_t named = found.pairs.named[i];
      if (named == kNobody) {
        unmatched.push_back(
            "group " + std::to_string(parameters.groups[i]) + " parameter " + number +
            (parameters.shapes[i] ? " " + shape_text(*parameters.shapes[i]) : " without state"));
        continue;
      }
      taken[named] = true;
      doubtful += found.pairs.sure[i] ? 0 : 1;
      details.push_back(number + " " + found.named[named].name + " " + shape_text(found.named[named].shape) +
                        (found.pairs.sure[i] ? "" : " (or another of that shape)"));
    }
    if (!details.empty())
      log_.add(Code::parameter_names, optimizer.path, summary(parameters, found, model, details, doubtful),
               details);
    if (!unmatched.empty())
      log_.add(
          Code::parameters_unmatched, optimizer.path,
          counted(unmatched.size(), "parameter") + " without partner in " + model + ": " + listed(unmatched),
          unmatched);
    report_rest(optimizer, found, model, taken);
  }

  static std::string summary(const Parameters& parameters, const Candidate& found, const std::string& model,
                             const std::vector<std::string>& details, std::size_t doubtful) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < details.size() && i < 4; ++i)
      names.push_back(details[i].substr(0, details[i].find(" [")));
    const std::string how = found.pairs.fit == Fit::by_shape ? "by shape"
                            : found.pairs.known_shapes != 0  ? "by order and shape"
                                                             : "by order alone, as no state tells a shape";
    std::string text = grouped(details.size()) + " of " + counted(parameters.numbers.size(), "parameter") +
                       " named by " + model + ", " + how + ": " + listed(names);
    if (doubtful != 0) text += "; ambiguous: " + grouped(doubtful) + " of them share their shape with others";
    return text;
  }

  // Parameters of the model that the optimizer has no number for.
  void report_rest(const Optimizer& optimizer, const Candidate& found, const std::string& model,
                   const std::vector<bool>& taken) {
    std::vector<std::string> rest;
    for (std::size_t i = 0; i < found.named.size(); ++i)
      if (!taken[i]) rest.push_back(found.named[i].name + " " + shape_text(found.named[i].shape));
    if (rest.empty()) return;
    log_.add(Code::parameters_unmatched, optimizer.path,
             counted(rest.size(), "tensor") + " of " + model +
                 " without a number in the optimizer (frozen, a buffer, or new): " + listed(rest),
             rest);
  }

  const Checkpoint& checkpoint_;
  std::vector<Place> state_dicts_;
  ChangeLog& log_;
};

}  // namespace

void name_parameters(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  const auto places = find_dicts(checkpoint.values, "param_groups");
  if (places.empty()) return;
  NameRule rule(checkpoint, log);
  for (const Optimizer& optimizer : find_optimizers(checkpoint.values)) {
    const auto place = std::find_if(places.begin(), places.end(),
                                    [&](const Place& one) { return one.dict == optimizer.dict; });
    if (place != places.end()) rule.run(optimizer, place->parent);
  }
}

}  // namespace ferry::convert
