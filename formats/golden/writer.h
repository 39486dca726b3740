// Writes a golden as npz, record by record, in bounded memory: names and attributes are kept until the end,
// arrays are not.  The same calls give the same bytes.
//
//   FileSink sink(path, 0, {});
//   GoldenWriter writer(sink);
//   writer.attribute("", "layout", std::int64_t{1});
//   writer.put("case/0/in/0", DType::float32, {2, 3}, bytes);
//   writer.finish();
//   sink.commit();
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"
#include "src/core/sink.h"

namespace ferry::golden {

using AttributeValue = std::variant<std::int64_t, double, std::string>;

class GoldenWriter {
 public:
  // The sink outlives the writer and is not committed by it.
  explicit GoldenWriter(FileSink& sink) : sink_(sink) {}

  // An array under its path, "case/0/f32/out/0": contiguous, row-major, little-endian elements.  Types that
  // numpy does not have (bfloat16 …) are to be widened by the caller, who says in the attribute `dtype` what
  // they were. Throws Code::internal for bytes that do not fit type and shape or a path that was put before,
  // Code::unsupported_value for a type that numpy does not have, Code::cannot_write, Code::limit_exceeded.
  void put(std::string_view path, DType dtype, std::span<const std::int64_t> shape, Bytes bytes);

  // An attribute of an array or a group; of two of one name the later counts.  Lists, dicts, truth values and
  // nothing are written as JSON text by the caller.  Empty path: the root.
  void attribute(std::string_view path, std::string_view name, AttributeValue value);

  // The attributes and the directory of the archive.  To be called once, last.
  void finish();

 private:
  struct Member {
    std::string name;
    std::uint64_t size;
    std::uint32_t crc;
    std::uint64_t header_offset;
  };
  struct Group {
    std::string path;
    std::vector<std::pair<std::string, AttributeValue>> attributes;
  };

  void add_member(std::string name, Bytes header, Bytes data);
  void append(Bytes bytes);
  std::string attributes_json() const;

  FileSink& sink_;
  std::uint64_t end_ = 0;  // of what was written
  std::vector<Member> members_;
  std::unordered_set<std::string> paths_;
  std::vector<Group> groups_;  // in the order of their first attribute
  std::unordered_map<std::string, std::size_t> group_at_;
};

// "case/0/f32/mod/00012": what stands in a path for a sequence number.
std::string sequence_name(std::uint32_t seq);

// A name as one part of a path: '%' and '/' are written as "%25" and "%2F".
std::string path_part(std::string_view name);

// `text` as a JSON string with its quotes, for attributes that hold lists and dicts.
std::string json_text(std::string_view text);

}  // namespace ferry::golden
