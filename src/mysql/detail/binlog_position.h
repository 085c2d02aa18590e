/// This source's positions: what was before a transaction, and which change within it.
///
/// By GTID it names the last transaction of each domain (MariaDB) or the set of all transactions (MySQL), so it holds
/// on every server of the same history. By file it names a place in the binlog of one server.
///
/// Octets: a kind, then numbers of seven bits an octet, least significant first.
///   by domains: their count, {domain, server, sequence} of each
///   by sources: their count, of each 16 octets of its UUID (where the kind says that there are tags, then the length
///   of its tag and the tag), the count of its intervals, and of each interval how far it begins behind the one before
///   it and how much longer than one transaction it is by file: the server's id, the file's number, the offset in it
///   then the ordinal of the change, and where it is not 0 and the kind is by GTID the transaction: {domain, server,
///   sequence}, or {UUID, tag, sequence} then, where the kind says so, the place from which the binlog must be read
///   again for XA transactions that are prepared, as above then, where the kind says so and up to the end, how far a
///   baseline is that is read beside the stream (source/detail/baseline_progress.h)
/// One domain and no open transaction: mostly under 16 octets, which allocate nothing.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mysql/detail/gtid.h"
#include "mysql/detail/gtid_set.h"
#include "tidegate/core/position.h"

namespace tidegate::mysql::detail {

/// A place in the binlog of one server.
struct FilePlace {
  std::uint32_t server = 0;  ///< its server_id: places of two servers cannot be compared
  std::uint64_t number = 0;  ///< what stands behind the last dot of the file's name
  std::uint64_t offset = 0;
  bool operator==(const FilePlace&) const = default;
};

/// What a border is told by.
enum class BorderBy : std::uint8_t {
  domains,  ///< MariaDB's GTIDs
  sources,  ///< MySQL's GTIDs
  file
};

/// A border between two transactions.
struct Border {
  BorderBy by = BorderBy::domains;
  GtidState gtids{};  ///< by domains: the last of each
  GtidSet set{};      ///< by sources: all
  FilePlace file{};   ///< by file
  bool operator==(const Border&) const = default;

  bool byFile() const noexcept { return by == BorderBy::file; }
  /// By GTID: whether the transaction is before it.
  bool has(const Gtid& gtid) const noexcept {
    return by == BorderBy::sources ? set.contains(gtid.source, gtid.sequence)
                                   : gtid.sequence <= gtids.sequenceOf(gtid.domain);
  }
  /// By GTID: moves it behind the transaction.
  void pass(const Gtid& gtid) {
    by == BorderBy::sources ? set.add(gtid.source, {gtid.sequence, gtid.sequence}) : gtids.set(gtid);
  }
};

struct Place {
  Border before{};                  ///< of the transaction in hand
  std::uint64_t ordinal = 0;        ///< of the change in it; 0: all up to the border is done, and nothing more
  Gtid current{};                   ///< by GTID and within a transaction: which
  std::optional<Border> restart{};  ///< not empty: XA transactions prepared behind it have not been decided
  std::string baseline{};           ///< progress of a baseline that is read beside the stream; empty: none is pending
};

/// Writes the positions of one transaction's changes, in which all but the ordinal stays the same.
/// @thread One at a time.
class PositionWriter {
 public:
  PositionWriter() = default;
  /// @param place within a transaction.
  explicit PositionWriter(const Place& place);
  /// Into `out`, whose memory is used again.
  void write(std::uint64_t ordinal, Position& out);

 private:
  std::string octets_{};                        ///< of the last one written
  std::size_t headSize_ = 0, ordinalSize_ = 0;  ///< of what stands before the ordinal, and of it
};

/// Writes it into `out`, whose memory is used again.
void writePosition(const Place& place, Position& out);
Position positionOf(const Place& place);
/// @throws Error{parseError} for octets that are no position of this source.
Place placeOf(const Position& position);

std::partial_ordering compareBorders(const Border& a, const Border& b);
/// By border, then by ordinal, then by progress. Unordered: places of two servers by file, or domains that went on in
/// another order.
std::partial_ordering comparePlaces(const Place& a, const Place& b);
/// The greatest place at or before both. @throws Error{invalidArgument} where there is none.
Place meetOf(const Place& a, const Place& b);

/// "0-1-5,1-2-7", within a transaction "0-1-5+4294967299@0-1-6"; MySQL's
/// "uuid:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", and within a transaction
/// "…:1-5+4294967299@3e11fa47-71ca-11e1-9e33-c80aa9429562:6"; by file "file:1/3/4567", "file:1/3/4567+4294967299"; with
/// ";xa=0-1-4" behind it where XA transactions are pending, and ";baseline=" and hexadecimal octets where a baseline
/// is.
std::string positionToText(const Position& position);
/// @throws Error{parseError}
Position positionFromText(std::string_view text);

/// 12 of "mariadb-bin.000012". @throws Error{parseError}
std::uint64_t fileNumberOf(std::string_view file);

}  // namespace tidegate::mysql::detail
