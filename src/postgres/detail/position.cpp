#include "postgres/detail/position.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/detail/octet_text.h"
#include "source/detail/baseline_progress.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

Error unreadable(std::string_view text) {
  return Error(
      ErrorCode::parseError, Retry::never,
      fmt::format("\"{}\" is no position of a Postgres source, which reads as 0/16B3748+3", text.substr(0, 80)));
}

std::uint64_t numberAt(std::string_view octets, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8 | static_cast<unsigned char>(octets[at + i]);
  return number;
}

void putNumber(std::uint64_t number, char* at, std::size_t size) {
  for (std::size_t i = size; i-- > 0; number >>= 8) at[i] = static_cast<char>(number & 0xFF);
}

std::string octetsFromHex(std::string_view hex, std::string_view whole) {
  std::optional<std::string> octets = tidegate::detail::fromHex(hex);
  if (hex.empty() || !octets) throw unreadable(whole);
  return *std::move(octets);
}

std::uint64_t ordinalFrom(std::string_view text, std::string_view whole) {
  if (text == "end") return kWholeTransaction;
  std::uint64_t ordinal = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ordinal);
  if (error != std::errc{} || end != text.data() + text.size() || ordinal >= kWholeTransaction) throw unreadable(whole);
  return ordinal;
}

}  // namespace

void writePosition(const Place& place, std::string_view progress, Position& out) {
  char head[kPlaceOctets];
  putNumber(place.commit, head, 8);
  putNumber(place.ordinal, head + 8, 6);
  out.octets.assign(head, sizeof head);
  out.octets.append(progress);
}

Position positionOf(const Place& place, std::string_view progress) {
  Position position;
  writePosition(place, progress, position);
  return position;
}

Place placeOf(const Position& position) {
  if (position.octets.size() < kPlaceOctets) {
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("a position of {} octets is none of a Postgres source", position.octets.size()));
  }
  return {numberAt(position.octets, 0, 8), numberAt(position.octets, 8, 6)};
}

std::string_view progressOf(const Position& position) {
  return std::string_view(position.octets).substr(std::min(position.octets.size(), kPlaceOctets));
}

std::strong_ordering comparePositions(const Position& a, const Position& b) {
  if (const auto byPlace = placeOf(a) <=> placeOf(b); byPlace != 0) return byPlace;
  return tidegate::detail::compareProgress(progressOf(a), progressOf(b));
}

std::string positionToText(const Position& position) {
  if (position.empty()) return {};
  const Place place = placeOf(position);
  std::string text = lsnToText(place.commit) + '+';
  text += place.ordinal == kWholeTransaction ? "end" : std::to_string(place.ordinal);
  const std::string_view progress = progressOf(position);
  if (progress.empty()) return text;
  return text + ';' + tidegate::detail::hexOf(progress);
}

Position positionFromText(std::string_view text) {
  const auto plus = text.find('+');
  if (plus == std::string_view::npos) throw unreadable(text);
  const auto semicolon = text.find(';', plus);
  const auto lsn = lsnFromText(text.substr(0, plus));
  if (!lsn) throw unreadable(text);
  const std::string_view ordinal =
      text.substr(plus + 1, semicolon == std::string_view::npos ? semicolon : semicolon - plus - 1);
  const Place place{*lsn, ordinalFrom(ordinal, text)};
  if (semicolon == std::string_view::npos) return positionOf(place);
  return positionOf(place, octetsFromHex(text.substr(semicolon + 1), text));
}

}  // namespace tidegate::postgres::detail
