/// Three real servers, of which some are killed: what was acknowledged stays, in one order, and leases pass on.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "nats/detail/kv.h"
#include "nats/detail/read_table.h"
#include "nats/nats_rig.h"
#include "tidegate/nats/gateway_store.h"
#include "tidegate/nats/lease.h"
#include "tidegate/nats/sink.h"
#include "tidegate/nats/state_store.h"

namespace tidegate::nats {
namespace {

using testing::nodeCommand;
using testing::Servers;

int rounds() {
  const char* given = std::getenv("TIDEGATE_ROUNDS");
  return given != nullptr ? std::atoi(given) : 1;
}

template <class Holds>
bool until(const Holds& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class NatsCluster : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(testing::serverUrls().size(), 3u) << "run this test as tests/nats/with_nats.sh --cluster 3 <command>";
    servers.awaitReady();
  }
  int leaderOf(const std::string& stream) {
    int leader = 0;
    until([&] {
      leader = testing::nodeNamed(servers.js().info(stream).leader);
      return leader != 0;
    });
    return leader;
  }
  static StreamOptions replicated() {
    StreamOptions options;
    options.replicas = 3;
    return options;
  }
  /// Kills the stream's leader (or another node), and starts it again after a while.
  void disturb(const std::string& stream, bool leader) {
    const int node = leader ? leaderOf(stream) : leaderOf(stream) % 3 + 1;
    nodeCommand("kill", node);
    servers.js().info(stream);  // waits for a leader
    nodeCommand("start", node);
  }

  Servers servers;
};

/// Appends entries of its own until told to stop; where the outcome was unknown, it reads to see.
class Appender {
 public:
  Appender(const GatewayStoreOptions& options, std::string name)
      : log_(gatewayStore(options)), name_(std::move(name)) {}

