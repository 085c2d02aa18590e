#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <set>
#include <thread>

#include "kinesis/detail/place.h"
#include "kinesis/fake_kinesis.h"
#include "kinesis/kpl_rig.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis {
namespace {

using testing::FakeKinesis;

/// Follows a source on a thread of its own, and keeps the ids of what came.
class Follower {
 public:
  Follower(SourceOptions options, Position from) : source_(source(std::move(options))) {
    SourceContext context;
    context.jitterSeed = 1;
    context.onWarning = [this](const std::string& warning) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(warning);
    };
    source_->init(context);
    thread_ = std::jthread([this, from](const std::stop_token& stop) {
      std::optional<Error> failure;
      try {
        source_->stream(
            {"t"}, from, [this](ChangeBatch& batch) { return take(batch); }, stop);
      } catch (const Error& e) {
        failure = e;
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }
  ~Follower() { stop(); }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  template <class Holds>
  bool await(Holds&& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return holds(); });
  }
  bool awaitIds(std::size_t count) {
    return await([&] { return ids.size() >= count; });
  }
  Error awaitFailure() {
    if (!await([&] { return ended_; }) || !failure_) return Error(ErrorCode::internal, Retry::never, "it did not fail");
    return *failure_;
  }
  std::string lastPosition() {
    const std::lock_guard lock(mutex_);
    return positions.empty() ? "" : positions.back().octets;
  }
  bool warned(const std::string& of) {
    return await([&] {
      return std::any_of(warnings_.begin(), warnings_.end(),
                         [&](const std::string& w) { return w.find(of) != std::string::npos; });
    });
  }
  SyncSource& of() { return *source_; }

  std::vector<std::int64_t> ids;  ///< guarded by the lock of `await`, as `positions`
  std::vector<Position> positions;

 private:
  Taken take(ChangeBatch& batch) {
    const std::lock_guard lock(mutex_);
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert) ids.push_back(event.after[0].as<std::int64_t>());
      positions.push_back(event.position);
    }
    changed_.notify_all();
    return Taken::yes;
  }

  std::shared_ptr<SyncSource> source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> warnings_;
  std::optional<Error> failure_;
  bool ended_ = false;
  std::jthread thread_;
};

Position from(const std::string& shards) { return {"k1|" + shards + "|"}; }
std::string begun(const std::string& shard) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(systemClock().wallNow()).count();
  return fmt::format("{}=t@{}", shard, millis);
}
std::string afterRecord(const std::string& shard, const std::string& sequence, std::chrono::hours ago = {}) {
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(systemClock().wallNow() - ago).count();
  return fmt::format("{}={}@{}", shard, sequence, at);
}

TEST(KinesisStream, RenewsAnIteratorThatExpired) {
  FakeKinesis fake;
  fake.addShard("s0");
  std::atomic<int> expired{0};
  fake.setFault([&](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    // Every third.
    if (asked.action != "GetRecords" || ++expired % 3 != 0) return std::nullopt;
    return FakeKinesis::refusal(400, "com.amazonaws.kinesis.v20131202#ExpiredIteratorException");
  });
  Follower follower(fake.options(), from(begun("s0")));
  for (int id = 0; id < 50; ++id) fake.put("s0", FakeKinesis::insert(id));
  ASSERT_TRUE(follower.awaitIds(50));
  follower.stop();
  std::vector<std::int64_t> expected(50);
  for (std::size_t i = 0; i < 50; ++i) expected[i] = static_cast<std::int64_t>(i);
  EXPECT_EQ(follower.ids, expected) << "each once, in its order";
}

TEST(KinesisStream, WaitsOutThrottlingHoweverLongItLasts) {
  FakeKinesis fake;
  fake.addShard("s0");
  std::atomic<int> asked{0};
  fake.setFault([&](const FakeKinesis::Asked& a) -> std::optional<http::Response> {
    // More often in a row than failures are borne.
    if (a.action != "GetRecords" || ++asked > 60) return std::nullopt;
    return FakeKinesis::refusal(400, "ProvisionedThroughputExceededException");
  });
  fake.put("s0", FakeKinesis::insert(1));
  Follower follower(fake.options(), from(begun("s0")));
  EXPECT_TRUE(follower.awaitIds(1));
}

