/// Texts as values, schemas as shapes, places as positions, requests as URLs.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "electric/detail/source_schema.h"
#include "electric/detail/source_types.h"
#include "electric/detail/source_url.h"
#include "electric/source_reader_rig.h"
#include "support/property.h"
#include "tidegate/core/json.h"

namespace tidegate::electric::test {
namespace {

using tidegate::test::Random;

/// A cell of a page's table without its back quotes.
std::string plainCell(std::string cell) {
  while (cell.starts_with(' ')) cell.erase(0, 1);
  while (cell.ends_with(' ')) cell.pop_back();
  if (cell.size() >= 2 && cell.front() == '`' && cell.back() == '`') cell = cell.substr(1, cell.size() - 2);
  return cell;
}

std::vector<std::vector<std::string>> typesOnThePage() {
  std::ifstream page(TIDEGATE_TYPES_PAGE);
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line == "## Electric";
    if (!inside || !line.starts_with("| `")) continue;
    std::vector<std::string>& cells = rows.emplace_back();
    std::istringstream parts(line.substr(1));
    for (std::string cell; std::getline(parts, cell, '|');) cells.push_back(plainCell(cell));
  }
  return rows;
}

TEST(ElectricTypes, AreReadAsThePageSays) {
  const auto rows = typesOnThePage();
  ASSERT_GT(rows.size(), 30u);
  for (const auto& cells : rows) {
    ASSERT_EQ(cells.size(), 4u);
    SCOPED_TRACE(cells[0] + " " + cells[1]);
    std::string type = cells[0];
    std::uint64_t dims = 0;
    for (; type.ends_with("[]"); type.resize(type.size() - 2)) ++dims;
    Value value;
    columnTypeOf(type, dims).read(cells[1], value);
    EXPECT_EQ(toString(value.kind()), cells[2]);
    EXPECT_EQ(toJson(value), cells[3]);
    if (value.kind() != ValueKind::text) {
      EXPECT_EQ(columnTypeOf(type, dims).kind, value.kind());
    }
  }
}

TEST(ElectricSchema, ColumnsStandKeyFirstThenByNameAndSayTheirTypes) {
  const RowReader reader(
      {.table = "t"},
      R"({"z":{"type":"numeric","precision":10,"scale":2},"b":{"type":"int4","dims":1},"k2":{"type":"int8","pk_index":0},)"
      R"("a":{"type":"timestamptz","precision":3},"k1":{"type":"varchar","max_length":8,"pk_index":1}})");
  const TableShape& shape = *reader.shape();
  EXPECT_EQ(shape.columns->names(), (std::vector<std::string>{"k2", "k1", "a", "b", "z"}));
  EXPECT_EQ(shape.schema.primaryKey, (std::vector<std::string>{"k2", "k1"}));
  EXPECT_FALSE(shape.schema.columns[0].nullable) << "a key is never null";
  std::vector<std::string> types;
  for (const ColumnSchema& column : shape.schema.columns) types.push_back(column.sourceType);
  EXPECT_EQ(types, (std::vector<std::string>{"bigint", "character varying(8)", "timestamp(3) with time zone",
                                             "integer[]", "numeric(10,2)"}));
  EXPECT_EQ(shape.schema.columns[3].kind, ValueKind::text) << "an array";
}

TEST(ElectricSchema, OptionsSayOrderKeyAndName) {
  const RowReader reader({.table = "t", .name = "things", .columns = {"b", "a"}, .key = {"a"}},
                         R"({"a":{"type":"int8"},"b":{"type":"text"}})");
  EXPECT_EQ(reader.shape()->schema.table, "things");
  EXPECT_EQ(reader.shape()->columns->names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(reader.shape()->key, std::vector<std::uint32_t>{1});
  EXPECT_THROW(RowReader({.table = "t", .key = {"c"}}, R"({"a":{"type":"int8"}})"), Error);
}

TEST(ElectricOffsets, AreReadStrictlyAndWrittenAsTheyWere) {
  for (const char* text : {"-1", "0_0", "0_inf", "26800584_4", "9223372036854775806_18446744073709551614"}) {
    const auto read = offsetFromText(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(toText(*read), text);
  }
  for (const char* text : {"", "now", "1", "_", "1_", "_1", "1_2_3", "1_2 ", " 1_2", "+1_2", "1_-2", "-2_0", "0x1_0",
                           "9223372036854775807_0", "1_18446744073709551615", "99999999999999999999_0"}) {
    EXPECT_FALSE(offsetFromText(text)) << text;
  }
  EXPECT_LT(*offsetFromText("-1"), *offsetFromText("0_0"));
  EXPECT_LT(*offsetFromText("0_inf"), *offsetFromText("1_0"));
}

ShapePlace randomPlace(Random& random) {
  if (random.chance(5)) return {};
  const std::uint64_t log = random.below(3);
  ShapePlace place{.handle = "h" + std::to_string(log), .epoch = 10 * log + random.below(5)};
  if (random.chance(40)) place.reading = 100 * log + 1 + random.below(3);
  place.at = random.chance(20) ? LogOffset{} : LogOffset{static_cast<std::int64_t>(random.below(3)), random.below(3)};
  if (random.chance(30)) {
    place.index = 1 + static_cast<std::uint32_t>(random.below(3));
    place.mark = 7;
  }
  return place;
}

SourcePlaces randomPlaces(Random& random) {
  SourcePlaces places;
  for (const char* name : {"items", "schema.\"Odd;=!@~+/ ä\"", "z"}) places.shapes[name] = randomPlace(random);
  if (random.chance(30)) places.open = 1 + random.below(1'000);
  return places;
}

TEST(ElectricPositions, AreAPartialOrderWithAMeetAndKeepTheirText) {
  tidegate::test::forEachSeed(300, [](std::uint64_t seed) {
    Random random(seed);
    const SourcePlaces a = randomPlaces(random), b = randomPlaces(random), c = randomPlaces(random);
    EXPECT_TRUE(decodePlaces(encodePlaces(a)) == a);
    EXPECT_TRUE(encodePlaces(placesFromText(placesToText(a))) == encodePlaces(a)) << placesToText(a);
    EXPECT_EQ(compareSourcePlaces(a, a), std::partial_ordering::equivalent);
    const auto ab = compareSourcePlaces(a, b), bc = compareSourcePlaces(b, c);
    EXPECT_EQ(compareSourcePlaces(b, a) > 0, ab < 0);
    if (ab < 0 && bc < 0) {
      EXPECT_TRUE(compareSourcePlaces(a, c) < 0) << "transitive";
    }
    const SourcePlaces met = meetPlaces(a, b), joined = joinPlaces(a, b);
    EXPECT_TRUE(compareSourcePlaces(met, a) <= 0);
    EXPECT_TRUE(compareSourcePlaces(met, b) <= 0);
    EXPECT_TRUE(compareSourcePlaces(joined, a) >= 0);
    if (compareSourcePlaces(c, a) <= 0 && compareSourcePlaces(c, b) <= 0) {
      EXPECT_TRUE(compareSourcePlaces(c, met) <= 0) << "the greatest of them";
    }
  });
}

TEST(ElectricPositions, AShapeThatOneSideAloneKnowsSaysNothing) {
  SourcePlaces both, one, other;
  both.shapes["a"] = {.handle = "h", .epoch = 1, .at = {5, 0}};
  both.shapes["b"] = {.handle = "g", .epoch = 1, .at = {7, 0}};
  one.shapes["a"] = {.handle = "h", .epoch = 9, .at = {4, 0}};
  other.shapes["b"] = {.handle = "g", .epoch = 2, .at = {9, 0}};
  EXPECT_TRUE(compareSourcePlaces(one, both) < 0) << "when a handle was first seen does not matter within its log";
  EXPECT_EQ(compareSourcePlaces(one, other), std::partial_ordering::unordered);
  const SourcePlaces met = meetPlaces(one, other);
  EXPECT_EQ(met.shapes.size(), 2u) << "a table that joins later keeps the place of its baseline";
  EXPECT_TRUE(met.shapes.at("b") == other.shapes.at("b"));
}

TEST(ElectricPositions, OctetsThatAreNoneAreRefused) {
  const std::string good = encodePlaces({.shapes = {{"a", {.handle = "h", .epoch = 1, .at = {5, 0}}}}}).octets;
  EXPECT_NO_THROW(decodePlaces({good}));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(decodePlaces({good.substr(0, size)}), Error) << size;
  }
  EXPECT_THROW(decodePlaces({good + "x"}), Error);
  EXPECT_THROW(decodePlaces({"\x02" + good.substr(1)}), Error);
}

TEST(ElectricRequests, AreOneUrlForOneRequest) {
  const SourceOptions options{
      .url = "http://127.0.0.1:3000/v1/shape", .shapes = {}, .parameters = {{"secret", "a&b"}, {"database_id", "7"}}};
  const SourceShape shape{.table = "shop.items",
                          .where = "region = $1 AND \"Size\" > $2",
                          .params = {"e u", "10"},
                          .columns = {"id", "Size", "a\"b"},
                          .replica = ReplicaMode::full};
  EXPECT_EQ(urlOf(options, shape, {.kind = RequestKind::page}),
            "http://127.0.0.1:3000/v1/shape?columns=id%2C%22Size%22%2C%22a%22%22b%22&database_id=7&offset=-1"
            "&params%5B1%5D=e%20u&params%5B2%5D=10&replica=full&secret=a%26b&table=shop.items"
            "&where=region%20%3D%20%241%20AND%20%22Size%22%20%3E%20%242");
  EXPECT_EQ(urlOf({.url = "https://x/s?k=v"}, {.table = "t"},
                  {.kind = RequestKind::events,
                   .from = {12, 3},
                   .handle = "h/1",
                   .cursor = "9",
                   .expired = "old",
                   .cacheKey = 5}),
            "https://x/s?k=v&cache-buster=5&cursor=9&expired_handle=old&handle=h%2F1&live=true&live_sse=true"
            "&offset=12_3&table=t");
}

TEST(ElectricOptions, ThatCannotWorkAreNamed) {
  const auto complaintOf = [](SourceOptions options) -> std::string {
    try {
      checkSourceOptions(options);
      return "none";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
      return e.message();
    }
  };
  const std::string url = "http://127.0.0.1/v1/shape";
  EXPECT_EQ(complaintOf({.url = url, .shapes = {{.table = "a"}}}), "none");
  EXPECT_NE(complaintOf({.url = "ftp://x", .shapes = {{.table = "a"}}}).find("url"), std::string::npos);
  EXPECT_NE(complaintOf({.url = url}).find("shapes"), std::string::npos);
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a"}, {.table = "a"}}}).find("\"a\""), std::string::npos);
  EXPECT_EQ(complaintOf({.url = url, .shapes = {{.table = "a"}, {.table = "a", .name = "b"}}}), "none");
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a", .params = {"1"}}}}).find("params"), std::string::npos);
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a", .columns = {"x"}, .key = {"id"}}}}).find("key"),
            std::string::npos);
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a"}}, .parameters = {{"offset", "1"}}}).find("offset"),
            std::string::npos);
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a"}}, .batchEvents = 0}).find("batchEvents"),
            std::string::npos);
  EXPECT_NE(complaintOf({.url = url, .shapes = {{.table = "a"}}, .mergeWait = {}}).find("mergeWait"),
            std::string::npos);
}

}  // namespace
}  // namespace tidegate::electric::test
