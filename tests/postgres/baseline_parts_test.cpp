/// The parts of a baseline that need no server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/detail/baseline.h"
#include "postgres/detail/baseline_progress.h"
#include "postgres/detail/chunk.h"
#include "postgres/detail/copy_decoder.h"
#include "postgres/detail/decode_binary.h"
#include "postgres/detail/delivery.h"
#include "postgres/detail/oids.h"
#include "postgres/detail/snapshot.h"
#include "support/property.h"

namespace tidegate::postgres::detail {
namespace {

std::string big(std::uint64_t number, int octets) {
  std::string out;
  for (int i = octets; i-- > 0;) out += static_cast<char>(number >> (8 * i) & 0xFF);
  return out;
}

const std::string kHeader = std::string("PGCOPY\n\377\r\n\0", 11) + big(0, 4) + big(0, 4);

std::string rowOf(std::int32_t number, const std::string& text) {
  return big(2, 2) + big(4, 4) + big(static_cast<std::uint32_t>(number), 4) + big(text.size(), 4) + text;
}

CopyDecoder decoder() {
  return CopyDecoder("public.t", {{"id", binaryDecoderFor(kInt4, true)}, {"v", binaryDecoderFor(kText, true)}});
}

TEST(CopyDecoding, ReadsRowsNullsAndTheTrailer) {
  CopyDecoder in = decoder();
  std::vector<Value> row;
  const std::string first = kHeader + rowOf(-7, "zoë"), second = big(2, 2) + big(0xFFFFFFFF, 4) + big(0xFFFFFFFF, 4);
  std::string_view message = first;
  ASSERT_TRUE(in.next(message, row));
  EXPECT_TRUE(row == (std::vector<Value>{-7, "zoë"}));
  EXPECT_FALSE(in.next(message, row));
  message = second;
  ASSERT_TRUE(in.next(message, row));
  EXPECT_TRUE(row == (std::vector<Value>{nullptr, nullptr}));
  EXPECT_THROW(in.finish(), Error);
  const std::string trailer = big(0xFFFF, 2);
  message = trailer;
  EXPECT_FALSE(in.next(message, row));
  EXPECT_NO_THROW(in.finish());
}

/// Whatever arrives is rows or an Error that names the table.
TEST(CopyDecoding, RefusesWhatIsNoCopy) {
  const std::string good = kHeader + rowOf(1, "abc") + rowOf(2, "") + big(0xFFFF, 2);
  test::forEachSeed(3'000, [&](std::uint64_t seed) {
    test::Random random(seed);
    std::string bad = good;
    for (std::size_t i = 1 + random.index(3); i > 0; --i)
      bad[random.index(bad.size())] = static_cast<char>(random.below(256));
    if (random.chance(40)) bad.resize(random.index(bad.size()));
    CopyDecoder in = decoder();
    std::vector<Value> row;
    std::string_view message = bad;
    try {
      for (int rows = 0; in.next(message, row); ++rows) ASSERT_LT(rows, 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::parseError);
      EXPECT_THAT(error.message(), testing::HasSubstr("public.t"));
    }
  });
}

TEST(BinaryCells, OfAWrongLengthAreRefused) {
  for (const unsigned type :
       {kBool, kInt2, kInt4, kInt8, kOid, kFloat8, kNumeric, kDate, kTime, kTimestamp, kTimestamptz, kUuid, kJsonb}) {
    Value out;
    EXPECT_THROW(binaryDecoderFor(type, true)(std::string_view("\2\1\1\1\1", 5), out), Error) << type;
    EXPECT_THROW(binaryDecoderFor(type, true)(std::string_view(), out), Error) << type;
  }
}

TEST(BinaryCells, NumericsThatLieAboutTheirDigitsAreRefused) {
  test::forEachSeed(2'000, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string octets;
    for (std::size_t i = random.index(24); i > 0; --i)
      octets += static_cast<char>(random.chance(60) ? 0 : random.below(256));
    Value out;
    try {
      binaryDecoderFor(kNumeric, true)(octets, out);
      EXPECT_TRUE(isDecimal(out.as<Decimal>().text)) << out.as<Decimal>().text.substr(0, 80);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::parseError);
    }
  });
}

TEST(Snapshots, SayWhatTheySee) {
  const Snapshot s = parseSnapshot("4294967290:4294967300:4294967290,4294967297");
  EXPECT_TRUE(s.sees(4294967289));
  EXPECT_FALSE(s.sees(4294967290));
  EXPECT_TRUE(s.sees(4294967296));
  EXPECT_FALSE(s.sees(4294967297));
  EXPECT_FALSE(s.sees(4294967300));
  // Over the wrap of 32 bits, both ways.
  EXPECT_EQ(s.widen(4294967290u), 4294967290u);
  EXPECT_EQ(s.widen(1), 4294967297u);
  EXPECT_EQ(s.widen(10), 4294967306u);
  EXPECT_FALSE(s.seesShort(1));
  EXPECT_TRUE(s.seesShort(0));
  for (const char* bad : {"", "1", "1:2", "1:2:x", "1:9:3,2", "1:9:3,", ":1:2"})
    EXPECT_THROW(parseSnapshot(bad), Error) << bad;
}