TEST(KinesisStream, OneShardsFailureDoesNotHoldTheOthersUp) {
  FakeKinesis fake;
  fake.addShard("bad");
  fake.addShard("good");
  std::atomic<bool> failing{true};
  fake.setFault([&](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    if (asked.shard != "bad" || !failing) return std::nullopt;
    return FakeKinesis::refusal(500, "InternalFailure");
  });
  SourceOptions options = fake.options();
  options.backoff.maxRetries = UINT32_MAX;
  Follower follower(options, from(begun("bad") + ";" + begun("good")));
  fake.put("bad", FakeKinesis::insert(1));
  for (int id = 10; id < 30; ++id) fake.put("good", FakeKinesis::insert(id));
  ASSERT_TRUE(follower.awaitIds(20));
  EXPECT_TRUE(follower.warned("shard \"bad\""));
  failing = false;
  EXPECT_TRUE(follower.awaitIds(21));
  follower.stop();
  EXPECT_EQ(follower.ids.back(), 1);
}

TEST(KinesisStream, AShardThatCannotBeReadEndsTheStreamByItsName) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.setFault([](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    if (asked.action != "GetRecords") return std::nullopt;
    return FakeKinesis::refusal(400, "AccessDeniedException", "may not read");
  });
  Follower follower(fake.options(), from(begun("s0")));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.code(), ErrorCode::permissionDenied);
  EXPECT_NE(failure.message().find("shard \"s0\""), std::string::npos);
  EXPECT_EQ(follower.of().state(), SourceState::error);
}

TEST(KinesisStream, GivesUpAfterItsRetries) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.setFault([](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    if (asked.action != "GetRecords") return std::nullopt;
    return FakeKinesis::refusal(500, "InternalFailure");
  });
  SourceOptions options = fake.options();
  options.backoff.maxRetries = 3;
  Follower follower(options, from(begun("s0")));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.retry(), Retry::later);
  EXPECT_EQ(fake.asked("GetRecords"), 4u);
}

TEST(KinesisStream, TakesTheirTimeWhereClocksDisagree) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.put("s0", FakeKinesis::insert(1));
  // The server writes its own Date, so the reader's clock is the one that is wrong here: an hour behind theirs.
  class SlowClock final : public Clock {
   public:
    Micros wallNow() const override { return systemClock().wallNow() - std::chrono::hours(1); }
    Micros steadyNow() const override { return systemClock().steadyNow(); }
  } slow;
  std::atomic<int> refused{0}, taken{0};
  fake.setFault([&](const FakeKinesis::Asked& asked) -> std::optional<http::Response> {
    const auto now = systemClock().wallNow();
    const auto minute = [](Clock::Micros at) { return std::chrono::duration_cast<std::chrono::minutes>(at).count(); };
    const int theirs = static_cast<int>(minute(now) % 60), hour = static_cast<int>(minute(now) / 60 % 24);
    const int said = std::stoi(asked.date.substr(9, 2)) * 60 + std::stoi(asked.date.substr(11, 2));
    if (std::abs(said - (hour * 60 + theirs)) <= 5) {
      ++taken;
      return std::nullopt;
    }
    ++refused;
    return FakeKinesis::refusal(400, "InvalidSignatureException", "Signature not yet current");
  });
  auto reader = source(fake.options());
  SourceContext context;
  context.clock = &slow;
  reader->init(context);
  std::stop_source stop;
  std::atomic<int> rows{0};
  reader->stream(
      {"t"}, from(begun("s0")),
      [&](ChangeBatch& batch) {
        rows += static_cast<int>(batch.size());
        stop.request_stop();
        return Taken::yes;
      },
      stop.get_token());
  EXPECT_EQ(rows, 1);
  EXPECT_GT(refused, 0);
  EXPECT_GT(taken, 0);
}

