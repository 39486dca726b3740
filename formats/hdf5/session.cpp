#include "formats/hdf5/session.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "formats/hdf5/protocol.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::uint64_t kBytesPerSecond = 4 << 20;  // a tenth of what inflating takes on a slow machine

class FetchedSource final : public ByteSource {
 public:
  FetchedSource(std::shared_ptr<Session> session, std::string name, std::uint64_t address, std::uint64_t size)
      : session_(std::move(session)), name_(std::move(name)), address_(address), size_(size) {}

  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }

  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (!fits(offset, out.size(), size_))
      throw Error(Code::truncated, "a read past the end of the dataset").at(offset).in("in " + quote(name_));
    std::call_once(fetched_, [this] { fetch(); });
    if (out.empty()) return;
    if (in_memory_)
      std::memcpy(out.data(), memory_.data() + offset, out.size());
    else
      session_->spool().read(place_ + offset, out);
  }

 private:
  // A call that throws counts as none: the next one starts again, with the same room.
  void fetch() const {
    if (!claimed_) {
      in_memory_ = session_->spool().claim_memory(size_);
      if (!in_memory_) place_ = session_->spool().claim_file(size_);
      claimed_ = true;
    }
    std::uint64_t at = 0;
    if (in_memory_) memory_.resize(static_cast<std::size_t>(size_));
    try {
      session_->fetch(address_, size_, [&](Bytes piece) {
        if (in_memory_)
          std::copy(piece.begin(), piece.end(), memory_.begin() + static_cast<std::ptrdiff_t>(at));
        else
          session_->spool().write(place_ + at, piece);
        at += piece.size();
      });
    } catch (Error& error) {
      error.in("in " + quote(name_));
      throw;
    }
  }

  std::shared_ptr<Session> session_;
  std::string name_;
  std::uint64_t address_, size_;
  mutable std::once_flag fetched_;
  mutable bool claimed_ = false, in_memory_ = false;
  mutable std::vector<std::byte> memory_;
  mutable std::uint64_t place_ = 0;
};

}  // namespace

Session::Session(const ByteSource& source, const Limits& limits)
    : file_(open_for_helper(source)), allowance_(allowance_for(source.size())) {
  allowance_.objects_max = limits.records_max;
  allowance_.depth_max = limits.depth_max;
  start();
}

void Session::start() { process_.emplace(protocol::kRead, file_.get(), allowance_); }

void Session::fetch(std::uint64_t address, std::uint64_t size, const std::function<void(Bytes)>& take) {
  const std::lock_guard lock(guard_);
  try {
    if (!process_) {
      start();
      while (process_->read_line().find("{\"end\":") != 0) continue;
    }
    process_->grant_seconds(1 + size / kBytesPerSecond);
    process_->send(std::to_string(address) + " " + std::to_string(size) + "\n");
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(size, kPieceBytes)));
    for (std::uint64_t at = 0; at < size; at += piece.size()) {
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size - at, piece.size())));
      process_->read_bytes(piece);
      take(piece);
    }
  } catch (...) {
    process_.reset();  // what it would say next belongs to a question that is over
    throw;
  }
}

SourcePtr fetched_source(std::shared_ptr<Session> session, std::string name, std::uint64_t address,
                         std::uint64_t size) {
  return std::make_shared<FetchedSource>(std::move(session), std::move(name), address, size);
}

}  // namespace ferry::hdf5
