#include "validators/forward/divergence.h"

#include <algorithm>

namespace ferry::forward {
namespace {

std::string parent_of(const std::string& module) {
  const std::size_t dot = module.rfind('.');
  return dot == std::string::npos ? "" : module.substr(0, dot);
}

std::string class_of(std::span<const Measured> records, const std::string& module) {
  for (const Measured& record : records)
    if (record.kind == RecordKind::module && record.name.module == module) return record.name.cls;
  return "";
}

// The nearest module around `module` that was recorded; ModuleList and the like are never called.
void name_enclosing(std::span<const Measured> records, FirstDivergence& first) {
  std::string at = first.name.op.empty() ? first.name.module : first.name.module + ".";
  while (!at.empty()) {
    at = parent_of(at);
    first.enclosing_cls = class_of(records, at);
    if (first.enclosing_cls.empty() && !at.empty()) continue;
    first.enclosing = at;
    first.has_enclosing = true;
    return;
  }
}

struct Found {
  RecordKey key;
  std::size_t order = 0;  // in its case
  const Measured* record = nullptr;
  Divergence divergence;
  std::string last_agreeing;
};

// The first of one case.
std::optional<Found> first_of(std::span<const Measured> records, const Scales& scales, const Method& method,
                              RecordKind kind, std::size_t input) {
  std::string last_agreeing;
  std::size_t order = 0;
  for (const Measured& record : records) {
    if (record.kind != kind || record.input != input) continue;
    const Divergence divergence = divergence_of(record, scales.of(record), method);
    if (divergence.diverges) return Found{Scales::key_of(record), order, &record, divergence, last_agreeing};
    last_agreeing = record.name.module;
    ++order;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FirstDivergence> first_divergence(std::span<const Measured> records, const Scales& scales,
                                                const Method& method, RecordKind kind,
                                                const std::vector<CasePair>& cases) {
  std::vector<std::pair<std::size_t, Found>> found;
  for (std::size_t input = 0; input < cases.size(); ++input)
    if (auto one = first_of(records, scales, method, kind, input)) found.emplace_back(input, std::move(*one));
  if (found.empty()) return std::nullopt;
  const auto earliest = std::min_element(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.second.order < b.second.order;
  });
  FirstDivergence first;
  first.name = earliest->second.record->name;
  first.by_float64 = method.semantic;
  first.distance = earliest->second.divergence.distance;
  first.last_agreeing = earliest->second.last_agreeing;
  for (const auto& [input, one] : found)
    if (one.key == earliest->second.key) first.inputs.push_back(cases[input].name);
  name_enclosing(records, first);
  return first;
}

std::vector<std::string> classes_near(std::span<const Measured> records, const FirstDivergence& first) {
  std::vector<std::string> classes{first.name.cls};
  if (first.has_enclosing) classes.push_back(first.enclosing_cls);
  std::erase_if(classes, [](const std::string& cls) { return cls.empty(); });
  // A module inside the first one may be where it happens, though a fast path never called it.
  const std::string below = first.name.module + ".";
  for (const Measured& record : records)
    if (record.kind == RecordKind::module && !first.name.module.empty() &&
        record.name.module.starts_with(below) &&
        std::find(classes.begin(), classes.end(), record.name.cls) == classes.end())
      classes.push_back(record.name.cls);
  return classes;
}

}  // namespace ferry::forward
