// An error as JSON, the same in the report of every verb.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/core/error.h"
#include "src/report/json.h"

namespace ferry::report {

// "error": {code, fault, title, what, where, hint}, in an object that was begun.
void error_field(JsonWriter& json, const Error& error);
// A list of texts on one line.
void paths_field(JsonWriter& json, std::string_view key, const std::vector<std::string>& paths);

}  // namespace ferry::report
