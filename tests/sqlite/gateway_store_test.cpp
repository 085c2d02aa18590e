#include "tidegate/sqlite/gateway_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "contract/gateway_store_contract.h"
#include "sqlite/fault_vfs.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/state_store.h"

namespace tidegate::sqlite {
namespace {

using namespace std::chrono_literals;
using testing::FaultVfs;
using testing::PlainDb;
using testing::TempDir;
using Segments = std::map<SegmentRef, std::string>;

Segments loaded(GatewayStore& store) {
  Segments all;
  store.load([&](SegmentRef ref, std::string_view octets) {
    EXPECT_TRUE(all.empty() || all.rbegin()->first < ref) << "out of order";
    all.emplace(ref, octets);
  });
  return all;
}

std::optional<Error> failureOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e;
  }
  return std::nullopt;
}

void putOne(GatewayStore& store, SegmentRef ref, const std::string& octets) {
  const Segment segment{ref, octets};
  store.commit({&segment, 1}, {});
}

contract::GatewayStoreCase::Opener inNewFolder() {
  return [dir = std::make_shared<TempDir>()] { return gatewayStore({.path = *dir / "gateway.db"}); };
}

class SqliteGatewayStore : public ::testing::Test {
 protected:
  std::shared_ptr<GatewayStore> open() { return gatewayStore({.path = path, .lockTimeout = 20ms}); }

  TempDir dir;
  std::string path = dir / "gateway.db";
};

TEST_F(SqliteGatewayStore, ASecondOwnerIsRefusedUntilTheFirstIsGone) {
  auto first = open();
  putOne(*first, {SegmentKind::log, 1}, "a");
  const auto error = failureOf([&] { open(); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeUnavailable);
  EXPECT_EQ(error->retry(), Retry::later);
  EXPECT_NE(error->message().find("one file has one owner"), std::string::npos) << error->what();
  EXPECT_NE(error->message().find("gateway.db"), std::string::npos);
  first.reset();
  EXPECT_EQ(loaded(*open()).size(), 1u);
}

TEST_F(SqliteGatewayStore, ASecondOwnerIsRefusedThroughALinkToo) {
  auto first = open();
  std::filesystem::create_symlink(path, dir / "link.db");
  const auto error = failureOf([&] { gatewayStore({.path = dir / "link.db", .lockTimeout = 0ms}); });
  ASSERT_TRUE(error);
  EXPECT_NE(error->message().find("process " + std::to_string(::getpid())), std::string::npos) << error->what();
}

TEST_F(SqliteGatewayStore, ACopyIsMadeWhileItRuns) {
  auto store = open();
  putOne(*store, {SegmentKind::log, 1}, "a");
  PlainDb reader(path);
  reader.exec("VACUUM INTO '" + (dir / "copy.db") + "'");
  putOne(*store, {SegmentKind::log, 2}, "b");
  EXPECT_EQ(loaded(*gatewayStore({.path = dir / "copy.db"})), (Segments{{{SegmentKind::log, 1}, "a"}}));
  EXPECT_EQ(loaded(*store).size(), 2u);
}

TEST_F(SqliteGatewayStore, IdsOfAllSizesComeBackInOrder) {
  Segments model;
  auto store = open();
  for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{INT64_MAX},
                                 static_cast<std::uint64_t>(INT64_MAX) + 1, UINT64_MAX}) {
    for (const SegmentKind kind : {SegmentKind::log, SegmentKind::rows, SegmentKind::seen, SegmentKind::meta}) {
      model[{kind, id}] = std::to_string(id);
      putOne(*store, {kind, id}, std::to_string(id));
    }
  }
  EXPECT_EQ(loaded(*store), model);
  store.reset();
  EXPECT_EQ(loaded(*open()), model);
}

