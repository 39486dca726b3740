#include "validators/forward/emulations.h"

namespace ferry::forward {

std::vector<std::string_view> emulations_of(std::string_view run, RunPrecision precision) {
  const bool in = run == "f32";  // the precision is that of the whole recording
  if (run == "tf32" || (in && precision == RunPrecision::tf32)) return {"tf32-rne", "tf32-rz"};
  if (run == "autocast-bf16" || (in && precision == RunPrecision::bf16)) return {"bf16"};
  if (run == "autocast-fp16" || (in && precision == RunPrecision::fp16)) return {"fp16"};
  return {};
}

}  // namespace ferry::forward
