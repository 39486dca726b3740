#include "src/cli/loading.h"

#include "formats/torch/fingerprint.h"

namespace ferry::cli {

loadable::Loadability judge_loading(const Checkpoint& checkpoint) {
  const torch::PickleCensus census = torch::take_census(checkpoint);
  loadable::PickleFacts pickle;
  for (const torch::ForeignInstruction& one : census.foreign)
    pickle.foreign.push_back({one.name, one.byte, one.first});
  pickle.undecodable_text = census.undecodable_text;
  return loadable::judge_loadable(checkpoint, pickle);
}

}  // namespace ferry::cli
