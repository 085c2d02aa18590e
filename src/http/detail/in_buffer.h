/// Octets that were read and not yet understood. Small while a connection is idle: there may be ten thousand of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace tidegate::http::detail {

/// @thread One at a time.
class InBuffer {
 public:
  static constexpr std::size_t kFirst = 2u << 10;

  explicit InBuffer(std::size_t most) noexcept : most_(most) {}

  std::string_view view() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const noexcept { return begin_ == end_; }
  bool hasRoom(bool mayGrow) const noexcept { return end_ - begin_ < (mayGrow ? most_ : std::max(capacity_, kFirst)); }

  /// Room for a read, made where there is none. Empty if there may be no more.
  /// Until `commit` what is there keeps its place, whatever is consumed meanwhile: a read is on its way into the room.
  std::pair<char*, std::size_t> room(bool mayGrow) {
    if (empty()) begin_ = end_ = 0;
    if (capacity_ == 0) resize(kFirst);
    if (end_ == capacity_ && begin_ > 0) {
      std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (mayGrow && capacity_ < most_ && (end_ == capacity_ || filled_)) resize(std::min(most_, capacity_ * 2));
    lent_ = true;
    return {data_.get() + end_, capacity_ - end_};
  }
  void commit(std::size_t octets) noexcept {
    lent_ = false;
    end_ += octets;
    filled_ = end_ == capacity_;
  }
  void consume(std::size_t octets) noexcept {
    begin_ += octets;
    if (begin_ == end_ && !lent_) begin_ = end_ = 0;
  }
  /// Gives back what a large request made it grow to.
  void rest() {
    if (empty() && capacity_ > 2 * kFirst) {
      data_.reset();
      capacity_ = 0;
      filled_ = false;
    }
  }

 private:
  void resize(std::size_t capacity) {
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (!empty()) std::memcpy(larger.get(), data_.get() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    data_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_;
  std::size_t most_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool lent_ = false;    ///< room was given, and nothing committed since
  bool filled_ = false;  ///< the last read took all the room: more is on its way
};

}  // namespace tidegate::http::detail