TEST(KinesisStream, ReadsParentsBeforeTheirChildren) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.addShard("s1");
  Follower follower(fake.options(), from(begun("s0") + ";" + begun("s1")));
  for (int id = 0; id < 20; ++id) fake.put(id % 2 == 0 ? "s0" : "s1", FakeKinesis::insert(id));
  // s0 splits, then one half of it merges with s1; all while it is read.
  fake.addShard("s2", {"s0"});
  fake.addShard("s3", {"s0"});
  fake.closeShard("s0");
  for (int id = 20; id < 40; ++id) fake.put(id % 2 == 0 ? "s2" : "s3", FakeKinesis::insert(id));
  fake.addShard("s4", {"s1", "s2"});
  fake.closeShard("s1");
  fake.closeShard("s2");
  for (int id = 40; id < 60; ++id) fake.put("s4", FakeKinesis::insert(id));
  ASSERT_TRUE(follower.awaitIds(60));
  follower.stop();
  const auto at = [&](std::int64_t id) { return std::find(follower.ids.begin(), follower.ids.end(), id); };
  EXPECT_EQ(std::set(follower.ids.begin(), follower.ids.end()).size(), 60u) << "each once";
  EXPECT_EQ(follower.ids.size(), 60u);
  for (int parent = 0; parent < 20; parent += 2) EXPECT_LT(at(parent), at(20));
  for (int parent = 1; parent < 20; parent += 2) EXPECT_LT(at(parent), at(40));
  for (int parent = 20; parent < 40; parent += 2) EXPECT_LT(at(parent), at(40));
  for (std::size_t i = 1; i < follower.positions.size(); ++i) {
    ASSERT_EQ(follower.of().comparePositions(follower.positions[i - 1], follower.positions[i]),
              std::partial_ordering::less)
        << follower.positions[i - 1].octets << "\n"
        << follower.positions[i].octets;
  }
}

TEST(KinesisStream, GoesOnFromAPositionInTheMiddleOfAReshard) {
  FakeKinesis fake;
  fake.addShard("s0");
  const std::string last = fake.put("s0", FakeKinesis::insert(1));
  fake.put("s0", FakeKinesis::insert(2));
  fake.closeShard("s0");
  fake.addShard("s1", {"s0"});
  fake.addShard("s2", {"s0"});
  fake.put("s1", FakeKinesis::insert(3));
  fake.put("s2", FakeKinesis::insert(4));
  std::string end;
  {
    Follower follower(fake.options(), from(afterRecord("s0", last)));
    ASSERT_TRUE(follower.awaitIds(3));
    follower.stop();
    EXPECT_EQ(std::set(follower.ids.begin(), follower.ids.end()), (std::set<std::int64_t>{2, 3, 4}));
    end = follower.lastPosition();
  }
  fake.removeShard("s0");  // it has aged out of the listing
  fake.put("s1", FakeKinesis::insert(5));
  Follower follower(fake.options(), {end});
  ASSERT_TRUE(follower.awaitIds(1));
  follower.stop();
  EXPECT_EQ(follower.ids, std::vector<std::int64_t>{5}) << "nothing begins at the beginning again";
}

TEST(KinesisStream, SaysThatRecordsWereTrimmed) {
  FakeKinesis fake;
  fake.addShard("s0");
  const std::string last = fake.put("s0", FakeKinesis::insert(1));
  fake.put("s0", FakeKinesis::insert(2));
  fake.put("s0", FakeKinesis::insert(3));
  fake.trim("s0", 2);
  Follower follower(fake.options(), from(afterRecord("s0", last, std::chrono::hours(25))));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.code(), ErrorCode::positionLost) << failure.what();
  EXPECT_EQ(failure.retry(), Retry::afterOperator);
  EXPECT_TRUE(follower.ids.empty());
}

TEST(KinesisStream, GoesOnWhereOnlyTheLastRecordItselfWasTrimmed) {
  FakeKinesis fake;
  fake.addShard("s0");
  const std::string last = fake.put("s0", FakeKinesis::insert(1));
  fake.put("s0", FakeKinesis::insert(2));
  fake.trim("s0", 1);
  // An hour ago nothing had followed it; the stream remembers a day.
  Follower follower(fake.options(), from(afterRecord("s0", last, std::chrono::hours(1))));
  ASSERT_TRUE(follower.awaitIds(1));
}

