// Checkpoints in several files, as Hugging Face's libraries write them: an index in JSON says which tensor is
// in which shard.  The shards are safetensors files or checkpoints of torch.save.
#pragma once

#include <functional>
#include <string>

#include "formats/safetensors/reader.h"
#include "src/core/checkpoint.h"
#include "src/core/limits.h"

namespace ferry::safetensors {

// Opens the file at a path as a checkpoint of any format.  It is given shards only, never an index.
using OpenShard = std::function<Checkpoint(const std::string& path)>;

// Matches JSON objects that are named *.index.json.
Likeness looks_like_index(const ByteSource& source);

// Opens the shards, which lie in the folder of the index, and makes one checkpoint of them: a dict of all
// tensors in the order of the index.  The tensors of the shards must be just those of the index.  The source
// of the result is the index, and is unchanged while the shards are.
// Throws Code::bad_json, missing_record for tensors that are not where the index says, bad_safetensors for
// tensors that it does not name, unsupported_value for shards that hold more than tensors, and what `open`
// throws.
Checkpoint open_index(SourcePtr index, const Limits& limits, const OpenShard& open);

}  // namespace ferry::safetensors
