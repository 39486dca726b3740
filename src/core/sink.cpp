#include "src/core/sink.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry {
namespace {

constexpr std::string_view kSuffix = ".torchferry-tmp";
constexpr std::size_t kPidDigitsMax = 10, kRandomDigits = 8;

Error write_error(const std::string& shown, const std::string& what, int error) {
  Error failure(Code::cannot_write, what + ": " + std::strerror(error));
  return failure.of(shown);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string join(const std::string& folder, std::string_view name) {
  return folder + (folder.ends_with('/') ? "" : "/") + std::string(name);
}

// --- Names of temporaries

// ".<name>.", with the name cut so that the whole fits: not in the middle of a character, which some file
// systems mind.
std::string temporary_prefix(const std::string& path) {
  const long limit = ::pathconf(folder_of(path).c_str(), _PC_NAME_MAX);
  const std::size_t name_max = limit > 0 ? static_cast<std::size_t>(limit) : 255;
  const std::size_t rest = 3 + kPidDigitsMax + kRandomDigits + kSuffix.size();
  std::string name = name_of(path);
  if (name.size() + rest > name_max) {
    std::size_t keep = name_max > rest ? name_max - rest : 0;
    while (keep > 0 && (static_cast<unsigned char>(name[keep]) & 0xc0) == 0x80) --keep;
    name.resize(keep);
  }
  return "." + name + ".";
}

std::string temporary_name(const std::string& prefix) {
  char random[kRandomDigits + 1];
  std::snprintf(random, sizeof random, "%08x", std::random_device{}());
  return prefix + std::to_string(::getpid()) + "." + random + std::string(kSuffix);
}

// The process that a temporary with this prefix belongs to; nothing when the name is not of that form.
std::optional<pid_t> owner_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.size() < prefix.size() + kSuffix.size()) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(kSuffix.size());
  pid_t pid = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
  const std::string_view random(end, static_cast<std::size_t>(name.data() + name.size() - end));
  if (problem != std::errc{} || pid <= 0 || !random.starts_with('.') || random.find('.', 1) != random.npos)
    return std::nullopt;
  return pid;
}

// --- Stale temporaries

// True when the process is gone and nobody, on whatever machine, holds the lock.
bool is_stale(const std::string& path, pid_t owner) {
  if (::kill(owner, 0) == 0 || errno != ESRCH) return false;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return false;
  const bool free = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return free;
}

std::vector<std::string> temporaries_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(folder.c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = ::readdir(listing))
    if (std::string_view(entry->d_name).ends_with(kSuffix)) names.emplace_back(entry->d_name);
  ::closedir(listing);
  return names;
}

void remove_stale(const std::string& path, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return;
  const std::string prefix = temporary_prefix(path), folder = folder_of(path);
  for (const std::string& name : candidates) {
    const std::optional<pid_t> owner = owner_of(name, prefix);
    if (owner && is_stale(join(folder, name), *owner)) ::unlink(join(folder, name).c_str());
  }
}

// A folder is listed once a process: ten thousand outputs must not list it ten thousand times.
const std::vector<std::string>& known_temporaries(const std::string& folder) {
  static std::mutex guard;
  static auto& known =
      *new std::map<std::string, std::vector<std::string>>;  // never destroyed: threads may outlive main
  const std::lock_guard lock(guard);
  const auto [at, is_new] = known.try_emplace(folder);
  if (is_new) at->second = temporaries_in(folder);
  return at->second;
}

// --- Temporaries of this process

struct OpenTemporaries {
  std::mutex guard;
  std::set<std::string> paths;
};

OpenTemporaries& open_temporaries() {
  static auto& all = *new OpenTemporaries;
  return all;
}

// Opens and notes under one lock, so that no temporary can exist that remove_open_temporaries does not know.
int open_noted(const std::string& path, mode_t mode) {
  OpenTemporaries& all = open_temporaries();
  const std::lock_guard lock(all.guard);
  const auto noted = all.paths.insert(path).first;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) {
    const int error = errno;
    all.paths.erase(noted);
    errno = error;
  }
  return fd;
}

void forget(const std::string& path) {
  OpenTemporaries& all = open_temporaries();
  const std::lock_guard lock(all.guard);
  all.paths.erase(path);
}

// --- Destinations

struct Destination {
  std::string path;            // links followed
  std::optional<mode_t> mode;  // of the file that is there
  uid_t owner = 0;
  gid_t group = 0;
};

