#include "electric/detail/source_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <vector>

#include "core/detail/packed.h"
#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::electric::reading {
namespace {

using tidegate::detail::PackedReader;
using tidegate::detail::putText;
using tidegate::detail::putVarint;

constexpr char kFormat = 1;
constexpr std::size_t kMaxShapesOfAPosition = 10'000;

[[noreturn]] void noPlaces() {
  throw Error(ErrorCode::invalidArgument, Retry::never, "this is not a position of an Electric source");
}

std::uint32_t small(std::uint64_t number) {
  if (number > UINT32_MAX) noPlaces();
  return static_cast<std::uint32_t>(number);
}

/// One form for each place, so that equal places are equal octets.
bool isPlausible(const ShapePlace& place) {
  if (!place.known()) return place == ShapePlace{};
  return (place.index != 0 || place.mark == 0) && (!place.at.isStart() || place.at.op == 0);
}

std::pair<std::string, ShapePlace> decodeOne(PackedReader& in) {
  std::string name(in.text());
  ShapePlace place;
  place.handle = in.text();
  place.epoch = in.varint();
  place.reading = in.varint();
  const std::uint64_t tx = in.varint();
  if (tx > static_cast<std::uint64_t>(INT64_MAX)) noPlaces();
  place.at = {static_cast<std::int64_t>(tx) - 1, in.varint()};
  place.index = small(in.varint());
  place.mark = small(in.varint());
  if (!isPlausible(place)) noPlaces();
  return {std::move(name), std::move(place)};
}

std::uint64_t numberIn(std::string_view text, const char* what) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return number;
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("a position's {} is a number", what));
}

std::uint32_t smallIn(std::string_view text, const char* what) {
  const std::uint64_t number = numberIn(text, what);
  if (number <= UINT32_MAX) return static_cast<std::uint32_t>(number);
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("a position's {} has 32 bits", what));
}

