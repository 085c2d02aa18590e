#include "durable_streams/detail/stream_place.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {
namespace {

/// Takes a whole number off the front.
template <class Number>
bool takeNumber(std::string_view& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool takeMark(std::string_view& text, char mark) {
  if (!text.starts_with(mark)) return false;
  text.remove_prefix(1);
  return true;
}

/// An offset token as section 8 of the protocol has it, without the characters that divide a place's text.
bool isOffset(std::string_view text) {
  return !text.empty() && text.size() <= 1'024 && text.find_first_of(",&=?/~\n\r ") == std::string_view::npos;
}

}  // namespace

std::string placeText(const StreamPlace& place) {
  std::string text = fmt::format("{}+{}", place.number, place.skip);
  if (place.step != 0) text += fmt::format(".{}", place.step);
  if (place.inTransaction) text.push_back('t');
  text.append("@").append(place.offset);
  if (!place.base.empty()) text.append("~").append(place.base);
  return text;
}

std::optional<StreamPlace> parsePlace(std::string_view text) {
  StreamPlace place;
  if (!takeNumber(text, place.number) || !takeMark(text, '+') || !takeNumber(text, place.skip)) return std::nullopt;
  if (takeMark(text, '.') && !takeNumber(text, place.step)) return std::nullopt;
  place.inTransaction = takeMark(text, 't');
  if (!takeMark(text, '@') || place.skip > place.number) return std::nullopt;
  const std::size_t mark = text.find('~');
  place.offset = text.substr(0, mark);
  if (mark != std::string_view::npos) {
    place.base = text.substr(mark + 1);
    if (!isOffset(place.base)) return std::nullopt;
  }
  return isOffset(place.offset) ? std::optional(std::move(place)) : std::nullopt;
}

StreamPlace requirePlace(const tidegate::Position& position) {
  if (auto place = parsePlace(position.octets)) return *std::move(place);
  throw Error(ErrorCode::invalidArgument, Retry::never,
              position.empty() ? "an empty position says nothing: take a baseline first"
                               : "this is not a position of a durable stream");
}

std::partial_ordering comparePlaces(const StreamPlace& a, const StreamPlace& b) {
  if (a.base == b.base) return a.number != b.number ? a.number <=> b.number : a.step <=> b.step;
  return a.offset != b.offset ? a.offset <=> b.offset : a.skip <=> b.skip;
}

}  // namespace tidegate::durable_streams::detail
