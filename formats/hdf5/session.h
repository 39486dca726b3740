// The conversation with the helper about one file, and the payloads that come of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "formats/hdf5/process.h"
#include "formats/hdf5/spool.h"
#include "src/core/limits.h"

namespace ferry::hdf5 {

class Session {
 public:
  Session(const ByteSource& source, const Limits& limits);

  // The next line of the listing.
  std::string_view next_line() { return process_->read_line(); }
  // Ends the helper when nothing will be asked of it.
  void finish() { process_.reset(); }

  // Calls `take` with the pieces of the payload of the dataset at `address`, in order; a new helper is
  // started when the old one has died.  Thread-safe: one payload at a time.  Throws what Process throws.
  void fetch(std::uint64_t address, std::uint64_t size, const std::function<void(Bytes)>& take);

  Spool& spool() { return spool_; }

 private:
  void start();

  std::mutex guard_;
  Descriptor file_;
  Allowance allowance_;
  std::optional<Process> process_;
  Spool spool_;
};

// The payload of one dataset, fetched whole when its first byte is asked for.  No byte of a payload that does
// not arrive whole is ever handed out.
SourcePtr fetched_source(std::shared_ptr<Session> session, std::string name, std::uint64_t address,
                         std::uint64_t size);

}  // namespace ferry::hdf5
