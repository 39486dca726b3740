#include "src/cli/doctor.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "formats/zip/crc32.h"
#include "src/cli/doctor/diagnosis.h"
#include "src/cli/doctor/program.h"
#include "src/cli/doctor/report.h"
#include "src/cli/terminal.h"
#include "src/core/bytes.h"
#include "src/core/error.h"

namespace ferry::cli {
namespace {

constexpr unsigned kHelperSeconds = 20;  // LibTorch takes its time when the disk is cold
constexpr std::uint64_t kRangesMax = 1 << 20;

// --- torchferry itself

// Helper programs lie beside torchferry, or where a variable says.
std::string path_of_helper(std::string_view program, const char* variable) {
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') return named;
  std::array<char, 4096> self{};
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  const std::string_view whole(self.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return std::string(whole.substr(0, whole.rfind('/') + 1)) + std::string(program);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Started with nothing to do, a helper complains in a line of JSON: it found its libraries and speaks.
doctor::Helper ask_helper(std::string_view program, const char* variable, std::string_view mark) {
  doctor::Helper helper;
  helper.program = program;
  helper.path = path_of_helper(program, variable);
  helper.there = ::access(helper.path.c_str(), X_OK) == 0;
  if (!helper.there) return helper;
  const doctor::ProgramAnswer answer = doctor::ask_program({helper.path}, "\n", kHelperSeconds);
  for (const std::string* stream : {&answer.output, &answer.errors})
    helper.answers = helper.answers || (stream->starts_with('{') && stream->find(mark) != std::string::npos);
  if (helper.answers) return helper;
  helper.failure = !answer.failure.empty() ? answer.failure : first_line(answer.errors);
  if (helper.failure.empty()) helper.failure = "exit code " + std::to_string(answer.status);
  return helper;
}

void examine_self(doctor::Diagnosis& to) {
  to.helpers.push_back(ask_helper("torchferry-hdf5", "TORCHFERRY_HDF5", "\"code\""));
  to.helpers.push_back(ask_helper("torchferry-replay", "TORCHFERRY_REPLAY", "\"event\""));
  to.features.push_back({"isal", zip::crc32_engine() == "isa-l"});
  to.features.push_back({"hdf5", to.helpers[0].answers});
  to.features.push_back({"torch-replay", to.helpers[1].answers});
  for (const doctor::Helper& helper : to.helpers)
    if (!helper.answers)
      to.remarks.push_back({Code::helper_silent, false,
                            helper.program + (helper.there ? " does not answer: " + helper.failure
                                                           : " is not at " + helper.path)});
}

// --- What is known

doctor::PackageRanges ranges_of(const std::string& file) {
  if (file.empty()) return doctor::PackageRanges(doctor::package_ranges_text());
  const SourcePtr source = open_file(file);
  if (source->size() > kRangesMax) throw Error(Code::limit_exceeded, "this is no table of ranges").of(file);
  const std::vector<std::byte> bytes = source->read({0, source->size()});
  try {
    return doctor::PackageRanges(as_text(bytes));
  } catch (Error& error) {
    throw error.of(file);
  }
}

doctor::Diagnosis diagnose(const DoctorOptions& options) {
  const doctor::Root root(options.root);
  const doctor::Knowledge knowledge = {ranges_of(options.ranges),
                                       doctor::read_accelerators(doctor::accelerators_text())};
  const std::vector<doctor::Python> pythons =
      doctor::find_pythons(root, doctor::surroundings_of_process(), options.pythons);
  doctor::Diagnosis diagnosis;
  examine_self(diagnosis);
  diagnosis.machine = doctor::examine_machine(root, doctor::hints_of_process());
  if (options.run) doctor::ask_machine(diagnosis.machine, options.seconds);
  for (const std::string& complaint : diagnosis.machine.complaints)
    diagnosis.remarks.push_back({Code::no_answer, false, complaint});
  for (const doctor::Python& python : pythons) {
    diagnosis.pythons.push_back(doctor::examine_python(root, python, diagnosis.machine, knowledge));
    if (options.run) doctor::ask_python(diagnosis.pythons.back(), options.seconds);
  }
  return diagnosis;
}

}  // namespace

int run_doctor(const DoctorOptions& options) {
  const doctor::Diagnosis diagnosis = diagnose(options);
  if (options.json)
    doctor::write_json(diagnosis, print);
  else
    doctor::write_text(diagnosis, print);
  return diagnosis.conflicts() == 0 ? 0 : 1;
}

}  // namespace ferry::cli
