// Element types as .npy headers name them: '<f4', '|b1', '>c8'.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/core/dtype.h"

namespace ferry::numpy {

struct ElementType {
  char kind = 0;              // b i u f c, U S, O, M m, V
  std::int64_t itemsize = 0;  // bytes; 0 of objects
  bool big_endian = false;
  std::optional<DType> dtype;  // nothing for text and objects
};

// Reads a type text.  Types that numpy does not have throw Code::bad_npy; those that torch does not have
// (long double, void) Code::unsupported_value.
ElementType parse_element_type(std::string_view descr);

}  // namespace ferry::numpy
