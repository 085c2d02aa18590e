/// Events of a binlog as the server sends them: their frame, and those that stand around the rows.
///
/// MySQL's and MariaDB's documents of the replication protocol name the fields. Octets come from outside: each length
/// is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mysql/detail/gtid.h"

namespace tidegate::mysql::detail {

/// The numbers that servers give their events.
enum class EventType : std::uint8_t {
  query = 2,
  stop = 3,
  rotate = 4,
  formatDescription = 15,
  xid = 16,
  tableMap = 19,
  writeRowsV1 = 23,
  updateRowsV1 = 24,
  deleteRowsV1 = 25,
  incident = 26,
  heartbeat = 27,
  writeRows = 30,
  updateRows = 31,
  deleteRows = 32,
  mysqlGtid = 33,
  anonymousGtid = 34,
  xaPrepare = 38,
  partialUpdateRows = 39,
  transactionPayload = 40,
  heartbeatV2 = 41,
  mysqlTaggedGtid = 42,
  mariaGtid = 162,
  startEncryption = 164,
  queryCompressed = 165,
  writeRowsCompressedV1 = 166,
  updateRowsCompressedV1 = 167,
  deleteRowsCompressedV1 = 168,
  writeRowsCompressed = 169,
  updateRowsCompressed = 170,
  deleteRowsCompressed = 171
};

/// What a FORMAT_DESCRIPTION event says of those that follow.
struct BinlogFormat {
  bool mariaDb = false;
  bool checksums = true;  ///< each event ends in a CRC32; until we are told otherwise, since we ask for it
};

/// An event without its frame. The octets are those that it was read from.
struct BinlogEvent {
  EventType type = EventType::query;
  std::uint32_t timestamp = 0;  ///< Unix seconds of its statement
  std::uint32_t server = 0;     ///< where it was first written
  std::uint64_t size = 0;       ///< with its frame, as it counts in the file
  std::uint32_t end = 0;        ///< the offset in the file behind it, 32 bits of it; 0: it stands in no file
  std::uint16_t flags = 0;
  std::string_view body{};
};

/// @throws Error{parseError} for what is no event, or whose checksum is not that of its octets.
BinlogEvent readEvent(std::string_view octets, const BinlogFormat& format);
/// An event within a payload of MySQL, which has no checksum of its own; takes it off `octets`.
BinlogEvent takeNestedEvent(std::string_view& octets);

BinlogFormat readFormat(const BinlogEvent& event);

struct RotateEvent {
  std::uint64_t offset = 0;
  std::string_view file{};
};
RotateEvent readRotate(const BinlogEvent& event);

/// MariaDB's event before each transaction.
struct MariaGtidEvent {
  Gtid gtid{};
  bool standalone = false;  ///< one event follows, and no COMMIT
  bool prepares = false;    ///< an XA transaction is prepared, and not yet decided
  bool completes = false;   ///< one that was prepared is decided
  /// An ALTER begins, or is undone (10.8 and later, binlog_alter_two_phase): its statement stands here as well, and the
  /// table is as it was. What takes effect comes by a GTID of its own.
  bool halfAltered = false;
};
MariaGtidEvent readMariaGtid(const BinlogEvent& event);

/// MySQL's, with a tag or without. @throws Error{parseError}
Gtid readMySqlGtid(const BinlogEvent& event);

struct QueryEvent {
  std::string_view database{};
  std::string_view statement{};
};
/// Plain or MariaDB's compressed kind, for which `inflated` lends its memory.
QueryEvent readQuery(const BinlogEvent& event, std::string& inflated);

/// What MariaDB put into `packed` when it compressed an event. @throws Error{parseError}
void inflateEvent(std::string_view packed, std::string& out);

}  // namespace tidegate::mysql::detail
