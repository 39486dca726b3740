// A forward verdict for people and for programs.
#pragma once

#include <cstddef>
#include <string>

#include "src/core/forward_verdict.h"
#include "src/report/json.h"

namespace ferry::report {

struct ForwardTextStyle {
  bool color = false;
  bool all = false;       // every row
  std::size_t width = 0;  // columns of the terminal; 0: not a terminal
  std::size_t rows = 20;  // of outputs and of modules, the worst ones
};

// The answer in one sentence, safe to print: "another function: 2 of 5 outputs fail, the worst 1.3e+06× over
// …".
std::string forward_headline(const ForwardVerdict& verdict);

// The answer, the sides, where they part and why that may be; then outputs and modules, the worst first.
std::string forward_text(const ForwardVerdict& verdict, const ForwardTextStyle& style);

// One document, "schema": "torchferry.forward/1".
void write_forward_json(const ForwardVerdict& verdict, const JsonWriter::Put& put);
// The same fields without the schema, in an object that was begun: for reports that hold several verdicts.
void forward_fields(JsonWriter& json, const ForwardVerdict& verdict);

// 0 pass or warn, 1 fail, 2 nothing could be judged.
int exit_code(const ForwardVerdict& verdict);

// "l2.0.conv1 (Conv2d)", "the model itself (Net)", with the call where it is not the first.
std::string record_words(const RecordName& name);

}  // namespace ferry::report
