// `torchferry convert --list-rules`: what convert changes, when, and why.
#pragma once

namespace ferry::cli {

struct ListRulesOptions {
  bool json = false;
};

int run_list_rules(const ListRulesOptions& options);

}  // namespace ferry::cli
