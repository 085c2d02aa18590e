#include "postgres/detail/pgoutput.h"

#include <fmt/format.h>

#include "postgres/detail/octet_reader.h"
#include "postgres/detail/server_time.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

[[noreturn]] void refuse(char kind, const char* what) {
  throw Error(
      ErrorCode::parseError, Retry::never,
      fmt::format("a message of pgoutput of kind 0x{:02x} cannot be read: {}", static_cast<unsigned char>(kind), what));
}

struct Refuse {
  char kind;
  [[noreturn]] void operator()(const char* what) const { refuse(kind, what); }
};
using Reader = OctetReader<Refuse>;

void readTuple(Reader& in, Tuple& out, char kind) {
  const auto count = in.number<std::uint16_t>("the number of columns is missing");
  in.need(count, "it has fewer columns than it says");  // each has at least one octet: nothing is allocated for a lie
  out.resize(count);
  for (TupleCell& cell : out) {
    const auto mark = static_cast<TupleCell::Kind>(in.octet("a column is missing"));
    cell.kind = mark;
    switch (mark) {
      case TupleCell::Kind::text:
      case TupleCell::Kind::binary:
        cell.octets = in.octets(in.number<std::uint32_t>("a column's length is missing"), "a column is cut off");
        break;
      case TupleCell::Kind::null:
      case TupleCell::Kind::unchanged:
        cell.octets = {};
        break;
      default:
        refuse(kind, "a column is of an unknown kind");
    }
  }
}

void readNewTuple(Reader& in, PgoutputMessage& out, char kind, std::uint8_t mark) {
  if (mark != 'N') refuse(kind, "the new row is missing");
  readTuple(in, out.newTuple, kind);
}

bool isOld(std::uint8_t mark) { return mark == 'K' || mark == 'O'; }

void readOldTuple(Reader& in, PgoutputMessage& out, char kind, std::uint8_t mark) {
  out.old = static_cast<OldTuple>(mark);
  readTuple(in, out.oldTuple, kind);
}

void readChange(Reader& in, PgoutputMessage& out) {
  const char kind = static_cast<char>(out.kind);
  out.relation = in.number<std::uint32_t>("the table is missing");
  out.old = OldTuple::none;
  std::uint8_t mark = in.octet("the row is missing");
  if (out.kind == PgoutputKind::insert) return readNewTuple(in, out, kind, mark);
  if (isOld(mark)) {
    readOldTuple(in, out, kind, mark);
    if (out.kind == PgoutputKind::update) mark = in.octet("the new row is missing");
  } else if (out.kind == PgoutputKind::erase) {
    refuse(kind, "the old row is missing");
  }
  if (out.kind == PgoutputKind::update) readNewTuple(in, out, kind, mark);
}

void readRelation(Reader& in, PgoutputMessage& out) {
  out.relation = in.number<std::uint32_t>("the table is missing");
  out.schema = in.text("the schema's name is missing");
  out.name = in.text("the table's name is missing");
  out.replicaIdentity = static_cast<char>(in.octet("the replica identity is missing"));
  const auto count = in.number<std::uint16_t>("the number of columns is missing");
  in.need(std::size_t{count} * 10, "it has fewer columns than it says");
  out.columns.resize(count);
  for (WireColumn& column : out.columns) {
    column.identity = (in.octet("a column is missing") & 1) != 0;
    column.name = in.text("a column's name is missing");
    column.typeOid = in.number<std::uint32_t>("a column's type is missing");
    column.typeModifier = static_cast<std::int32_t>(in.number<std::uint32_t>("a column's modifier is missing"));
  }
}

void readTruncate(Reader& in, PgoutputMessage& out) {
  const auto count = in.number<std::uint32_t>("the number of tables is missing");
  in.octet("the options are missing");
  if (in.left() / 4 < count) refuse('T', "it has fewer tables than it says");
  out.truncated.resize(count);
  for (std::uint32_t& table : out.truncated) table = in.number<std::uint32_t>("a table is missing");
}

