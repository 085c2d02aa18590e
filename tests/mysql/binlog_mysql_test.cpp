// What only MySQL sends, from octets made by hand after its published formats: GTID sets, compressed transactions,
// partial updates of JSON documents.
#include <gtest/gtest.h>
#include <zstd.h>

#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "mysql/detail/binlog_link.h"
#include "mysql/detail/binlog_reader.h"
#include "mysql/detail/gtid_set.h"
#include "mysql/detail/json_diff.h"
#include "mysql/detail/snapshot_place.h"
#include "mysql/detail/transaction_payload.h"
#include "mysql/octets.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr const char* kFirst = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
constexpr const char* kSecond = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

Uuid uuidOf(const char* text) {
  Uuid uuid;
  EXPECT_TRUE(parseUuid(text, uuid));
  return uuid;
}

std::string uuidOctets(const char* text) {
  std::string octets;
  for (const std::uint8_t octet : uuidOf(text).octets) octets.push_back(static_cast<char>(octet));
  return octets;
}

std::string packedOctets(std::uint64_t number) {
  if (number < 251) return littleOctets(number, 1);
  if (number < 0x10000) return '\xFC' + littleOctets(number, 2);
  return '\xFD' + littleOctets(number, 3);
}

TEST(GtidSets, AreReadBackFromTheirTextAndTheirOctets) {
  for (const std::string& text :
       std::vector<std::string>{std::string(), std::string(kFirst) + ":1-5", std::string(kFirst) + ":1-5:8:11-12",
                                std::string(kFirst) + ":3," + kSecond + ":1-9223372036854775806",
                                std::string(kFirst) + ":1-5:_b2:1:orders:1-3:7," + kSecond + ":other_tag:2"}) {
    const GtidSet set = gtidSetFromText(text);
    EXPECT_EQ(gtidSetToText(set), text);
    EXPECT_TRUE(gtidSetFromOctets(gtidSetToOctets(set)) == set) << text;
    EXPECT_EQ(positionToText(positionFromText("uuid:" + text)), "uuid:" + text);
  }
  // As the server writes them: upper case, over several lines, in any order, touching each other.
  EXPECT_EQ(gtidSetToText(
                gtidSetFromText("4E11FA47-71CA-11E1-9E33-C80AA9429562:2:1,\n" + std::string(kFirst) + ":5-6:1-3:4")),
            std::string(kFirst) + ":1-6," + kSecond + ":1-2");
  EXPECT_EQ(gtidSetToText(gtidSetFromText(std::string(kFirst) + ":Orders:4," + kFirst + ":1," + kFirst + ":orders:5")),
            std::string(kFirst) + ":1:orders:4-5");
}

TEST(GtidSets, StandInTheProtocolAsItSays) {
  EXPECT_EQ(gtidSetToOctets(gtidSetFromText(std::string(kFirst) + ":1-5:8")),
            littleOctets(1, 8) + uuidOctets(kFirst) + littleOctets(2, 8) + littleOctets(1, 8) + littleOctets(6, 8) +
                littleOctets(8, 8) + littleOctets(9, 8));
  BinlogStart start{.serverId = 7};
  start.from.by = BorderBy::sources;
  start.from.set = gtidSetFromText(std::string(kFirst) + ":1-5");
  const std::string data = gtidSetToOctets(start.from.set);
  EXPECT_EQ(dumpCommand(start), littleOctets(4, 2) + littleOctets(7, 4) + littleOctets(0, 4) + littleOctets(4, 8) +
                                    littleOctets(data.size(), 4) + data);
  start.from = {.by = BorderBy::file, .file = {1, 3, 4567}};
  start.file = "binlog.000003";
  EXPECT_EQ(dumpCommand(start), littleOctets(4567, 4) + littleOctets(0, 2) + littleOctets(7, 4) + "binlog.000003");
}

