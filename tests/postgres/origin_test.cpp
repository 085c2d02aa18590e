/// Both directions touch one database: what a sink wrote is left out by a source that knows its origin.
#include "postgres/stream_support.h"
#include "tidegate/postgres/sink.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

class StreamOrigins : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id bigint PRIMARY KEY, v text)", "DROP SCHEMA IF EXISTS origin_books CASCADE"});
  }
  void TearDown() override {
    sink_.reset();
    // A session that ended holds its origin for a moment.
    EXPECT_TRUE(servers::eventually([&] {
      try {
        db().run(
            "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname LIKE 'tidegate_o%'");
        return true;
      } catch (const Error&) {
        return false;
      }
    }));
    db().execute({"DROP SCHEMA IF EXISTS origin_books CASCADE"});
    StreamTest::TearDown();
  }
  static Shape table() {
    static const Shape shape = makeShape({.table = "s.t",
                                          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                                      {.name = "v", .kind = ValueKind::text}},
                                          .primaryKey = {"id"}});
    return shape;
  }
  static std::shared_ptr<Sink> openSink(const std::string& origin) {
    std::shared_ptr<Sink> made = postgres::sink({.connect = testOptions(), .schema = "origin_books", .origin = origin});
    made->open({.pipeline = "p of " + origin});
    made->prepareTable(table());
    return made;
  }
  static void write(Sink& to, std::int64_t from, std::int64_t until, const std::string& v) {
    ChangeBatch batch;
    for (std::int64_t id = from; id < until; ++id) {
      ChangeEvent& e = batch.add(ChangeOp::insert, table());
      e.after = {id, v};
      e.transactionBegin = e.transactionEnd = true;
      e.position.octets = std::to_string(id);
    }
    to.apply(batch);
    to.commit("x");
  }
  std::shared_ptr<Sink> sink_;
};

TEST_F(StreamOrigins, AreLeftOutByNameAndOthersAreNot) {
  SourceOptions options = testSource();
  options.skipOrigins = {"tidegate_one"};
  follow({"s.t"}, options);
  sink_ = openSink("tidegate_one");
  write(*sink_, 1, 3, "one");
  db().execute({"INSERT INTO s.t VALUES (10, 'by hand')"});
  auto other = openSink("tidegate_other");
  write(*other, 20, 21, "other");
  write(*sink_, 3, 4, "one");
  db().execute({"UPDATE s.t SET v = 'changed' WHERE id = 1"});
  ASSERT_TRUE(reader->awaitEvents(3)) << reader->error();
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (10, by hand)", "insert s.t (20, other)", "update s.t (1, changed)"}));
  other->close();
}

TEST_F(StreamOrigins, AreToldWhereNobodyLeavesThemOut) {
  follow({"s.t"}, testSource());
  sink_ = openSink("tidegate_one");
  write(*sink_, 1, 2, "one");
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(reader->texts(), Texts{"insert s.t (1, one)"});
}

TEST_F(StreamOrigins, LargeTransactionsOfAnOriginAreLeftOutToo) {
  db().execute({"ALTER SYSTEM SET logical_decoding_work_mem = '64kB'", "SELECT pg_reload_conf()"});
  SourceOptions options = testSource();
  options.skipOrigins = {"tidegate_one"};
  follow({"s.t"}, options);
  sink_ = openSink("tidegate_one");
  write(*sink_, 0, 5'000, std::string(100, 'x'));
  db().execute({"INSERT INTO s.t VALUES (9999, 'by hand')"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(reader->texts(), Texts{"insert s.t (9999, by hand)"});
  db().execute({"ALTER SYSTEM RESET logical_decoding_work_mem", "SELECT pg_reload_conf()"});
}

/// Their log is confirmed, though nothing of it is told: else a slot would keep it for ever.
TEST_F(StreamOrigins, ThatAreLeftOutHoldNoLogBack) {
  SourceOptions options = testSource();
  options.skipOrigins = {"tidegate_one"};
  follow({"s.t"}, options);
  sink_ = openSink("tidegate_one");
  write(*sink_, 1, 100, "one");
  const std::string end = db().ask("SELECT pg_current_wal_lsn()");
  const auto confirmed = [&] {
    if (!reader->last().empty()) source->ack(reader->last());
    return db().ask("SELECT confirmed_flush_lsn >= '" + end +
                    "' FROM pg_replication_slots WHERE slot_name = 'tidegate_test'") == "t";
  };
  EXPECT_TRUE(servers::eventually(confirmed)) << "the slot stays behind " << end;
  EXPECT_EQ(reader->texts(), Texts{});
}

TEST_F(StreamOrigins, BelongToOneSessionAtATime) {
  sink_ = openSink("tidegate_one");
  std::shared_ptr<Sink> second =
      postgres::sink({.connect = testOptions(), .schema = "origin_books", .origin = "tidegate_one"});
  try {
    second->open({.pipeline = "another pipeline"});
    ADD_FAILURE() << "two sessions had one origin";
  } catch (const Error& e) {
    EXPECT_EQ(e.retry(), Retry::later);
    EXPECT_NE(e.message().find("tidegate_one"), std::string::npos) << e.what();
  }
  // The same pipeline takes it over.
  std::shared_ptr<Sink> successor =
      postgres::sink({.connect = testOptions(), .schema = "origin_books", .origin = "tidegate_one"});
  EXPECT_EQ(successor->open({.pipeline = "p of tidegate_one"}), std::nullopt);
  successor->close();
}

}  // namespace
}  // namespace tidegate::postgres::detail
