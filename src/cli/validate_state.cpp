// Cases about the file itself: what loads it, and what training code makes of its states.
#include <algorithm>

#include "src/cli/loading.h"
#include "src/cli/validate_cases.h"
#include "src/convert/optimizer.h"
#include "src/core/text.h"
#include "src/report/inspection_tree.h"
#include "validators/structure/optimizer_fit.h"
#include "validators/structure/scaler_state.h"

namespace ferry::cli {
namespace {

using policy::TestCase;

bool is_torch(const Checkpoint& checkpoint) {
  const std::string& format = checkpoint.container.format;
  return format == "torch zip" || format == "legacy stream" || format == "legacy tar";
}

TestCase weights_only_case(const Checkpoint& after, const loadable::Loadability& verdict) {
  if (verdict.loads) {
    TestCase one = policy::passed(policy::kLoadsWeightsOnly,
                                  "torch.load(weights_only=True) takes every name and instruction of it");
    for (const std::string& caution : verdict.cautions) policy::add_detail(one, "", caution);
    return one;
  }
  TestCase one =
      policy::failed(policy::kLoadsWeightsOnly, Code::does_not_load,
                     "torch.load(weights_only=True) refuses it: " + verdict.objections.front().what);
  for (const loadable::Objection& objection : verdict.objections)
    policy::add_detail(one, objection.subject, objection.what);
  if (after.container.format == "legacy stream" ||
      std::ranges::any_of(verdict.objections,
                          [](const auto& each) { return each.obstacle == loadable::Obstacle::global; }))
    one.causes.emplace_back(
        "the file was not converted: torchferry convert makes plain data of such objects");
  return one;
}

TestCase mmap_case(const loadable::Loadability& verdict) {
  if (!verdict.loads) return policy::skipped(policy::kLoadsMmap, "the file does not load at all");
  if (verdict.maps) return policy::passed(policy::kLoadsMmap, "torch.load(mmap=True) takes it too");
  return policy::failed(policy::kLoadsMmap, Code::does_not_map, verdict.maps_because);
}

std::string fit_words(const structure::OptimizerFit& fit, const std::string& path) {
  std::string said = path.empty() ? "the optimizer" : path;
  said += ": " + report::plural(fit.parameters, "parameter", "parameters") + ", " +
          report::plural(fit.states, "state", "states");
  if (!fit.kind.empty()) said += " of " + fit.kind;
  if (!fit.has_model) return said + "; there are no weights in the file to compare with";
  const std::string model = fit.model.empty() ? "the weights" : fit.model;
  return said + (fit.in_order ? ", in the order of " : ", each with a partner in ") + model;
}

}  // namespace

std::vector<TestCase> loading_cases(const Checkpoint& after) {
  if (!is_torch(after)) {
    const std::string why = "torch.load reads no " + after.container.format + ", which holds no pickle";
    return {policy::skipped(policy::kLoadsWeightsOnly, why), policy::skipped(policy::kLoadsMmap, why)};
  }
  const loadable::Loadability verdict = judge_loading(after);
  return {weights_only_case(after, verdict), mmap_case(verdict)};
}

TestCase optimizer_case(const Checkpoint& after) {
  const std::vector<convert::Optimizer> optimizers = convert::find_optimizers(after.values);
  if (optimizers.empty()) return policy::skipped(policy::kOptimizerFits, "there is no optimizer state in it");
  TestCase one = policy::failed(policy::kOptimizerFits, Code::optimizer_misfit, "");
  std::string good;
  std::vector<policy::CaseDetail> remarks;
  std::size_t misfits = 0;
  for (const convert::Optimizer& optimizer : optimizers) {
    const structure::OptimizerFit fit =
        structure::judge_optimizer(after, {optimizer.state, optimizer.groups, optimizer.path});
    misfits += fit.misfits.size();
    for (const structure::Misfit& misfit : fit.misfits) policy::add_detail(one, misfit.path, misfit.what);
    for (const std::string& remark : fit.remarks) remarks.push_back({optimizer.path, remark});
    good += (good.empty() ? "" : "; ") + fit_words(fit, optimizer.path);
  }
  if (misfits > 0) {
    one.message = report::plural(misfits, "thing", "things") + " in the optimizer state " +
                  (misfits == 1 ? "does" : "do") + " not fit";
    return one;
  }
  one = policy::passed(policy::kOptimizerFits, good);
  for (policy::CaseDetail& remark : remarks) policy::add_detail(one, remark.subject, remark.what);
  return one;
}

TestCase scaler_case(const Checkpoint& after) {
  const std::vector<structure::ScalerState> scalers = structure::judge_scalers(after);
  if (scalers.empty()) return policy::skipped(policy::kScalerLoads, "there is no GradScaler state in it");
  TestCase one = policy::failed(policy::kScalerLoads, Code::scaler_unusable, "");
  std::string good;
  std::size_t faulty = 0;
  for (const structure::ScalerState& scaler : scalers) {
    faulty += scaler.faults.empty() ? 0 : 1;
    for (const std::string& fault : scaler.faults) policy::add_detail(one, scaler.path, fault);
    good += (good.empty() ? "" : "; ") + scaler.path +
            (scaler.none ? ": None, no scaler" : ": scale " + real_text(scaler.scale));
  }
  if (faulty == 0) return policy::passed(policy::kScalerLoads, good);
  one.message = "torch.amp.GradScaler would not load it, or not work with it: " + one.details.front().what;
  return one;
}

}  // namespace ferry::cli
