// Which GTIDs lie before a snapshot, with nobody writing and with many.
#include "mysql/detail/snapshot_place.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "mysql/binlog_link.h"
#include "mysql/detail/options.h"

namespace tidegate::mysql {
namespace {

using detail::CLink;
using servers::execute;

class SnapshotGtids : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!servers::isMariaDb()) GTEST_SKIP() << "MariaDB only";
    execute(writer, {"DROP DATABASE IF EXISTS place_test", "CREATE DATABASE place_test", "USE place_test",
                     "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, thread INT) ENGINE = InnoDB"});
  }
  void TearDown() override { execute(writer, {"DROP DATABASE IF EXISTS place_test"}); }

  static CLink connect(const std::string& user = {}) {
    ConnectOptions options = testConnect();
    if (!user.empty()) {
      options.user = user;
      options.password = "reads";
    }
    return {detail::resolve(options), std::chrono::seconds(30), {}};
  }
  /// As the server finds them by reading its file.
  static detail::GtidState found(CLink& link, const detail::LogPlace& place) {
    return detail::gtidStateFromText(
        link.askText(fmt::format("SELECT BINLOG_GTID_POS('{}', {})", place.file, place.offset)));
  }
  QueryFn writer = queryFn(testConnect());
};

TEST_F(SnapshotGtids, AtTheBinlogsEndTheyAreThoseThatTheServerFindsInItsFile) {
  CLink link = connect();
  for (int i = 0; i < 5; ++i) {
    execute(writer, {"INSERT INTO place_test.t (thread) VALUES (0)", i == 2 ? "FLUSH BINARY LOGS" : "DO 0"});
    const detail::SnapshotPlace place = detail::beginNotedSnapshot(link);
    EXPECT_EQ(detail::gtidsAt(link, place.seen), found(link, place.seen)) << i;
    link.run("COMMIT");
  }
}

TEST_F(SnapshotGtids, BesideWritersTheyAreThoseOfTheRowsThatTheSnapshotSees) {
  std::atomic<bool> done{false};
  std::vector<std::jthread> writers;
  for (int thread = 0; thread < 3; ++thread) {
    writers.emplace_back([&done, thread] {
      const QueryFn insert = queryFn(testConnect());
      while (!done) {
        execute(insert, {fmt::format("INSERT INTO place_test.t (thread) VALUES ({})", thread)});
        // So that the binlog's end is met too.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  CLink link = connect();
  detail::GtidState before;
  for (int i = 0; i < 300; ++i) {
    const detail::SnapshotPlace place = detail::beginNotedSnapshot(link);
    const detail::GtidState gtids = detail::gtidsAt(link, place.seen);
    EXPECT_EQ(gtids, found(link, place.seen)) << i;
    EXPECT_TRUE(before.within(gtids)) << i;
    before = gtids;
    link.run("COMMIT");
  }
  done = true;
}

TEST_F(SnapshotGtids, AnAccountThatMayNotAskForTheEndHasThemToo) {
  for (const std::string host : {"'%'", "localhost"}) {
    execute(writer, {"CREATE OR REPLACE USER place_reader@" + host + " IDENTIFIED BY 'reads'",
                     "GRANT SELECT ON *.* TO place_reader@" + host});
  }
  execute(writer, {"INSERT INTO place_test.t (thread) VALUES (0)"});
  CLink link = connect("place_reader");
  EXPECT_THROW(link.ask("SHOW MASTER STATUS"), Error) << "the test shows nothing";
  const detail::SnapshotPlace place = detail::beginNotedSnapshot(link);
  EXPECT_EQ(detail::gtidsAt(link, place.seen), found(link, place.seen));
  execute(writer, {"DROP USER place_reader@'%', place_reader@localhost"});
}

}  // namespace
}  // namespace tidegate::mysql
