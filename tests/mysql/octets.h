/// Events of a binlog, made by hand from the documented format.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mysql/detail/binlog_event.h"

namespace tidegate::mysql::detail {

inline std::string littleOctets(std::uint64_t number, std::size_t size) {
  std::string octets;
  for (; size-- > 0; number >>= 8) octets.push_back(static_cast<char>(number & 0xFF));
  return octets;
}

inline std::string fromHex(std::string_view hex) {
  std::string octets;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string plain;
  for (const char c : hex) {
    if (c != ' ') plain.push_back(c);
  }
  for (std::size_t i = 0; i + 1 < plain.size(); i += 2) {
    octets.push_back(static_cast<char>(digit(plain[i]) * 16 + digit(plain[i + 1])));
  }
  return octets;
}

/// A whole event, its checksum at the end.
inline std::string eventOctets(EventType type, const std::string& body, std::uint32_t end = 100,
                               std::uint32_t server = 1) {
  std::string octets = littleOctets(1'700'000'000, 4) + static_cast<char>(type) + littleOctets(server, 4) +
                       littleOctets(19 + body.size() + 4, 4) + littleOctets(end, 4) + littleOctets(0, 2) + body;
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(octets.data()), static_cast<uInt>(octets.size()));
  return octets + littleOctets(sum, 4);
}

/// An event within a payload: without a checksum.
inline std::string nestedOctets(EventType type, const std::string& body) {
  return littleOctets(1'700'000'000, 4) + static_cast<char>(type) + littleOctets(1, 4) +
         littleOctets(19 + body.size(), 4) + littleOctets(0, 4) + littleOctets(0, 2) + body;
}

/// The body of an event made by `eventOctets`, as it stands in a payload.
inline std::string nested(const std::string& event) {
  return nestedOctets(static_cast<EventType>(event[4]), event.substr(19, event.size() - 19 - 4));
}

/// FORMAT_DESCRIPTION of a server, and whether events have checksums from here on.
inline std::string formatOctets(const std::string& server, bool checksums = true) {
  std::string version = server;
  version.resize(50, '\0');
  return eventOctets(EventType::formatDescription,
                     littleOctets(4, 2) + version + littleOctets(0, 4) + littleOctets(19, 1) + std::string(40, '\0') +
                         (checksums ? '\x01' : '\x00'),
                     0);
}

inline std::string queryOctets(const std::string& statement, const std::string& database = "d",
                               std::uint32_t end = 100) {
  return eventOctets(EventType::query,
                     littleOctets(0, 8) + littleOctets(database.size(), 1) + littleOctets(0, 2) + littleOctets(0, 2) +
                         database + '\0' + statement,
                     end);
}

/// Table 7, d.t, with columns (id INT NOT NULL, a VARCHAR(20)) and whatever `more` says of them.
inline std::string tableMapOctets(const std::string& more = {}, std::uint32_t end = 100) {
  return eventOctets(EventType::tableMap,
                     littleOctets(7, 6) + littleOctets(1, 2) + fromHex("01") + "d" + '\0' + fromHex("01") + "t" + '\0' +
                         fromHex("02 03 0f 02 1400 02") + more,
                     end);
}

/// One INSERT of {id, 'a'} into table 7, as MySQL 5.6 and later log it.
inline std::string insertOctets(std::uint32_t id, std::uint32_t end = 100) {
  return eventOctets(EventType::writeRows,
                     littleOctets(7, 6) + littleOctets(1, 2) + littleOctets(2, 2) + fromHex("02 03 00") +
                         littleOctets(id, 4) + fromHex("01") + "a",
                     end);
}

}  // namespace tidegate::mysql::detail
