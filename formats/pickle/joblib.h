// Arrays of numpy as joblib.dump writes them: their bytes lie in the middle of the pickle.
//
// Source: joblib/numpy_pickle.py (NumpyArrayWrapper, NumpyPickler.save, NumpyUnpickler.load_build), 0.10 …
// 1.5; sklearn.externals.joblib is the same.
#pragma once

#include <cstddef>

#include "formats/pickle/scan.h"
#include "src/core/value.h"

namespace ferry::pickle {

// True for a call that makes a NumpyArrayWrapper: {subclass, shape, order, dtype, allow_mmap[,
// numpy_array_alignment_bytes]} is its state, and the data follows the BUILD of it.
bool is_joblib_array(const ValueGraph& graph, NodeId call);

struct JoblibData {
  std::size_t begin = 0, size = 0;
  bool pickled = false;  // an array of objects: a pickle of its own stands there, its size is not known
};

// Where the data lies that follows `build`.  Throws Code::bad_pickle and Code::truncated.
JoblibData find_joblib_data(const ValueGraph& graph, NodeId description, Bytes program,
                            const Instruction& build);

}  // namespace ferry::pickle