TEST(GtidSets, WhatIsNoneIsRefused) {
  for (const std::string& text : std::vector<std::string>{
           "x", "3e11fa47-71ca-11e1-9e33-c80aa9429562",
           "3e11fa47-71ca-11e1-9e33-c80aa9429562:", "3e11fa47-71ca-11e1-9e33-c80aa9429562:0",
           "3e11fa47-71ca-11e1-9e33-c80aa9429562:5-4", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-",
           "3e11fa47-71ca-11e1-9e33-c80aa9429562:tag", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1:tag",
           "3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:other:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562:no-tag:1",
           "3e11fa47-71ca-11e1-9e33-c80aa9429562:a23456789012345678901234567890123:1", "0-1-5"}) {
    EXPECT_THROW(gtidSetFromText(text), Error) << text;
    EXPECT_THROW(positionFromText("uuid:" + text), Error) << text;
  }
  for (const char* intervals : {":1-5:8", ":1-5:orders:8"}) {
    const std::string good = gtidSetToOctets(gtidSetFromText(kFirst + std::string(intervals)));
    for (std::size_t size = 1; size < good.size(); ++size) EXPECT_THROW(gtidSetFromOctets(good.substr(0, size)), Error);
    EXPECT_THROW(gtidSetFromOctets(good + "x"), Error);
  }
  EXPECT_THROW(gtidSetFromOctets(littleOctets(1, 7) + '\x02'), Error) << "a form that nobody knows";
}

/// MySQL 9.7 says so in `gtid_owned`: nothing stands between one server's and the next's.
TEST(GtidSets, WhatIsOwnedIsReadAsTheServerSaysIt) {
  EXPECT_TRUE(gtidsOwned("").empty());
  const std::set<std::string> owned{std::string(kFirst) + ":9", std::string(kFirst) + ":7",
                                    std::string(kFirst) + ":tag_b:7", std::string(kSecond) + ":12"};
  EXPECT_EQ(gtidsOwned(std::string(kFirst) + ":9#13:7#11" + kFirst + ":tag_b:7#12" + kSecond + ":12#4"), owned);
}

TEST(GtidSets, WithTagsArePositionsToo) {
  const std::string border = std::string("uuid:") + kFirst + ":1-5:orders:1";
  for (const std::string& text : {border, border + "+7@" + kFirst + ":6", border + "+7@" + kFirst + ":orders:2",
                                  std::string("uuid:") + kFirst + ":1-5+7@" + kFirst + ":orders:1",
                                  std::string("uuid:") + kFirst + ":1-5;xa=uuid:" + kFirst + ":1-4:orders:1"}) {
    const Position position = positionFromText(text);
    EXPECT_EQ(positionToText(position), text);
    EXPECT_TRUE(positionOf(placeOf(position)) == position);
  }
  const Place before = placeOf(positionFromText(border)), after = placeOf(positionFromText(border + "-2"));
  EXPECT_EQ(comparePlaces(before, after), std::partial_ordering::less);
  std::string octets = positionFromText(std::string("uuid:") + kFirst + ":1").octets;
  octets[0] = 'T';
  octets.insert(2 + 16, 1, '\0');
  EXPECT_THROW(placeOf({octets}), Error) << "the form with tags, and none";
}

/// As MySQL 9.7.4 sends it: each field is its number, then its value.
TEST(GtidSets, ATaggedTransactionsEventIsRead) {
  const std::string body = fromHex(
      "02 78 00 00 00 02 5d 02 b2 d2 d1 02 b1 03 5d 02 22 c5 03 a5 02 f1 03 04 f1 03 00 00 00 02 04 04 06 0c 6f 72 64 "
      "65 "
      "72 73 08 18 0a 1c 0c 7f b1 74 22 27 7a 61 06 10 7d 04 12 83 12 0b");
  const BinlogEvent event{.type = EventType::mysqlTaggedGtid, .body = body};
  EXPECT_EQ(gtidToText(readMySqlGtid(event)), "975969b4-ec97-11f1-a9fc-02fc00000001:orders:1");
  for (std::size_t size = 0; size < 40; ++size) {
    EXPECT_THROW(readMySqlGtid({.type = EventType::mysqlTaggedGtid, .body = std::string_view(body).substr(0, size)}),
                 Error)
        << size;
  }
}

