// What a conversion writes: one file or several, planned together, by the target that was asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/copy/copy.h"
#include "formats/torch/write.h"
#include "src/cli/gathered.h"
#include "src/cli/target.h"
#include "src/core/change_log.h"
#include "src/core/checkpoint.h"

namespace ferry::cli {

struct Output {
  std::string path;
  std::unique_ptr<copy::File> file;
};

// Refers to the checkpoint, which outlives it.
struct Outputs {
  std::vector<Output> files;  // in the order in which they are committed: what names others comes last
  std::span<const Storage> storages;
  std::unique_ptr<Gathered> gathered;  // where each tensor is copied by itself
  std::uint64_t tensor_bytes = 0;

  std::uint64_t size() const;  // of all files
};

struct TargetOptions {
  Target target = Target::pt;
  std::uint64_t shard_size_max = 0;  // of safetensors, bytes of tensors; 0: one file
};

// Logs what the target cannot express and how it was solved.  Throws Code::target_lacks, with the path, for
// what it cannot hold, Code::key_collision, and what the writers of the formats throw.
Outputs plan_outputs(const Checkpoint& checkpoint, const TargetOptions& options, const std::string& path,
                     const torch::Provenance& provenance, ChangeLog& log);

}  // namespace ferry::cli
