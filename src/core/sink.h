// Output that is whole or not there.  A FileSink writes a temporary file beside the destination; commit()
// makes it the destination; without commit, the destructor leaves no trace.
//
// The temporary is locked (flock) while its process lives.  One is stale, and removed by the next run for the
// same destination, only when its process is gone from this machine and its lock can be had: another machine
// may be writing into the same folder.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "src/core/bytes.h"

namespace ferry {

struct SinkOptions {
  bool replace = false;      // an existing destination may be replaced (--force)
  bool sync = true;          // fsync the file before and the folder after the rename
  unsigned mode_max = 0666;  // permissions that a new file may have at most, before the umask
};

class FileSink {
 public:
  // Creates `.<name>.<pid>.<random>.torchferry-tmp` in the folder of `path` and reserves `size` bytes.  The
  // name is cut where that would be longer than the file system allows.  A destination that is a symbolic
  // link to a file is written through: the link stays.  Stale temporaries for the same destination are
  // removed. Throws Code::output_exists, Code::cannot_write (folder missing, read-only, disk full, a
  // directory or a device in the way, a link that leads nowhere).
  FileSink(std::string path, std::uint64_t size, SinkOptions options);
  ~FileSink();
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  // Total, or throws Code::cannot_write.  Thread-safe; ranges of different calls must not overlap.
  void write_at(std::uint64_t offset, Bytes bytes);

  // What was written so far, for reading it back; a file of its own, under the name of the destination.
  SourcePtr reopen() const;

  // fsync, rename, fsync of the folder.  A replaced file hands on its permissions (without setuid and the
  // like) and, where we may, its owner; a new one gets `mode_max` less the umask.  Without `replace` a
  // destination that came into being meanwhile stays: Code::output_exists.
  void commit();

  const std::string& path() const { return path_; }

 private:
  void create_temporary();
  void reserve(std::uint64_t size);
  void rename_into_place();
  void discard() noexcept;

  std::string shown_;      // the destination as it was given, for messages
  std::string path_;       // the destination, links followed
  std::string temporary_;  // while it exists
  SinkOptions options_;
  int fd_ = -1;
  std::mutex writing_;
};

// What FileSink would say to this destination before it writes, without a trace: for plans and for many files
// at once. Throws what the constructor throws but for a full disk.
void check_destination(const std::string& path, bool replace);

// True when two paths lead to one file (by device and inode).
bool is_same_file(const std::string& a, const std::string& b);

// Removes stale temporary files for the destination `path`.
void remove_stale_temporaries(const std::string& path);

// Removes every temporary of this process and lets no new one come into being: a call that would make one
// waits for ever.  For a process that is about to end on a signal; not to be called from a signal handler.
void remove_open_temporaries() noexcept;

}  // namespace ferry
