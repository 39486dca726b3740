#include "formats/tar/header.h"

#include <algorithm>
#include <charconv>

#include "formats/tar/layout.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::tar {
namespace {

[[noreturn]] void fail(std::string what) { throw Error(Code::bad_tar, std::move(what)); }

std::string_view field(Bytes block, Field at) { return as_text(block.subspan(at.at, at.size)); }

std::string_view up_to_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

// Octal digits between spaces and NULs; nullopt for anything else.
std::optional<std::uint64_t> read_octal(std::string_view text) {
  text = up_to_nul(text);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// GNU's form for sizes of 8 GiB and more: the first byte is 0x80, big-endian bytes follow.
std::uint64_t read_base_256(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text.substr(1)) {
    if (value >> 55 != 0) fail("the size of a member has more than 63 bits");
    value = value << 8 | static_cast<unsigned char>(c);
  }
  return value;
}

std::uint64_t read_size(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) == 0x80) return read_base_256(text);
  const auto size = read_octal(text);
  if (!size) fail("the size of a member is no number: " + quote(up_to_nul(text), 40));
  return *size;
}

// One record at the beginning of `records`; removes it.
std::pair<std::string_view, std::string_view> take_record(std::string_view& records) {
  std::size_t length = 0;
  const auto end = std::from_chars(records.data(), records.data() + records.size(), length);
  const auto digits = static_cast<std::size_t>(end.ptr - records.data());
  if (end.ec != std::errc() || digits == records.size() || records[digits] != ' ' ||
      length > records.size() || length < digits + 3 || records[length - 1] != '\n')
    fail("a pax header has a record of an impossible length");
  const std::string_view record = records.substr(digits + 1, length - digits - 2);
  const std::size_t equals = record.find('=');
  if (equals == std::string_view::npos) fail("a pax header has a record without '='");
  records.remove_prefix(length);
  return {record.substr(0, equals), record.substr(equals + 1)};
}

std::uint64_t read_decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size())
    fail("a pax header says a size that is no number: " + quote(text, 40));
  return value;
}

}  // namespace

bool is_zero_block(Bytes block) {
  return std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool has_right_checksum(Bytes block) {
  const auto said = read_octal(field(block, header::kChecksum));
  std::int64_t plain = 0, with_signs = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= header::kChecksum.at && i < header::kChecksum.at + header::kChecksum.size;
    const auto byte = own ? std::uint8_t{' '} : static_cast<std::uint8_t>(block[i]);
    plain += byte;
    with_signs += static_cast<std::int8_t>(byte);
  }
  return said &&
         (static_cast<std::int64_t>(*said) == plain || static_cast<std::int64_t>(*said) == with_signs);
}

Header read_header(Bytes block) {
  if (!has_right_checksum(block)) fail("the checksum of a header is wrong");
  Header header;
  header.type = field(block, header::kType)[0];
  header.size = read_size(field(block, header::kSize));
  const std::string_view prefix = up_to_nul(field(block, header::kPrefix));
  const bool has_prefix = field(block, header::kMagic) == kMagic && !prefix.empty() &&
                          header.type != type::kGnuLongName && header.type != type::kGnuLongLink;
  header.name =
      (has_prefix ? std::string(prefix) + "/" : "") + std::string(up_to_nul(field(block, header::kName)));
  return header;
}

void read_pax_records(std::string_view records, bool global, Extension& extension) {
  while (!records.empty()) {
    const auto [key, value] = take_record(records);
    if (key.starts_with("GNU.sparse."))
      throw Error(Code::unsupported_container, "a sparse member of a tar archive is not read");
    if (key != "path" && key != "size") continue;
    if (global) fail("a global pax header gives every member the same " + std::string(key));
    if (key == "path") extension.name = std::string(value);
    if (key == "size") extension.size = read_decimal(value);
  }
}

}  // namespace ferry::tar
