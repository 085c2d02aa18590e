/// A push as it stands in its JSON ends as the same push read first: verdicts, messages, log, all of it.
#include <gtest/gtest.h>

#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

using test::ManualClock;
using test::Random;

constexpr auto kAnybody = [](std::string_view) {};

Value someValue(Random& random) {
  switch (random.below(8)) {
    case 0:
      return Null{};
    case 1:
      return random.chance(50);
    case 2:
      return static_cast<double>(random.between(-1'000, 1'000)) / 8;
    case 3:
      return "caf\xC3\xA9 " + std::to_string(random.below(100));
    case 4:
      return "with \"quotes\"\n";
    case 5:
      return Json{R"({"b":[1,2],"a":null})"};
    case 6:
      return static_cast<std::int64_t>(random.bits());
    default:
      return std::string(random.index(40), 'x');
  }
}

RowDelta someDelta(Random& random) {
  RowDelta delta{static_cast<DeltaOp>(random.below(3)),
                 random.chance(80) ? "todos" : "lists",
                 "row" + std::to_string(random.below(12)),
                 random.chance(99) ? "phone" : "other",
                 {},
                 Hlc{Hlc::of(1'700'000'000'000).raw + random.below(1'000)},
                 {}};
  if (random.chance(1)) delta.hlc = Hlc::of(1'700'000'009'000);
  if (random.chance(1)) delta.rowId.clear();
  const std::size_t columns = delta.op == DeltaOp::erase && random.chance(97) ? 0 : random.index(4);
  for (std::size_t i = 0; i < columns; ++i) {
    delta.columns.push_back({random.chance(98) ? std::string(1, static_cast<char>('a' + i)) : "a", someValue(random)});
  }
  if (random.chance(70)) delta.deltaId = computeDeltaId(delta);
  if (random.chance(1)) delta.deltaId.octets[31] ^= 1;
  return delta;
}

std::string somePush(Random& random) {
  SyncPush push{"phone", {}, Hlc{random.below(100)}};
  for (std::size_t i = random.index(70); i > 0; --i) push.deltas.push_back(someDelta(random));
  std::string json = toJson(push);
  // As another encoder writes it: with space, which is no part of what an id is the digest of.
  if (random.chance(20)) {
    for (std::size_t at = 0; (at = json.find(random.chance(50) ? "\":" : "},", at)) != json.npos; at += 3) {
      json.insert(at + 2, 1, ' ');
    }
  }
  if (random.chance(10)) json[random.index(json.size())] = static_cast<char>('0' + random.below(80));
  return json;
}

/// What became of a push, as text.
template <class Push>
std::string outcome(const Push& push) {
  try {
    return toJson(push());
  } catch (const Error& e) {
    return std::string("thrown: ") + e.what();
  }
}

TEST(PushText, EndsAsTheSamePushReadFirst) {
  std::size_t accepted = 0, refused = 0;
  test::forEachSeed(1'500, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    Gateway straight(options), read(options);
    if (random.chance(20)) {
      TableSchema schema;
      schema.table = "lists";
      schema.columns = {{.name = "a", .kind = ValueKind::text, .nullable = false}};
      straight.setSchema(schema);
      read.setSchema(schema);
    }
    for (int i = 0; i < 5; ++i) {
      const std::string json = somePush(random);
      const std::string one = outcome([&] { return straight.handlePushJson(json, kAnybody); });
      const std::string other = outcome([&] { return read.handlePush(pushFromJson(json)); });
      EXPECT_EQ(one, other) << json;
      (one.find("\"status\":\"accepted\"") != one.npos ? accepted : refused) += 1;
    }
    const SyncPull all{"reader", {}, 10'000};
    EXPECT_TRUE(straight.handlePull(all).deltas == read.handlePull(all).deltas);
  });
  EXPECT_GT(accepted, test::seedsOf(1'500) / 15);
  EXPECT_GT(refused, test::seedsOf(1'500) / 15);
}

TEST(PushText, AsksWhoPushesBeforeAnythingIsApplied) {
  Gateway gateway;
  RowDelta delta{DeltaOp::insert, "todos", "1", "phone", {{"title", "Milk"}}, gateway.clock().now(), {}};
  std::string plain = toJson(SyncPush{"phone", {delta}, {}});
  delta.columns[0].value = "\"Milk\"";
  const std::string escaped = toJson(SyncPush{"phone", {delta}, {}});
  for (const std::string& json : {plain, escaped}) {
    std::string asked;
    const auto refuse = [&](std::string_view clientId) {
      asked = clientId;
      throw Error(ErrorCode::authenticationFailed, Retry::never, "not you");
    };
    EXPECT_THROW(gateway.handlePushJson(json, refuse), Error);
    EXPECT_EQ(asked, "phone");
    EXPECT_EQ(gateway.stats().rows, 0u);
  }
}

}  // namespace
}  // namespace tidegate
