// Weights and constants of an archive: which record holds the bytes of which tensor.
#pragma once

#include <string>
#include <vector>

#include "formats/pt2/archive.h"
#include "formats/pt2/program.h"

namespace ferry::pt2 {

// Adds the tensors that `config` (a record, "data/weights/model_weights_config.json") names to the
// checkpoint, storages that several tensors share once.  `folder` ("data/weights/") holds their bytes.  What
// is pickled or no tensor goes into `unreadable` by name.  Throws Code::bad_pt2, missing_record,
// bad_record_size, bad_tensor.
std::vector<NamedTensor> read_payloads(Checkpoint& checkpoint, const Records& records,
                                       const std::string& config, const std::string& folder,
                                       const Limits& limits, std::vector<std::string>& unreadable);

}  // namespace ferry::pt2
