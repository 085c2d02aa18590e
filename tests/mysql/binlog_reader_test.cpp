// A reader without a server: events as MySQL sends them, made by hand, since no MySQL is at hand to send them.
#include "mysql/detail/binlog_reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/binlog_stream.h"
#include "mysql/octets.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

class BinlogOfMySql : public ::testing::Test {
 protected:
  void SetUp() override {
    tables.want({{"d", "t"}});
    reader.restart(positionFromText("file:1/3/4"));
    reader.take(eventOctets(EventType::rotate, littleOctets(4, 8) + "binlog.000003", 0));
    reader.take(formatOctets("8.0.36"));
  }
  void begin() {
    reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
    reader.take(queryOctets("BEGIN", "d", end += 50));
  }
  void insert(std::uint32_t id) {
    // Names and key, as with binlog_row_metadata = FULL.
    reader.take(tableMapOctets(
        fromHex("01 01 80") + fromHex("04 05 02") + "id" + fromHex("01") + "a" + fromHex("08 01 00"), end += 50));
    reader.take(insertOctets(id, end += 50));
  }
  void commit() { reader.take(eventOctets(EventType::xid, littleOctets(9, 8), end += 50)); }
  /// A transaction behind, so that all before it is handed over.
  std::string handedOver() {
    for (const std::uint32_t id : {998u, 999u}) {
      begin();
      insert(id);
      commit();
    }
    std::string text;
    for (const ChangeEvent& event : events) {
      if (event.op != ChangeOp::progress) text += std::string(toString(event.op)) + " ";
      if (!event.after.empty()) text += describe(event.after[0]) + " ";
    }
    return text;
  }

  SourceCore core{SourceOptions{.connect = {.host = "127.0.0.1", .port = 1}, .batchEvents = 1}};
  BinlogTables tables{[](const TableName&) { return std::optional<CatalogueTable>(); }, core.charsets, core.told};
  std::vector<ChangeEvent> events;
  ChangeHandler handler = [this](ChangeBatch& batch) {
    events.insert(events.end(), batch.begin(), batch.end());
    return Taken::yes;
  };
  BinlogReader reader{core,
                      handler,
                      tables,
                      [](const TableBinding&, std::vector<Value>&, const std::vector<std::uint32_t>&) { return false; },
                      {}};
  std::uint32_t end = 4;
};

TEST_F(BinlogOfMySql, ATransactionIsReadFromItsEvents) {
  begin();
  insert(1);
  insert(2);
  commit();
  EXPECT_EQ(handedOver(), "insert 1 insert 2 insert 998 ");
  EXPECT_TRUE(events[0].transactionBegin && !events[0].transactionEnd && events[1].transactionEnd);
  EXPECT_EQ(positionToText(events[0].position), "file:1/3/4+4294967299") << "from the transaction's beginning";
  EXPECT_EQ(positionToText(events[1].position), "file:1/3/354") << "behind its end";
  EXPECT_EQ(events[0].shape->schema.table, "d.t");
  EXPECT_EQ(events[0].shape->schema.primaryKey, std::vector<std::string>{"id"});
}

TEST_F(BinlogOfMySql, AStatementThatStandsAloneIsATransaction) {
  begin();
  insert(1);
  commit();
  reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
  reader.take(queryOctets("TRUNCATE TABLE t", "d", end += 50));
  reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
  reader.take(queryOctets("CREATE USER somebody", "d", end += 50));
  EXPECT_EQ(handedOver(), "insert 1 truncate insert 998 ");
}

/// lower_case_table_names = 2: the binlog has names as they were written.
TEST_F(BinlogOfMySql, AServerThatFoldsNamesMayWriteThemInAnyCase) {
  tables.want({{"d", "T"}});
  tables.fold(NameFold([](const std::string&) { return Cells(); }));
  begin();
  insert(1);
  commit();
  reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
  reader.take(queryOctets("TRUNCATE TABLE D.t", "other", end += 50));
  EXPECT_EQ(handedOver(), "insert 1 truncate insert 998 ");
  EXPECT_EQ(events[0].shape->schema.table, "d.T");
  EXPECT_EQ(events[1].shape->schema.table, "d.T");
}

