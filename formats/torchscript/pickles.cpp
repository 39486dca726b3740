#include "formats/torchscript/pickles.h"

#include <algorithm>

#include "formats/torch/program.h"
#include "src/core/error.h"

namespace ferry::torchscript {
namespace {

// Where the instructions of code/ came from, and files that users put in: no loader needs them.
bool is_needed(std::string_view name) {
  return name.ends_with(".pkl") && !name.starts_with("debug/") && !name.starts_with("code/") &&
         !name.starts_with("extra/");
}

pickle::Decoded decode(const torch::Records& records, const zip::Record& record, const Limits& limits,
                       GlobalLog& globals) try {
  auto program = std::make_shared<const std::vector<std::byte>>(records.read_program(record, limits));
  return torch::decode_program(std::move(program), 0, globals, pickle::Dialect::torchscript);
} catch (Error& error) {
  error.in(zip::in_record(record.name));
  throw;
}

}  // namespace

Pickles::Pickles(const torch::Records& records, const Limits& limits, GlobalLog& globals) {
  std::optional<Error> broken;
  for (const zip::Record& record : records.archive().records()) {
    if (!record.name.ends_with(".pkl") && !record.name.ends_with(".debug_pkl")) continue;
    const bool below = record.name.starts_with(records.root());
    const std::string name = below ? record.name.substr(records.root().size()) : record.name;
    const bool needed = below && is_needed(name);
    try {
      pickle::Decoded one = decode(records, record, limits, globals);
      if (needed) decoded_.emplace_back(name, std::move(one));
    } catch (const Error& error) {
      if (error.fault() == Fault::refused) throw;
      if (needed && !broken) broken = error;
    }
  }
  if (broken) throw Error(*broken);
}

std::optional<pickle::Decoded> Pickles::take(std::string_view name) {
  const auto found =
      std::find_if(decoded_.begin(), decoded_.end(), [&](const auto& one) { return one.first == name; });
  if (found == decoded_.end()) return std::nullopt;
  std::optional<pickle::Decoded> result = std::move(found->second);
  decoded_.erase(found);
  return result;
}

std::vector<std::string> Pickles::others() const {
  std::vector<std::string> names;
  for (const auto& [name, decoded] : decoded_) names.push_back(name);
  return names;
}

}  // namespace ferry::torchscript
