// An HDF5 file as a list of objects and their payloads.
//
// The helper program lists the file once, at opening; payloads that lie in the file as plain bytes are read
// from the source directly, the others are fetched through the helper when their first byte is asked for.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/hdf5/listing.h"
#include "src/core/bytes.h"
#include "src/core/limits.h"

namespace ferry::hdf5 {

class Session;

// Where the bytes of a dataset are: row-major, in the byte order of the file.
struct Payload {
  SourcePtr source;
  std::uint64_t offset = 0, size = 0;
};

class File {
 public:
  // Throws Code::helper_missing, Code::bad_hdf5, Code::truncated, Code::limit_exceeded, Code::too_deep,
  // Code::duplicate_record.
  static File open(SourcePtr source, const Limits& limits);

  const SourcePtr& source() const { return source_; }
  // The root group first, parents before children, in the order of the file.
  const std::vector<Object>& objects() const { return objects_; }
  const Object& root() const { return objects_.front(); }
  // The object with this path, "/metrics" or "/envelope/mean", aliases followed; nullptr when there is none.
  const Object* find(std::string_view path) const;
  std::string path_of(const Object& object) const;

  // Of a dataset with content tensor or table.  The source may be shared by threads and may outlive the file.
  Payload payload(const Object& dataset) const;
  // The whole payload in memory; throws Code::limit_exceeded above `size_max` bytes.
  std::vector<std::byte> read(const Object& dataset, std::uint64_t size_max = std::uint64_t{1} << 30) const;

 private:
  SourcePtr source_;
  std::shared_ptr<Session> session_;
  std::vector<Object> objects_;
};

}  // namespace ferry::hdf5
