// Instructions of protocol 2, and only those that torch.load(weights_only=True) knows, written one after the
// other.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "formats/pickle/opcodes.h"
#include "src/core/bytes.h"

namespace ferry::pickle {

class Emitter {
 public:
  void op(Op op) { out_.push_back(static_cast<std::byte>(op)); }
  void proto() {
    op(Op::proto);
    out_.push_back(std::byte{2});
  }
  void integer(std::int64_t value);                      // the shortest of BININT1, BININT2, BININT, LONG1
  void big_integer(std::string_view two_complement_le);  // at most 255 octets; throws Code::unsupported_value
  void real(double value);
  void text(std::string_view utf8);  // throws Code::unsupported_value above 4 GiB
  void global(std::string_view module, std::string_view name);
  void boolean(bool value) { op(value ? Op::new_true : Op::new_false); }
  std::uint32_t put();  // stores the top of the stack under the next memo index and returns the index
  void get(std::uint32_t index);

  std::size_t size() const { return out_.size(); }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  template <typename T>
  void number(T value) {
    std::byte bytes[sizeof(T)];
    store_le(bytes, value);
    out_.insert(out_.end(), bytes, bytes + sizeof(T));
  }
  void characters(std::string_view text);

  std::vector<std::byte> out_;
  std::uint32_t memo_ = 0;
};

}  // namespace ferry::pickle
