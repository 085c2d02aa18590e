/// Octets on their way to the kernel. Small pieces are joined, large ones are moved, and one call writes them all.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::http::detail {

/// @thread One at a time.
class OutBuffer {
 public:
  static constexpr std::size_t kGather = 16;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  void append(std::string_view octets) {
    if (!octets.empty()) tail().append(octets);
    size_ += octets.size();
  }

  void append(std::string&& octets) {
    if (octets.size() < kJoin) return append(std::string_view(octets));
    size_ += octets.size();
    pieces_.push_back(std::move(octets));
  }

  /// The string that small pieces are joined in, for writers that append to it themselves; see `grew`.
  std::string& tail() {
    if (pieces_.empty() || pieces_.back().size() >= kJoin) pieces_.emplace_back();
    return pieces_.back();
  }
  void grew(std::size_t octets) noexcept { size_ += octets; }

  /// Views of what comes next. @return how many.
  std::size_t views(std::array<std::string_view, kGather>& out) const noexcept {
    std::size_t count = 0;
    std::size_t skip = offset_;
    for (std::size_t i = first_; i < pieces_.size() && count < kGather; ++i) {
      const std::string_view all(pieces_[i]);
      if (all.size() > skip) out[count++] = all.substr(skip);
      skip = 0;
    }
    return count;
  }

  void consume(std::size_t octets) {
    size_ -= octets;
    if (size_ == 0) return reset();
    offset_ += octets;
    while (offset_ >= pieces_[first_].size()) {
      offset_ -= pieces_[first_].size();
      pieces_[first_++] = std::string();
    }
    if (first_ >= kGather) {
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_, 0)));
    }
  }

 private:
  static constexpr std::size_t kJoin = 8u << 10;

  /// Keeps one small string, so that the next answer allocates nothing.
  void reset() {
    if (pieces_.front().capacity() > 2 * kJoin) {
      pieces_.clear();
    } else {
      pieces_.resize(1);
      pieces_.front().clear();
    }
    first_ = offset_ = 0;
  }

  std::vector<std::string> pieces_;
  std::size_t first_ = 0;
  std::size_t offset_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tidegate::http::detail
