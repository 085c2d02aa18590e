/// The messages of pgoutput, the server's logical decoding plugin: octets in, one struct out. No connection, no state.
///
/// PostgreSQL documentation, "Logical Replication Message Formats", protocol versions 1 to 4 without two-phase commit.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "postgres/detail/lsn.h"

namespace tidegate::postgres::detail {

/// What a message is; the protocol's own letters.
enum class PgoutputKind : char {
  begin = 'B',
  commit = 'C',
  origin = 'O',
  relation = 'R',
  type = 'Y',
  insert = 'I',
  update = 'U',
  erase = 'D',
  truncate = 'T',
  logicalMessage = 'M',
  streamStart = 'S',
  streamStop = 'E',
  streamCommit = 'c',
  streamAbort = 'A'
};

/// One column of a tuple; `octets` is of the message.
struct TupleCell {
  enum class Kind : char { null = 'n', unchanged = 'u', text = 't', binary = 'b' };
  Kind kind = Kind::null;
  std::string_view octets{};
};
using Tuple = std::vector<TupleCell>;

/// What a tuple of old values holds.
enum class OldTuple : char {
  none = 0,
  key = 'K',  ///< the replica identity's columns; the others are null and mean nothing
  full = 'O'  ///< the whole row
};

/// A column of a Relation message.
struct WireColumn {
  bool identity = false;  ///< part of the replica identity
  std::string_view name{};
  std::uint32_t typeOid = 0;
  std::int32_t typeModifier = -1;
};

/// One message. Only the members of its kind mean something; the others keep what the last message left there, so that
/// their memory is used again. Views are into the octets it was read from.
struct PgoutputMessage {
  PgoutputKind kind = PgoutputKind::streamStop;
  /// begin, streamStart, streamCommit, streamAbort: the transaction. Within a streamed block, every message: the
  /// transaction or subtransaction that did it.
  std::uint32_t xid = 0;
  std::uint32_t subXid = 0;       ///< streamAbort: what was undone; the same as `xid` for all of it
  bool firstSegment = false;      ///< streamStart
  Lsn commitLsn = 0;              ///< begin, commit, streamCommit: where the commit record begins
  Lsn endLsn = 0;                 ///< commit, streamCommit: where the log goes on behind it
  std::int64_t commitMicros = 0;  ///< begin, commit, streamCommit: Unix, UTC

  std::uint32_t relation = 0;  ///< relation, insert, update, erase: the table's OID. type: the type's
  OldTuple old = OldTuple::none;
  Tuple oldTuple{};
  Tuple newTuple{};
  std::vector<std::uint32_t> truncated{};  ///< truncate: OIDs

  std::string_view schema{}, name{};  ///< relation, type; an empty schema is pg_catalog
  char replicaIdentity = 'd';         ///< relation: pg_class.relreplident
  std::vector<WireColumn> columns{};  ///< relation

  std::string_view origin{};  ///< origin

  bool transactional = false;            ///< logicalMessage
  Lsn messageLsn = 0;                    ///< logicalMessage
  std::string_view prefix{}, content{};  ///< logicalMessage
};

/// Reads one message.
/// @param streamed whether it stands between a streamStart and its streamStop, where messages carry an xid.
/// @throws Error{parseError} for anything that is not one whole message of a known kind.
void readPgoutput(std::string_view octets, bool streamed, PgoutputMessage& out);

/// The kind and, within a streamed block, the xid, without reading the rest. @throws Error{parseError}
struct PgoutputHead {
  PgoutputKind kind;
  std::uint32_t xid;
};
PgoutputHead readPgoutputHead(std::string_view octets, bool streamed);

}  // namespace tidegate::postgres::detail
