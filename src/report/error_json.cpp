#include "src/report/error_json.h"

namespace ferry::report {

void error_field(JsonWriter& json, const Error& error) {
  json.key("error");
  json.begin_object();
  json.field("code", code_name(error.code()));
  json.field("fault", fault_name(error.fault()));
  json.field("title", info(error.code()).title);
  json.field("what", error.summary());
  paths_field(json, "where", error.where());
  json.field("hint", error.hint());
  json.end_object();
}

void paths_field(JsonWriter& json, std::string_view key, const std::vector<std::string>& paths) {
  json.key(key);
  json.begin_array(JsonWriter::Lines::one);
  for (const std::string& path : paths) json.value(path);
  json.end_array();
}

}  // namespace ferry::report
