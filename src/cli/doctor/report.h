// A diagnosis for people and for scripts.
#pragma once

#include <functional>
#include <string_view>

#include "src/cli/doctor/diagnosis.h"

namespace ferry::doctor {

using Put = std::function<void(std::string_view)>;

void write_text(const Diagnosis& diagnosis, const Put& put);
// Schema torchferry.doctor/1; the same files give the same document.
void write_json(const Diagnosis& diagnosis, const Put& put);

}  // namespace ferry::doctor