/// Against a plain set of numbers.
TEST(GtidSets, HoldWhatAPlainSetHolds) {
  test::forEachSeed(300, [](std::uint64_t seed) {
    test::Random random(seed);
    const Uuid source = uuidOf(kFirst);
    GtidSet a, b;
    std::set<std::uint64_t> plainA, plainB;
    const auto fill = [&](GtidSet& set, std::set<std::uint64_t>& plain) {
      for (std::size_t n = random.index(6); n > 0; --n) {
        const std::uint64_t first = 1 + random.below(20), last = first + random.below(4);
        set.add(source, {first, last});
        for (std::uint64_t i = first; i <= last; ++i) plain.insert(i);
      }
    };
    fill(a, plainA);
    fill(b, plainB);
    const GtidSet met = a.meet(b);
    for (std::uint64_t i = 1; i < 30; ++i) {
      EXPECT_EQ(a.contains(source, i), plainA.count(i) == 1);
      EXPECT_EQ(met.contains(source, i), plainA.count(i) == 1 && plainB.count(i) == 1);
    }
    EXPECT_EQ(a.within(b), std::includes(plainB.begin(), plainB.end(), plainA.begin(), plainA.end()));
    Border left{.by = BorderBy::sources, .set = a}, right{.by = BorderBy::sources, .set = b};
    EXPECT_EQ(compareBorders(left, right) == 0, plainA == plainB);
    const Position position = positionOf({.before = left});
    EXPECT_TRUE(positionOf(placeOf(position)) == position);
    EXPECT_TRUE(positionFromText(positionToText(position)) == position);
    EXPECT_TRUE(placeOf(position).before == left);
    const Place both = meetOf({.before = left}, {.before = right});
    EXPECT_TRUE(both.before.set == met);
  });
}

TEST(GtidSets, AreThePositionsOfAStream) {
  const std::string text = std::string("uuid:") + kFirst + ":1-5";
  EXPECT_EQ(comparePlaces(placeOf(positionFromText(text)), placeOf(positionFromText(text + ":7"))),
            std::partial_ordering::less);
  EXPECT_EQ(comparePlaces(placeOf(positionFromText(text)), placeOf(positionFromText("0-1-5"))),
            std::partial_ordering::unordered);
  const std::string within = text + "+7@" + kFirst + ":6";
  EXPECT_EQ(positionToText(positionFromText(within)), within);
  EXPECT_THROW(positionFromText(text + "+7@0-1-6"), Error) << "a transaction of the other server's kind";
  EXPECT_THROW(positionFromText(std::string("0-1-5+7@") + kFirst + ":6"), Error);
}

