// A checkpoint opened for looking at its numbers.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "formats/zip/inflated_source.h"
#include "src/core/change_log.h"
#include "src/core/checkpoint.h"
#include "validators/numeric/tensor_view.h"

namespace ferry::cli {

struct Opened {
  std::string path;  // as given
  Checkpoint checkpoint;
  ChangeLog changes;  // what the rules, if any ran, made of it
  bool result_was_renamed =
      false;  // the other file is a conversion of this one that changed names on request

  // Formats that hold named tensors and nothing else: what they lack was never asked of them.
  bool weights_only() const;
};

// That a file which is given alone can be what --save wrote.  Throws Code::bad_usage where it is no HDF5
// file: then AFTER is missing.
void need_archive(const std::string& path, const std::string& verb);

// Views on the tensors of a checkpoint, whatever form their storages have in the file.  The checkpoint must
// outlive them, and must not be compacted.
class TensorViews {
 public:
  explicit TensorViews(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  bool has_data(std::uint32_t tensor) const { return checkpoint_.tensors[tensor].storage != kNoStorage; }
  // Throws Code::unsupported_tensor for a tensor without data (meta).  Thread-safe.
  numeric::TensorView view(std::uint32_t tensor) const;

 private:
  const Checkpoint& checkpoint_;
  const std::shared_ptr<zip::InflatedSpace> space_ = std::make_shared<zip::InflatedSpace>();
  mutable std::mutex guard_;
  mutable std::unordered_map<std::uint32_t, SourcePtr> inflated_;  // of deflated storages
};

}  // namespace ferry::cli