TEST_F(SqliteGatewayStore, AFlippedByteIsReportedWithItsSegment) {
  const std::string body(50'000, 'B');
  auto store = open();
  putOne(*store, {SegmentKind::log, 7}, "fine");
  putOne(*store, {SegmentKind::rows, 1234}, body);
  store.reset();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const auto at = all.find(std::string(1'000, 'B'));
  ASSERT_NE(at, std::string::npos);
  file.seekp(static_cast<std::streamoff>(at + 500));
  file.put('b');
  file.close();
  const auto error = failureOf([&] { loaded(*open()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeCorrupt);
  EXPECT_EQ(error->retry(), Retry::afterOperator);
  EXPECT_NE(error->message().find("rows 1234"), std::string::npos) << error->what();
}

TEST_F(SqliteGatewayStore, BodiesThatChangedPlacesAreReported) {
  auto store = open();
  putOne(*store, {SegmentKind::rows, 1}, "one");
  putOne(*store, {SegmentKind::rows, 2}, "two");
  store.reset();
  PlainDb(path).exec(
      "CREATE TABLE s AS SELECT * FROM segments; UPDATE segments SET (checksum, body) = "
      "(SELECT checksum, body FROM s WHERE s.id <> segments.id)");
  const auto error = failureOf([&] { loaded(*open()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeCorrupt);
}

TEST_F(SqliteGatewayStore, ATornFileIsReportedNotRead) {
  auto store = open();
  for (std::uint64_t id = 1; id <= 20; ++id) putOne(*store, {SegmentKind::rows, id}, std::string(40'000, 'r'));
  store.reset();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  const auto error = failureOf([&] { loaded(*open()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeCorrupt) << error->what();
  std::ofstream(path, std::ios::trunc) << std::string(9'000, 'x');
  const auto other = failureOf([&] { open(); });
  ASSERT_TRUE(other);
  EXPECT_EQ(other->code(), ErrorCode::storeCorrupt) << other->what();
}

TEST_F(SqliteGatewayStore, RefusesFilesThatAreNotItsOwn) {
  PlainDb(path).exec("CREATE TABLE users(id)");
  EXPECT_EQ(failureOf([&] { open(); }).value().code(), ErrorCode::invalidConfig);
  EXPECT_EQ(PlainDb(path).text("PRAGMA journal_mode"), "delete");

  stateStore(dir / "state.db")->put("k", "v");
  EXPECT_EQ(failureOf([&] { gatewayStore({.path = dir / "state.db"}); }).value().code(), ErrorCode::invalidConfig);
  EXPECT_EQ(stateStore(dir / "state.db")->get("k"), "v");

  gatewayStore({.path = dir / "newer.db"});
  PlainDb(dir / "newer.db").exec("PRAGMA user_version = 99");
  const auto error = failureOf([&] { gatewayStore({.path = dir / "newer.db"}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::invalidConfig);
  EXPECT_NE(error->message().find("newer"), std::string::npos);
}

TEST_F(SqliteGatewayStore, AMissingFolderIsNamed) {
  const auto error = failureOf([&] { gatewayStore({.path = dir / "missing/gateway.db"}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeUnavailable);
  EXPECT_EQ(error->retry(), Retry::afterOperator);
  EXPECT_NE(error->message().find("missing/gateway.db"), std::string::npos);
  EXPECT_EQ(failureOf([&] { gatewayStore({}); }).value().code(), ErrorCode::invalidConfig);
}

TEST_F(SqliteGatewayStore, TheWalStaysBounded) {
  auto store = gatewayStore({.path = path, .walBytes = 1u << 20});
  const std::string body(100'000, 'x');
  for (std::uint64_t id = 1; id <= 100; ++id) {
    const Segment segment{{SegmentKind::log, id}, body};
    const SegmentRef old{SegmentKind::log, id - 10};
    store->commit({&segment, 1}, {&old, id > 10 ? 1u : 0u});
    ASSERT_LT(std::filesystem::file_size(path + "-wal"), 2u << 20);
  }
  EXPECT_LT(std::filesystem::file_size(path), 4u << 20);  // the room of dropped segments is used again
}

TEST_F(SqliteGatewayStore, AFullDiskChangesNothingWhereverItStrikes) {
  FaultVfs disk;
  auto store = open();
  Segments model;
  for (int nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    const SegmentRef ref{SegmentKind::rows, static_cast<std::uint64_t>(nth)};
    const int before = disk.failures();
    disk.failWrites(nth);
    const auto error = failureOf([&] { putOne(*store, ref, std::string(60'000, 'x')); });
    disk.heal();
    if (disk.failures() == before) break;  // the commit needs fewer writes than that
    ASSERT_TRUE(error);
    ASSERT_EQ(error->code(), ErrorCode::storeUnavailable) << error->what();
    ASSERT_EQ(error->retry(), Retry::later);
    ASSERT_EQ(loaded(*store), model);
    putOne(*store, {SegmentKind::log, 1}, std::to_string(nth));
    model[{SegmentKind::log, 1}] = std::to_string(nth);
    store.reset();
    store = open();
    ASSERT_EQ(loaded(*store), model);
  }
  EXPECT_GT(disk.failures(), 5);
}

TEST_F(SqliteGatewayStore, AFailedSyncLeavesTheOutcomeUnknownAndTheStoreClosed) {
  FaultVfs disk;
  auto store = open();
  putOne(*store, {SegmentKind::log, 1}, "old");
  disk.failSyncs(1);
  const auto error = failureOf([&] { putOne(*store, {SegmentKind::log, 1}, "new"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeUnavailable);
  EXPECT_EQ(error->retry(), Retry::outcomeUnknown);
  const auto after = failureOf([&] { putOne(*store, {SegmentKind::log, 2}, "more"); });
  ASSERT_TRUE(after);
  EXPECT_EQ(after->retry(), Retry::afterOperator);
  store.reset();
  store = open();
  const std::string held = loaded(*store).at({SegmentKind::log, 1});
  EXPECT_TRUE(held == "old" || held == "new") << held;
  EXPECT_EQ(loaded(*store).size(), 1u);
  putOne(*store, {SegmentKind::log, 1}, "again");
  store.reset();
}

TEST_F(SqliteGatewayStore, EveryCommitIsWholeUnderRandomFaultsAndRestarts) {
  FaultVfs disk;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto options = GatewayStoreOptions{.path = dir / (std::to_string(seed) + ".db"), .walBytes = 200'000};
    auto store = gatewayStore(options);
    Segments model;
    for (int step = 0; step < 12; ++step) {
      Segments next = model;
      std::vector<std::string> bodies(random() % 4);
      std::vector<Segment> puts;
      std::vector<SegmentRef> drops;
      for (auto& body : bodies) {
        const SegmentRef ref{static_cast<SegmentKind>(random() % 4 + 1), random() % 6};
        if (std::any_of(puts.begin(), puts.end(), [&](const Segment& s) { return s.ref == ref; })) continue;
        body.assign(random() % 60'000, static_cast<char>(random()));
        puts.push_back({ref, body});
        next[ref] = body;
      }
      if (!model.empty() && random() % 2 == 0) {
        const SegmentRef ref = model.begin()->first;
        if (std::none_of(puts.begin(), puts.end(), [&](const Segment& s) { return s.ref == ref; })) {
          drops.push_back(ref);
          next.erase(ref);
        }
      }
      if (random() % 3 == 0)
        disk.failWrites(static_cast<int>(random() % 12 + 1), random() % 2 ? SQLITE_FULL : SQLITE_IOERR_WRITE, 3);
      if (random() % 6 == 0) disk.failSyncs(static_cast<int>(random() % 2 + 1));
      const auto error = failureOf([&] { store->commit(puts, drops); });
      disk.heal();
      if (!error) {
        model = next;
      } else if (error->retry() == Retry::outcomeUnknown) {
        store.reset();
        store = gatewayStore(options);
        const Segments held = loaded(*store);
        ASSERT_TRUE(held == model || held == next) << "half a commit";
        model = held;
      } else if (random() % 2 == 0) {
        store.reset();
        store = gatewayStore(options);
      }
      ASSERT_EQ(loaded(*store), model);
    }
  }
}

}  // namespace

}  // namespace tidegate::sqlite

namespace tidegate::contract {

INSTANTIATE_TEST_SUITE_P(Sqlite, GatewayStoreContract,
                         ::testing::Values(GatewayStoreCase{.name = "sqlite", .make = sqlite::inNewFolder}),
                         gatewayStoreCaseName);

}  // namespace tidegate::contract
