// The HDF5 library with handles that close themselves and errors that are thrown.  Only this folder sees it.
#pragma once

// The API of 1.10, which later releases also offer: object addresses are numbers in it.
#define H5_USE_110_API
#include <hdf5.h>

#include <string>
#include <utility>

namespace ferry::hdf5::helper {

// An identifier of the library: file, group, dataset, type, space, property list.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, -1);
    }
    return *this;
  }
  hid_t get() const { return id_; }
  void reset() {
    if (id_ >= 0) H5Idec_ref(std::exchange(id_, -1));
  }

 private:
  hid_t id_ = -1;
};

// Throws Code::bad_hdf5, or Code::truncated: what could not be done, and what the library says about it.
[[noreturn]] void fail(const std::string& what);

// The handle of a call that returned one, or the failure of it.
Handle own(hid_t id, const char* what);

// The status of a call that returned one: negative is failure.
void check(long long status, const char* what);

// Properties for opening /proc/self/fd/N: the default driver asks for the path behind it, which an unnamed
// file does not have.
Handle access_by_descriptor();

// No messages of its own on stderr, no plugins from elsewhere.
void prepare_library();

}  // namespace ferry::hdf5::helper
