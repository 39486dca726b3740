// Checkpoints inside a checkpoint: torch.storage._load_from_bytes(bytes).
//
// Pickled without torch.save (pickle, joblib, multiprocessing) a storage is a call of this function with the
// bytes that torch.save made of the storage alone: a legacy stream, or a zip archive.
// Source: torch/storage.py (_StorageBase.__reduce__, TypedStorage.__reduce__, _load_from_bytes), 0.1.12 …
// 2.13.
#pragma once

#include <unordered_map>

#include "formats/python/interpret.h"
#include "formats/torch/storages.h"
#include "src/core/limits.h"

namespace ferry::torch {

// Notes the names in the pickles of the file `source`, a zip archive or pickles one after the other, and in
// those nested in it.  What is broken is passed over: it is found when the file is opened.
void note_names(const SourcePtr& source, GlobalLog& globals, std::size_t depth);

// Notes the names in the pickles of every checkpoint nested in `graph`, as deep as `depth` levels, so that
// they can be judged before anything is believed.
void note_nested_names(const ValueGraph& graph, GlobalLog& globals, std::size_t depth);

// The same of a pickle that breaks: every string of bytes in it could have been one.
void note_names_of_broken(Bytes program, GlobalLog& globals, std::size_t depth);

// Counts the checkpoints that were nested in a pickle, and remarks on them.
void note_nested(Checkpoint& checkpoint, std::size_t count);

// Opens nested checkpoints and puts what they hold in the place of their calls.
class NestedLoader {
 public:
  NestedLoader(Checkpoint& checkpoint, StorageTable& storages, const Limits& limits)
      : checkpoint_(checkpoint), storages_(storages), limits_(limits) {}

  // A handler for python::interpret_calls.  Throws Code::unsafe_global for a call with anything but the bytes
  // of a checkpoint, Code::limit_exceeded for nesting too deep, and what the readers throw.
  bool interpret(python::Call& call);

  // One remark for all of them, and for those in them.
  void describe() { note_nested(checkpoint_, count_); }

 private:
  NodeId load(python::Call& call, std::string_view bytes);

  Checkpoint& checkpoint_;
  StorageTable& storages_;
  const Limits& limits_;
  std::size_t count_ = 0;
  std::unordered_map<NodeId, NodeId> loaded_;  // by the node of the bytes
};

}  // namespace ferry::torch