void readLogicalMessage(Reader& in, PgoutputMessage& out) {
  out.transactional = (in.octet("the flags are missing") & 1) != 0;
  out.messageLsn = in.number<std::uint64_t>("its place is missing");
  out.prefix = in.text("the prefix is missing");
  out.content = in.octets(in.number<std::uint32_t>("its length is missing"), "it is cut off");
}

void readCommit(Reader& in, PgoutputMessage& out) {
  in.octet("the flags are missing");
  out.commitLsn = in.number<std::uint64_t>("the commit's place is missing");
  out.endLsn = in.number<std::uint64_t>("the commit's end is missing");
  out.commitMicros = unixMicros(in.number<std::uint64_t>("the commit's time is missing"));
}

void readBegin(Reader& in, PgoutputMessage& out) {
  out.commitLsn = in.number<std::uint64_t>("the commit's place is missing");
  out.commitMicros = unixMicros(in.number<std::uint64_t>("the commit's time is missing"));
  out.xid = in.number<std::uint32_t>("the transaction is missing");
}

void readStreamAbort(Reader& in, PgoutputMessage& out) {
  out.xid = in.number<std::uint32_t>("the transaction is missing");
  out.subXid = in.number<std::uint32_t>("the subtransaction is missing");
  if (in.left() == 16) in.octets(16, "");  // from version 4 on: the abort's place and time
}

bool carriesXid(PgoutputKind kind) {
  switch (kind) {
    case PgoutputKind::relation:
    case PgoutputKind::type:
    case PgoutputKind::insert:
    case PgoutputKind::update:
    case PgoutputKind::erase:
    case PgoutputKind::truncate:
    case PgoutputKind::logicalMessage:
      return true;
    default:
      return false;
  }
}

void readBody(Reader& in, PgoutputMessage& out) {
  switch (out.kind) {
    case PgoutputKind::insert:
    case PgoutputKind::update:
    case PgoutputKind::erase:
      return readChange(in, out);
    case PgoutputKind::begin:
      return readBegin(in, out);
    case PgoutputKind::commit:
      return readCommit(in, out);
    case PgoutputKind::relation:
      return readRelation(in, out);
    case PgoutputKind::truncate:
      return readTruncate(in, out);
    case PgoutputKind::logicalMessage:
      return readLogicalMessage(in, out);
    case PgoutputKind::streamStart:
      out.xid = in.number<std::uint32_t>("the transaction is missing");
      out.firstSegment = in.octet("the flags are missing") == 1;
      return;
    case PgoutputKind::streamStop:
      return;
    case PgoutputKind::streamCommit:
      out.xid = in.number<std::uint32_t>("the transaction is missing");
      return readCommit(in, out);
    case PgoutputKind::streamAbort:
      return readStreamAbort(in, out);
    case PgoutputKind::origin:
      in.number<std::uint64_t>("the origin's place is missing");
      out.origin = in.text("the origin's name is missing");
      return;
    case PgoutputKind::type:
      out.relation = in.number<std::uint32_t>("the type is missing");
      out.schema = in.text("the schema's name is missing");
      out.name = in.text("the type's name is missing");
      return;
  }
  refuse(static_cast<char>(out.kind), "it is of an unknown kind");
}

}  // namespace

void readPgoutput(std::string_view octets, bool streamed, PgoutputMessage& out) {
  if (octets.empty()) refuse(0, "it is empty");
  Reader in(octets.substr(1), Refuse{octets[0]});
  out.kind = static_cast<PgoutputKind>(octets[0]);
  if (streamed && carriesXid(out.kind)) out.xid = in.number<std::uint32_t>("the transaction is missing");
  readBody(in, out);
  if (in.left() != 0) refuse(octets[0], "it is longer than its content");
}

PgoutputHead readPgoutputHead(std::string_view octets, bool streamed) {
  if (octets.empty()) refuse(0, "it is empty");
  const auto kind = static_cast<PgoutputKind>(octets[0]);
  if (!streamed || !carriesXid(kind)) return {kind, 0};
  Reader in(octets.substr(1), Refuse{octets[0]});
  return {kind, in.number<std::uint32_t>("the transaction is missing")};
}

}  // namespace tidegate::postgres::detail
