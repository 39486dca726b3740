#include "validators/forward/emulations.h"

namespace ferry::forward {

std::vector<std::string_view> emulations_of(std::string_view run, RunPrecision precision) {
  const bool plain = run == "f32";  // in the precision that the whole recording has
  if (run == "tf32" || (plain && precision == RunPrecision::tf32)) return {"tf32-rne", "tf32-rz"};
  if (run == "autocast-bf16" || (plain && precision == RunPrecision::bf16)) return {"bf16"};
  if (run == "autocast-fp16" || (plain && precision == RunPrecision::fp16)) return {"fp16"};
  return {};
}

}  // namespace ferry::forward
