#include "electric/detail/shape_log.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace tidegate::electric::detail {

std::string toText(ShapeOffset offset) { return std::to_string(offset.tx) + "_" + std::to_string(offset.op); }

std::optional<ShapeOffset> parseOffset(std::string_view text) {
  ShapeOffset offset;
  const char* end = text.data() + text.size();
  const auto tx = std::from_chars(text.data(), end, offset.tx);
  if (tx.ec != std::errc{} || tx.ptr == end || *tx.ptr != '_') return std::nullopt;
  const auto op = std::from_chars(tx.ptr + 1, end, offset.op);
  if (op.ec != std::errc{} || op.ptr != end) return std::nullopt;
  if (offset.tx > 0 && offset.op == 0) offset.op = kWholeTransaction;
  return offset;
}

void ShapeLog::append(ShapeOffset at, std::string message, bool last) {
  items_.push_back({at, std::make_shared<const std::string>(std::move(message)), last});
  bytes_ += costOf(items_.back());
  end_ = at;
}

LogPiece ShapeLog::read(ShapeOffset after, std::size_t maxBytes) const {
  LogPiece piece{.end = std::max(after, start_)};
  auto item = std::upper_bound(items_.begin(), items_.end(), after,
                               [](ShapeOffset place, const Item& i) { return place < i.at; });
  std::size_t bytes = 0;
  for (; item != items_.end(); ++item) {
    piece.messages.push_back(item->message);
    piece.end = item->at;
    bytes += item->message->size();
    if (item->last && bytes >= maxBytes && item + 1 != items_.end()) {
      piece.complete = false;
      break;
    }
  }
  return piece;
}

void ShapeLog::trim(std::size_t maxBytes) {
  while (bytes_ > maxBytes && !items_.empty()) {
    bool last = false;
    while (!items_.empty() && !last) {
      last = items_.front().last;
      start_ = items_.front().at;
      bytes_ -= costOf(items_.front());
      items_.pop_front();
    }
  }
}

}  // namespace tidegate::electric::detail
