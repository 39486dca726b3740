#include "formats/safetensors/header.h"

#include <algorithm>
#include <numeric>

#include "formats/json/json.h"
#include "formats/safetensors/dtypes.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::safetensors {
namespace {

// Beyond what the format needs, because fields that it does not know may hold anything.
constexpr std::size_t kDepthMax = 32;

// A tensor while its object is being read.
struct Draft {
  Entry entry;
  const DTypeName* dtype = nullptr;
  bool has_shape = false;
  std::vector<std::uint64_t> offsets;
};

// Takes the events of the header apart.  The JSON reader sees to repeated keys.
class HeaderEvents final : public json::Events {
 public:
  HeaderEvents(Header& header, ByteRange data) : header_(header), data_(data) {}

  void null() override {
    if (place_ == Place::root && name_ == "__metadata__") return;  // the Rust reader takes it for none
    refuse_unless_unknown();
  }
  void boolean(bool) override { refuse_unless_unknown(); }
  void real(double) override { refuse_unless_unknown(); }
  void natural(std::uint64_t) override { refuse_unless_unknown(); }

  void integer(std::int64_t value) override {
    if (place_ == Place::shape) {
      if (value < 0) fail(Code::bad_safetensors, "the shape holds a negative size");
      header_.sizes.push_back(value);
    } else if (place_ == Place::offsets) {
      if (value < 0) fail(Code::bad_safetensors, "data_offsets holds a negative number");
      if (draft_.offsets.size() == 2) fail(Code::bad_safetensors, "data_offsets holds more than two numbers");
      draft_.offsets.push_back(static_cast<std::uint64_t>(value));
    } else {
      refuse_unless_unknown();
    }
  }

  void text(std::string& value) override {
    if (place_ == Place::metadata) {
      header_.metadata.emplace_back(std::move(name_), std::move(value));
    } else if (place_ == Place::tensor && field_ == "dtype") {
      draft_.dtype = find_dtype_name(value);
      if (draft_.dtype == nullptr) fail(Code::bad_safetensors, "there is no dtype " + quote(value, 40));
    } else {
      refuse_unless_unknown();
    }
  }

  void key(std::string& name) override {
    if (place_ == Place::tensor)
      field_ = std::move(name);
    else if (place_ != Place::unknown)
      name_ = std::move(name);
  }

  void begin_object() override {
    if (place_ == Place::before) {
      place_ = Place::root;
    } else if (place_ == Place::root && name_ == "__metadata__") {
      place_ = Place::metadata;
    } else if (place_ == Place::root) {
      place_ = Place::tensor;
      draft_ = {};
      draft_.entry.at = offset();
    } else {
      enter_unknown();
    }
  }

  void end_object() override {
    if (place_ == Place::unknown) return leave_unknown();
    if (place_ == Place::tensor) finish_tensor();
    place_ = Place::root;
  }

  void begin_array() override {
    if (place_ == Place::tensor && field_ == "shape") {
      place_ = Place::shape;
      draft_.has_shape = true;
      draft_.entry.shape = header_.sizes.size();
    } else if (place_ == Place::tensor && field_ == "data_offsets") {
      place_ = Place::offsets;
    } else {
      enter_unknown();
    }
  }

  void end_array() override {
    if (place_ == Place::unknown) return leave_unknown();
    if (place_ == Place::shape && header_.sizes.size() - draft_.entry.shape > kRankMax)
      fail(Code::limit_exceeded, "the shape has more than " + std::to_string(kRankMax) + " dimensions");
    place_ = Place::tensor;
  }

 private:
  enum class Place : std::uint8_t { before, root, metadata, tensor, shape, offsets, unknown };

  bool known_field() const { return field_ == "dtype" || field_ == "shape" || field_ == "data_offsets"; }

  // Fields of tensors that the format does not have are skipped, as the Rust reader skips them.
  void refuse_unless_unknown() {
    if (place_ == Place::unknown || (place_ == Place::tensor && !known_field())) return;
    switch (place_) {
      case Place::before:
        fail(Code::bad_safetensors, "the header is no JSON object");
      case Place::metadata:
        fail(Code::bad_safetensors, "the metadata holds a value that is no text");
      case Place::root:
        fail(Code::bad_safetensors, name_ == "__metadata__"
                                        ? "the metadata is no JSON object"
                                        : "the description of the tensor is no JSON object");
      case Place::shape:
        fail(Code::bad_safetensors, "the shape holds a value that is no size");
      case Place::offsets:
        fail(Code::bad_safetensors, "data_offsets holds a value that is no offset");
      default:
        fail(Code::bad_safetensors, "the field " + quote(field_, 40) + " has a value of the wrong kind");
    }
  }

  void enter_unknown() {
    refuse_unless_unknown();
    place_ = Place::unknown;
    ++unknown_depth_;
  }
  void leave_unknown() {
    if (--unknown_depth_ == 0) place_ = Place::tensor;
  }

