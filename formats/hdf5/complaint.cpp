#include "formats/hdf5/complaint.h"

#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <optional>
#include <string>

#include "formats/json/json.h"
#include "src/core/error.h"

namespace ferry::hdf5 {
namespace {

// What the helper may say by itself; any other code is a mistake of ours.
constexpr std::array kAllowed = {Code::bad_hdf5, Code::truncated, Code::limit_exceeded, Code::too_deep,
                                 Code::helper_missing};

std::optional<Error> read_complaint(std::string_view said) {
  const std::size_t begin = said.rfind("{\"code\":");
  if (begin == std::string_view::npos) return std::nullopt;
  try {
    const json::Value value = json::parse(said.substr(begin));
    const json::Value *number = value.find("code"), *what = value.find("what"), *where = value.find("where");
    if (number == nullptr || what == nullptr || what->text() == nullptr) return std::nullopt;
    Code code = Code::internal;
    for (const Code allowed : kAllowed)
      if (number->natural() == static_cast<std::uint64_t>(allowed)) code = allowed;
    Error error(code, *what->text());
    if (where != nullptr && where->text() != nullptr) error.in(*where->text());
    return error;
  } catch (const Error &) {
    return std::nullopt;  // cut short by its death
  }
}

}  // namespace

void throw_complaint(std::string_view said, int status) {
  if (std::optional<Error> error = read_complaint(said)) throw *error;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
    throw Error(Code::limit_exceeded, "the HDF5 library took more time than a file of this size may take");
  if (WIFSIGNALED(status))
    throw Error(Code::bad_hdf5, "the HDF5 library could not read this file (it crashed: signal " +
                                    std::to_string(WTERMSIG(status)) + ")");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    throw Error(Code::helper_missing, "the program that reads HDF5 files cannot be run here")
        .with_hint("torchferry-hdf5 needs the HDF5 library (libhdf5) on this machine");
  throw Error(Code::bad_hdf5, "the HDF5 library could not read this file (its program ended with status " +
                                  std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : status) + ")");
}

}  // namespace ferry::hdf5
