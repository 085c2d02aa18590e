/// Part of sink_contract.h: values of every kind, and names that try to be SQL.
#pragma once

#include <cmath>
#include <limits>
#include <map>

#include "contract/sink_rig.h"

namespace tidegate::contract {

/// Values of a kind, the awkward ones first.
inline std::vector<Value> awkwardValues(ValueKind kind) {
  using Doubles = std::numeric_limits<double>;
  switch (kind) {
    case ValueKind::null:
      return {};
    case ValueKind::boolean:
      return {true, false};
    case ValueKind::int64:
      return {INT64_MIN, INT64_MAX, 0, -1, std::int64_t{9'007'199'254'740'993}};
    case ValueKind::uint64:
      return {UINT64_MAX, std::uint64_t{9'223'372'036'854'775'808u}, 7, 0};
    case ValueKind::real:
      return {Doubles::quiet_NaN(),
              Doubles::infinity(),
              -Doubles::infinity(),
              -0.0,
              0.0,
              5e-324,
              Doubles::max(),
              0.1,
              1e21,
              0.1 + 0.2,
              1.0};
    case ValueKind::decimal:
      return {Decimal{"12345678901234567890.0123456789"}, Decimal{"-0.01"}, Decimal{"1.50"},     Decimal{"0"},
              Decimal{"100000000000000000000"},           Decimal{"NaN"},   Decimal{"Infinity"}, Decimal{"-Infinity"}};
    case ValueKind::text:
      return {"",
              "zo\xC3\xAB \xF0\x9F\xA6\x89",
              "it's \"quoted\" \\ back",
              "'; DROP TABLE users; --",
              std::string("a\0b", 3),
              " spaces ",
              "line\r\nbreak\ttab",
              "\\N",
              "NULL",
              "42",
              "0x00",
              "%s $1 ? :a @b"};
    case ValueKind::bytes: {
      std::string every;
      for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
      return {Bytes{every}, Bytes{""}, Bytes{std::string(1, '\0')}, Bytes{"text"}, Bytes{"\\x00"}};
    }
    case ValueKind::date:
      return {Date{0},         Date{19'844},          Date{-719'528},
              Date{2'932'896}, Date{Date::kInfinity}, Date{Date::kMinusInfinity}};
    case ValueKind::time:
      return {Time{0}, Time{86'399'999'999}, Time{1}, Time{3'020'399'000'000}, Time{-3'020'399'000'000}, Time{-1}};
    case ValueKind::timestamp:
      return {Timestamp::utc(0),
              Timestamp::utc(1'714'564'800'000'001),
              Timestamp::utc(-1),
              Timestamp::utc(253'402'300'799'999'999),
              Timestamp::utc(Timestamp::kInfinity),
              Timestamp::utc(Timestamp::kMinusInfinity)};
    case ValueKind::uuid: {
      Uuid counted;
      for (std::size_t i = 0; i < 16; ++i) counted.octets[i] = static_cast<std::uint8_t>(i * 17);
      return {counted, Uuid{}};
    }
    case ValueKind::json:
      return {Json{"{\"b\": [1,  null], \"a\": \"\\u00eb'\"}"},
              Json{"1.0"},
              Json{"\"text\""},
              Json{"null"},
              Json{"[]"},
              Json{"12345678901234567890"}};
  }
  return {};
}

inline const std::vector<ValueKind>& everyKind() {
  static const std::vector<ValueKind> kinds = {ValueKind::boolean,   ValueKind::int64,   ValueKind::uint64,
                                               ValueKind::real,      ValueKind::decimal, ValueKind::text,
                                               ValueKind::bytes,     ValueKind::date,    ValueKind::time,
                                               ValueKind::timestamp, ValueKind::uuid,    ValueKind::json};
  return kinds;
}

TEST_P(SinkContract, ValuesOfEveryKindComeBackAsTheyWere) {
  for (const ValueKind kind : everyKind()) {
    SCOPED_TRACE(toString(kind));
    const Shape t = shapeOf("kind_" + std::string(toString(kind)),
                            {column("id", ValueKind::int64, false), column("value", kind)}, {"id"});
    std::vector<Values> rows;
    for (const Value& v : awkwardValues(kind)) {
      if (can.holds(v)) rows.push_back({static_cast<std::int64_t>(rows.size()), v});
    }
    rows.push_back({-1, nullptr});
    prepare(t);
    for (const Values& row : rows) insert(t, row);
    commit();
    expectRows(t, rows);
    for (Values& row : rows) {  // and as updates of rows that hold something else
      std::swap(row[1], rows.front()[1]);
      update(t, row);
    }
    update(t, rows.front());
    commit();
    expectRows(t, rows);
    for (const Values& found : target->rows(t)) {
      EXPECT_TRUE(found[1].isNull() || found[1].kind() == kind || kind == ValueKind::uint64) << describe(found[1]);
    }
  }
}

TEST_P(SinkContract, ATimestampWithoutAZoneStaysWallTime) {
  // Named by its source's type, since the kind alone does not tell.
  const Shape t = shapeOf("walls",
                          {column("id", ValueKind::int64, false),
                           {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp without time zone"}},
                          {"id"});
  start(t, {{1, Timestamp::local(1'714'564'800'000'001)}, {2, Timestamp::local(0)}, {3, nullptr}});
  expectRows(t, {{1, Timestamp::local(1'714'564'800'000'001)}, {2, Timestamp::local(0)}, {3, nullptr}});
}

TEST_P(SinkContract, RowsAreFoundByKeysOfEveryKind) {
  const std::map<ValueKind, std::vector<Value>> keys = {
      {ValueKind::boolean, {true, false}},
      {ValueKind::int64, {INT64_MIN, 0, INT64_MAX}},
      {ValueKind::uint64, {UINT64_MAX, 1, std::uint64_t{9'223'372'036'854'775'808u}}},
      {ValueKind::decimal, {Decimal{"1.50"}, Decimal{"-1.50"}, Decimal{"12345678901234567890.01"}}},
      {ValueKind::text, {"", "a", "A", "\xC3\xA9", "e", "a ", "'"}},
      {ValueKind::bytes, {Bytes{""}, Bytes{std::string("a\0", 2)}, Bytes{"a"}, Bytes{"A"}}},
      {ValueKind::date, {Date{0}, Date{1}}},
      {ValueKind::time, {Time{0}, Time{1}}},
      {ValueKind::timestamp, {Timestamp::utc(0), Timestamp::utc(1)}},
      {ValueKind::uuid, {awkwardValues(ValueKind::uuid)[0], awkwardValues(ValueKind::uuid)[1]}},
  };
  for (const auto& [kind, all] : keys) {
    SCOPED_TRACE(toString(kind));
    std::vector<Value> values;
    std::copy_if(all.begin(), all.end(), std::back_inserter(values), can.holdsKey);
    const Shape t = shapeOf("key_" + std::string(toString(kind)),
                            {column("key", kind, false), column("n", ValueKind::int64)}, {"key"});
    prepare(t);
    std::vector<Values> rows;
    for (const Value& v : values) {
      insert(t, {v, 0});
      rows.push_back({v, static_cast<std::int64_t>(rows.size())});
    }
    for (const Values& row : rows) update(t, row);
    commit();
    expectRows(t, rows);
    erase(t, {values[0]});
    rows.erase(rows.begin());
    commit();
    expectRows(t, rows);
    baselineBegin(t);
    read(t, rows.back());
    baselineEnd(t);
    commit();
    expectRows(t, {rows.back()});
  }
}

TEST_P(SinkContract, NamesMayBeHostile) {
  const std::vector<std::string> names = {"we\"ird'; DROP TABLE users; --",
                                          "select",
                                          "zo\xC3\xAB \xF0\x9F\xA6\x89",
                                          "back`tick",
                                          "%s $1 ? :a @b",
                                          "a b",
                                          "UPPER",
                                          "excluded",
                                          "rowid"};
  const Shape t = users();
  prepare(t);
  insert(t, {1, "a", 1});
  for (const std::string& name : names) {
    if (!can.takesName(name)) continue;
    SCOPED_TRACE(name);
    const Shape odd = shapeOf(
        name,
        {column(name, ValueKind::int64, false), column("order", ValueKind::text), column(name + "2", ValueKind::text)},
        {name});
    prepare(odd);
    insert(odd, {1, "a", name});
    insert(odd, {2, "b", name});
    update(odd, {1, nullptr, "c"}, {1});
    erase(odd, {2});
    baselineBegin(odd);
    read(odd, {3, "d", "e"});
    insert(odd, {1, "a", "c"});
    baselineEnd(odd);
    commit(name);
    expectRows(odd, {{1, "a", "c"}, {3, "d", "e"}});
    EXPECT_EQ(crashAndOpen(), name);
  }
  expectRows(t, {{1, "a", 1}});
}

TEST_P(SinkContract, APipelineMayHaveAnyName) {
  const Shape t = users();
  start(t, {});
  for (const std::string name : {"we\"ird'; DROP TABLE users; --", "zo\xC3\xAB", "P"}) {
    if (!can.severalPipelines) break;
    const auto other = target->sink();
    EXPECT_EQ(other->open({.pipeline = name}), std::nullopt) << name;
    other->commit("of " + name);
    other->close();
    EXPECT_EQ(target->sink()->open({.pipeline = name}), "of " + name);
  }
  EXPECT_EQ(crashAndOpen(), "start");
}

TEST_P(SinkContract, LargeValuesArriveWhole) {
  const Shape t = shapeOf(
      "large",
      {column("id", ValueKind::int64, false), column("text", ValueKind::text), column("bytes", ValueKind::bytes)},
      {"id"});
  std::string large(can.largeValueBytes, 'x');
  for (std::size_t i = 0; i < large.size(); i += 1'000) large[i] = static_cast<char>('a' + i / 1'000 % 26);
  std::string octets = large;
  octets[1] = '\0';
  octets[2] = '\xFF';
  start(t, {{1, large, Bytes{octets}}, {2, "small", Bytes{"small"}}});
  expectRows(t, {{1, large, Bytes{octets}}, {2, "small", Bytes{"small"}}});
  update(t, {1, nullptr, Bytes{"small"}}, {1});
  update(t, {2, large, nullptr}, {2});
  commit();
  expectRows(t, {{1, large, Bytes{"small"}}, {2, large, Bytes{"small"}}});
}

TEST_P(SinkContract, TablesMayBeWide) {
  std::vector<ColumnSchema> columns = {column("id", ValueKind::int64, false)};
  Values row = {1}, later = {1};
  std::vector<std::uint32_t> unchanged;
  for (int i = 1; i < 200; ++i) {
    columns.push_back(column("column_" + std::to_string(i), i % 2 == 0 ? ValueKind::int64 : ValueKind::text));
    row.push_back(i % 2 == 0 ? Value(i) : Value(std::to_string(i)));
    if (i % 3 == 0) {
      unchanged.push_back(static_cast<std::uint32_t>(i));
      later.push_back(nullptr);
    } else {
      later.push_back(i % 2 == 0 ? Value(-i) : Value("later"));
    }
  }
  const Shape t = shapeOf("wide", columns, {"id"});
  start(t, {row});
  update(t, later, unchanged);
  commit();
  for (const std::uint32_t i : unchanged) later[i] = row[i];
  expectRows(t, {later});
}

TEST_P(SinkContract, AKeyThatIsNullIsRefused) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {nullptr, "no key", 2});
  EXPECT_EQ(errorOf([&] { flush(); }).code(), ErrorCode::rowIdInvalid);
  batch.clear();
  sink->rollback();
  expectRows(t, {{1, "a", 1}});
}

}  // namespace tidegate::contract
