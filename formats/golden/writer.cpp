#include "formats/golden/writer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "formats/golden/layout.h"
#include "formats/numpy/write.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::golden {
namespace {

[[noreturn]] void refuse(Code code, const std::string& what, std::string_view path) {
  throw Error(code, what).in("in " + quote(path));
}

// Without ml_dtypes numpy takes bfloat16 for two bytes without a meaning, and goldens are read without it.
bool is_known_to_numpy(DType dtype) { return dtype != DType::bfloat16 && !numpy::descr_of(dtype).empty(); }

// JSON has no infinity and no NaN; readers take their names for them (FORMAT.md).
std::string json_value(const AttributeValue& value) {
  if (const auto* const text = std::get_if<std::string>(&value)) return json_text(*text);
  if (const auto* const integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  const double real = std::get<double>(value);
  return std::isfinite(real) ? real_text(real) : json_text(real_text(real));
}

}  // namespace

void GoldenWriter::put(std::string_view path, DType dtype, std::span<const std::int64_t> shape, Bytes bytes) {
  if (!is_known_to_numpy(dtype))
    refuse(Code::unsupported_value, "numpy has no type " + std::string(info(dtype).name), path);
  const auto numel = checked_numel(shape);
  const auto size = numel ? checked_mul(*numel, std::int64_t{info(dtype).itemsize}) : std::nullopt;
  if (!size || static_cast<std::uint64_t>(*size) != bytes.size())
    refuse(Code::internal, "the bytes of the array do not fit its type and shape", path);
  const std::string header = numpy::array_header(dtype, shape);
  add_member(std::string(path) + std::string(kArraySuffix), as_bytes(header), bytes);
}

void GoldenWriter::attribute(std::string_view path, std::string_view name, AttributeValue value) {
  const auto [at, is_new] = group_at_.try_emplace(std::string(path), groups_.size());
  if (is_new) groups_.push_back({std::string(path), {}});
  auto& attributes = groups_[at->second].attributes;
  for (auto& [known, old] : attributes)
    if (known == name) {
      old = std::move(value);
      return;
    }
  attributes.emplace_back(std::string(name), std::move(value));
}

void GoldenWriter::finish() {
  const std::string json = attributes_json();
  const std::int64_t size = static_cast<std::int64_t>(json.size());
  put(kAttributesMember, DType::uint8, {&size, 1}, as_bytes(json));
  std::vector<zip::Entry> entries;
  entries.reserve(members_.size());
  for (const Member& member : members_)
    entries.push_back({member.name, member.size, member.crc, member.header_offset});
  append(zip::directory(entries, end_));
}

void GoldenWriter::add_member(std::string name, Bytes header, Bytes data) {
  if (!paths_.insert(name).second) refuse(Code::internal, "the array was written before", name);
  const std::uint64_t size = header.size() + data.size();
  const std::uint32_t crc = zip::crc32(zip::crc32(0, header), data);
  members_.push_back({std::move(name), size, crc, end_});
  const Member& member = members_.back();
  const zip::Entry entry{member.name, size, crc, member.header_offset};
  append(zip::local_header(entry));
  append(header);
  append(data);
  append(zip::data_descriptor(entry));
}

void GoldenWriter::append(Bytes bytes) {
  sink_.write_at(end_, bytes);
  end_ += bytes.size();
}

std::string GoldenWriter::attributes_json() const {
  std::string json = "{";
  for (const Group& group : groups_) {
    json += (json.size() > 1 ? ", " : "") + json_text(group.path) + ": {";
    bool first = true;
    for (const auto& [name, value] : group.attributes) {
      json += (first ? "" : ", ") + json_text(name) + ": " + json_value(value);
      first = false;
    }
    json += '}';
  }
  return json + '}';
}

std::string sequence_name(std::uint32_t seq) {
  std::string digits = std::to_string(seq);
  if (digits.size() < kSequenceDigits) digits.insert(0, kSequenceDigits - digits.size(), '0');
  return digits;
}

std::string path_part(std::string_view name) {
  std::string part;
  for (const char c : name) {
    if (c == '%' || c == '/')
      part += c == '%' ? "%25" : "%2F";
    else
      part += c;
  }
  return part;
}

std::string json_text(std::string_view text) {
  if (!is_utf8(text, false))
    throw Error(Code::unsupported_value, "a text in a golden is no UTF-8: " + quote(text));
  std::string json = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", code);
      json += escape;
      continue;
    }
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + '"';
}

}  // namespace ferry::golden
