/// The changes of one shape, as the texts that are sent, in order and bounded.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "electric/detail/shape_offset.h"

namespace tidegate::electric::detail {

/// Whole transactions after a place.
struct LogPiece {
  std::vector<std::shared_ptr<const std::string>> messages{};
  ShapeOffset end{};     ///< of the last message; where to go on
  bool complete = true;  ///< there is nothing after it
};

/// @thread Guarded by its hub.
class ShapeLog {
 public:
  explicit ShapeLog(ShapeOffset start) : start_(start), end_(start) {}

  /// Adds a message. @param last  whether it ends its transaction.
  void append(ShapeOffset at, std::string message, bool last);
  /// Messages after a place up to about `maxBytes`, never part of a transaction. @pre `after >= start()`
  LogPiece read(ShapeOffset after, std::size_t maxBytes) const;
  /// Drops the oldest transactions until it holds at most so much.
  void trim(std::size_t maxBytes);

  /// What came up to here is not in it.
  ShapeOffset start() const noexcept { return start_; }
  /// Of the newest message; `start()` where there is none.
  ShapeOffset end() const noexcept { return end_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return items_.size(); }

 private:
  struct Item {
    ShapeOffset at;
    std::shared_ptr<const std::string> message;
    bool last = false;
  };
  static std::size_t costOf(const Item& item) { return item.message->size() + sizeof(Item) + 64; }

  std::deque<Item> items_;
  ShapeOffset start_, end_;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::electric::detail
