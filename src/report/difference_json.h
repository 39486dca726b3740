// Parts of a difference as JSON that the document and the lines share.
#pragma once

#include <string_view>

#include "src/report/difference.h"
#include "src/report/error_json.h"
#include "src/report/json.h"

namespace ferry::report {

// The fields of each, in an object that was begun.  Equal tensors are short: name, state, dtype, shape.
void tensor_fields(JsonWriter& json, const TensorRow& row);
void value_fields(JsonWriter& json, const ValueRow& row);
void tying_fields(JsonWriter& json, const TyingRow& row);
void change_fields(JsonWriter& json, const Change& change);
void remark_fields(JsonWriter& json, const DiffRemark& remark);

// "verdict": {exit_code, state, headline}.
void verdict_field(JsonWriter& json, int exit_code, std::string_view state, std::string_view headline);
void side_field(JsonWriter& json, std::string_view key, const DiffSide& side);
void totals_field(JsonWriter& json, const DiffTotals& sum);

}  // namespace ferry::report
