#include "formats/zip/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "formats/zip/crc32.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

constexpr std::size_t kInputMax = 256 << 10;
constexpr std::size_t kOutputMax = 1 << 20;  // at a time, so that the CRC finds the bytes still in the cache
constexpr int kRawWindowBits = -15;          // no zlib header: zip has its own

}  // namespace

struct InflateStream::State {
  const ByteSource& source;
  const Record& record;
  std::uint64_t stored_left;  // not yet read from the source
  std::uint64_t left;         // not yet handed out
  std::uint32_t crc = 0;
  bool ended = false;  // the final block is complete
  z_stream stream{};
  std::vector<std::byte> input;

  State(const ByteSource& from, const Record& of)
      : source(from), record(of), stored_left(of.stored_size), left(of.size) {
    input.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kInputMax, stored_left)));
    if (::inflateInit2(&stream, kRawWindowBits) != Z_OK) throw std::bad_alloc();
  }
  ~State() { ::inflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[noreturn]] void fail(std::string what) const {
    throw Error(Code::bad_deflate, std::move(what))
        .at(record.data_offset + record.stored_size - stored_left - stream.avail_in)
        .in(in_record(record.name));
  }

  void refill() {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), stored_left));
    const auto part = std::span(input).first(size);
    source.read_at(record.data_offset + record.stored_size - stored_left, part);
    stored_left -= size;
    stream.next_in = reinterpret_cast<Bytef*>(part.data());
    stream.avail_in = static_cast<uInt>(size);
  }

  // Inflates into `out` until it is full or the stream ends; returns what was made.
  std::size_t step(std::span<std::byte> out) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    while (stream.avail_out > 0 && !ended) {
      if (stream.avail_in == 0 && stored_left > 0) refill();
      const bool starved = stream.avail_in == 0;
      const uInt before = stream.avail_out;
      const int status = ::inflate(&stream, Z_NO_FLUSH);
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status == Z_STREAM_END)
        ended = true;
      else if (status != Z_OK && status != Z_BUF_ERROR)
        fail(std::string("the deflated data is damaged: ") + (stream.msg ? stream.msg : "no such code"));
      else if (starved && stream.avail_out == before)
        fail("the deflated data ends in the middle");
    }
    return out.size() - stream.avail_out;
  }
};

InflateStream::InflateStream(const ByteSource& source, const Record& record)
    : state_(std::make_unique<State>(source, record)) {}
InflateStream::~InflateStream() = default;
InflateStream::InflateStream(InflateStream&&) noexcept = default;
InflateStream& InflateStream::operator=(InflateStream&&) noexcept = default;

std::uint64_t InflateStream::bytes_left() const { return state_->left; }

void InflateStream::read(std::span<std::byte> out) {
  State& state = *state_;
  if (out.size() > state.left) state.fail("more bytes are asked for than the record has");
  while (!out.empty()) {
    const auto part = out.first(std::min(out.size(), kOutputMax));
    const std::size_t made = state.step(part);
    state.crc = crc32(state.crc, part.first(made));
    state.left -= made;
    if (made < part.size())
      state.fail("the deflated data yields " + std::to_string(state.record.size - state.left) +
                 " bytes instead of " + std::to_string(state.record.size));
    out = out.subspan(made);
  }
}

void InflateStream::finish() {
  State& state = *state_;
  if (state.left != 0) state.fail("the record has not been read to its end");
  // The end of the last block may still be unread; one spare byte shows whether more than that follows.
  std::byte spare;
  if (state.step({&spare, 1}) != 0)
    state.fail("the deflated data yields more than " + std::to_string(state.record.size) + " bytes");
  if (state.stored_left + state.stream.avail_in != 0)
    state.fail(std::to_string(state.stored_left + state.stream.avail_in) + " bytes follow the deflated data");
  check_crc(state.record, state.crc);
}

}  // namespace ferry::zip