/// A reader without a server, of table d.t (id INT, doc JSON).
class MySqlEvents : public ::testing::Test {
 protected:
  void startAt(const std::string& position) {
    tables.want({{"d", "t"}});
    reader.restart(positionFromText(position));
    reader.take(eventOctets(EventType::rotate, littleOctets(4, 8) + "binlog.000003", 0));
    reader.take(formatOctets("8.0.36"));
  }
  void gtid(const char* source, std::uint64_t count) {
    reader.take(eventOctets(EventType::mysqlGtid,
                            std::string(1, '\1') + uuidOctets(source) + littleOctets(count, 8) + std::string(17, '\0'),
                            end += 50));
  }
  static std::string begin() { return queryOctets("BEGIN"); }
  static std::string commit() { return eventOctets(EventType::xid, littleOctets(9, 8)); }
  /// (id INT NOT NULL, doc JSON), with names and key.
  static std::string documentMap() {
    return eventOctets(EventType::tableMap, littleOctets(7, 6) + littleOctets(1, 2) + fromHex("01") + "d" + '\0' +
                                                fromHex("01") + "t" + '\0' + fromHex("02 03 f5 01 04 02") +
                                                fromHex("04 07 02") + "id" + fromHex("03") + "doc" +
                                                fromHex("08 01 00"));
  }
  static std::string textMap() {
    return tableMapOctets(fromHex("01 01 80") + fromHex("04 05 02") + "id" + fromHex("01") + "a" + fromHex("08 01 00"));
  }
  /// {"a": 1}: a small object with one key and an int16 in its entry.
  static std::string smallDocument() { return fromHex("00 0100 0c00 0b00 0100 05 0100") + "a"; }
  static std::string partialUpdate(const std::string& before, const std::string& presentBefore,
                                   const std::string& diffs) {
    return eventOctets(EventType::partialUpdateRows, littleOctets(7, 6) + littleOctets(1, 2) + littleOctets(2, 2) +
                                                         fromHex("02") + presentBefore + fromHex("03") + before +
                                                         fromHex("01 01 00") + littleOctets(1, 4) +
                                                         littleOctets(diffs.size(), 4) + diffs);
  }
  static std::string diff(char operation, const std::string& path, const std::string& value) {
    return std::string(1, operation) + packedOctets(path.size()) + path +
           (operation == '\2' ? std::string() : packedOctets(value.size()) + value);
  }
  void transaction(const std::vector<std::string>& octets) {
    gtid(kFirst, ++number);
    reader.take(begin());
    for (const std::string& event : octets) reader.take(event);
    reader.take(commit());
  }
  void handOver() {
    transaction({textMap(), insertOctets(998)});
    transaction({textMap(), insertOctets(999)});
  }

  SourceCore core{SourceOptions{.connect = {.host = "127.0.0.1", .port = 1}, .batchEvents = 1}};
  BinlogTables tables{[](const TableName&) { return std::optional<CatalogueTable>(); }, core.charsets, core.told};
  std::vector<ChangeEvent> events;
  ChangeHandler handler = [this](ChangeBatch& batch) {
    events.insert(events.end(), batch.begin(), batch.end());
    return Taken::yes;
  };
  int filled = 0;
  BinlogReader reader{core,
                      handler,
                      tables,
                      [this](const TableBinding&, std::vector<Value>& row, const std::vector<std::uint32_t>& columns) {
                        ++filled;
                        for (const std::uint32_t i : columns) row[i] = Value(Json{"\"from the table\""});
                        return true;
                      },
                      {}};
  std::uint32_t end = 4;
  std::uint64_t number = 5;
};

TEST_F(MySqlEvents, PositionsAreTheGtidsThatWerePassed) {
  startAt(std::string("uuid:") + kFirst + ":1-5");
  transaction({textMap(), insertOctets(1), insertOctets(2)});
  gtid(kSecond, 3);
  for (const auto& event : {begin(), textMap(), insertOctets(3), commit()}) reader.take(event);
  handOver();
  EXPECT_EQ(positionToText(events.at(0).position), std::string("uuid:") + kFirst + ":1-5+4294967299@" + kFirst + ":6");
  EXPECT_EQ(positionToText(events.at(1).position), std::string("uuid:") + kFirst + ":1-6");
  EXPECT_EQ(positionToText(events.at(2).position), std::string("uuid:") + kFirst + ":1-6," + kSecond + ":3");
  for (std::size_t i = 1; i < events.size(); ++i) {
    EXPECT_EQ(comparePlaces(placeOf(events[i - 1].position), placeOf(events[i].position)), std::partial_ordering::less);
  }
}

TEST_F(MySqlEvents, AStreamGoesOnWithinATransaction) {
  startAt(std::string("uuid:") + kFirst + ":1-5+4294967299@" + kFirst + ":6");
  transaction({textMap(), insertOctets(1), insertOctets(2)});
  handOver();
  EXPECT_EQ(describe(events.at(0).after.at(0)), "2") << "the first was taken before";
  EXPECT_TRUE(!events[0].transactionBegin && events[0].transactionEnd);
}

