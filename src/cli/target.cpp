#include "src/cli/target.h"

#include "src/cli/sources.h"

namespace ferry::cli {

Target target_by_name(std::string_view name) {
  if (name == "safetensors") return Target::safetensors;
  if (name == "hdf5") return Target::hdf5;
  if (name == "legacy") return Target::legacy;
  if (name == "npz") return Target::npz;
  return Target::pt;
}

std::string_view container_name(Target target) {
  switch (target) {
    case Target::pt:
      return "torch zip";
    case Target::safetensors:
      return "safetensors";
    case Target::hdf5:
      return "hdf5";
    case Target::legacy:
      return "legacy stream";
    case Target::npz:
      return "npz";
  }
  return "";
}

std::string converted_name(std::string_view name, Target target) {
  constexpr std::string_view kIndex = ".index.json";
  std::string_view stem = name;
  if (stem.ends_with(kIndex)) stem.remove_suffix(kIndex.size());
  const bool torch = target == Target::pt || target == Target::legacy;
  if (torch && stem == name && checkpoint_suffix(name, true) == checkpoint_suffix(name, false))
    return std::string(name);
  stem.remove_suffix(checkpoint_suffix(stem, true));
  const std::string_view suffix = torch                           ? ".pt"
                                  : target == Target::safetensors ? ".safetensors"
                                  : target == Target::hdf5        ? ".h5"
                                                                  : ".npz";
  return std::string(stem) + std::string(suffix);
}

}  // namespace ferry::cli
