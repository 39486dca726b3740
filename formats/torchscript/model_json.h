// model.json: how PyTorch 1.0 … 1.2 wrote TorchScript.  Modules are JSON, tensors a table in it, and plain
// attributes a pickle beside it that counts in that table.
#pragma once

#include "formats/pickle/decoder.h"
#include "formats/torch/records.h"
#include "formats/torchscript/objects.h"

namespace ferry::torchscript {

// The modules as dicts of their attributes, the root among them; `constants` tensors of the table belong to
// the code.
struct OldModule {
  NodeId root;
  Instances instances;
  std::size_t constants;
};

// Adds storages, tensors and modules to the checkpoint.  `attributes`: of attributes.pkl, since 1.1.
// Throws Code::bad_torchscript, bad_tensor, missing_record, bad_record_size.
OldModule read_model_json(Checkpoint& checkpoint, const torch::Records& records,
                          std::optional<pickle::Decoded> attributes, const Limits& limits);

}  // namespace ferry::torchscript
