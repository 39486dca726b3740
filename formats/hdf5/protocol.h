// What torchferry and its helper program torchferry-hdf5 say to each other.
//
// The helper is started as `torchferry-hdf5 VERSION VERB MEMORY SECONDS OBJECTS DEPTH` with the file open as
// descriptor 3, requests coming in on 0 and answers going out on 1; on 2 it says in one line of JSON why it
// failed.  Answers are lines of JSON, one an object of the file, and the raw bytes of payloads.  FORMAT.md
// has both conversations word by word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ferry::hdf5::protocol {

inline constexpr int kVersion = 1;
inline constexpr int kFileDescriptor = 3;
inline constexpr std::string_view kProgram = "torchferry-hdf5";

// Verbs.
inline constexpr std::string_view kRead = "read";  // lists the file, then answers requests for payloads
inline constexpr std::string_view kSkeleton = "skeleton";  // makes a file of all but the payloads

// Caps on what one line may carry: the helper keeps them, the client does not believe that it does.
inline constexpr std::size_t kLineMax = 64 << 20;
inline constexpr std::size_t kTextBytesMax = 8 << 20;  // of one dataset or attribute of strings
inline constexpr std::size_t kTextsMax = 1'000'000;
inline constexpr std::size_t kAttributeItemsMax = 65'536;
inline constexpr std::size_t kAttributesMax = 65'536;  // of one object
inline constexpr std::size_t kColumnsMax = 4'096;

// Writes one line: an object of JSON.  Text must be UTF-8.
class LineWriter {
 public:
  LineWriter() : line_("{") {}

  LineWriter& key(std::string_view name) {
    text(name);
    line_ += ':';
    first_ = true;  // what follows a colon takes no comma
    return *this;
  }
  LineWriter& text(std::string_view utf8) {
    separate();
    line_ += '"';
    for (const char c : utf8) add_escaped(c);
    line_ += '"';
    return *this;
  }
  LineWriter& integer(std::int64_t value) { return word(std::to_string(value)); }
  LineWriter& natural(std::uint64_t value) { return word(std::to_string(value)); }
  LineWriter& boolean(bool value) { return word(value ? "true" : "false"); }
  LineWriter& begin(char bracket) {  // '[' or '{'
    separate();
    line_ += bracket;
    first_ = true;
    return *this;
  }
  LineWriter& end(char bracket) {
    line_ += bracket;
    first_ = false;
    return *this;
  }
  std::string finish() { return std::move(line_ += "}\n"); }

 private:
  LineWriter& word(std::string_view characters) {
    separate();
    line_ += characters;
    return *this;
  }
  void separate() {
    if (!first_) line_ += ',';
    first_ = false;
  }
  void add_escaped(char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') line_ += '\\';
    if (code >= 0x20) {
      line_ += c;
    } else {
      line_ += "\\u00";
      line_ += kDigits[code >> 4];
      line_ += kDigits[code & 15];
    }
  }

  std::string line_;
  bool first_ = true;
};

}  // namespace ferry::hdf5::protocol
