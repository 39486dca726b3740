#include "src/cli/validate_output.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "src/cli/destinations.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/report/validation.h"

namespace ferry::cli {
namespace {

enum class Form : std::uint8_t { text, json, junit, sarif, markdown, html };

struct Destination {
  std::string path;
  Form form;
};

Form form_of(std::string_view path) {
  if (path.ends_with(".html")) return Form::html;
  if (path.ends_with(".md")) return Form::markdown;
  if (path.ends_with(".json")) return Form::json;
  if (path.ends_with(".xml")) return Form::junit;
  return path.ends_with(".sarif") ? Form::sarif : Form::text;
}

std::vector<Destination> destinations_of(const ValidateOptions& options) {
  std::vector<Destination> all;
  for (const std::string& path : options.reports) all.push_back({path, form_of(path)});
  const auto add = [&](const std::string& path, Form form) {
    if (!path.empty()) all.push_back({path, form});
  };
  add(options.junit, Form::junit);
  add(options.sarif, Form::sarif);
  add(options.markdown, Form::markdown);
  return all;
}

std::string rendered(const policy::ValidationReport& report, Form form) {
  std::string text;
  const auto put = [&](std::string_view piece) { text += piece; };
  switch (form) {
    case Form::text:
      return report::validation_text(report, {.all = true});
    case Form::json:
      report::write_validation_json(report, put);
      return text;
    case Form::junit:
      return report::validation_junit(report);
    case Form::sarif:
      report::write_validation_sarif(report, put);
      return text;
    case Form::markdown:
      return report::validation_markdown(report);
    case Form::html:
      return report::validation_html(report);
  }
  return text;
}

const char* from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

// Appended: other steps of the job write there too.
void append_summary(const std::string& text, const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "ae"), &std::fclose);
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0)
    throw Error(Code::cannot_write, std::string("cannot append the job summary: ") + std::strerror(errno))
        .of(path);
}

template <typename Step>
int guarded(Step step) {
  try {
    step();
    return 0;
  } catch (const Error& error) {
    print_error(error);
    return 2;
  }
}

}  // namespace

void check_destinations(const ValidateOptions& options, const std::vector<std::string>& inputs) {
  std::vector<std::string> outputs;
  for (const Destination& one : destinations_of(options)) outputs.push_back(one.path);
  if (!options.save.empty()) outputs.push_back(options.save);
  check_outputs(outputs, inputs, options.force);
}

void print_validation(const policy::ValidationReport& report, const ValidateOptions& options) {
  for (const policy::Suite& suite : report.suites)
    for (const policy::TestCase& one : suite.cases)
      if (one.error) print_error(*one.error);
  if (options.json)
    report::write_validation_json(report, print);
  else if (!options.quiet)
    print(report::validation_text(report,
                                  {.color = options.color, .all = options.all, .width = options.width}));
  if (from_environment("GITHUB_ACTIONS") == nullptr) return;
  // Runners read commands from both streams; stdout may be read by a program.
  const std::string lines = report::validation_annotations(report);
  std::fwrite(lines.data(), 1, lines.size(), stderr);
}

int save_validation(const policy::ValidationReport& report, const ValidateOptions& options) {
  int code = 0;
  for (const Destination& one : destinations_of(options))
    code = std::max(code, guarded([&] {
                      const std::string text = rendered(report, one.form);
                      FileSink sink(one.path, text.size(), {.replace = options.force});
                      sink.write_at(0, as_bytes(text));
                      sink.commit();
                    }));
  if (const char* const summary = from_environment("GITHUB_STEP_SUMMARY"))
    code = std::max(code, guarded([&] { append_summary(report::validation_markdown(report), summary); }));
  return code;
}

}  // namespace ferry::cli
