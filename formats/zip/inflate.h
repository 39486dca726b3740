// Deflated records, read from front to back in bounded memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "formats/zip/record.h"
#include "src/core/bytes.h"

namespace ferry::zip {

// Inflates one record.  Bytes handed out are to be trusted only after finish() has returned: the CRC comes
// last. Every member throws Code::bad_deflate, checksum_mismatch, or what the source throws.  Not
// thread-safe.
class InflateStream {
 public:
  // `source` and `record` (of Archive::records, with method kDeflated) must outlive the stream.
  InflateStream(const ByteSource& source, const Record& record);
  ~InflateStream();
  InflateStream(InflateStream&&) noexcept;
  InflateStream& operator=(InflateStream&&) noexcept;

  // Fills all of `out` with the next bytes, or throws.
  void read(std::span<std::byte> out);

  // After the last byte has been read: demands that the deflate stream has ended there, that it used all
  // bytes of the record, and that the CRC is right.
  void finish();

  std::uint64_t bytes_left() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::zip
