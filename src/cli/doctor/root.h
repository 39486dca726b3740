// A file system that is looked at, and nothing more: "/" itself, or a folder that stands for it (a chroot, an
// image that is mounted somewhere, a test).
//
// Paths are those that a process inside would use.  Symbolic links are followed inside, an absolute one from
// the root again and ".." no further than the root, so nothing outside is ever read.  What cannot be read is
// the same as not there.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::doctor {

// "/a//b/" and "c" give "/a/b/c"; an absolute `name` stays alone.
std::string joined(std::string_view folder, std::string_view name);
std::string parent_of(std::string_view path);
std::string_view name_of(std::string_view path);

class Root {
 public:
  // Throws Code::cannot_read when `folder` is no folder.
  explicit Root(std::string folder = "/");

  bool is_whole_machine() const { return folder_.empty(); }
  // The folder that relative paths start from: that of the process, or "/" in another root.
  const std::string& current() const { return current_; }

  // The path without links, or nothing when there is nothing there.
  std::optional<std::string> resolve(std::string_view path) const;
  bool is_file(std::string_view path) const;
  bool is_folder(std::string_view path) const;
  bool is_program(std::string_view path) const;  // a regular file that somebody may execute
  bool is_link(std::string_view path) const;     // the last part, also when it leads nowhere

  // The first bytes of a regular file; FIFOs and devices are never opened.
  std::optional<std::string> read(std::string_view path, std::size_t bytes_max = 1 << 20) const;
  // Names in a folder, in order; none when it is no folder.
  std::vector<std::string> list(std::string_view folder) const;

  // Where the path is for the operating system.
  std::string outside(std::string_view path) const { return folder_ + std::string(path); }

 private:
  std::string folder_;  // without a slash at its end: "" for the whole machine
  std::string current_ = "/";
};

}  // namespace ferry::doctor
