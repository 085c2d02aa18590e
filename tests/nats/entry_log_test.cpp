/// A shared log's entries over connections that break while they are read.
#include "nats/detail/entry_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nats/nats_rig.h"
#include "support/tcp_proxy.h"

namespace tidegate::nats::detail {
namespace {

class NatsEntryLog : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kEntries = 40;

  NatsEntryLog()
      : stream(testing::freshName("E")),
        relay(testing::portOf(testing::serverUrls().front())),
        connection(throughRelay(), {.reconnects = true}),
        js(connection),
        log(js, stream, "e." + stream) {
    StreamSpec spec{.name = stream, .subjects = {"e." + stream}};
    spec.options.storage = Storage::memory;
    servers.js().ensure(spec);
    EntryLog writer(servers.js(), stream, "e." + stream);
    // More than a socket holds, so that some are on their way when the connection breaks.
    for (std::uint64_t i = 0; i < kEntries; ++i)
      writer.append(i, std::string(400'000, static_cast<char>('a' + i % 26)));
  }
  ConnectOptions throughRelay() const {
    ConnectOptions options;
    options.servers = {"nats://127.0.0.1:" + std::to_string(relay.port())};
    return options;
  }

  testing::Servers servers;
  const std::string stream;
  test::TcpProxy relay;
  Connection connection;
  JetStream js;
  EntryLog log;
};

TEST_F(NatsEntryLog, IsReadOnWhereTheConnectionBrokeEachEntryOnce) {
  std::vector<std::uint64_t> seen;
  const std::uint64_t last = log.read(0, [&](std::uint64_t sequence, std::string_view octets) {
    EXPECT_EQ(octets, std::string(400'000, static_cast<char>('a' + (sequence - 1) % 26)));
    seen.push_back(sequence);
    if (sequence % 10 == 1) relay.cut();
  });
  EXPECT_EQ(last, kEntries);
  ASSERT_EQ(seen.size(), kEntries);
  for (std::uint64_t i = 0; i < kEntries; ++i) EXPECT_EQ(seen[i], i + 1);
}

TEST_F(NatsEntryLog, WhatItsVisitorThrowsIsNotTriedAgain) {
  int visits = 0;
  const Error thrown(ErrorCode::connectionFailed, Retry::later, "the visitor's own");
  EXPECT_THROW(log.read(0, [&](std::uint64_t, std::string_view) { ++visits, throw thrown; }), Error);
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace tidegate::nats::detail