/// As MariaDB from 11.7 on: only the last of a transaction's events says where it ends, and that without its upper
/// half.
TEST_F(BinlogOfMySql, ATransactionOfMoreThanFourGibibytesEndsWhereItsEventsDo) {
  constexpr std::size_t kEvents = 5, kOctets = std::size_t{1'000'000'000};
  constexpr auto kIgnored = static_cast<EventType>(160);  // the statement, in words
  // Without checksums nothing looks behind an event's frame: pages that nobody touches take neither time nor memory.
  void* const pages =
      ::mmap(nullptr, kOctets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  std::string_view large(static_cast<const char*>(pages), kOctets);
  const std::string frame = littleOctets(1'700'000'000, 4) + static_cast<char>(kIgnored) + littleOctets(1, 4) +
                            littleOctets(kOctets, 4) + littleOctets(0, 4) + littleOctets(0, 2);
  std::memcpy(pages, frame.data(), frame.size());
  begin();
  insert(1);
  reader.take(formatOctets("8.0.36", false));
  for (std::size_t i = 0; i < kEvents; ++i) reader.take(large);
  reader.take(formatOctets("8.0.36"));
  ::munmap(pages, kOctets);
  const std::uint64_t behind = end + kEvents * kOctets;
  ASSERT_GT(behind, std::uint64_t{UINT32_MAX});
  end = static_cast<std::uint32_t>(behind);
  commit();
  EXPECT_EQ(handedOver(), "insert 1 insert 998 ");
  EXPECT_EQ(positionToText(events.at(0).position), "file:1/3/" + std::to_string(behind + 50));
}

TEST_F(BinlogOfMySql, APlaceBeyondFourGibibytesIsReachedFromTheFilesBeginningOrTheNextOnes) {
  const Border far = placeOf(positionFromText("file:1/3/5000000000")).before;
  const auto startOf = [&](std::uint64_t size, bool next) {
    std::vector<BinlogFile> files{{"binlog.000003", 3, size}};
    if (next) files.push_back({"binlog.000004", 4, 200});
    const Border start = startBorder(far, files);
    return std::to_string(start.file.number) + "/" + std::to_string(start.file.offset);
  };
  EXPECT_EQ(startOf(5'000'000'044, true), "4/4") << "only the rotation lies behind";
  EXPECT_EQ(startOf(5'000'000'000, true), "4/4") << "the server was killed";
  EXPECT_EQ(startOf(5'000'000'200, true), "3/4") << "a transaction of the same group of commits may lie behind";
  EXPECT_EQ(startOf(5'000'000'000, false), "3/4");
  const Border near = placeOf(positionFromText("file:1/3/4294967295")).before;
  EXPECT_EQ(startBorder(near, {{"binlog.000003", 3, 5'000'000'000}}), near);
  BinlogStart start{.from = startBorder(far, {{"binlog.000003", 3, 6'000'000'000}}), .file = "binlog.000003"};
  EXPECT_EQ(dumpCommand(start).substr(0, 4), littleOctets(4, 4));
}

TEST_F(BinlogOfMySql, WhatLiesBeforeAPlaceBeyondFourGibibytesIsPassedOver) {
  Place place = placeOf(positionFromText("file:1/3/5000000000"));
  place.restart = place.before;
  place.restart->file.offset = 4;
  reader.restart(positionOf(place));
  reader.take(eventOctets(EventType::rotate, littleOctets(4, 8) + "binlog.000003", 0));
  reader.take(formatOctets("8.0.36"));
  const auto transaction = [&](std::uint32_t id, std::uint64_t from, std::uint64_t to) {
    end = static_cast<std::uint32_t>(from);
    begin();
    insert(id);
    end = static_cast<std::uint32_t>(to - 50);  // offsets are sent without their upper half
    commit();
  };
  transaction(1, 100, 1'000);
  transaction(2, 1'000, 3'000'000'000);
  transaction(3, 3'000'000'000, 5'000'000'000);
  transaction(4, 5'000'000'000, 5'000'001'000);
  EXPECT_EQ(handedOver(), "insert 4 insert 998 ");
  EXPECT_EQ(positionToText(events[0].position), "file:1/3/5000001000");
}

TEST_F(BinlogOfMySql, AnXaTransactionComesWithItsDecision) {
  const auto prepare = [&](const std::string& xid, std::uint32_t id) {
    reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
    reader.take(queryOctets("XA START " + xid, "d", end += 50));
    insert(id);
    reader.take(queryOctets("XA END " + xid, "d", end += 50));
    reader.take(eventOctets(EventType::xaPrepare,
                            std::string(1, '\0') + littleOctets(1, 4) + littleOctets(1, 4) + littleOctets(0, 4) + "a",
                            end += 50));
  };
  prepare("X'61',X'',1", 1);
  prepare("X'62',X'',1", 2);
  begin();
  insert(3);
  commit();
  for (const char* decision : {"XA ROLLBACK X'61',X'',1", "XA COMMIT X'62',X'',1"}) {
    reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'), end += 50));
    reader.take(queryOctets(decision, "d", end += 50));
  }
  EXPECT_EQ(handedOver(), "insert 3 insert 2 insert 998 ");
  EXPECT_NE(positionToText(events[0].position).find(";xa=file:1/3/4"), std::string::npos);
  EXPECT_EQ(positionToText(events[1].position).find(";xa="), std::string::npos);
}

TEST_F(BinlogOfMySql, ATransactionThatEndsInARollbackIsTakenBack) {
  begin();
  insert(1);
  reader.take(queryOctets("ROLLBACK", "d", end += 50));
  EXPECT_EQ(handedOver(), "insert 998 ");
}

TEST_F(BinlogOfMySql, ARolledBackTransactionThatWasPartlyDeliveredIsALostPlace) {
  begin();
  insert(1);
  insert(2);  // batches of one: the first has been handed over
  try {
    reader.take(queryOctets("ROLLBACK", "d", end += 50));
    ADD_FAILURE() << "it was passed over";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
  }
}

TEST_F(BinlogOfMySql, WhatIsOutOfOrderIsRefused) {
  const std::vector<std::string> misplaced{insertOctets(1), eventOctets(EventType::xid, littleOctets(1, 8))};
  for (const std::string& octets : misplaced) EXPECT_THROW(reader.take(octets), Error);
  begin();
  EXPECT_THROW(reader.take(insertOctets(1)), Error) << "rows of a table that was not described";
  EXPECT_THROW(reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0'))), Error);
}

TEST_F(BinlogOfMySql, WhatCannotBeReadIsSaidWithItsRemedy) {
  begin();
  // Packed in way 7, an empty payload.
  for (const auto& [type, body] : std::vector<std::pair<EventType, std::string>>{
           {EventType::transactionPayload, fromHex("02 01 07 01 01 00 00")}, {EventType::incident, "x"}}) {
    try {
      reader.take(eventOctets(type, body));
      ADD_FAILURE() << "it was passed over";
    } catch (const Error& e) {
      EXPECT_EQ(e.retry(), Retry::afterOperator) << e.what();
      EXPECT_NE(e.message().find("baseline"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace tidegate::mysql::detail
