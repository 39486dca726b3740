// weight_norm: a weight as its direction v and its length g.
//
//   torch.nn.utils.weight_norm                    conv.weight_g, conv.weight_v
//   torch.nn.utils.parametrizations.weight_norm   conv.parametrizations.weight.original0, .original1
//
// The numbers are the same; `weight` may be another name (weight_hh_l0).  g has the rank of v, with 1 in
// every dimension but one, or no dimension at all.  2.x reads the old names by itself, the old code does not
// read the new ones.  Source: torch/nn/utils/weight_norm.py, parametrizations.py.
#include "src/convert/layout_fix.h"
#include "src/convert/rules/apply.h"

namespace ferry::convert {
namespace {

bool is_length_of(const Shape& g, const Shape& v) {
  if (g.empty()) return true;
  if (g.size() != v.size()) return false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (g[i] == 1) continue;
    if (g[i] != v[i]) return false;
    ++kept;
  }
  return kept <= 1;
}

void weight_norm_to_parametrizations(NamedTensors& tensors) {
  for (const std::string& g : tensors.names()) {
    if (!g.ends_with("_g")) continue;
    const std::string stem = g.substr(0, g.size() - 2), v = stem + "_v", module = module_of(stem);
    if (tensors.find(g) == kNoNode || tensors.find(v) == kNoNode || !tensors.in_scope(module)) continue;
    const std::string box = join(module, std::string(kParametrizations) + "." + leaf_of(stem) + ".");
    if (!is_length_of(tensors.shape(g), tensors.shape(v))) {
      tensors.left(module,
                   "the shapes of " + leaf_of(g) + " and " + leaf_of(v) + " are not those of a weight_norm");
    } else if (tensors.has(stem) || tensors.has(box + "original0") || tensors.has(box + "original1")) {
      tensors.left(module, "it has " + leaf_of(stem) + " as well");
    } else {
      tensors.rename(g, box + "original0");
      tensors.rename(v, box + "original1");
      tensors.done(stem);
    }
  }
}

void weight_norm_to_hooks(NamedTensors& tensors) {
  for (const std::string& g : tensors.names()) {
    if (leaf_of(g) != "original0") continue;
    const std::string inner = module_of(g), box = module_of(inner), v = inner + ".original1";
    const std::string module = module_of(box), stem = join(module, leaf_of(inner));
    if (leaf_of(box) != kParametrizations || tensors.find(g) == kNoNode || tensors.find(v) == kNoNode ||
        !tensors.in_scope(module))
      continue;
    if (!is_length_of(tensors.shape(g), tensors.shape(v)) || tensors.has(inner + ".original2")) {
      tensors.left(module, "original0 and original1 belong to another parametrization");
    } else if (tensors.has(stem + "_g") || tensors.has(stem + "_v")) {
      tensors.left(module, "it has " + leaf_of(stem) + "_g as well");
    } else {
      tensors.rename(g, stem + "_g");
      tensors.rename(v, stem + "_v");
      tensors.done(stem);
    }
  }
}

}  // namespace

void parametrize_weight_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "weight_norm", "weight", "→ original0 and original1", log,
             weight_norm_to_parametrizations);
}

void unparametrize_weight_norm(Checkpoint& checkpoint, const RuleOptions& options, ChangeLog& log) {
  fix_layout(checkpoint, options, "weight_norm_hooks", "weight", "→ _g and _v", log, weight_norm_to_hooks);
}

}  // namespace ferry::convert
