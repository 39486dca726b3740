#include "src/core/version.h"

#ifndef FERRY_VERSION
#define FERRY_VERSION "0.0.0-unknown"
#endif

namespace ferry {

std::string_view version() { return FERRY_VERSION; }

}  // namespace ferry
