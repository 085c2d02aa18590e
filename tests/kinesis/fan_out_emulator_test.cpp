// Enhanced fan-out over HTTP/2 and TLS, as AWS serves it: the proxy before kinesalite refuses it over HTTP/1.1.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "kinesis/follower.h"
#include "kinesis/stream_database.h"

namespace tidegate::kinesis {
namespace {

using testing::emulatorUrl;
using testing::Follower;
using testing::freshName;
using testing::Kinesalite;

struct FannedStream {
  explicit FannedStream(unsigned shards) : kinesis(emulatorUrl("TIDEGATE_KINESIS_URL")), name(freshName("http2")) {
    kinesis.create(name, shards);
    for (const auto& shard : kinesis.shards(name)) place += (place.empty() ? "" : ";") + testing::begun(shard.id);
  }
  SourceOptions options() const {
    SourceOptions options = testing::quickOptions(name, name + "/");
    options.tables = {testing::contractTable("t")};
    options.kinesisEndpoint = emulatorUrl("TIDEGATE_FAN_OUT_TLS_URL");
    options.authorityFile = emulatorUrl("TIDEGATE_FAN_OUT_CA");
    options.fanOut = {.consumer = "http2", .retryInterval = std::chrono::milliseconds(20)};
    return options;
  }
  void put(std::int64_t id, std::size_t octets = 10) {
    kinesis.put(name, testing::recordOf("t", {.id = id, .row = {.name = std::string(octets, 'x')}}),
                std::to_string(id));
  }
  Kinesalite kinesis;
  std::string name;
  std::string place;
};

void expectEachOnce(Follower& follower, std::int64_t count) {
  follower.stop();
  std::sort(follower.ids.begin(), follower.ids.end());
  ASSERT_EQ(follower.ids.size(), static_cast<std::size_t>(count));
  for (std::int64_t id = 0; id < count; ++id) EXPECT_EQ(follower.ids[static_cast<std::size_t>(id)], id);
}

TEST(KinesisHttp2, BringsEachRecordOnceThroughASplit) {
  FannedStream stream(2);
  Follower follower(stream.options(), testing::from(stream.place));
  for (std::int64_t id = 0; id < 60; ++id) stream.put(id);
  stream.kinesis.split(stream.name, stream.kinesis.shards(stream.name).front().id);
  for (std::int64_t id = 60; id < 120; ++id) stream.put(id);
  ASSERT_TRUE(follower.awaitIds(120));
  expectEachOnce(follower, 120);
}

TEST(KinesisHttp2, AHeldSubscriptionGoesOnWhenItsReaderDoes) {
  FannedStream stream(2);
  // Far more than a subscription may have waiting here, and than HTTP/2 lets a server send unasked.
  for (std::int64_t id = 0; id < 40; ++id) stream.put(id, 300'000);
  Follower follower(stream.options(), testing::from(stream.place));
  for (int pause = 0; pause < 10; ++pause) {
    follower.full = pause % 2 == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  follower.full = false;
  ASSERT_TRUE(follower.awaitIds(40));
  expectEachOnce(follower, 40);
}

}  // namespace
}  // namespace tidegate::kinesis
