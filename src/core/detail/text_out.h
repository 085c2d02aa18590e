/// A text being written: like std::string's end, but every append is inlined, which is what serialising many short
/// pieces costs. Keeps its memory when cleared.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace tidegate::detail {

/// The part of std::string's interface that writers use, so that they are templates over both.
class TextOut {
 public:
  void push_back(char c) {
    if (size_ == capacity_) grow(1);
    data_[size_++] = c;
  }
  TextOut& append(std::string_view text) {
    if (capacity_ - size_ < text.size()) grow(text.size());
    copy(data_.get() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  TextOut& append(const char* text, std::size_t size) { return append(std::string_view(text, size)); }
  TextOut& append(std::size_t count, char c) {
    if (capacity_ - size_ < count) grow(count);
    std::memset(data_.get() + size_, c, count);
    size_ += count;
    return *this;
  }
  /// Room for `most` octets at the end, of which `wrote` says how many were used.
  char* room(std::size_t most) {
    if (capacity_ - size_ < most) grow(most);
    return data_.get() + size_;
  }
  void wrote(std::size_t octets) { size_ += octets; }
  char back() const { return data_[size_ - 1]; }
  void pop_back() { --size_; }
  void clear() { size_ = 0; }
  std::string_view view() const { return {data_.get(), size_}; }
  std::size_t capacity() const { return capacity_; }

 private:
  /// Most pieces are names and numbers of up to 16 octets: two overlapping moves beat a call.
  static void copy(char* to, const char* from, std::size_t size) {
    if (size > 16) {
      std::memcpy(to, from, size);
    } else if (size >= 8) {
      std::memcpy(to, from, 8);
      std::memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
      std::memcpy(to, from, 4);
      std::memcpy(to + size - 4, from + size - 4, 4);
    } else {
      for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
    }
  }
  void grow(std::size_t more) {
    const std::size_t wanted = size_ + more;
    const std::size_t capacity = wanted < 512 ? 1024 : 2 * wanted;
    std::unique_ptr<char[]> bigger(new char[capacity]);
    if (size_ > 0) std::memcpy(bigger.get(), data_.get(), size_);
    data_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace tidegate::detail