TEST(KinesisStream, SaysThatAShardIsGone) {
  FakeKinesis fake;
  fake.addShard("s1");
  Follower follower(fake.options(), from(afterRecord("s0", "7")));
  EXPECT_EQ(follower.awaitFailure().code(), ErrorCode::positionLost);
}

TEST(KinesisStream, GivesThePartsOfAggregatedRecordsAndGoesOnInTheirMiddle) {
  FakeKinesis fake;
  fake.addShard("s0");
  std::vector<testing::Part> parts;
  for (int id = 0; id < 5; ++id) parts.push_back({"key", FakeKinesis::insert(id)});
  fake.put("s0", testing::aggregated(parts));
  fake.put("s0", FakeKinesis::insert(5));
  Follower whole(fake.options(), from(begun("s0")));
  ASSERT_TRUE(whole.awaitIds(6));
  whole.stop();
  EXPECT_EQ(whole.ids, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
  for (std::size_t taken = 0; taken < 5; ++taken) {
    Follower rest(fake.options(), whole.positions[taken]);
    ASSERT_TRUE(rest.awaitIds(5 - taken));
    rest.stop();
    EXPECT_EQ(rest.ids,
              std::vector<std::int64_t>(whole.ids.begin() + static_cast<std::ptrdiff_t>(taken) + 1, whole.ids.end()));
  }
}

TEST(KinesisStream, PutsAsideWhatIsNoChange) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.put("s0", FakeKinesis::insert(1));
  const std::string bad = fake.put("s0", "{\"table\":\"t\",\"action\":\"INSERT\",\"row\":{\"id\":\"x\"}}");
  fake.put("s0", testing::aggregated({{"k", FakeKinesis::insert(2)}, {"k", "no json"}, {"k", FakeKinesis::insert(3)}}));
  SourceOptions options = fake.options();
  options.deadLetters = memoryDeadLetters();
  for (int round = 0; round < 2; ++round) {  // what comes again is not put aside twice
    Follower follower(options, from(begun("s0")));
    ASSERT_TRUE(follower.awaitIds(3));
    follower.stop();
    EXPECT_EQ(follower.ids, (std::vector<std::int64_t>{1, 2, 3}));
  }
  const auto letters = options.deadLetters->read("kinesis:fake", 0, 10);
  ASSERT_EQ(letters.size(), 2u);
  EXPECT_NE(letters[0].event.find("\"sequence\":\"" + bad + "\""), std::string::npos) << letters[0].event;
  EXPECT_NE(letters[0].error.find("column \"id\""), std::string::npos);
  EXPECT_NE(letters[1].event.find("\"part\":2"), std::string::npos);
  EXPECT_TRUE(detail::parsePlace(letters[1].positionText));
}

TEST(KinesisStream, StopsAtWhatIsNoChangeWhereNobodyTakesIt) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.put("s0", FakeKinesis::insert(1));
  const std::string bad = fake.put("s0", "no json");
  Follower follower(fake.options(), from(begun("s0")));
  const Error failure = follower.awaitFailure();
  EXPECT_EQ(failure.code(), ErrorCode::parseError);
  EXPECT_EQ(failure.retry(), Retry::afterOperator);
  EXPECT_NE(failure.message().find(bad), std::string::npos);
  EXPECT_EQ(follower.ids, std::vector<std::int64_t>{1}) << "what came before it was delivered";
}

TEST(KinesisStream, EstimatesTheRecordsThatWaitByHowFastTheyCame) {
  FakeKinesis fake;
  fake.addShard("s0");
  for (int id = 0; id < 10; ++id) fake.put("s0", FakeKinesis::insert(id), std::chrono::seconds(60 - id));
  const auto reader = source(fake.options());
  reader->init({});
  EXPECT_EQ(reader->lag().records, std::nullopt);
  std::vector<std::optional<std::uint64_t>> seen;
  std::stop_source stop;
  // Three come at a time, a second apart; the fake says how many seconds lie behind them.
  reader->stream(
      {"t"}, from(begun("s0")),
      [&](ChangeBatch& batch) {
        seen.push_back(reader->lag().records);
        if (batch.back().op == ChangeOp::insert && batch.back().after[0].as<std::int64_t>() == 9) stop.request_stop();
        return Taken::yes;
      },
      stop.get_token());
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[1], 7u);
  EXPECT_EQ(seen[2], 4u);
  EXPECT_EQ(seen[3], 1u);
}