TEST(Snapshots, OfASlotMayBeginBehindTheirEnd) {
  const Snapshot afterRollbacks = parseSnapshot("969:967:");
  EXPECT_TRUE(afterRollbacks.sees(968));
  EXPECT_FALSE(afterRollbacks.sees(969));
  EXPECT_TRUE(afterRollbacks.covers(parseSnapshot("967:969:967")));
}

TEST(Snapshots, CoverThoseThatSeeNoMore) {
  const Snapshot exported = parseSnapshot("10:20:10,15");
  EXPECT_TRUE(parseSnapshot("10:20:10,15").covers(exported));
  EXPECT_TRUE(parseSnapshot("12:25:").covers(exported));
  EXPECT_TRUE(parseSnapshot("10:21:10,20").covers(exported));
  EXPECT_FALSE(parseSnapshot("10:20:10,12,15").covers(exported)) << "12 has committed";
  EXPECT_FALSE(parseSnapshot("10:18:10,15").covers(exported));
}

TEST(BaselineProgress, ReadsBackAndGrowsOctetByOctet) {
  BaselineProgress progress{.steps = 300, .pending = {{"public.t", 255, true, {"a", "7"}}, {"public.u", 0, false, {}}}};
  std::string before = encodeProgress(progress);
  EXPECT_TRUE(decodeProgress(before) == progress);
  progress.steps = 301;
  progress.pending[0].last = {"A", "1"};
  EXPECT_LT(before, encodeProgress(progress));
  putSteps(301, before);
  EXPECT_EQ(decodeProgress(before).steps, 301u);
  EXPECT_EQ(encodeProgress({}), "");
  EXPECT_TRUE(decodeProgress("") == BaselineProgress{});
}

TEST(BaselineProgress, RefusesOctetsThatAreNone) {
  const std::string good = encodeProgress({.steps = 1, .pending = {{"public.t", 5, true, {"key"}}}});
  for (std::size_t size = 1; size < good.size(); ++size)
    EXPECT_THROW(decodeProgress(good.substr(0, size)), Error) << size;
  EXPECT_THROW(decodeProgress(good + "x"), Error);
}

TEST(BaselineProgress, MeetsWhereEachTableIsLessFar) {
  const std::string less = encodeProgress({.steps = 5, .pending = {{"t", 5, true, {"e"}}}});
  const std::string more = encodeProgress({.steps = 9, .pending = {{"t", 9, true, {"i"}}}});
  const std::string other = encodeProgress({.steps = 0, .pending = {{"u", 0, false, {}}}});
  EXPECT_EQ(meetProgress(less, more), less);
  EXPECT_EQ(meetProgress(more, less), less);
  EXPECT_EQ(meetProgress(less, ""), less);
  EXPECT_EQ(meetProgress("", ""), "");
  const BaselineProgress both = decodeProgress(meetProgress(more, other));
  EXPECT_EQ(both.pending.size(), 2u);
  EXPECT_LT(meetProgress(more, other), more);
  EXPECT_LT(meetProgress(more, other), other);
}

/// Of two tables the first is whole in the one that is further; in the other, all rows of a chunk were overtaken.
TEST(BaselineProgress, MeetsAtOrBeforeBothWhereATableWasLeftBehind) {
  const std::string less = encodeProgress({.steps = 5, .pending = {{"a", 5, true, {"e"}}, {"b", 0, false, {}}}});
  for (const std::string& more :
       {encodeProgress({.steps = 9, .pending = {{"b", 3, true, {"c"}}}}),
        encodeProgress({.steps = 6, .pending = {{"a", 5, true, {"k"}}, {"b", 0, false, {}}}})}) {
    EXPECT_EQ(meetProgress(less, more), less);
    EXPECT_EQ(meetProgress(more, less), less);
  }
}

/// A chunk of keys 1 to 5 at a snapshot that sees transactions below 100.
class ChunkOvertaken : public testing::Test {
 protected:
  Shape shape = makeShape({"t", {{"id", ValueKind::int64}, {"a", ValueKind::text}, {"b", ValueKind::text}}, {"id"}});
  Chunk chunk;
  tidegate::detail::TouchLog log{8};

