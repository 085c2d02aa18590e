#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

/// "host:port" of a URL, as the harness writes them.
std::string hostIn(const std::string& url) {
  const auto at = url.find('@') + 1;
  return url.substr(at, url.rfind('/') - at);
}

/// Whichever of the two servers may be written to.
ConnectOptions eitherServer() {
  ConnectOptions options = testOptions();
  const std::string other = hostIn(servers::environment("TIDEGATE_REPLICA_URL"));
  options.url.insert(options.url.rfind('/'), "," + other);
  options.url += "?target_session_attrs=read-write";
  return options;
}

class StreamFailover : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
    servers::control("replica", "follow");
  }
  void TearDown() override {
    reader.reset();
    source.reset();
    servers::control("replica", "remove");
    StreamTest::TearDown();
  }
  void awaitOnStandby(const std::string& count) {
    ConnectOptions options = testOptions();
    options.url = servers::environment("TIDEGATE_REPLICA_URL");
    options.readOnly = true;
    TestLink standby(options);
    ASSERT_TRUE(servers::eventually([&] { return standby.ask("SELECT count(*) FROM s.t") == count; }));
  }
};

TEST_F(StreamFailover, APromotedStandbyHasNoSlotAndIsReadAnew) {
  SourceOptions options = testSource();
  options.connect = eitherServer();
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  awaitOnStandby("1");
  servers::control("postgres", "stop");
  servers::control("replica", "promote");
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_NE(error->message().find("failover"), std::string::npos) << error->message();
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  TestLink promoted(eitherServer());
  promoted.execute({"INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->await([&] { return reader->held().size() >= 4; })) << reader->error();
  EXPECT_EQ(reader->texts(), (Texts{"baselineBegin s.t", "read s.t (1)", "baselineEnd s.t", "insert s.t (2)"}));
}

TEST_F(StreamFailover, ASlotMadeByHandOnAPromotedStandbyIsNoSilentGap) {
  SourceOptions options = testSource();
  options.connect = eitherServer();
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  awaitOnStandby("1");
  reader->stop();
  servers::control("postgres", "stop");
  servers::control("replica", "promote");
  TestLink promoted(eitherServer());
  promoted.execute({"INSERT INTO s.t VALUES (2)"});
  promoted.run("SELECT pg_create_logical_replication_slot('tidegate_test', 'pgoutput')");
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would be missing for ever";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

TEST_F(StreamFailover, AStandbyIsNoServerToMakeASlotOn) {
  SourceOptions options = testSource();
  options.connect.url = servers::environment("TIDEGATE_REPLICA_URL");
  make(options);
  const Error error = servers::errorOf([&] { reader->baseline({"s.t"}); });
  EXPECT_FALSE(error.message().empty());
  EXPECT_EQ(source->state(), SourceState::error);
}

}  // namespace
}  // namespace tidegate::postgres::detail