/// Of a snapshot that names no place in the stream: where the stream begins.
std::vector<std::int64_t> idsAfterSnapshot(FakeKinesis& fake, const SourceOptions& options, std::size_t count) {
  const auto reader = source(options);
  reader->init({});
  std::vector<std::int64_t> rows;
  const Position at = reader->baseline({"t"},
                                       [&](ChangeBatch& batch) {
                                         for (const ChangeEvent& event : batch) {
                                           if (event.op == ChangeOp::read)
                                             rows.push_back(event.after[0].as<std::int64_t>());
                                         }
                                         return Taken::yes;
                                       },
                                       {});
  EXPECT_EQ(rows, (std::vector<std::int64_t>{1, 2}));
  Follower follower(options, at);
  EXPECT_TRUE(follower.awaitIds(count));
  fake.put("s0", FakeKinesis::insert(1'000));  // all that was there has come before it
  EXPECT_TRUE(follower.awaitIds(count + 1));
  follower.stop();
  EXPECT_EQ(follower.ids.back(), 1'000);
  follower.ids.pop_back();
  return follower.ids;
}

TEST(KinesisStream, BeginsBeforeTheObjectsLastChangeWhereNoPlaceIsNamed) {
  using std::chrono::minutes;
  FakeKinesis fake;
  fake.addShard("s0");
  fake.putObject("t.jsonl", "{\"id\":1}\n{\"id\":2}\n", minutes(60));
  fake.put("s0", FakeKinesis::insert(1), minutes(80));
  fake.put("s0", FakeKinesis::insert(2), minutes(70));
  fake.put("s0", FakeKinesis::insert(3), minutes(50));
  SourceOptions options = fake.options();
  // Row 2 was there when the snapshot was written, and comes again: so would what came while it was written.
  EXPECT_EQ(idsAfterSnapshot(fake, options, 2), (std::vector<std::int64_t>{2, 3}));
  options.snapshotMargin = minutes(30);
  EXPECT_EQ(idsAfterSnapshot(fake, options, 4), (std::vector<std::int64_t>{1, 2, 3, 1'000}));
}

TEST(KinesisStream, BeginsWhereTheManifestSaysThatItWasTaken) {
  using std::chrono::minutes;
  FakeKinesis fake;
  fake.addShard("s0");
  fake.putObject("t.jsonl", "{\"id\":1}\n{\"id\":2}\n", minutes(5));
  const auto taken = static_cast<std::time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(systemClock().wallNow() - minutes(60)).count());
  std::tm parts{};
  gmtime_r(&taken, &parts);
  fake.putObject(
      "manifest.json",
      fmt::format(R"({{"tables":[{{"table":"t","columns":[{{"name":"id","type":"int64"}}],"primaryKey":["id"]}}],)"
                  R"("takenAt":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z"}})",
                  parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec));
  fake.put("s0", FakeKinesis::insert(1), minutes(61));
  fake.put("s0", FakeKinesis::insert(2), minutes(59));
  SourceOptions options = fake.options();
  options.manifest = "manifest.json";
  options.tables.clear();
  EXPECT_EQ(idsAfterSnapshot(fake, options, 1), (std::vector<std::int64_t>{2}));
}

TEST(KinesisStream, KeepsWhatWasAcknowledgedInItsStore) {
  FakeKinesis fake;
  fake.addShard("s0");
  fake.put("s0", FakeKinesis::insert(1));
  SourceOptions options = fake.options();
  options.checkpoints = std::make_shared<MemoryStateStore>();
  std::string at;
  {
    Follower follower(options, from(begun("s0")));
    ASSERT_TRUE(follower.awaitIds(1));
    at = follower.lastPosition();
    follower.of().ack({at});
    follower.stop();
  }
  const auto again = source(options);
  again->init({});
  EXPECT_EQ(again->lastAckedPosition().octets, at);
  options.checkpoints->put("kinesis/fake", "nonsense");
  EXPECT_THROW(source(options)->init({}), Error);
}

}  // namespace
}  // namespace tidegate::kinesis
