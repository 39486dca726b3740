// A model that can be run: a torch.export archive or a TorchScript file.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "validators/replay/precision.h"
#include "validators/replay/recording.h"
#include "validators/replay/request.h"
#include "validators/replay/weights.h"

namespace ferry::replay {

// By path: "0", "0.1", "kw.mask"; on the device, in the precision of the run.
using Inputs = std::map<std::string, at::Tensor>;

class Model {
 public:
  virtual ~Model() = default;

  // What a checkpoint may replace, and the replacement.
  virtual std::vector<ModelWeight> weights() const = 0;
  virtual void take(NewWeights& weights) = 0;
  // One of weights(), as it is used: what came from a checkpoint, else the model's own.
  virtual at::Tensor weight(const std::string& name) const = 0;

  // Makes ready for runs in this precision: weights on the device, in float64 where the run is wide.
  virtual void prepare(const Precision& precision, Taps taps) = 0;

  // One forward pass.  Taps go into `taps` where it is not null.  Throws Code::model_failed.
  virtual std::vector<RecordedValue> forward(const Inputs& inputs, Recording* taps) = 0;

  // The first place where a wide run fell back to float32; empty: none, or nobody looked.
  virtual std::string contamination() const { return {}; }
};

std::unique_ptr<Model> open_pt2_model(const std::string& path, c10::Device device);
std::unique_ptr<Model> open_torchscript_model(const std::string& path, c10::Device device);

}  // namespace ferry::replay
