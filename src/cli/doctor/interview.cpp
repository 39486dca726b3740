// What only a running Python can say.
#include <algorithm>

#include "formats/json/json.h"
#include "src/cli/doctor/diagnosis.h"
#include "src/cli/doctor/program.h"
#include "src/core/error.h"

namespace ferry::doctor {
namespace {

// For Python 2.7 and 3.  The folder that doctor runs in must not be taken for a package, and what torch
// prints while it is imported is not the answer: that is the last line with the mark.
constexpr char kMark[] = "torchferry.doctor ";
constexpr char kQuestion[] = R"python(
import json, sys
sys.path = [p for p in sys.path if p]
said = {"version": "%d.%d.%d" % sys.version_info[:3]}
try:
    import torch
    said["torch"] = str(torch.__version__)
    said["cuda_available"] = bool(torch.cuda.is_available())
    if said["cuda_available"]:
        said["devices"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
except Exception as error:
    said["torch_error"] = "%s: %s" % (type(error).__name__, error)
sys.stdout.write("\ntorchferry.doctor " + json.dumps(said) + "\n")
)python";

std::string text_in(const json::Value& answer, std::string_view name) {
  const json::Value* const value = answer.find(name);
  const std::string* const text = value == nullptr ? nullptr : value->text();
  return text == nullptr ? "" : *text;
}

std::string last_line(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(" \r\n") + 1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

void read_answer(const std::string& line, Said& to) {
  const json::Value answer = json::parse(line);
  to.version = text_in(answer, "version");
  to.torch = text_in(answer, "torch");
  to.torch_error = text_in(answer, "torch_error");
  if (const json::Value* available = answer.find("cuda_available")) to.cuda_available = available->boolean();
  const json::Value* const devices = answer.find("devices");
  if (devices == nullptr || devices->array() == nullptr) return;
  for (const json::Value& device : *devices->array())
    if (const std::string* name = device.text()) to.devices.push_back(*name);
}

Said interview(const std::string& program, unsigned seconds) {
  Said said;
  const ProgramAnswer answer = ask_program({program, "-c", kQuestion}, "", seconds);
  const std::size_t mark = answer.output.rfind(kMark);
  if (mark == std::string::npos) {
    said.failure = !answer.failure.empty() ? answer.failure : last_line(answer.errors);
    if (said.failure.empty()) said.failure = "exit code " + std::to_string(answer.status);
    return said;
  }
  const std::size_t begin = mark + sizeof(kMark) - 1;
  try {
    read_answer(answer.output.substr(begin, answer.output.find('\n', begin) - begin), said);
  } catch (const Error& error) {
    said.failure = error.what();
  }
  return said;
}

}  // namespace

void ask_python(PythonReport& report, unsigned seconds) {
  if (report.python.programs.empty()) return;
  const std::string& program = report.python.programs.front();
  const Said& said = report.said.emplace(interview(program, seconds));
  const auto remark = [&](const std::string& what) {
    report.remarks.push_back({Code::no_answer, false, program + ": " + what});
  };
  if (!said.failure.empty()) remark(said.failure);
  if (!said.torch_error.empty() && report.torch) remark("import torch: " + said.torch_error);
  if (!said.torch.empty() && !report.torch)
    remark("it imports torch " + said.torch + " from a place that was not found");
  if (!said.torch.empty() && report.torch && said.torch != report.torch->version)
    remark("it imports torch " + said.torch + ", not " + report.torch->version);
}

}  // namespace ferry::doctor
