// The options of convert that choose and steer rules.
#include <algorithm>

#include "src/cli/options_parts.h"
#include "src/core/text.h"

namespace ferry::cli {
namespace {

const convert::Rule& known_rule(const std::string& option, const std::string& id) {
  const convert::Rule* rule = convert::find_rule(id);
  if (rule == nullptr)
    throw_usage(option + " " + quote(id) + ": there is no such rule", "torchferry convert --list-rules");
  return *rule;
}

}  // namespace

void describe_rules(CLI::App& verb, RuleArguments& to) {
  verb.add_option("--amp", to.amp,
                  "state of apex amp: scaler (default): that of a torch.amp.GradScaler; keep; drop")
      ->check(CLI::IsMember({"scaler", "keep", "drop"}).description(""))
      ->type_name("scaler|keep|drop");
  verb.add_option("--static-scale", to.static_scale,
                  "a loss scale that never changed: none (default): None; frozen: a scaler that stays there")
      ->check(CLI::IsMember({"none", "frozen"}).description(""))
      ->type_name("none|frozen");
  verb.add_option(
          "--fp32-masters", to.masters,
          "fp32 masters of half parameters: keep (default) them beside; model: put them into the model; drop")
      ->check(CLI::IsMember({"keep", "model", "drop"}).description(""))
      ->type_name("keep|model|drop");
  add_list(verb, "--fix", to.fixes,
           "also apply this rule, to modules whose path matches where a pattern is given; see --list-rules")
      ->type_name("RULE[:GLOB]");
  add_list(verb, "--without", to.without, "do not apply this rule")->type_name("RULE");
  verb.add_flag("--list-rules", to.list, "list the rules: name, when they apply, why; convert nothing");
}

void finish_rules(RuleArguments& from, convert::RuleOptions& rules) {
  rules.amp = from.amp == "keep"   ? convert::Amp::keep
              : from.amp == "drop" ? convert::Amp::drop
                                   : convert::Amp::scaler;
  rules.static_scale =
      from.static_scale == "frozen" ? convert::StaticScale::frozen : convert::StaticScale::none;
  rules.masters = from.masters == "model"  ? convert::Masters::model
                  : from.masters == "drop" ? convert::Masters::drop
                                           : convert::Masters::keep;
  for (const std::string& text : from.fixes) {
    const std::size_t colon = text.find(':');
    const std::string id = text.substr(0, colon);
    if (known_rule("--fix", id).when != convert::When::fix)
      throw_usage("--fix " + quote(id) + ": this rule is not turned on by --fix",
                  "torchferry convert --list-rules");
    rules.fixes.push_back({id, colon == std::string::npos ? std::string() : text.substr(colon + 1)});
  }
  for (const std::string& id : from.without) rules.without.emplace_back(known_rule("--without", id).id);
}

}  // namespace ferry::cli