std::string followed(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return path;
  char* const real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) {
    const int error = errno;
    Error failure(Code::cannot_write,
                  error == ENOENT
                      ? "the destination is a symbolic link that leads nowhere"
                      : std::string("the symbolic link cannot be followed: ") + std::strerror(error));
    throw failure.of(path).with_hint("remove the link, or name the file that it should lead to");
  }
  const std::string target = real;
  std::free(real);
  return target;
}

[[noreturn]] void throw_no_folder(const std::string& shown, const std::string& folder, int error) {
  Error failure(Code::cannot_write,
                "cannot create the file: the folder " + quote(folder) + " " +
                    (error == ENOENT    ? "does not exist"
                     : error == ENOTDIR ? "is no folder"
                                        : std::string("cannot be used: ") + std::strerror(error)));
  failure.of(shown);
  if (error == ENOENT) failure.with_hint("mkdir -p " + quote(folder));
  throw failure;
}

void refuse_what_is_no_file(const std::string& shown, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return;
  Error failure(Code::cannot_write,
                S_ISDIR(status.st_mode)
                    ? "cannot write the file: a directory is in the way"
                    : "cannot write the file: the destination is a device, a pipe or a socket");
  failure.of(shown);
  if (S_ISDIR(status.st_mode)) failure.with_hint("name a file, or remove the directory");
  throw failure;
}

Destination find_destination(const std::string& shown, bool replace) {
  struct stat status {};
  const bool exists = ::stat(shown.c_str(), &status) == 0;
  const int error = errno;
  if (exists) refuse_what_is_no_file(shown, status);
  Destination found;
  found.path = followed(shown);
  if (exists) {
    if (!replace) throw Error(Code::output_exists, "the destination exists already").of(shown);
    found.mode = status.st_mode & 0777;
    found.owner = status.st_uid;
    found.group = status.st_gid;
    return found;
  }
  const std::string folder = folder_of(found.path);
  if (::stat(folder.c_str(), &status) != 0) throw_no_folder(shown, folder, errno);
  if (!S_ISDIR(status.st_mode)) throw_no_folder(shown, folder, ENOTDIR);
  if (error != ENOENT) throw write_error(shown, "cannot create the file", error);
  const std::string name = name_of(found.path);
  if (name.empty() || name == "." || name == "..")
    throw Error(Code::cannot_write, "cannot create the file: the path names a folder").of(shown);
  return found;
}

// Owner, group and permissions of the file that is there, for the one that will replace it.
bool take_over(const Destination& found, int fd) {
  const bool same_group =
      ::fchown(fd, found.owner, found.group) == 0 || ::fchown(fd, static_cast<uid_t>(-1), found.group) == 0;
  // What a group was allowed must not pass to another group.
  return ::fchmod(fd, same_group ? *found.mode : *found.mode & ~mode_t{070}) == 0;
}

// --- System calls that are tried again

template <typename Call>
int persistent(Call call) {
  int result;
  do result = call();
  while (result != 0 && errno == EINTR);
  return result;
}

// What was written, read by a descriptor of its own, under the name of the destination.
class WrittenFile final : public ByteSource {
 public:
  WrittenFile(std::string name, SourcePtr file) : name_(std::move(name)), file_(std::move(file)) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return file_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override { file_->read_at(offset, out); }
  void check_unchanged() const override { file_->check_unchanged(); }

 private:
  std::string name_;
  SourcePtr file_;
};

}  // namespace

FileSink::FileSink(std::string path, std::uint64_t size, SinkOptions options)
    : shown_(std::move(path)), options_(options) {
  path_ = find_destination(shown_, options_.replace).path;
  remove_stale(path_, known_temporaries(folder_of(path_)));
  try {
    create_temporary();
    reserve(size);
  } catch (...) {
    discard();
    throw;
  }
}

FileSink::~FileSink() { discard(); }

void FileSink::discard() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (temporary_.empty()) return;
  ::unlink(temporary_.c_str());
  forget(temporary_);
  temporary_.clear();
}

void FileSink::create_temporary() {
  const Destination found = find_destination(shown_, options_.replace);
  const std::string prefix = temporary_prefix(path_), folder = folder_of(path_);
  // A file that replaces another is private until it has that one's owner; only then may others look at it.
  const mode_t mode = found.mode ? 0600 : static_cast<mode_t>(options_.mode_max & 0666);
  for (int attempt = 0; fd_ < 0; ++attempt) {
    const std::string name = join(folder, temporary_name(prefix));
    fd_ = open_noted(name, mode);
    if (fd_ >= 0)
      temporary_ = name;
    else if ((errno != EEXIST && errno != EINTR) || attempt == 100)
      throw write_error(shown_, "cannot create a file in " + quote(folder), errno);
  }
  ::flock(fd_,
          LOCK_EX | LOCK_NB);  // where the file system knows no locks, nobody takes a temporary for stale
  if (found.mode && !take_over(found, fd_)) throw write_error(shown_, "cannot set the permissions", errno);
}

