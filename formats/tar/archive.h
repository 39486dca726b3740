// A tar archive, walked from its first byte: what it holds, where the bytes of its members lie, and how far
// it is whole.
//
// There is no directory to contradict, but there are several ways to say one thing (a name in the header, in
// a pax record, in a block of its own), and kinds of members that are no data.  What two readers could see in
// two ways is refused; nothing is ever extracted.  FORMAT.md has the byte table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/error.h"
#include "src/core/likeness.h"
#include "src/core/limits.h"

namespace ferry::tar {

struct Member {
  std::string name;           // as written, or as an extended header before it says
  std::string kind = "file";  // for messages: "symbolic link", "device" …; only a file has bytes
  bool is_file = true;
  std::uint64_t header_offset = 0;
  std::uint64_t data_offset = 0;
  std::uint64_t size = 0;  // as announced; the last one of a broken archive may reach beyond the end
};

// The first header decides: its magic, or for archives of before 1988 a right checksum.
Likeness looks_like_tar(const ByteSource& source);

class Archive {
 public:
  // Every member up to the end marker.  Throws Code::bad_tar, truncated, duplicate_record,
  // unsupported_container, limit_exceeded.
  static Archive open(SourcePtr source, const Limits& limits);

  // The same for an archive that is damaged or cut: the members before the place where it breaks, the last of
  // which may be cut, and why it ends there.
  static Archive open_broken(SourcePtr source, const Limits& limits, std::optional<Error>& why);

  const std::vector<Member>& members() const { return members_; }
  // The member of exactly this name, or nullptr.  Throws Code::duplicate_record when there are two, and
  // Code::bad_tar when it is no file.
  const Member* find(std::string_view name) const;
  // The bytes of a member that are there, as a source of their own: offsets count from its beginning.
  SourcePtr bytes_of(const Member& member) const;

  const SourcePtr& source() const { return source_; }
  // Where the end marker ends; what follows it is padding.
  std::uint64_t end() const { return end_; }

 private:
  SourcePtr source_;
  std::vector<Member> members_;
  std::uint64_t end_ = 0;
};

// "in member 'storages'": the place that every message about a member names.
std::string in_member(std::string_view name);

}  // namespace ferry::tar
