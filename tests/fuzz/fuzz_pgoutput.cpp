/// Single messages of pgoutput and of the replication protocol, and the texts around them: positions, places in the
/// log, notes in comments, cells by type, names of tables, connection strings.
#include <array>
#include <string>

#include "fuzz/check.h"
#include "postgres/detail/baseline.h"
#include "postgres/detail/baseline_progress.h"
#include "postgres/detail/catalogue.h"
#include "postgres/detail/oids.h"
#include "postgres/detail/options.h"
#include "postgres/detail/pgoutput.h"
#include "postgres/detail/position.h"
#include "postgres/detail/publication.h"
#include "postgres/detail/replication_protocol.h"

namespace tidegate::fuzz {
namespace {

using namespace tidegate::postgres;
using namespace tidegate::postgres::detail;

/// An old StreamAbort is the beginning of a new one.
bool hasTwoLengths(std::string_view octets) { return octets[0] == static_cast<char>(PgoutputKind::streamAbort); }

void pgoutput(std::string_view octets, bool streamed) {
  static PgoutputMessage message;  // as in the stream: what the last message left there must not matter
  const bool taken = takes(ErrorCode::parseError, [&] { readPgoutput(octets, streamed, message); });
  if (!taken) return;
  const PgoutputHead head = readPgoutputHead(octets, streamed);
  FUZZ_CHECK(head.kind == message.kind);
  FUZZ_CHECK(head.xid == 0 || head.xid == message.xid);
  if (hasTwoLengths(octets)) return;
  const bool takenShorter =
      takes(ErrorCode::parseError, [&] { readPgoutput(octets.substr(0, octets.size() - 1), streamed, message); });
  FUZZ_CHECK(!takenShorter);
}

void serverMessage(std::string_view octets) {
  takes(ErrorCode::parseError, [&] {
    const ServerMessage message = readServerMessage(octets);
    if (message.kind != ServerMessage::Kind::data) return;
    FUZZ_CHECK(message.body.size() + 25 == octets.size());
    std::string status;
    writeClientStatus({message.start, message.end, static_cast<std::int64_t>(message.end)}, status);
    FUZZ_CHECK(status.size() == 34);
  });
}

void position(std::string_view text) {
  if (const auto lsn = lsnFromText(text)) FUZZ_CHECK(lsnFromText(lsnToText(*lsn)) == lsn);
  takes(ErrorCode::parseError, [&] {
    const Position read = positionFromText(text);
    FUZZ_CHECK(positionFromText(positionToText(read)) == read);
    FUZZ_CHECK(postgres::detail::comparePositions(read, read) == 0);
  });
  takes(ErrorCode::parseError, [&] {
    Position octets;
    octets.octets = text;
    FUZZ_CHECK(positionOf(placeOf(octets), progressOf(octets)) == octets);
    FUZZ_CHECK(positionFromText(positionToText(octets)) == octets);
  });
}

void progress(std::string_view octets) {
  takes(ErrorCode::parseError, [&] {
    const BaselineProgress read = decodeProgress(octets);
    const std::string again = encodeProgress(read);
    FUZZ_CHECK(again == octets || read.pending.empty());
    FUZZ_CHECK(meetProgress(octets, octets) == again);
  });
}

/// A comment that others wrote too keeps its other lines, and holds what was noted last.
void noteInComment(std::string_view text) {
  const std::string comment(text);
  const std::string noted = withSlotBegin(comment, "a", 0x1234);
  FUZZ_CHECK(slotBeginIn(noted, "a") == Lsn{0x1234});
  const std::string other = withSlotBegin(noted, "b", 0x77);
  FUZZ_CHECK(slotBeginIn(other, "a") == Lsn{0x1234} && slotBeginIn(other, "b") == Lsn{0x77});
  FUZZ_CHECK(!slotBeginIn(withSlotBegin(other, "a", 0), "a"));
}

void cells(std::string_view text) {
  Value value;
  for (const unsigned oid : std::array{kBool, kInt4, kInt8, kFloat8, kNumeric, kBytea, kDate, kTime, kTimestamp,
                                       kTimestamptz, kUuid, kJsonb, kText}) {
    decoderFor(oid, true)(text, value);
    FUZZ_CHECK(describe(value).size() <= 400);
  }
  decoderFor(kText, false)(text, value);
  FUZZ_CHECK(value.getIf<Bytes>() != nullptr || isUtf8(text));
}

void tableName(std::string_view text) {
  takes(ErrorCode::invalidArgument, [&] {
    const TableName name = parseTableName(text);
    FUZZ_CHECK(!name.name.empty());
    if (name.schema.empty()) return;
    FUZZ_CHECK(parseTableName(fullNameOf(name.schema, name.name)) == name);
  });
}

void connectionString(std::string_view text) {
  takes(ErrorCode::invalidConfig, [&] {
    const Keywords keywords = keywordsOf({.url = std::string(text), .password = "s3cr3t-7Q"});
    FUZZ_CHECK(keywords.at("password") == "s3cr3t-7Q");
    FUZZ_CHECK(keywords.at("sslmode") != "prefer" && keywords.at("sslmode") != "allow");
    // Searching for the password would find it wherever the fuzzer writes it into a host's name.
    FUZZ_CHECK(whereOf(keywords) == whereOf(keywordsOf({.url = std::string(text), .password = "another"})));
  });
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate::fuzz;
  const std::string_view text = textOf(data, size);
  pgoutput(text, false);
  pgoutput(text, true);
  serverMessage(text);
  position(text);
  progress(text);
  noteInComment(text);
  cells(text);
  tableName(text);
  connectionString(text);
  return 0;
}