/// Splits at `border`; the part behind it is empty where there is none.
std::pair<std::string_view, std::string_view> cut(std::string_view text, char border) {
  const std::size_t at = text.find(border);
  if (at == text.npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string decoded(std::string_view text) {
  auto plain = http::percentDecode(text);
  if (!plain) throw Error(ErrorCode::parseError, Retry::never, "a position has a malformed escape");
  return *std::move(plain);
}

/// "handle@at/epoch", then "~reading" and "+index.mark" where they are not 0; "?" for a place of which nothing is
/// known.
ShapePlace placeFromText(std::string_view text) {
  ShapePlace place;
  if (text == "?") return place;
  const auto [handle, rest] = cut(text, '@');
  const auto [at, times] = cut(rest, '/');
  const auto [head, counted] = cut(times, '+');
  const auto [epoch, reading] = cut(head, '~');
  place.handle = decoded(handle);
  const auto offset = offsetFromText(at);
  if (place.handle.empty() || !offset) {
    throw Error(ErrorCode::parseError, Retry::never, fmt::format("\"{}\" is no place of a shape", text));
  }
  place.at = *offset;
  place.epoch = numberIn(epoch, "epoch");
  if (!reading.empty()) place.reading = numberIn(reading, "reading");
  if (!counted.empty()) {
    const auto [index, mark] = cut(counted, '.');
    place.index = smallIn(index, "index");
    place.mark = smallIn(mark, "mark");
  }
  return place;
}

}  // namespace

std::partial_ordering comparePlaces(const ShapePlace& a, const ShapePlace& b) noexcept {
  if (a.known() != b.known()) return a.known() ? std::partial_ordering::greater : std::partial_ordering::less;
  if (a.handle != b.handle) {
    return a.epoch == b.epoch ? std::partial_ordering::unordered : std::partial_ordering(a.epoch <=> b.epoch);
  }
  const auto key = [](const ShapePlace& p) {
    return std::tuple(p.reading == 0 ? 1 : 0, p.reading, p.at.tx, p.at.op, p.index);
  };
  return key(a) <=> key(b);
}

std::string encodePlace(std::string_view name, const ShapePlace& place) {
  std::string out;
  putText(name, out);
  putText(place.handle, out);
  putVarint(place.epoch, out);
  putVarint(place.reading, out);
  putVarint(static_cast<std::uint64_t>(place.at.tx + 1), out);
  putVarint(place.at.op, out);
  putVarint(place.index, out);
  putVarint(place.mark, out);
  return out;
}

Position encodePlaces(const SourcePlaces& places) {
  Position position;
  position.octets.push_back(kFormat);
  putVarint(places.open, position.octets);
  for (const auto& [name, place] : places.shapes) position.octets += encodePlace(name, place);
  return position;
}

SourcePlaces decodePlaces(const Position& position) {
  if (position.octets.empty() || position.octets[0] != kFormat) noPlaces();
  SourcePlaces places;
  try {
    PackedReader in(std::string_view(position.octets).substr(1));
    places.open = in.varint();
    while (!in.done()) {
      auto [name, place] = decodeOne(in);
      const bool ordered = places.shapes.empty() || places.shapes.rbegin()->first < name;
      if (!ordered || name.empty() || places.shapes.size() >= kMaxShapesOfAPosition) noPlaces();
      places.shapes.emplace_hint(places.shapes.end(), std::move(name), std::move(place));
    }
  } catch (const Error& e) {
    if (e.code() == ErrorCode::storeCorrupt) noPlaces();
    throw;
  }
  if (places.shapes.empty()) noPlaces();
  return places;
}

std::partial_ordering compareSourcePlaces(const SourcePlaces& a, const SourcePlaces& b) noexcept {
  bool less = false, greater = false, common = false;
  for (const auto& [name, place] : a.shapes) {
    const auto other = b.shapes.find(name);
    if (other == b.shapes.end()) continue;
    common = true;
    const auto order = comparePlaces(place, other->second);
    if (order == std::partial_ordering::unordered) return order;
    less = less || order < 0;
    greater = greater || order > 0;
  }
  if (!common || (less && greater)) return std::partial_ordering::unordered;
  if (less) return std::partial_ordering::less;
  return greater ? std::partial_ordering::greater : std::partial_ordering::equivalent;
}

SourcePlaces meetPlaces(const SourcePlaces& a, const SourcePlaces& b) {
  SourcePlaces met = a;
  for (const auto& [name, place] : b.shapes) {
    const auto [at, added] = met.shapes.emplace(name, place);
    if (added) continue;
    const auto order = comparePlaces(place, at->second);
    if (order == std::partial_ordering::unordered) {
      at->second = {};
    } else if (order < 0) {
      at->second = place;
    }
  }
  // In the middle of a transaction only where that side is the earlier one in all.
  met.open = met.shapes == a.shapes ? a.open : met.shapes == b.shapes ? b.open : 0;
  return met;
}

SourcePlaces joinPlaces(const SourcePlaces& a, const SourcePlaces& b) {
  SourcePlaces joined = a;
  for (const auto& [name, place] : b.shapes) {
    const auto [at, added] = joined.shapes.emplace(name, place);
    if (!added && comparePlaces(place, at->second) > 0) at->second = place;
  }
  joined.open = joined.shapes == a.shapes ? a.open : joined.shapes == b.shapes ? b.open : 0;
  return joined;
}

std::string placesToText(const SourcePlaces& places) {
  std::string text;
  for (const auto& [name, place] : places.shapes) {
    if (!text.empty()) text += ';';
    text += http::percentEncode(name) + "=";
    if (!place.known()) {
      text += '?';
      continue;
    }
    text += fmt::format("{}@{}/{}", http::percentEncode(place.handle), toText(place.at), place.epoch);
    if (place.reading != 0) text += fmt::format("~{}", place.reading);
    if (place.index != 0) text += fmt::format("+{}.{}", place.index, place.mark);
  }
  if (places.open != 0) text += fmt::format("!{}", places.open);
  return text;
}

SourcePlaces placesFromText(std::string_view text) {
  SourcePlaces places;
  const auto [shapes, open] = cut(text, '!');
  if (!open.empty()) places.open = numberIn(open, "open transaction");
  for (std::string_view rest = shapes; !rest.empty();) {
    const auto [one, more] = cut(rest, ';');
    rest = more;
    const auto [name, place] = cut(one, '=');
    if (name.empty() || place.empty()) {
      throw Error(ErrorCode::parseError, Retry::never,
                  "a position of an Electric source reads like items=handle@12_3/1700000000000000");
    }
    places.shapes.insert_or_assign(decoded(name), placeFromText(place));
  }
  try {
    // Whatever is no position as octets is none as text.
    return decodePlaces(encodePlaces(places));
  } catch (const Error& e) {
    throw Error(ErrorCode::parseError, Retry::never, e.message());
  }
}

}  // namespace tidegate::electric::reading
