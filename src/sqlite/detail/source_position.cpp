#include "sqlite/detail/source_position.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "tidegate/core/error.h"

namespace tidegate::sqlite::detail {

namespace {

constexpr std::size_t kOctets = 15;

void putBigEndian(std::uint64_t number, char* at, std::size_t size) {
  for (std::size_t i = size; i-- > 0; number >>= 8) at[i] = static_cast<char>(number & 0xFF);
}

std::uint64_t bigEndianAt(std::string_view octets, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8 | static_cast<unsigned char>(octets[at + i]);
  return number;
}

Error unreadablePlace(std::string_view text) {
  return {ErrorCode::parseError, Retry::never,
          fmt::format("\"{}\" is no position of a SQLite source, which reads as 5f1c02aa:1042@9b3d0c11",
                      text.substr(0, 80))};
}

/// All of `text`, in digits as this module writes them.
bool readNumber(std::string_view text, int base, std::uint64_t most, std::uint64_t& out) {
  const bool hex = base == 16;
  if (text.empty() || (hex && text.size() != 8) || (!hex && text.size() > 1 && text[0] == '0')) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (hex && c >= 'a' && c <= 'f'))) return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return error == std::errc{} && end == text.data() + text.size() && out <= most;
}

}  // namespace

std::uint32_t momentOf(double julianDay) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &julianDay, sizeof bits);
  bits *= 0x9E3779B97F4A7C15ULL;
  return static_cast<std::uint32_t>(bits >> 32);
}

void writePlace(const LogPlace& place, Position& out) {
  char octets[kOctets];
  putBigEndian(place.token, octets, 4);
  putBigEndian(place.seq, octets + 4, 6);
  putBigEndian(place.moment, octets + 10, 4);
  octets[14] = place.ends ? '\1' : '\0';
  out.octets.assign(octets, sizeof octets);
}

Position positionOf(const LogPlace& place) {
  Position position;
  writePlace(place, position);
  return position;
}

LogPlace placeOf(const Position& position) {
  const std::string& octets = position.octets;
  if (octets.size() != kOctets || static_cast<unsigned char>(octets[14]) > 1) {
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("{} octets that are no position of a SQLite source", octets.size()));
  }
  return {static_cast<std::uint32_t>(bigEndianAt(octets, 0, 4)), bigEndianAt(octets, 4, 6),
          static_cast<std::uint32_t>(bigEndianAt(octets, 10, 4)), octets[14] == '\1'};
}

std::partial_ordering comparePlaces(const LogPlace& a, const LogPlace& b) noexcept {
  if (a.token != b.token) return std::partial_ordering::unordered;
  return a.seq <=> b.seq;
}

std::string placeToText(const LogPlace& place) {
  return fmt::format("{:08x}:{}@{:08x}{}", place.token, place.seq, place.moment, place.ends ? "" : "+");
}

LogPlace placeFromText(std::string_view text) {
  const std::string_view whole = text;
  LogPlace place;
  if (!text.empty() && text.back() == '+') {
    place.ends = false;
    text.remove_suffix(1);
  }
  const auto colon = text.find(':'), at = text.find('@');
  if (colon == text.npos || at == text.npos || at < colon) throw unreadablePlace(whole);
  std::uint64_t token = 0, moment = 0;
  const bool whole_ = readNumber(text.substr(0, colon), 16, UINT32_MAX, token) &&
                      readNumber(text.substr(colon + 1, at - colon - 1), 10, kMaxSeq, place.seq) &&
                      readNumber(text.substr(at + 1), 16, UINT32_MAX, moment);
  if (!whole_) throw unreadablePlace(whole);
  place.token = static_cast<std::uint32_t>(token);
  place.moment = static_cast<std::uint32_t>(moment);
  return place;
}

}  // namespace tidegate::sqlite::detail