TEST_F(MySqlEvents, ATransactionWithoutAGtidCannotBeNamed) {
  startAt(std::string("uuid:") + kFirst + ":1-5");
  try {
    reader.take(eventOctets(EventType::anonymousGtid, std::string(25, '\0')));
    ADD_FAILURE() << "it was passed over";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
    EXPECT_NE(e.message().find("SET GLOBAL gtid_mode = ON"), std::string::npos) << e.what();
  }
  EXPECT_THROW(reader.take(eventOctets(EventType::mysqlTaggedGtid, "x")), Error);
}

std::string zstd(const std::string& octets) {
  std::string packed(ZSTD_compressBound(octets.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), octets.data(), octets.size(), 3));
  return packed;
}

/// @param way 0: zstd, 255: not packed.
std::string payloadBody(const std::string& payload, std::uint64_t way, std::size_t unpacked) {
  const auto field = [](std::uint64_t type, std::uint64_t value) {
    const std::string octets = packedOctets(value);
    return packedOctets(type) + packedOctets(octets.size()) + octets;
  };
  return field(2, way) + field(3, unpacked) + field(9, 1) + field(1, payload.size()) + '\0' + payload;
}

TEST_F(MySqlEvents, ACompressedTransactionIsReadAsItsEvents) {
  startAt(std::string("uuid:") + kFirst + ":1-5");
  std::string inner = nested(begin()) + nested(textMap());
  for (std::uint32_t id = 1; id <= 20'000; ++id) inner += nested(insertOctets(id));
  inner += nested(commit());
  const std::string half = inner.substr(0, inner.size() / 2), rest = inner.substr(half.size());
  // Whole, in two frames one behind the other, and not packed at all.
  for (const std::string& body :
       {payloadBody(zstd(inner), 0, inner.size()), payloadBody(zstd(half) + zstd(rest), 0, inner.size()),
        payloadBody(inner, 255, inner.size())}) {
    gtid(kFirst, ++number);
    reader.take(eventOctets(EventType::transactionPayload, body, end += 50));
  }
  handOver();
  ASSERT_GE(events.size(), 60'000u);
  EXPECT_EQ(describe(events[19'999].after.at(0)), "20000");
  EXPECT_TRUE(events[0].transactionBegin && events[19'999].transactionEnd && events[20'000].transactionBegin);
  EXPECT_EQ(positionToText(events[19'999].position), std::string("uuid:") + kFirst + ":1-6");
}

TEST_F(MySqlEvents, ADamagedPayloadIsRefusedWhereverItIsCut) {
  const std::string inner = nested(begin()) + nested(textMap()) + nested(insertOctets(1)) + nested(commit());
  const auto readAll = [](const std::string& body) {
    TransactionPayload payload(body);
    int count = 0;
    while (payload.next()) ++count;
    return count;
  };
  EXPECT_EQ(readAll(payloadBody(zstd(inner), 0, inner.size())), 4);
  const std::string packed = zstd(inner);
  for (std::size_t size = 1; size < packed.size(); ++size) {
    EXPECT_THROW(readAll(payloadBody(packed.substr(0, size), 0, inner.size())), Error) << size;
  }
  EXPECT_THROW(readAll(payloadBody(inner.substr(0, inner.size() - 1), 255, inner.size())), Error);
  EXPECT_THROW(readAll(fromHex("02 01 00 00")), Error) << "without its size";
  EXPECT_THROW(readAll(fromHex("02 01 00 01 01 09 00 00")), Error) << "shorter than it says";
}

TEST(JsonDiffs, DoWhatMySqlDoes) {
  const auto small = [](int n) { return fromHex("05") + littleOctets(static_cast<std::uint64_t>(n), 2); };
  const std::string text = fromHex("0c 01") + "x";
  const auto diff = [](char operation, const std::string& path, const std::string& value) {
    return std::string(1, operation) + packedOctets(path.size()) + path +
           (operation == '\2' ? std::string() : packedOctets(value.size()) + value);
  };
  struct Case {
    std::string before, diffs, after;
  };
  for (const Case& one : std::vector<Case>{
           {R"({"a": 1})", diff('\0', "$.a", small(2)), R"({"a": 2})"},
           {R"({"a": 1})", diff('\1', "$.b", text), R"({"a": 1, "b": "x"})"},
           {R"({"aa": 1})", diff('\1', "$.b", small(2)), R"({"b": 2, "aa": 1})"},  // ordered by length first
           {R"({"a": 1, "b": 2})", diff('\2', "$.a", ""), R"({"b": 2})"},
           {R"([1, 2, 3])", diff('\1', "$[1]", small(9)), R"([1, 9, 2, 3])"},
           {R"([1, 2, 3])", diff('\1', "$[7]", small(9)), R"([1, 2, 3, 9])"},
           {R"([1, 2, 3])", diff('\2', "$[last]", "") + diff('\0', "$[last-1]", small(7)), R"([7, 2])"},
           {R"({"a": [{"b c": null}]})", diff('\0', "$.a[0].\"b c\"", small(5)), R"({"a": [{"b c": 5}]})"},
           {R"({"a": {"k\"": 1}})", diff('\2', "$.a.\"k\\\"\"", ""), R"({"a": {}})"},
           {R"({"a": 1})", diff('\0', "$.a[0]", small(2)), R"({"a": 2})"},  // a scalar is an array of one
           {R"({"a": 1})", diff('\0', "$", text), R"("x")"},
           {R"({"n": 10000000000000000000.10, "e": 1e300})", diff('\1', "$.z", small(1)),
            R"({"n": 10000000000000000000.10, "e": 1e300, "z": 1})"},
           {R"({"a": 1})", "", R"({"a": 1})"}}) {
    std::string document = one.before;
    applyJsonDiffs(one.diffs, document);
    EXPECT_EQ(document, one.after) << one.before;
  }
  for (const std::string& bad :
       {diff('\0', "$.b", small(1)), diff('\1', "$.a", small(1)), diff('\2', "$.b", ""), diff('\2', "$", ""),
        diff('\1', "$.a[0]", small(1)), diff('\0', "a", small(1)), diff('\0', "$.", small(1)),
        diff('\0', "$[x]", small(1)), diff('\3', "$.a", small(1)), std::string("\1\5$.a", 5)}) {
    std::string document = R"({"a": 1})";
    EXPECT_THROW(applyJsonDiffs(bad, document), Error) << document;
  }
}

std::string documentOf(const Value& value) {
  const Json* const json = value.getIf<Json>();
  return json == nullptr ? "no document" : json->text;
}

TEST_F(MySqlEvents, APartialUpdateIsAppliedToTheRowBefore) {
  startAt(std::string("uuid:") + kFirst + ":1-5");
  const std::string document = smallDocument();
  const std::string before = fromHex("00") + littleOctets(1, 4) + littleOctets(document.size(), 4) + document;
  transaction({documentMap(), partialUpdate(before, fromHex("03"), diff('\1', "$.b", fromHex("05 0700")))});
  handOver();
  EXPECT_EQ(documentOf(events.at(0).before.at(1)), R"({"a": 1})");
  EXPECT_EQ(documentOf(events.at(0).after.at(1)), R"({"a": 1, "b": 7})");
  EXPECT_TRUE(events[0].unchanged.empty());
  EXPECT_EQ(filled, 0);
}

TEST_F(MySqlEvents, APartialUpdateWithoutTheRowBeforeIsReadFromTheTable) {
  startAt(std::string("uuid:") + kFirst + ":1-5");
  transaction({documentMap(), partialUpdate(fromHex("00") + littleOctets(1, 4), fromHex("01"),
                                            diff('\1', "$.b", fromHex("05 0700")))});
  handOver();
  EXPECT_EQ(documentOf(events.at(0).after.at(1)), "\"from the table\"");
  EXPECT_TRUE(events[0].unchanged.empty());
  EXPECT_EQ(filled, 1);
}

}  // namespace
}  // namespace tidegate::mysql::detail
