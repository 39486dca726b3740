// What this binary is: version, features, compiler.
#pragma once

#include <string>

namespace ferry::cli {

std::string version_text();  // "torchferry 0.1.0 +isal +zlib (g++ 12.2.0)"

}  // namespace ferry::cli
