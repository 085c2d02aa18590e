#include "durable_streams/detail/record.h"

#include <gtest/gtest.h>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {
namespace {

TEST(DurableStreamRecord, ReadsWhatItWrote) {
  std::string out;
  const ProducerStamp producer{"p", 3, 9};
  const std::size_t dataAt = putAppendRecord(
      {.stream = 7, .start = 100, .close = true, .seq = "s1", .producer = &producer, .octets = "abc"}, out);
  EXPECT_EQ(out.substr(dataAt, 3), "abc");
  putMoveRecord(8, 5, "xyz", out);
  putIdRecord(RecordKind::remove, 9, out);
  putNoteRecord("key", "value", out);
  RecordReader reader(out);
  const auto append = reader.next();
  ASSERT_TRUE(append);
  EXPECT_EQ(append->stream, 7u);
  EXPECT_EQ(append->start, 100u);
  EXPECT_TRUE(append->close);
  EXPECT_EQ(append->seq, "s1");
  EXPECT_EQ(append->producer, producer);
  EXPECT_EQ(append->octets, "abc");
  EXPECT_EQ(append->dataAt, dataAt);
  const auto move = reader.next();
  EXPECT_EQ(move->kind, RecordKind::move);
  EXPECT_EQ(move->octets, "xyz");
  EXPECT_EQ(reader.next()->stream, 9u);
  EXPECT_EQ(reader.next()->value, "value");
  EXPECT_FALSE(reader.next());
}

TEST(DurableStreamRecord, KeepsTheWholeStateOfAStream) {
  Stream stream;
  stream.id = 5;
  stream.path = "a/b";
  stream.contentType = "application/json";
  stream.base = 3;
  stream.tail = 90;
  stream.ttl = std::chrono::seconds(60);
  stream.closed = true;
  stream.lastSeq = "";
  stream.closedBy = ProducerStamp{"q", 1, 2};
  stream.sourceId = 4;
  stream.fork = ForkPoint{"a/source", 2, 1};
  stream.producers = std::make_unique<Producers>();
  stream.producers->emplace("q", ProducerState{.epoch = 1, .lastSeq = 2});
  std::string out;
  putStateRecord(stream, out);
  RecordReader reader(out);
  Stream read;
  readState(reader.next()->state, read);
  EXPECT_EQ(read.path, "a/b");
  EXPECT_TRUE(read.json);
  EXPECT_EQ(read.base, 3u);
  EXPECT_EQ(read.tail, 90u);
  EXPECT_EQ(read.ttl, std::chrono::seconds(60));
  EXPECT_TRUE(read.closed);
  EXPECT_EQ(read.lastSeq, "");
  EXPECT_EQ(read.closedBy, (ProducerStamp{"q", 1, 2}));
  EXPECT_EQ(read.sourceId, 4u);
  EXPECT_EQ(read.fork, (ForkPoint{"a/source", 2, 1}));
  EXPECT_EQ(read.producers->at("q").lastSeq, 2u);
}

TEST(DurableStreamRecord, RefusesEveryCutAndEveryFlippedBitOfItsOctets) {
  std::string out;
  putAppendRecord({.stream = 7, .start = 100, .octets = "some octets"}, out);
  for (std::size_t i = 0; i < out.size(); ++i) {
    RecordReader cut(std::string_view(out).substr(0, i));
    EXPECT_TRUE(i == 0 ? !cut.next() : [&] {
      try {
        cut.next();
      } catch (const Error& e) {
        return e.code() == ErrorCode::storeCorrupt;
      }
      return false;
    }()) << i;
  }
  std::string flipped = out;
  flipped[out.size() - 3] = static_cast<char>(flipped[out.size() - 3] ^ 1);
  EXPECT_THROW(RecordReader(flipped).next(), Error);
}

TEST(DurableStreamRecord, ABatchIsWholeOnlyWithItsSeedAndCommit) {
  std::string batch(kBatchHeader, '\0');
  putIdRecord(RecordKind::remove, 9, batch);
  sealBatch(batch, 12, 77);
  const auto head = readBatchHeader(batch);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->commit, 12u);
  const std::string_view records = std::string_view(batch).substr(kBatchHeader);
  EXPECT_TRUE(batchIsWhole(*head, records, 77));
  EXPECT_FALSE(batchIsWhole(*head, records, 78));
  BatchHead other = *head;
  other.commit = 13;
  EXPECT_FALSE(batchIsWhole(other, records, 77));
}

TEST(DurableStreamPosition, SortsAsTextAsItDoesAsANumber) {
  test::Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const Position a = random.below(std::uint64_t{1} << random.below(53));
    const Position b = random.below(std::uint64_t{1} << random.below(53));
    EXPECT_EQ(a < b, formatPosition(a) < formatPosition(b));
    EXPECT_EQ(parsePosition(formatPosition(a)), a);
  }
}

TEST(DurableStreamPosition, RefusesWhatNoServerGaveOut) {
  for (const char* text : {"", "_", "1", "-1", "now", "0_", "_0", "0_1_2", "0_x", "+0_1",
                           "0000000000000000_00000000000000001", " 0_1", "0_1 "}) {
    EXPECT_EQ(parsePosition(text), std::nullopt) << text;
  }
  EXPECT_GT(*parsePosition("9999999999999999_9999999999999999"), Position{1} << 60);
}

}  // namespace
}  // namespace tidegate::durable_streams::detail
