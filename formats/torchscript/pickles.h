// The pickles of a TorchScript archive, all of them decoded, so that the names in every one are judged before
// anything else is believed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/pickle/decoder.h"
#include "formats/torch/records.h"

namespace ferry::torchscript {

class Pickles {
 public:
  // Throws Code::unsafe_global for a name in any of them; after that, what is wrong with one that the loader
  // of PyTorch needs, too.  Debug information that is broken is let be.
  Pickles(const torch::Records& records, const Limits& limits, GlobalLog& globals);

  // The pickle of this name below the root, given away; nothing when there is none.
  std::optional<pickle::Decoded> take(std::string_view name);
  // What was judged and nobody took: "traced_inputs.pkl".
  std::vector<std::string> others() const;

 private:
  std::vector<std::pair<std::string, pickle::Decoded>> decoded_;
};

}  // namespace ferry::torchscript
