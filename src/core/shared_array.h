// Immutable arrays and texts that many hold: a pointer to one copy.  A report of 100,000 tensors names each
// of them four times.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ferry {

// Copies share their elements, and may be used and dropped by different threads.
template <typename T>
class SharedArray {
 public:
  SharedArray() = default;
  explicit SharedArray(std::span<const T> elements) {
    if (elements.empty()) return;
    if (elements.size() > 0xffffffff) throw std::length_error("SharedArray");
    block_ = new (::operator new(sizeof(Block) + elements.size_bytes())) Block(elements.size());
    std::uninitialized_copy(elements.begin(), elements.end(), block_->elements());
  }
  SharedArray(const SharedArray& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  SharedArray(SharedArray&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedArray& operator=(SharedArray other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedArray() {
    if (block_ == nullptr || block_->holders.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    std::destroy_at(block_);
    ::operator delete(block_);
  }

  std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  bool empty() const { return block_ == nullptr; }
  const T* begin() const { return block_ == nullptr ? nullptr : block_->elements(); }
  const T* end() const { return begin() + size(); }
  const T& operator[](std::size_t i) const { return begin()[i]; }
  operator std::span<const T>() const { return {begin(), size()}; }

  friend bool operator==(const SharedArray& a, const SharedArray& b) {
    return a.block_ == b.block_ || std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  static_assert(std::is_trivially_copyable_v<T>);

  struct Block {  // the elements follow
    explicit Block(std::size_t count) : size(static_cast<std::uint32_t>(count)) {}
    T* elements() { return reinterpret_cast<T*>(this + 1); }
    std::atomic<std::uint32_t> holders = 1;
    std::uint32_t size;
  };
  static_assert(sizeof(Block) % alignof(T) == 0 && alignof(T) <= alignof(std::max_align_t));

  Block* block_ = nullptr;  // null: empty
};

class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string_view text) : characters_(std::span(text.data(), text.size())) {}
  SharedText(const std::string& text) : SharedText(std::string_view(text)) {}
  SharedText(const char* text) : SharedText(std::string_view(text)) {}

  std::string str() const { return std::string(view()); }
  std::string_view view() const { return {characters_.begin(), characters_.size()}; }
  operator std::string_view() const { return view(); }
  bool empty() const { return characters_.empty(); }
  std::size_t size() const { return characters_.size(); }
  void clear() { characters_ = {}; }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.characters_ == b.characters_; }
  template <std::convertible_to<std::string_view> Text>
  friend bool operator==(const SharedText& a, const Text& b) {
    return a.view() == std::string_view(b);
  }
  friend std::string operator+(std::string_view a, const SharedText& b) {
    return std::string(a).append(b.view());
  }
  friend std::string operator+(const SharedText& a, std::string_view b) {
    return std::string(a.view()).append(b);
  }

 private:
  SharedArray<char> characters_;
};

}  // namespace ferry