  void SetUp() override {
    auto known = std::make_shared<KnownTable>();
    known->shape = shape;
    chunk.table = "t";
    chunk.known = known;
    chunk.snapshot = parseSnapshot("100:100:");
    for (int i = 1; i <= 5; ++i) chunk.rows.push_back({i, "a", "b"});
  }
  void update(std::uint32_t xid, int id, const char* a, std::vector<std::uint32_t> unchanged) {
    ChangeEvent event;
    event.op = ChangeOp::update;
    event.shape = shape;
    event.after = {id, a, unchanged.empty() ? Value("n") : Value()};
    event.unchanged = std::move(unchanged);
    log.note(event);
    log.commit({.low = xid});
  }
};

TEST_F(ChunkOvertaken, LeavesOutWhatWasToldWholeAndCompletesTheRest) {
  update(99, 1, "seen", {});
  update(100, 2, "told", {});
  update(101, 3, "patched", {2});
  update(102, 3, "patched again", {2});
  update(103, 4, "patched", {2});
  update(104, 4, "then told", {});
  EXPECT_TRUE(chunk.overtake(log));
  EXPECT_TRUE(chunk.rows[0] == (std::vector<Value>{1, "a", "b"}));
  EXPECT_FALSE(chunk.live(1));
  EXPECT_TRUE(chunk.rows[2] == (std::vector<Value>{3, "patched again", "b"}));
  EXPECT_FALSE(chunk.live(3));
  EXPECT_TRUE(chunk.live(4));
  EXPECT_TRUE(chunk.overtake(log)) << "twice is once";
  EXPECT_EQ(chunk.liveRows(), 3u);
}

TEST_F(ChunkOvertaken, ForgetsOnlyWhatEverySnapshotInUseSees) {
  update(105, 5, "told", {});
  const Snapshot later = parseSnapshot("110:110:");
  const auto forgetSeenBy = [this](const std::vector<const Snapshot*>& snapshots) {
    log.forgetSeen([&](const tidegate::detail::TransactionName& name) {
      return std::all_of(snapshots.begin(), snapshots.end(), [&](const Snapshot* snapshot) {
        return snapshot->seesShort(static_cast<std::uint32_t>(name.low));
      });
    });
  };
  forgetSeenBy({&later, &chunk.snapshot});
  EXPECT_TRUE(chunk.overtake(log));
  EXPECT_FALSE(chunk.live(4));
  forgetSeenBy({&later});
  EXPECT_TRUE(log.transactions().empty());
}

TEST_F(ChunkOvertaken, CannotBeMendedWhereTooMuchWasTouched) {
  for (int i = 0; i < 20; ++i) update(99, i, "seen", {});
  EXPECT_TRUE(chunk.overtake(log)) << "what the snapshot sees does not matter";
  update(100, 1, "too many are noted by now", {});
  EXPECT_FALSE(chunk.overtake(log));
}

TEST_F(ChunkOvertaken, ATruncateLeavesNothing) {
  ChangeEvent event;
  event.op = ChangeOp::truncate;
  event.shape = shape;
  log.note(event);
  log.commit({.low = 100});
  EXPECT_TRUE(chunk.overtake(log));
  EXPECT_EQ(chunk.liveRows(), 0u);
}

/// An interleave that gives up what it has read when a table is altered.
class StartsAgain final : public StreamInterleave {
 public:
  void restart(std::string_view) override {}
  bool pending() const noexcept override { return true; }
  const std::string& progress() const noexcept override { return progress_; }
  void onChange(const ChangeEvent& event) override {
    if (event.op == ChangeOp::schemaChange) progress_ = "from the first row";
  }
  void onCommit(const StreamedCommit&) override {}
  void onMessage(std::string_view, Lsn) override {}
  bool deliverRows(Lsn, ChangeBatch&) override { return false; }

 private:
  std::string progress_ = "half-way";
};

TEST(BaselinePositions, AnAlterationsOwnPositionSaysThatItsTableIsReadAgain) {
  std::vector<std::string> seen;
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    for (const ChangeEvent& event : batch) seen.emplace_back(progressOf(event.position));
    return Taken::yes;
  };
  Feedback feedback;
  StartsAgain interleave;
  Delivery delivery(handler, feedback, [] {}, {});
  delivery.restart(positionOf({100, 0}, interleave.progress()), &interleave);
  const Shape shape = makeShape({.table = "public.t", .columns = {{.name = "id", .kind = ValueKind::int64}}});
  delivery.begin({.commit = 200});
  delivery.countRow();
  delivery.add(ChangeOp::insert, shape, Delivery::Part::row, 0);
  delivery.added();
  delivery.commit(200, 210);
  delivery.announce(300, shape, std::make_shared<SchemaChange>());
  delivery.flush();
  EXPECT_THAT(seen, testing::ElementsAre("half-way", "from the first row"));
}

}  // namespace
}  // namespace tidegate::postgres::detail