  void finish_tensor() {
    Entry& entry = draft_.entry;
    if (draft_.dtype == nullptr) fail(Code::bad_safetensors, "the tensor has no dtype");
    if (!draft_.has_shape) fail(Code::bad_safetensors, "the tensor has no shape");
    if (draft_.offsets.size() != 2) fail(Code::bad_safetensors, "the tensor has no two data_offsets");
    const std::uint64_t begin = draft_.offsets[0], end = draft_.offsets[1];
    if (begin > end) fail(Code::bad_safetensors, "the tensor ends before it begins");
    if (end > data_.size)
      fail(Code::truncated, "the tensor ends at byte " + std::to_string(end) + " of the data, the file has " +
                                std::to_string(data_.size) + " bytes of data");
    entry.range = {data_.offset + begin, end - begin};
    entry.rank = static_cast<std::uint16_t>(header_.sizes.size() - entry.shape);
    check_size();
    entry.dtype = *draft_.dtype->dtype;
    entry.name = std::move(name_);
    header_.entries.push_back(std::move(entry));
  }

  // The range must be just what dtype and shape need; then only, whether torch has the type.
  void check_size() {
    const auto shape = std::span(header_.sizes).subspan(draft_.entry.shape, draft_.entry.rank);
    const auto numel = checked_numel(shape);
    const auto bits = numel ? checked_mul(*numel, draft_.dtype->bits) : std::nullopt;
    if (!bits) fail(Code::bad_safetensors, "the shape has more elements than fit in 63 bits");
    if (*bits % 8 != 0 || static_cast<std::uint64_t>(*bits / 8) != draft_.entry.range.size)
      fail(Code::bad_safetensors, "dtype and shape need " + std::to_string(*bits) +
                                      " bits, data_offsets give " + std::to_string(draft_.entry.range.size) +
                                      " bytes");
    if (!draft_.dtype->dtype)
      fail(Code::unsupported_tensor, "torch has no dtype " + std::string(draft_.dtype->name));
    if (draft_.dtype->bits >= 8) return;
    // torch holds two float4 in a byte and counts the bytes of the last dimension.
    if (shape.empty() || shape.back() % 2 != 0)
      fail(Code::unsupported_tensor, "torch needs an even last dimension for float4");
    shape.back() /= 2;
  }

  [[noreturn]] void fail(Code code, std::string what) const {
    Error error(code, std::move(what));
    error.at(offset());
    if (!name_.empty() && name_ != "__metadata__") error.in("in tensor " + quote(name_));
    throw error;
  }

  Header& header_;
  ByteRange data_;
  Place place_ = Place::before;
  std::size_t unknown_depth_ = 0;
  std::string name_, field_;  // the keys read last
  Draft draft_;
};

// Every byte of the data belongs to exactly one tensor, as the Rust reader demands; so nothing can hide in
// the file, and no two names can mean the same bytes.
void check_cover(const Header& header, ByteRange data) {
  std::vector<std::uint32_t> order(header.entries.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto range = [&](std::uint32_t i) { return header.entries[i].range; };
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return range(a).offset != range(b).offset ? range(a).offset < range(b).offset
                                              : range(a).size < range(b).size;
  };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
  std::uint64_t covered = data.offset;
  for (const std::uint32_t i : order) {
    const Entry& entry = header.entries[i];
    if (entry.range.offset != covered)
      throw Error(Code::bad_safetensors, entry.range.offset < covered
                                             ? "the tensor shares bytes with another"
                                             : std::to_string(entry.range.offset - covered) +
                                                   " bytes before the tensor belong to none")
          .at(entry.range.offset)
          .in("in tensor " + quote(entry.name));
    covered = entry.range.end();
  }
  if (covered != data.end())
    throw Error(Code::bad_safetensors,
                std::to_string(data.end() - covered) + " bytes follow the last tensor and belong to none")
        .at(covered);
}

}  // namespace

Header read_header(const ByteSource& source) {
  if (source.size() < kLengthBytes)
    throw Error(Code::truncated,
                "a safetensors file begins with 8 bytes, this one has " + std::to_string(source.size()));
  const auto size = load_le<std::uint64_t>(source.read({0, kLengthBytes}).data());
  if (size > kHeaderMax)
    throw Error(Code::limit_exceeded,
                "the header claims " + grouped(size) + " bytes, the format allows " + grouped(kHeaderMax))
        .at(0);
  if (size > source.size() - kLengthBytes)
    throw Error(Code::truncated, "the header claims " + grouped(size) + " bytes, the file has " +
                                     grouped(source.size() - kLengthBytes) + " more")
        .at(0);
  const auto bytes = source.read({kLengthBytes, size});
  const std::uint64_t begin = kLengthBytes + size;
  const ByteRange data{begin, source.size() - begin};
  Header header;
  HeaderEvents events(header, data);
  json::read(
      as_text(Bytes(bytes)),
      {.depth_max = kDepthMax, .size_max = kHeaderMax, .broken = Code::bad_safetensors, .base = kLengthBytes},
      events);
  check_cover(header, data);
  return header;
}

}  // namespace ferry::safetensors