  void run(const std::atomic<bool>& stop) {
    std::uint64_t last = 0;
    for (int i = 0; !stop.load(); ++i) {
      const std::string text = name_ + ":" + std::to_string(i) + std::string(i % 7 == 0 ? 700'000 : 100, '.');
      bool there = false;
      while (!there) {
        try {
          if (const auto sequence = log_->append(last, text)) {
            last = *sequence;
            there = true;
          } else {
            there = catchUp(last, text);
          }
        } catch (const Error& e) {
          ASSERT_EQ(e.code(), ErrorCode::storeUnavailable) << e.what();
          ASSERT_TRUE(e.retry() == Retry::later || e.retry() == Retry::outcomeUnknown) << e.what();
          try {
            there = catchUp(last, text);
          } catch (const Error& again) {
            ASSERT_EQ(again.code(), ErrorCode::storeUnavailable) << again.what();
          }
        }
      }
      acknowledged.push_back(text);
    }
  }
  std::vector<std::string> acknowledged;

 private:
  /// @return whether our own entry was among what came.
  bool catchUp(std::uint64_t& last, const std::string& text) {
    bool found = false;
    last = log_->read(last, [&](std::uint64_t, std::string_view octets) { found = found || octets == text; });
    return found;
  }

  std::shared_ptr<SharedLog> log_;
  const std::string name_;
};

TEST_F(NatsCluster, EveryAcknowledgedAppendIsThereOnceInOneOrderThoughLeadersAreKilled) {
  GatewayStoreOptions options{
      .connect = testing::serverOptions(), .log = testing::freshName("L"), .stream = replicated()};
  options.connect.requestTimeout = std::chrono::milliseconds(2'000);
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Appender>> appenders;
  for (const char* name : {"north", "south"}) appenders.push_back(std::make_unique<Appender>(options, name));
  std::vector<std::thread> threads;
  for (const auto& appender : appenders) threads.emplace_back([&] { appender->run(stop); });
  std::uint64_t at = 0;
  const auto grown = [&] {
    const std::uint64_t target = at + 20;
    until([&] { return (at = servers.js().info(options.log).lastSequence) >= target; });
  };
  for (int round = 0; round < rounds(); ++round) {
    grown();
    disturb(options.log, round % 2 == 0);
  }
  grown();
  stop.store(true);
  for (std::thread& thread : threads) thread.join();

  std::vector<std::pair<std::uint64_t, std::string>> first, second;
  const auto into = [](auto& list) {
    return [&list](std::uint64_t sequence, std::string_view octets) { list.emplace_back(sequence, octets); };
  };
  gatewayStore(options)->read(0, into(first));
  gatewayStore(options)->read(0, into(second));
  EXPECT_TRUE(first == second) << "two readers, two orders";
  for (const auto& appender : appenders) {
    std::size_t next = 0;
    for (const auto& [sequence, text] : first) {
      if (next < appender->acknowledged.size() && text == appender->acknowledged[next]) ++next;
    }
    EXPECT_EQ(next, appender->acknowledged.size()) << "an acknowledged append is missing, or out of order";
  }
  std::multiset<std::string> all;
  for (const auto& entry : first) all.insert(entry.second);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size()) << "an append is there twice";
}

TEST_F(NatsCluster, ASinkGoesOnThroughTheDeathOfItsLeaderAndWritesEachChangeOnce) {
  SinkOptions options{
      .connect = testing::serverOptions(), .stream = replicated(), .streamName = testing::freshName("P")};
  options.subjectPrefix = "p." + options.streamName;
  const Shape shape = makeShape({.table = "t",
                                 .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                             {.name = "n", .kind = ValueKind::int64}},
                                 .primaryKey = {"id"}});
  const auto pipeline = sink(options);
  std::string at = pipeline->open({.pipeline = "p"}).value_or("0");
  pipeline->prepareTable(shape);
  std::atomic<int> committed{0};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop.load()) {
      try {
        const int next = std::stoi(at) + 1;
        ChangeBatch batch;
        for (int i = 0; i < 10; ++i) {
          ChangeEvent& event = batch.add(ChangeOp::insert, shape);
          event.transactionBegin = i == 0;
          event.transactionEnd = i == 9;
          event.after = {next * 10 + i, next};
          event.position.octets = std::to_string(next * 10 + i);
        }
        pipeline->apply(batch);
        pipeline->commit(std::to_string(next));
        at = std::to_string(next);
        committed.store(next);
      } catch (const Error& e) {
        ASSERT_TRUE(e.retry() == Retry::later || e.retry() == Retry::outcomeUnknown) << e.what();
        // As an engine does: what was committed is asked, and the rest comes again.
        until([&] {
          try {
            at = pipeline->open({.pipeline = "p"}).value_or("0");
            pipeline->prepareTable(shape);
            return true;
          } catch (const Error&) {
            return false;
          }
        });
      }
    }
  });
  for (int round = 0; round < rounds(); ++round) {
    const int before = committed.load();
    EXPECT_TRUE(until([&] { return committed.load() > before + 5; }));
    disturb(options.streamName, round % 2 == 0);
  }
  const int before = committed.load();
  EXPECT_TRUE(until([&] { return committed.load() > before + 5; }));
  stop.store(true);
  writer.join();

  std::vector<std::int64_t> ids;
  const detail::StreamInfo info = servers.js().info(options.streamName);
  detail::UnitReader reader(servers.js(), options.streamName, 0);
  while (reader.sequence() < info.lastSequence) {
    reader.read(std::chrono::milliseconds(200),
                {.event =
                     [&](ChangeEvent& event, std::uint64_t) {
                       ids.push_back(event.after[0].as<std::int64_t>());
                       return true;
                     },
                 .unit = [](const detail::ControlRecord&, std::uint64_t) { return true; }},
                {});
  }
  ASSERT_GE(ids.size(), static_cast<std::size_t>(committed.load()) * 10);
  for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], static_cast<std::int64_t>(i) + 10);
}

