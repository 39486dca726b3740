// What `convert --to` can write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry::cli {

enum class Target : std::uint8_t { pt, safetensors, hdf5, legacy, npz };

// "pt", "safetensors" …; the option checks that the name is one.
Target target_by_name(std::string_view name);

// As it stands in reports: "torch zip".
std::string_view container_name(Target target);

// The name of a converted file in a folder: loaders of torch expect theirs, so pt and legacy keep a name that
// torch.save could have given; for the others the suffix of a checkpoint gives way to their own.
std::string converted_name(std::string_view name, Target target);

}  // namespace ferry::cli
