/// A server that says anything at all to the stream's loop: log data, keep-alives, transactions, streamed blocks.
///
/// Octets: 1 of switches, 4 of the OID that the catalogue has for table s.t, then the feed (fed_connection.h).
#include <string>

#include "fuzz/check.h"
#include "fuzz/fed_connection.h"
#include "postgres/detail/oids.h"
#include "postgres/detail/stream_reader.h"

namespace tidegate::fuzz {
namespace {

using namespace tidegate::postgres::detail;

enum Switch : unsigned {
  spillsAtOnce = 1,
  anyEncoding = 2,
  declinesOnce = 4,
  halfTaken = 8,
  rowsAreGone = 16,
  acks = 32
};

/// Goes on by itself, so that every duty of the loop comes round.
class RunningClock final : public Clock {
 public:
  Micros wallNow() const override { return steadyNow(); }
  Micros steadyNow() const override { return now_ += std::chrono::milliseconds(7); }

 private:
  mutable Micros now_{1};
};

TableSeen tableSeen(unsigned oid) {
  TableFacts facts{.oid = oid, .schema = "s", .name = "t", .primaryKey = {"id"}, .identityKey = {"id"}};
  facts.columns = {{.name = "id", .type = {kInt4, -1, kInt4, "integer", "int4out"}, .number = 1, .nullable = false},
                   {.name = "v", .type = {kText, -1, kText, "text", "textout"}, .number = 2},
                   {.name = "n", .type = {kNumeric, -1, kNumeric, "numeric", "numeric_out"}, .number = 3}};
  TableVersion version{.highestNumber = 3, .file = 1};
  for (const ColumnFacts& c : facts.columns) version.columns.push_back({c.name, c.number, c.type.oid, -1, false});
  return {std::move(facts), std::move(version)};
}

std::vector<TypeFacts> typesOf(const std::vector<TypeAsked>& asked) {
  std::vector<TypeFacts> types;
  for (const TypeAsked& type : asked) types.push_back({type.oid, type.modifier, type.oid, "a type", "textout"});
  return types;
}

void checkColumns(const std::vector<std::uint32_t>& columns, std::size_t width) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    FUZZ_CHECK(columns[i] < width && (i == 0 || columns[i - 1] < columns[i]));
  }
}

/// What readers count on in every event of every stream.
class Reader {
 public:
  explicit Reader(const Position& from) : last_(from) {}
  void take(const ChangeEvent& event) {
    FUZZ_CHECK(comparePositions(last_, event.position) < 0);
    FUZZ_CHECK(positionFromText(positionToText(event.position)) == event.position);
    last_ = event.position;
    FUZZ_CHECK(!event.transactionBegin || !open_);
    FUZZ_CHECK(event.transactionBegin || open_ || halfTaken_);
    open_ = !event.transactionEnd;
    halfTaken_ = false;
    if (event.op == ChangeOp::progress) return;
    FUZZ_CHECK(event.shape != nullptr);
    const std::size_t width = event.shape->columns->size();
    const bool hasRow = event.op == ChangeOp::insert || event.op == ChangeOp::update;
    FUZZ_CHECK(hasRow ? event.after.size() == width : event.after.empty());
    FUZZ_CHECK(event.before.empty() || event.before.size() == width);
    FUZZ_CHECK(event.op != ChangeOp::erase || event.before.size() == width);
    FUZZ_CHECK((event.op == ChangeOp::schemaChange) == (event.schemaChange != nullptr));
    checkColumns(event.unchanged, width);
    checkColumns(event.beforeAbsent, width);
    FUZZ_CHECK(event.bytes() > 0);
  }
  void goesOnWithin() { halfTaken_ = true; }
  const Position& last() const { return last_; }

 private:
  Position last_;
  bool open_ = false;
  bool halfTaken_ = false;
};

void stream(unsigned switches, unsigned oid, std::string_view octets) {
  const bool within = (switches & halfTaken) != 0;
  const Position from = positionOf({0x100, within ? 4u : 0u});
  Reader reader(from);
  if (within) reader.goesOnWithin();
  Feedback feedback;
  bool decline = false;
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    decline = !decline && (switches & declinesOnce) != 0;
    if (decline) return Taken::full;
    for (const ChangeEvent& event : batch) reader.take(event);
    if ((switches & acks) != 0) feedback.ack(reader.last());
    return Taken::yes;
  };
  ToldTables known;
  PgoutputRelations relations(
      {[&](const std::string& table) { return table == "s.t" ? tableSeen(oid) : TableSeen{}; }, typesOf}, known);
  relations.want({"s.t"});
  relations.setTrustedEncoding((switches & anyEncoding) == 0);
  const FillUnchanged fill = [&](ChangeEvent& event) {
    if ((switches & rowsAreGone) == 0) event.unchanged.clear();
  };
  const WakeUp wake;
  const RunningClock clock;
  StreamReaderOptions options;
  options.delivery.maxEvents = 3;
  options.spill.memoryBytes = (switches & spillsAtOnce) != 0 ? 64 : 1u << 20;
  const StreamHooks hooks{[] { return false; }, [] {}, [] {}, [] {}, [] {}, [](Lsn) {}, [] {}};
  StreamReader loop({handler, feedback, relations, nullptr, fill, wake, clock}, options, hooks);
  feed() = {octets};
  ReplicationConnection connection({}, {});
  try {
    loop.run(connection, from, {});
  } catch (const Error& e) {
    const bool expected = e.code() == ErrorCode::parseError || e.code() == ErrorCode::connectionFailed;
    if (!expected) std::fprintf(stderr, "%s\n", e.what());
    FUZZ_CHECK(expected);
    FUZZ_CHECK(!e.message().empty());
  }
  FUZZ_CHECK(!feed().confirmedAhead);
  FUZZ_CHECK(loop.taken() == reader.last());
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  unsigned oid = 0;
  for (std::size_t i = 1; i < 5; ++i) oid = oid << 8 | data[i];
  tidegate::fuzz::stream(data[0], oid, tidegate::fuzz::textOf(data + 5, size - 5));
  return 0;
}
