// numpy.dtype objects as pickles describe them.
// Source: numpy/_core/src/multiarray/descriptor.c (arraydescr_reduce, arraydescr_setstate), versions 1.11
// to 2.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/core/dtype.h"

namespace ferry::python {

struct NumpyField;

struct NumpyDType {
  char kind = 0;              // b i u f c S U V O M m
  std::int64_t itemsize = 0;  // bytes
  bool big_endian = false;
  std::string unit;                // of M and m: "ns", "25s"; empty where it is not known
  std::vector<NumpyField> fields;  // of a structured type

  std::optional<DType> torch_dtype() const;  // nullopt for text, objects, dates, long doubles and structures
  std::string name() const;                  // "float32", "<U2"
};

struct NumpyField {
  std::string name;
  NumpyDType type;
  std::int64_t offset = 0;
};

}  // namespace ferry::python
