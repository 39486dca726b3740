#include "validators/replay/request.h"

#include <algorithm>

#include "formats/json/json.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::replay {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(Code::bad_usage, "the request " + what); }

const std::string& text(const json::Value& value, const std::string& name) {
  if (value.text() == nullptr) refuse("has no text in " + quote(name));
  return *value.text();
}

std::uint64_t number(const json::Value& value, const std::string& name, std::uint64_t most = UINT32_MAX) {
  const auto found = value.natural();
  if (!found || *found > most) refuse("has no number in " + quote(name));
  return *found;
}

std::string optional_text(const json::Value& value, const std::string& name) {
  return value.is_null() ? std::string() : text(value, name);
}

template <typename T>
T choice(const json::Value& value, const std::string& name,
         std::initializer_list<std::pair<std::string_view, T>> choices) {
  for (const auto& [word, meaning] : choices)
    if (text(value, name) == word) return meaning;
  refuse("does not know " + quote(text(value, name), 40) + " for " + quote(name));
}

const json::Value::Array& list(const json::Value& value, const std::string& name) {
  if (value.array() == nullptr) refuse("has no list in " + quote(name));
  return *value.array();
}

void read_limits(const json::Value& value, Request& request) {
  if (value.object() == nullptr) refuse("has no object in 'limits'");
  for (const auto& [name, limit] : *value.object())
    if (name == "memory_mib")
      request.memory_mib = number(limit, name);
    else if (name == "seconds")
      request.seconds = number(limit, name);
    else
      refuse("has the unknown limit " + quote(name, 40));
}

void read_cases(const json::Value& value, Request& request) {
  if (value.is_null()) return;
  request.cases.emplace();
  for (const json::Value& item : list(value, "cases")) request.cases->push_back(number(item, "cases"));
}

void read_member(const std::string& name, const json::Value& value, Request& request) {
  if (name == "protocol") {
    if (text(value, name) != kProtocol) refuse("is of another protocol: " + quote(text(value, name), 40));
  } else if (name == "model") {
    request.model = text(value, name);
  } else if (name == "kind") {
    request.kind =
        choice<ModelKind>(value, name, {{"pt2", ModelKind::pt2}, {"torchscript", ModelKind::torchscript}});
  } else if (name == "weights") {
    request.weights = optional_text(value, name);
  } else if (name == "select") {
    request.select = optional_text(value, name);
  } else if (name == "layout") {
    request.clean = choice<bool>(value, name, {{"clean", true}, {"keep", false}});
  } else if (name == "golden") {
    request.golden = text(value, name);
  } else if (name == "out") {
    request.out = text(value, name);
  } else if (name == "device") {
    request.device = choice<std::string>(value, name, {{"cpu", "cpu"}, {"cuda", "cuda"}, {"auto", "auto"}});
  } else if (name == "runs") {
    request.runs.clear();
    for (const json::Value& run : list(value, name)) request.runs.push_back(text(run, name));
  } else if (name == "taps") {
    request.taps = choice<Taps>(
        value, name, {{"none", Taps::none}, {"modules", Taps::modules}, {"ops", Taps::operations}});
  } else if (name == "samples") {
    request.samples = static_cast<std::uint32_t>(number(value, name));
  } else if (name == "threads") {
    request.threads = static_cast<std::uint32_t>(number(value, name, 4096));
  } else if (name == "repeats") {
    request.repeats = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, number(value, name)));
  } else if (name == "cases") {
    read_cases(value, request);
  } else if (name == "limits") {
    read_limits(value, request);
  } else {
    refuse("has the unknown member " + quote(name, 40));
  }
}

}  // namespace

Request read_request(std::string_view line) {
  json::Rules rules;
  rules.broken = Code::bad_usage;
  const json::Value value = json::parse(line, rules);
  if (value.object() == nullptr || value.find("protocol") == nullptr) refuse("is no object with a protocol");
  Request request;
  for (const auto& [name, member] : *value.object()) read_member(name, member, request);
  if (request.model.empty() || request.golden.empty() || request.out.empty())
    refuse("must name a model, a golden and an output");
  if (request.runs.empty()) refuse("asks for no run");
  return request;
}

}  // namespace ferry::replay
