#include "src/core/error.h"

#include <cstdio>

#include "src/core/text.h"

namespace ferry {

Error::Error(Code code, std::string what) : code_(code), what_(std::move(what)), hint_(info(code).hint) {
  compose();
}

Error& Error::at(std::uint64_t byte_offset) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "at byte 0x%llx (%llu)", static_cast<unsigned long long>(byte_offset),
                static_cast<unsigned long long>(byte_offset));
  return in(buffer);
}

Error& Error::in(std::string place) {
  where_.push_back(std::move(place));
  compose();
  return *this;
}

Error& Error::of(std::string file) {
  if (file_.empty()) file_ = std::move(file);
  compose();
  return *this;
}

Error& Error::with_hint(std::string hint) {
  hint_ = std::move(hint);
  compose();
  return *this;
}

void Error::compose() {
  std::string text;
  if (!file_.empty()) text += file_ + ": ";
  text += what_;
  for (std::size_t i = 0; i < where_.size(); ++i) text += (i == 0 ? "; " : " ") + where_[i];
  text += " [" + code_name(code_) + "]";
  if (!hint_.empty()) text += "; hint: " + hint_;
  message_ = escape_for_terminal(text);
}

const char* Error::what() const noexcept { return message_.c_str(); }

}  // namespace ferry
