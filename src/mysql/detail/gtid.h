/// Global transaction ids of both servers, and what a MariaDB has of each domain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// Whose transactions MySQL counts together: a server's, or those of one tag there (MySQL 8.3 and later).
struct GtidSource {
  // Implicit: most have no tag.
  GtidSource(const Uuid& server = {}, std::string mark = {}) : uuid(server), tag(std::move(mark)) {}
  Uuid uuid;
  std::string tag;  ///< a letter or '_', then those and digits; small letters, 32 at most
  bool operator==(const GtidSource&) const = default;
  bool operator<(const GtidSource& other) const noexcept {
    return uuid == other.uuid ? tag < other.tag : uuid.octets < other.uuid.octets;
  }
};

/// MariaDB's "domain-server-sequence", of which sequences only grow within a domain; or MySQL's "source:sequence" or
/// "source:tag:sequence".
struct Gtid {
  std::uint32_t domain = 0;
  std::uint32_t server = 0;
  std::uint64_t sequence = 0;
  GtidSource source{};  ///< MySQL's only
  bool operator==(const Gtid&) const = default;
};

/// The last transaction of each domain, by domain.
class GtidState {
 public:
  const std::vector<Gtid>& gtids() const noexcept { return gtids_; }
  bool empty() const noexcept { return gtids_.empty(); }
  /// The last sequence of a domain; 0: none.
  std::uint64_t sequenceOf(std::uint32_t domain) const noexcept;
  /// Puts it in its domain's place, whatever stood there.
  void set(const Gtid& gtid);
  bool operator==(const GtidState&) const = default;

  /// Whether everything in it is in `other` too.
  bool within(const GtidState& other) const noexcept;
  /// The greatest state within both.
  GtidState meet(const GtidState& other) const;

 private:
  std::vector<Gtid> gtids_;  ///< ascending by domain, each once
};

/// Whether `text` can be a tag; in small letters, as the servers keep them.
bool isGtidTag(std::string_view text) noexcept;
/// "0-1-5". @throws Error{parseError}
Gtid gtidFromText(std::string_view text);
std::string gtidToText(const Gtid& gtid);
/// "0-1-5,1-2-7"; empty: nothing. @throws Error{parseError}
GtidState gtidStateFromText(std::string_view text);
std::string gtidStateToText(const GtidState& state);

}  // namespace tidegate::mysql::detail