// Space is asked for before anything is written: a full disk is known at once, and the file lies in one
// piece.
void FileSink::reserve(std::uint64_t size) {
  if (size == 0) return;
  if (size > static_cast<std::uint64_t>(INT64_MAX))
    throw write_error(shown_, "cannot reserve the space", EFBIG);
  // On tmpfs, fallocate clears every page on one thread before it is written: the space is only counted
  // there.
  struct statfs system {};
  const bool in_memory = ::fstatfs(fd_, &system) == 0 && system.f_type == TMPFS_MAGIC;
  if (in_memory) errno = EOPNOTSUPP;
  if (!in_memory && persistent([&] { return ::fallocate(fd_, 0, 0, static_cast<off_t>(size)); }) == 0) return;
  const int error = errno;
  struct statvfs disk {};
  const bool known = ::fstatvfs(fd_, &disk) == 0;
  const std::uint64_t free = known ? std::uint64_t{disk.f_bavail} * disk.f_frsize : size;
  const bool cannot_reserve = error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
  // The size at least is that of the whole from the start, as with fallocate.
  if (cannot_reserve && free >= size && ::ftruncate(fd_, static_cast<off_t>(size)) == 0) return;
  if (cannot_reserve || error == ENOSPC)
    throw Error(Code::cannot_write,
                "the disk is full: " + iec_size(size) + " are needed, " + iec_size(free) + " are free")
        .of(shown_);
  throw write_error(shown_, "cannot reserve " + iec_size(size), error);
}

void FileSink::write_at(std::uint64_t offset, Bytes bytes) {
  // The kernel lets one writer at a time into a file; the others would spin for it.  Here they sleep.
  const std::lock_guard<std::mutex> one_at_a_time(writing_);
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw write_error(shown_, "cannot write the file", errno).at(offset);
    if (put == 0) throw write_error(shown_, "cannot write the file", EIO).at(offset);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

SourcePtr FileSink::reopen() const { return std::make_shared<WrittenFile>(shown_, open_file(temporary_)); }

void FileSink::commit() {
  if (options_.sync && persistent([&] { return ::fsync(fd_); }) != 0)
    throw write_error(shown_, "cannot write the file to the disk", errno);
  // Some file systems report a failed write only when the file is closed.  A second descriptor holds the lock
  // until the temporary is no more.
  const int lock = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  const int closed = ::close(std::exchange(fd_, -1));
  const int error = errno;
  try {
    if (closed != 0 && error != EINTR) throw write_error(shown_, "cannot write the file", error);
    rename_into_place();
  } catch (...) {
    if (lock >= 0) ::close(lock);
    throw;
  }
  if (lock >= 0) ::close(lock);
}

void FileSink::rename_into_place() {
  int failed = -1;
  if (options_.replace) {
    failed = ::rename(temporary_.c_str(), path_.c_str());
  } else {
    failed = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
    if (failed != 0 && (errno == EINVAL || errno == ENOSYS)) {
      find_destination(shown_, false);  // the file system cannot do both at once
      failed = ::rename(temporary_.c_str(), path_.c_str());
    }
  }
  if (failed != 0 && errno == EEXIST)
    throw Error(Code::output_exists, "the destination exists already").of(shown_);
  if (failed != 0) throw write_error(shown_, "cannot rename the finished file", errno);
  forget(temporary_);
  temporary_.clear();
  if (!options_.sync) return;
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // a folder that may be written but not read; the file itself is on the disk
  const int synced = persistent([&] { return ::fsync(folder); });
  const int error = errno;
  ::close(folder);
  if (synced != 0 && error != EINVAL)
    throw write_error(shown_, "the file is complete, but its folder could not be written to the disk", error);
}

void check_destination(const std::string& path, bool replace) {
  const Destination found = find_destination(path, replace);
  const std::string folder = folder_of(found.path);
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw write_error(path, "cannot create a file in " + quote(folder), errno);
}

bool is_same_file(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

void remove_stale_temporaries(const std::string& path) {
  remove_stale(path, temporaries_in(folder_of(path)));
}

void remove_open_temporaries() noexcept {
  OpenTemporaries& all = open_temporaries();
  all.guard.lock();  // for good: the process is about to end
  for (const std::string& path : all.paths) ::unlink(path.c_str());
}

}  // namespace ferry
