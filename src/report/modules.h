// The classes and plain attributes of modules that were saved whole, for people who build them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/checkpoint.h"
#include "src/report/json.h"

namespace ferry::report {

// A value that outlives the checkpoint: None, bool, int, float, a tuple or list of ints, text; everything
// else in words.
struct Words {
  std::string text;
};
using AttributeValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::vector<std::int64_t>, std::string, Words>;

struct ModuleFacts {
  std::string object;       // path of the whole object in the checkpoint
  std::string path;         // of the module in the object: "", "layer1.0.conv1"
  std::string class_name;   // "torch.nn.modules.conv.Conv2d"
  std::string source_file;  // where its source came from, when the source lies in the checkpoint
  std::vector<std::pair<std::string, AttributeValue>> attributes;
};

// In the order of Checkpoint::modules: objects one after the other, each as state_dict() goes through it.
std::vector<ModuleFacts> describe_modules(const Checkpoint& checkpoint);

// "  conv1  Conv2d  in_channels=3, kernel_size=(7, 7), padding_mode='zeros'", indented by its depth in the
// object, safe to print.
std::string module_line(const ModuleFacts& module);

// "vanished_mod.TinyNet of 4 modules" for the first of `object`; the span is of one object.
std::string object_line(std::span<const ModuleFacts> object);

// The run of modules that belongs to one object, which starts at `begin`.
std::span<const ModuleFacts> object_at(std::span<const ModuleFacts> modules, std::size_t begin);

// The field "modules": [{object, path, class, attributes: {name: value}}].
void write_modules(JsonWriter& json, std::span<const ModuleFacts> modules);

}  // namespace ferry::report
