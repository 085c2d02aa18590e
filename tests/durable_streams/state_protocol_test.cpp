#include "tidegate/durable_streams/state_protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "contract/sink_values.h"
#include "durable_streams/detail/message_mapper.h"
#include "support/property.h"
#include "support/random_value.h"
#include "tidegate/core/json.h"

namespace tidegate::durable_streams {
namespace {

std::string written(const StateMessage& message) {
  std::string out;
  std::visit([&](const auto& m) { appendStateMessage(m, out); }, message);
  return out;
}

std::string refusalOf(std::string_view json) {
  try {
    parseStateMessage(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    return e.message();
  }
  return "";
}

TEST(StateProtocol, ReadsTheMessagesOfTheSpecification) {
  const StateMessage insert = parseStateMessage(R"({"type": "user", "key": "user:123",
      "value": {"name": "Alice", "email": "alice@example.com"},
      "headers": {"operation": "insert", "timestamp": "2025-01-15T10:30:00Z"}})");
  const ChangeMessage expected{.operation = StateOperation::insert,
                               .type = "user",
                               .key = "user:123",
                               .value = R"({"name": "Alice", "email": "alice@example.com"})",
                               .timestamp = "2025-01-15T10:30:00Z"};
  EXPECT_TRUE(std::get<ChangeMessage>(insert) == expected);

  const StateMessage update = parseStateMessage(
      R"({"type":"config","key":"theme","value":"dark","old_value":"light","headers":{"operation":"update","txid":"7"}})");
  EXPECT_EQ(std::get<ChangeMessage>(update).value, R"("dark")");
  EXPECT_EQ(std::get<ChangeMessage>(update).oldValue, R"("light")");
  EXPECT_EQ(std::get<ChangeMessage>(update).txid, "7");

  const StateMessage erase =
      parseStateMessage(R"({"type":"user","key":"1","value":null,"headers":{"operation":"delete"}})");
  EXPECT_EQ(std::get<ChangeMessage>(erase).operation, StateOperation::erase);
  EXPECT_EQ(std::get<ChangeMessage>(erase).value, "null");
  const StateMessage bare = parseStateMessage(R"({"type":"user","key":"1","headers":{"operation":"delete"}})");
  EXPECT_EQ(std::get<ChangeMessage>(bare).value, "");

  for (const auto& [text, control] :
       {std::pair{"snapshot-start", StateControl::snapshotStart}, std::pair{"snapshot-end", StateControl::snapshotEnd},
        std::pair{"reset", StateControl::reset}}) {
    const StateMessage message =
        parseStateMessage(std::string(R"({"headers":{"control":")") + text + R"(","offset":"123456_000"}})");
    const ControlMessage wanted{.control = control, .offset = "123456_000"};
    EXPECT_TRUE(std::get<ControlMessage>(message) == wanted) << text;
  }
}

TEST(StateProtocol, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(refusalOf("{"), "JSON at byte 1: expected a member's name in quotes");
  EXPECT_NE(refusalOf(R"({"type":"a","key":"b"})").find("headers: missing"), std::string::npos);
  EXPECT_NE(refusalOf(R"({"type":"a","key":"b","headers":{}})").find("headers.operation: missing"), std::string::npos);
  EXPECT_EQ(refusalOf(R"({"type":"a","key":"b","value":1,"headers":{"operation":"INSERT"}})"),
            R"(headers.operation: expected "insert", "update" or "delete")");
  EXPECT_EQ(refusalOf(R"({"headers":{"control":"start"}})"),
            R"(headers.control: expected "snapshot-start", "snapshot-end" or "reset")");
  EXPECT_EQ(refusalOf(R"({"type":"","key":"b","value":1,"headers":{"operation":"insert"}})"),
            "type: must not be empty");
  EXPECT_EQ(refusalOf(R"({"type":"a","key":1,"value":1,"headers":{"operation":"insert"}})"),
            "key: expected a string, not a number");
  EXPECT_EQ(refusalOf(R"({"type":"a","key":"b","headers":{"operation":"update"}})"), "value: missing");
  EXPECT_EQ(refusalOf(R"({"type":"a","key":"b","value":1,"headers":{"operation":"insert","timestamp":"yesterday"}})"),
            "headers.timestamp: expected an RFC 3339 timestamp");
  EXPECT_EQ(refusalOf(R"({"type":"a","key":"b","value":1,"headers":{"operation":"insert","timestamp":"2025-01-15"}})"),
            "headers.timestamp: expected an RFC 3339 timestamp");
  EXPECT_EQ(refusalOf(R"({"type":"a","key":"b","value":1,"headers":{"operation":"insert","txid":""}})"),
            "headers.txid: must not be empty");
  EXPECT_NE(refusalOf("[]").find("object"), std::string::npos);
  EXPECT_NE(refusalOf(R"({"headers":{"control":"reset","operation":"insert"}})").find("both"), std::string::npos);
}

TEST(StateProtocol, WhatIsWrittenIsReadBackForAnyMessage) {
  test::forEachSeed(300, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::vector<std::string> texts = {"a", "zo\xC3\xAB \xF0\x9F\xA6\x89", "\"quoted\"\\", "line\nbreak", "42"};
    const auto maybe = [&](std::string text) { return random.chance(50) ? std::move(text) : std::string(); };
    ChangeMessage change{.operation = static_cast<StateOperation>(random.below(3)),
                         .type = random.pick(texts),
                         .key = random.pick(texts)};
    const auto document = [&] { return toJson(test::randomValue(random)); };
    if (change.operation != StateOperation::erase || random.chance(30)) change.value = document();
    change.oldValue = maybe(document());
    change.txid = maybe(random.pick(texts));
    change.timestamp = maybe(toIso(Timestamp::utc(random.between(0, 4'000'000'000'000'000))));
    change.offset = maybe("0000_0001");
    change.source = maybe(random.pick(texts));
    if (random.chance(50)) change.last = random.chance(50);
    const StateMessage back = parseStateMessage(written(change));
    EXPECT_TRUE(std::get<ChangeMessage>(back) == change) << written(change);
    const ControlMessage control{.control = static_cast<StateControl>(random.below(3)),
                                 .offset = maybe("0000_0001"),
                                 .type = maybe(random.pick(texts))};
    EXPECT_TRUE(std::get<ControlMessage>(parseStateMessage(written(control))) == control) << written(control);
  });
}

TEST(StateProtocol, ValuesOfEveryKindComeBackAsTheyWere) {
  for (const ValueKind kind : contract::everyKind()) {
    for (const Value& value : contract::awkwardValues(kind)) {
      if (kind == ValueKind::json && value.as<Json>().text == "null") continue;  // JSON's null is SQL's
      std::string json;
      appendStateValue(value, json);
      const Value back = valueFromState(json, kind);
      EXPECT_TRUE(sameValue(back, value)) << toString(kind) << ": " << json << " came back as " << describe(back);
      EXPECT_TRUE(back.kind() == kind || kind == ValueKind::uint64) << json;
    }
  }
}

TEST(StateProtocol, IntegersBeyondADoubleKeepEveryDigit) {
  for (const std::int64_t n : {std::int64_t{9'007'199'254'740'993}, INT64_MAX, INT64_MIN}) {
    std::string json;
    appendStateValue(Value(n), json);
    EXPECT_EQ(json, std::to_string(n));
    EXPECT_TRUE(valueFromState(json, ValueKind::int64) == Value(n));
    EXPECT_TRUE(valueFromState('"' + json + '"', ValueKind::int64) == Value(n)) << "as clients in JavaScript send it";
  }
  EXPECT_TRUE(valueFromState("18446744073709551615", ValueKind::uint64) == Value(UINT64_MAX));
  EXPECT_TRUE(valueFromState("12345678901234567890.01", ValueKind::decimal) ==
              Value(Decimal{"12345678901234567890.01"}));
}

TEST(StateProtocol, AValueOfAnotherKindIsRefusedOrKept) {
  for (const auto& [json, kind] :
       {std::pair{R"("x")", ValueKind::int64}, std::pair{"1.5", ValueKind::int64}, std::pair{"1", ValueKind::text},
        std::pair{"true", ValueKind::text}, std::pair{R"("!")", ValueKind::bytes}, std::pair{"{}", ValueKind::text},
        std::pair{R"("2024-13-01")", ValueKind::date}, std::pair{"1", ValueKind::boolean},
        std::pair{R"("zz")", ValueKind::uuid}, std::pair{"99999999999999999999", ValueKind::int64}}) {
    EXPECT_THROW(valueFromState(json, kind), Error) << json;
    EXPECT_NO_THROW(valueFromState(json, kind, KindMismatch::keep)) << json;
  }
  EXPECT_TRUE(valueFromState("1", ValueKind::text, KindMismatch::keep) == Value(1));
  EXPECT_TRUE(valueFromState("null", ValueKind::int64).isNull());
}

const TableSchema& itemsSchema() {
  static const TableSchema schema{
      .table = "items",
      .columns = {{.name = "id", .kind = ValueKind::int64}, {.name = "ti\"tle", .kind = ValueKind::text}},
      .primaryKey = {"id"}};
  return schema;
}

TEST(StateProtocol, ARowIsAnObjectOfItsColumns) {
  const Shape shape = makeShape(itemsSchema());
  std::string json;
  appendRowJson(*shape, {7, "x"}, json);
  EXPECT_EQ(json, R"({"id":7,"ti\"tle":"x"})");
  std::string part;
  appendRowJson(*shape, {7, "x"}, part, {1});
  EXPECT_EQ(part, R"({"id":7})");
  std::string none;
  appendRowJson(*shape, {7, "x"}, none, {0, 1});
  EXPECT_EQ(none, "{}");
  std::vector<Value> row;
  std::vector<std::uint32_t> missing;
  rowFromJson(itemsSchema(), R"({"other":[1],"id":9007199254740993})", row, KindMismatch::refuse, &missing);
  EXPECT_TRUE(row == (std::vector<Value>{std::int64_t{9'007'199'254'740'993}, nullptr}));
  EXPECT_EQ(missing, std::vector<std::uint32_t>{1});
  try {
    rowFromJson(itemsSchema(), R"({"id":"x"})", row);
    ADD_FAILURE() << "a text is no integer";
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "id: expected a value of kind int64");
  }
}

TEST(StateProtocol, NoTwoRowsShareAKeyAndEachIsReadBack) {
  for (const ValueKind kind : contract::everyKind()) {
    const Shape one = makeShape({.table = "t", .columns = {{.name = "k", .kind = kind}}, .primaryKey = {"k"}});
    const Shape two = makeShape({.table = "t",
                                 .columns = {{.name = "k", .kind = kind}, {.name = "l", .kind = ValueKind::text}},
                                 .primaryKey = {"l", "k"}});
    std::vector<Value> values = contract::awkwardValues(kind);
    if (kind == ValueKind::text) values.insert(values.end(), {"[", "[\"\"]", "[42]"});
    std::map<std::string, Value> seen;
    for (const Value& value : values) {
      const std::string key = stateKey(*one, {value});
      EXPECT_FALSE(key.empty());
      const auto [at, fresh] = seen.emplace(key, value);
      EXPECT_TRUE(fresh || sameValue(at->second, value)) << key;
      if (kind == ValueKind::json && value.as<Json>().text == "null") continue;
      std::vector<Value> row;
      keyFromState(*one, key, row);
      EXPECT_TRUE(sameValue(row[0], value)) << toString(kind) << " " << key << " as " << describe(row[0]);
      keyFromState(*two, stateKey(*two, {value, "[,]"}), row);
      EXPECT_TRUE(sameValue(row[0], value) && row[1] == Value("[,]"));
    }
  }
}

TEST(StateProtocol, AKeyOfAnotherFormIsRefused) {
  const Shape shape = makeShape(itemsSchema());
  std::vector<Value> row;
  for (const char* key : {"x", "1.5", "[1,2]", "[null]", "[", "{}", "[]", ""}) {
    EXPECT_THROW(keyFromState(*shape, key, row), Error) << key;
  }
  EXPECT_THROW(stateKey(*shape, {nullptr, "x"}), Error);
}

TEST(StateProtocol, ADeleteWhoseOldValueLacksTheKeyNamesItsRowByTheMessagesKey) {
  const detail::MessageMapper mapper({.stream = "s", .tables = {entityTable(itemsSchema())}});
  const Shape shape = mapper.shapeOf("items");
  ASSERT_TRUE(shape);
  const auto keyColumn = shape->key.at(0);
  for (const char* old : {"{}", "null", R"({"iz":1})"}) {
    detail::MappedMessage mapped;
    mapper.map(std::string(R"({"type":"items","key":"7","old_value":)") + old + R"(,"headers":{"operation":"delete"}})",
               {}, {"items"}, mapped);
    ASSERT_EQ(mapped.events.size(), 1u) << old;
    const ChangeEvent& event = mapped.events[0];
    EXPECT_EQ(event.op, ChangeOp::erase);
    EXPECT_EQ(event.before.at(keyColumn), Value(7)) << old;
    EXPECT_EQ(std::count(event.beforeAbsent.begin(), event.beforeAbsent.end(), keyColumn), 0) << old;
  }
}

/// The message's key is the row's now; what it was before is not said, and may not be taken for a null.
TEST(StateProtocol, AnUpdateWhoseOldValueLacksTheKeySaysThatItIsNotKnown) {
  const detail::MessageMapper mapper({.stream = "s", .tables = {entityTable(itemsSchema())}});
  const Shape shape = mapper.shapeOf("items");
  ASSERT_TRUE(shape);
  const auto keyColumn = shape->key.at(0);
  detail::MappedMessage mapped;
  mapper.map(R"({"type":"items","key":"7","value":{"id":7,"ti\"tle":"new"},"old_value":{"ti\"tle":"old"},)"
             R"("headers":{"operation":"update"}})",
             {}, {"items"}, mapped);
  ASSERT_EQ(mapped.events.size(), 1u);
  const ChangeEvent& event = mapped.events[0];
  EXPECT_EQ(event.op, ChangeOp::update);
  EXPECT_EQ(event.after.at(keyColumn), Value(7));
  EXPECT_TRUE(event.before.at(keyColumn).isNull());
  EXPECT_EQ(std::count(event.beforeAbsent.begin(), event.beforeAbsent.end(), keyColumn), 1);
}

}  // namespace
}  // namespace tidegate::durable_streams