TEST_F(NatsCluster, ALeasePassesOnWhenItsHolderIsGoneAndALateWriteIsRefused) {
  LeaseOptions options{.connect = testing::serverOptions(),
                       .bucket = testing::freshName("LEASES"),
                       .stream = replicated(),
                       .name = "the slot",
                       .duration = std::chrono::milliseconds(1'500)};
  const std::string bucket = testing::freshName("STATE");
  const auto storeOf = [&](std::uint64_t fence) {
    return stateStore({.connect = options.connect, .bucket = bucket, .stream = replicated(), .fence = fence});
  };
  auto first = std::make_unique<Lease>(options);
  ASSERT_TRUE(first->take({}));
  const auto zombie = storeOf(first->token());
  zombie->put("cursor", "1");
  Lease second(options);
  EXPECT_FALSE(second.tryTake());
  ASSERT_TRUE(first->renew());
  // The holder stops renewing, as a frozen process would, and a node goes down as well.
  const int leader = leaderOf("KV_" + options.bucket);
  nodeCommand("kill", leader);
  ASSERT_TRUE(second.take({}));
  EXPECT_FALSE(first->held()) << "two holders at once";
  EXPECT_GT(second.token(), first->token());
  const auto owner = storeOf(second.token());
  EXPECT_EQ(owner->get("cursor"), "1");
  const auto fenced = [](const auto& work) {
    try {
      work();
    } catch (const Error& e) {
      return e.code() == ErrorCode::fenced && e.retry() == Retry::afterOperator;
    }
    return false;
  };
  EXPECT_TRUE(fenced([&] { zombie->put("cursor", "of the zombie"); }));
  owner->put("cursor", "2");
  EXPECT_TRUE(fenced([&] { zombie->get("cursor"); }));
  EXPECT_TRUE(fenced([&] { zombie->remove("cursor"); }));
  EXPECT_EQ(owner->get("cursor"), "2");
  EXPECT_FALSE(first->renew());
  nodeCommand("start", leader);
}

TEST_F(NatsCluster, OfSeveralThatReplaceOneValueAtOnceOneDoes) {
  constexpr int kWriters = 4, kEach = 60;
  const std::string bucket = testing::freshName("COUNTS");
  detail::Kv(servers.js(), bucket, replicated());
  std::vector<std::jthread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&] {
      Servers own;
      detail::Kv kv(own.js(), bucket, replicated());
      for (int i = 0; i < kEach;) {
        const auto before = kv.get("count");
        const std::string after = std::to_string(before ? std::stoi(before->value) + 1 : 1);
        i += kv.putIf({.key = "count", .value = after}, before ? before->revision : 0) ? 1 : 0;
      }
    });
  }
  writers.clear();
  EXPECT_EQ(detail::Kv(servers.js(), bucket, replicated()).get("count")->value, std::to_string(kWriters * kEach));
}

TEST_F(NatsCluster, AtMostOneHolderAtAnyTimeAndTokensGrow) {
  using Time = std::chrono::steady_clock::time_point;
  struct Holding {
    Time from, to;
    std::uint64_t token;
  };
  LeaseOptions options{.connect = testing::serverOptions(),
                       .bucket = testing::freshName("LEASES"),
                       .stream = replicated(),
                       .name = "one",
                       .duration = std::chrono::milliseconds(400)};
  std::mutex mutex;
  std::vector<Holding> holdings;  // guarded by mutex
  std::atomic<bool> stop{false};
  const auto contend = [&](std::uint64_t contender) {
    std::mt19937_64 random(contender);
    Lease lease(options);
    while (!stop.load()) {
      try {
        if (!lease.tryTake()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          continue;
        }
        std::optional<Holding> held;
        // Renews it some times, then gives it back or lets it lapse. Only what is said to be held after its time was
        // taken counts: this thread may have waited for the processor since it took the lease.
        std::uint64_t renewals = random() % 3;
        for (Time now = std::chrono::steady_clock::now(); lease.held(); now = std::chrono::steady_clock::now()) {
          if (!held) held = Holding{now, now, lease.token()};
          held->to = now;
          if (renewals > 0) {
            --renewals;
            lease.renew();
          } else if (random() % 4 == 0) {
            lease.release();
          }
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
        }
        if (!held) continue;
        const std::lock_guard lock(mutex);
        holdings.push_back(*held);
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 1; i <= 3; ++i) threads.emplace_back(contend, i);
  EXPECT_TRUE(until([&] {
    const std::lock_guard lock(mutex);
    return holdings.size() >= 8;
  }));
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  std::sort(holdings.begin(), holdings.end(), [](const Holding& a, const Holding& b) { return a.from < b.from; });
  for (std::size_t i = 1; i < holdings.size(); ++i) {
    EXPECT_LE(holdings[i - 1].to, holdings[i].from) << "two holders at once";
    EXPECT_LT(holdings[i - 1].token, holdings[i].token);
  }
}

/// What the process logs, for as long as this lives.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(NatsCluster, ServersWhoseReplicasMayPartAreWarnedOf) {
  const std::string version = std::getenv("TIDEGATE_NATS_VERSION");
  const bool old = version.starts_with("2.9.") || version.starts_with("2.10.");
  GatewayStoreOptions options{
      .connect = testing::serverOptions(), .log = testing::freshName("OLD"), .stream = replicated()};
  for (const bool again : {false, true}) {
    const LogCapture log;
    gatewayStore(options);
    EXPECT_EQ(log.text().find("oldServers") != std::string::npos, old)
        << version << (again ? ", again\n" : "\n") << log.text();
  }
  EXPECT_EQ(servers.js().info(options.log).version, old ? "" : version);
  const LogCapture log;
  options.log = testing::freshName("ONE");
  options.stream.replicas = 1;
  gatewayStore(options);
  EXPECT_EQ(log.text(), "") << "one replica parts from nobody";
}

}  // namespace
}  // namespace tidegate::nats
