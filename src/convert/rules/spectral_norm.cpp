// spectral_norm: a weight divided by its largest singular value, with the vectors of the power iteration.
//
//   torch.nn.utils.spectral_norm                   conv.weight_orig, conv.weight_u, conv.weight_v
//   torch.nn.utils.parametrizations.spectral_norm  conv.parametrizations.weight.original, .0._u, .0._v
//
// In eval mode both give the same weight; in training mode the new one iterates u first, the old one v. Until
// 1.0 (version 0 in `_metadata`) there was no v, which only arithmetic could make: such modules stay.
// Source: torch/nn/utils/spectral_norm.py, parametrizations.py.
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

std::int64_t count(const Shape& shape) {
  std::int64_t all = 1;
  for (const std::int64_t size : shape) all *= size;
  return all;
}

// u has as many elements as some dimension of the weight, v as many as all others together.
bool are_vectors_of(const Shape& u, const Shape& v, const Shape& weight) {
  if (u.size() != 1 || v.size() != 1 || weight.size() < 2) return false;
  for (const std::int64_t size : weight)
    if (size == u[0] && size * v[0] == count(weight)) return true;
  return false;
}

void spectral_norm_to_parametrizations(NamedTensors& tensors) {
  for (const std::string& orig : tensors.names()) {
    if (!orig.ends_with("_orig")) continue;
    const std::string stem = orig.substr(0, orig.size() - 5), u = stem + "_u", v = stem + "_v";
    const std::string module = module_of(stem);
    if (tensors.find(orig) == kNoNode || tensors.find(u) == kNoNode || !tensors.in_scope(module)) continue;
    const std::string box = join(module, std::string(kParametrizations) + "." + leaf_of(stem) + ".");
    if (tensors.find(v) == kNoNode) {
      tensors.left(module, "it was written before 1.1 and has no " + leaf_of(v));
    } else if (!are_vectors_of(tensors.shape(u), tensors.shape(v), tensors.shape(orig))) {
      tensors.left(module, "u and v are not those of its weight");
    } else if (tensors.has(box + "original") || tensors.has(box + "0._u") || tensors.has(box + "0._v")) {
      tensors.left(module, "it has a parametrization as well");
    } else {
      if (tensors.find(stem) != kNoNode) tensors.remove(stem);  // until 1.0 the result was a buffer
      tensors.rename(orig, box + "original");
      tensors.rename(u, box + "0._u");
      tensors.rename(v, box + "0._v");
      tensors.done(stem);
    }
  }
}

void spectral_norm_to_hooks(NamedTensors& tensors) {
  for (const std::string& orig : tensors.names()) {
    if (leaf_of(orig) != "original") continue;
    const std::string inner = module_of(orig), box = module_of(inner), module = module_of(box);
    const std::string u = inner + ".0._u", v = inner + ".0._v", stem = join(module, leaf_of(inner));
    if (leaf_of(box) != kParametrizations || tensors.find(orig) == kNoNode || tensors.find(u) == kNoNode ||
        tensors.find(v) == kNoNode || !tensors.in_scope(module))
      continue;
    if (!are_vectors_of(tensors.shape(u), tensors.shape(v), tensors.shape(orig))) {
      tensors.left(module, "u and v are not those of its weight");
    } else if (tensors.has(stem + "_orig") || tensors.has(stem + "_u") || tensors.has(stem + "_v")) {
      tensors.left(module, "it has " + leaf_of(stem) + "_orig as well");
    } else {
      tensors.rename(orig, stem + "_orig");
      tensors.rename(u, stem + "_u");
      tensors.rename(v, stem + "_v");
      tensors.done(stem);
    }
  }
}

}  // namespace

void parametrize_spectral_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "spectral_norm", "weight", "→ original, _u and _v", log,
             spectral_norm_to_parametrizations);
}

void unparametrize_spectral_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "spectral_norm_hooks", "weight", "→ _orig, _u and _v", log,
             spectral_norm_to_hooks);
}

}  // namespace ferry::convert
