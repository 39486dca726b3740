#include "src/cli/list_rules.h"

#include <algorithm>
#include <string>

#include "src/cli/terminal.h"
#include "src/convert/rule.h"
#include "src/report/json.h"

namespace ferry::cli {
namespace {

void print_json() {
  report::JsonWriter json(print);
  json.begin_object();
  json.field("schema", "torchferry.rules/1");
  json.key("rules");
  json.begin_array();
  for (const convert::Rule& rule : convert::rules()) {
    json.begin_object(report::JsonWriter::Lines::one);
    json.field("id", rule.id);
    json.field("when", convert::when_name(rule.when));
    json.field("because", rule.because);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.finish();
}

std::string padded(std::string_view text, std::size_t width) {
  return std::string(text) + std::string(width - std::min(width, text.size()) + 2, ' ');
}

}  // namespace

int run_list_rules(const ListRulesOptions& options) {
  if (options.json) {
    print_json();
    return 0;
  }
  std::size_t ids = 0, whens = 0;
  for (const convert::Rule& rule : convert::rules()) {
    ids = std::max(ids, rule.id.size());
    whens = std::max(whens, convert::when_name(rule.when).size());
  }
  for (const convert::Rule& rule : convert::rules())
    print(padded(rule.id, ids) + padded(convert::when_name(rule.when), whens) + std::string(rule.because) +
          "\n");
  return 0;
}

}  // namespace ferry::cli
