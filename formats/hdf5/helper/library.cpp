#include "formats/hdf5/helper/library.h"

#include "src/core/error.h"

namespace ferry::hdf5::helper {
namespace {

// Keeps the first description, which is that of the innermost function.
herr_t keep_first(unsigned, const H5E_error2_t* error, void* out) {
  auto& text = *static_cast<std::string*>(out);
  if (text.empty() && error->desc != nullptr) text = error->desc;
  return 0;
}

std::string reason_of_library() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  return text;
}

// Structures of later releases look broken to an older one.
std::string hint_of_age(const std::string& reason) {
  if (reason.find("version number") == std::string::npos) return "";
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return " (or the file needs a later release of the library than " + std::to_string(major) + "." +
         std::to_string(minor) + "." + std::to_string(release) + ")";
}

}  // namespace

void fail(const std::string& what) {
  const std::string reason = reason_of_library();
  const bool cut = reason.starts_with("truncated file");  // as H5F__super_read says it
  throw Error(
      cut ? Code::truncated : Code::bad_hdf5,
      "the HDF5 library cannot " + what + (reason.empty() ? "" : ": " + reason) + hint_of_age(reason));
}

Handle own(hid_t id, const char* what) {
  if (id < 0) fail(what);
  return Handle(id);
}

void check(long long status, const char* what) {
  if (status < 0) fail(what);
}

Handle access_by_descriptor() {
  Handle access = own(H5Pcreate(H5P_FILE_ACCESS), "make properties");
  check(H5Pset_fapl_stdio(access.get()), "make properties");
  return access;
}

void prepare_library() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

}  // namespace ferry::hdf5::helper
