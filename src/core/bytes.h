// Position-free input: bytes are asked for by offset, whole or not at all.  Nothing seeks, so nothing needs a
// lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

using Bytes = std::span<const std::byte>;

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

// A half-open range of bytes of a source.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t end() const { return offset + size; }  // callers have checked that this does not wrap
};

// At a time, where much or all of a source is gone through.
inline constexpr std::size_t kReadBlock = std::size_t{1} << 20;

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual const std::string& name() const = 0;
  virtual std::uint64_t size() const = 0;
  // Fills all of `out` from `offset`, or throws (Code::truncated past the end, Code::cannot_read).
  // Thread-safe.
  virtual void read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
  // Throws Code::source_changed when the bytes may no longer be those that were opened.
  virtual void check_unchanged() const {}
  // The descriptor of the open file that the source is, for another process; -1: it is something else.
  virtual int descriptor() const { return -1; }

  std::vector<std::byte> read(ByteRange range) const;  // throws before it allocates when the range is outside
};

using SourcePtr = std::shared_ptr<const ByteSource>;

// Bytes in memory, owned.
class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::vector<std::byte> bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return bytes_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override;
  Bytes bytes() const { return bytes_; }

 private:
  std::string name_;
  std::vector<std::byte> bytes_;
};

// A regular file, read with pread and never mapped: a file that shrinks must not kill the process.
// Directories, FIFOs and devices are refused.  Size and modification time are those at opening;
// check_unchanged compares them.
SourcePtr open_file(const std::string& path);

// Small reads that move forward mostly, served from one buffer: headers and pickle programs.  Not
// thread-safe.
class WindowReader {
 public:
  explicit WindowReader(const ByteSource& source, std::size_t window_bytes = 256 << 10)
      : source_(source), window_bytes_(window_bytes) {}
  std::uint64_t size() const { return source_.size(); }
  // A view of [offset, offset + size), valid until the next call; throws Code::truncated when outside the
  // source.
  Bytes view(std::uint64_t offset, std::size_t size);

 private:
  const ByteSource& source_;
  std::size_t window_bytes_;
  std::vector<std::byte> buffer_;
  std::uint64_t begin_ = 0;
};

// Little-endian loads, alignment-free.
template <typename T>
T load_le(const std::byte* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(T(at[i]) << (8 * i)));
  return value;
}
template <typename T>
void store_le(std::byte* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<std::byte>((value >> (8 * i)) & 0xff);
}

}  // namespace ferry
