#include "src/cli/doctor/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::doctor {
namespace {

constexpr std::size_t kLinksMax = 40;  // as Linux has it
constexpr std::size_t kNamesMax = 1'000'000;

// The parts of a path, last one first, so that the next one is at the back.
void push_parts(std::vector<std::string>& to, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  to.insert(to.end(), parts.rbegin(), parts.rend());
}

std::optional<std::string> link_target(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  target.resize(static_cast<std::size_t>(size));
  return target;
}

std::optional<mode_t> mode_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_mode;
}

std::string real_folder(const std::string& folder) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(folder.c_str(), nullptr), &std::free);
  if (!real) throw Error(Code::cannot_read, std::strerror(errno)).of(folder);
  const auto mode = mode_of(real.get());
  if (!mode || !S_ISDIR(*mode)) throw Error(Code::cannot_read, "this is no folder").of(folder);
  return real.get();
}

}  // namespace

std::string joined(std::string_view folder, std::string_view name) {
  std::string path;
  const std::string whole =
      name.starts_with('/') ? std::string(name) : std::string(folder) + "/" + std::string(name);
  for (const char c : whole)
    if (c != '/' || !path.ends_with('/')) path += c;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

Root::Root(std::string folder) : folder_(real_folder(folder)) {
  if (folder_ == "/") folder_.clear();
  if (!is_whole_machine()) return;
  const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
  if (here) current_ = here.get();
}

std::optional<std::string> Root::resolve(std::string_view path) const {
  std::vector<std::string> left;
  push_parts(left, joined(current_, path));
  std::vector<std::string> done;
  const auto text_of = [&] {
    std::string text;
    for (const std::string& part : done) text += "/" + part;
    return text;
  };
  std::size_t links = 0;
  while (!left.empty()) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      if (!done.empty()) done.pop_back();
      continue;
    }
    done.push_back(part);
    const std::string here = outside(text_of());
    const auto mode = mode_of(here);
    if (!mode) return std::nullopt;
    if (S_ISLNK(*mode)) {
      const auto target = link_target(here);
      if (!target || ++links > kLinksMax) return std::nullopt;
      done.pop_back();
      if (target->starts_with('/')) done.clear();
      push_parts(left, *target);
    } else if (!S_ISDIR(*mode) && !left.empty()) {
      return std::nullopt;
    }
  }
  return done.empty() ? "/" : text_of();
}

bool Root::is_file(std::string_view path) const {
  const auto real = resolve(path);
  const auto mode = real ? mode_of(outside(*real)) : std::nullopt;
  return mode && S_ISREG(*mode);
}

bool Root::is_folder(std::string_view path) const {
  const auto real = resolve(path);
  const auto mode = real ? mode_of(outside(*real)) : std::nullopt;
  return mode && S_ISDIR(*mode);
}

bool Root::is_program(std::string_view path) const {
  const auto real = resolve(path);
  const auto mode = real ? mode_of(outside(*real)) : std::nullopt;
  return mode && S_ISREG(*mode) && (*mode & 0111) != 0;
}

bool Root::is_link(std::string_view path) const {
  const std::string whole = joined(current_, path);
  const auto folder = resolve(parent_of(whole));
  const auto mode = folder ? mode_of(outside(joined(*folder, name_of(whole)))) : std::nullopt;
  return mode && S_ISLNK(*mode);
}

std::optional<std::string> Root::read(std::string_view path, std::size_t bytes_max) const {
  const auto real = resolve(path);
  if (!real || !is_file(*real)) return std::nullopt;
  // Whatever it has become since it was looked at, opening it must not wait.
  const int fd = ::open(outside(*real).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
  if (fd < 0) return std::nullopt;
  std::string text(bytes_max, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < bytes_max && (got = ::read(fd, text.data() + size, bytes_max - size)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    size += static_cast<std::size_t>(got);
  }
  ::close(fd);
  if (got < 0) return std::nullopt;
  text.resize(size);
  return text;
}

std::vector<std::string> Root::list(std::string_view folder) const {
  std::vector<std::string> names;
  const auto real = resolve(folder);
  if (!real) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(outside(*real).c_str()), &::closedir);
  if (!open) return names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && names.size() < kNamesMax) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ferry::doctor
