// Readers in processes of their own that are killed at any moment, while records come, shards split and merge, reads
// are throttled and iterators expire. TIDEGATE_KINESIS_ROUNDS kills of each kind: tests/kinesis/chaos.sh.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "kinesis/detail/lease_table.h"
#include "kinesis/detail/place.h"
#include "kinesis/stream_database.h"
#include "sqlite/temp_database.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/engine/engine.h"
#include "tidegate/kinesis/dynamo_state_store.h"
#include "tidegate/sqlite/sink.h"
#include "tidegate/sqlite/state_store.h"

namespace tidegate::kinesis {
namespace {

using contract::SourceChange;
using testing::emulatorUrl;
using testing::freshName;
using testing::Kinesalite;
using tidegate::testing::PlainDb;
using tidegate::testing::TempDir;

int rounds() {
  const char* asked = std::getenv("TIDEGATE_KINESIS_ROUNDS");
  return asked != nullptr ? std::atoi(asked) : 5;
}

/// A process of its own. It ends by being killed, or not as it should: then the test says what it wrote last, and how
/// it ended.
class Child {
 public:
  explicit Child(const std::function<void()>& body) : said_(std::tmpfile()), pid_(::fork()) {
    if (pid_ != 0) return;
    // Where the test reads is not where the process writes.
    ::fcntl(::fileno(said_), F_SETFL, O_APPEND);
    ::dup2(::fileno(said_), STDOUT_FILENO);
    ::dup2(::fileno(said_), STDERR_FILENO);
    try {
      body();
      std::fprintf(stderr, "it returned\n");
    } catch (const std::exception& e) {
      std::fprintf(stderr, "it threw: %s\n", e.what());
    }
    std::fflush(nullptr);
    ::_exit(1);
  }
  ~Child() {
    kill();
    if (said_ != nullptr) std::fclose(said_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "process " << pid_ << " ended by itself, "
        << (WIFSIGNALED(status) ? fmt::format("by signal {}", WTERMSIG(status))
                                : fmt::format("with status {}", WEXITSTATUS(status)))
        << ". It said:\n"
        << said();
    pid_ = 0;
  }
  /// The end of what it wrote to stdout and stderr.
  std::string said() const {
    constexpr long kLast = 8'000;
    std::fseek(said_, 0, SEEK_END);
    std::fseek(said_, std::max(0l, std::ftell(said_) - kLast), SEEK_SET);
    std::string text(kLast, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), said_));
    return text.empty() ? "nothing" : text;
  }

 private:
  std::FILE* said_;
  pid_t pid_;
};

/// A stream of rows that change, and what they are in the end.
class Writer {
 public:
  Writer(std::uint64_t seed, bool fanOut)
      : random(seed), fanOut_(fanOut), stream_(freshName("chaos")), kinesis_(emulatorUrl("TIDEGATE_KINESIS_URL")) {
    kinesis_.create(stream_, 2);
    std::string lines, shards;
    for (std::int64_t id = 0; id < 500; ++id) {
      rows_[id] = "from the snapshot";
      lines += fmt::format("{{\"id\":{},\"name\":\"{}\",\"amount\":null}}\n", id, rows_[id]);
    }
    for (const auto& shard : kinesis_.shards(stream_))
      shards += fmt::format("{}\"{}\":\"TRIM_HORIZON\"", shards.empty() ? "" : ",", shard.id);
    testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream_ + "/t.jsonl", std::move(lines));
    testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream_ + "/manifest.json",
                       R"({"tables":[],"stream":{)" + shards + "}}");
  }
  SourceOptions options() const {
    SourceOptions options = testing::quickOptions(stream_, stream_ + "/");
    options.kinesisEndpoint = emulatorUrl(fanOut_ ? "TIDEGATE_BAD_FAN_OUT_URL" : "TIDEGATE_BAD_KINESIS_URL");
    if (fanOut_) options.fanOut = {.consumer = "chaos", .retryInterval = std::chrono::milliseconds(20)};
    options.tables = {testing::contractTable("t")};
    return options;
  }
  /// Changes rows until then. All changes of one row have its key.
  void writeFor(std::chrono::microseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    do {
      std::vector<std::pair<std::string, std::string>> records;
      for (std::uint64_t i = 1 + random.below(8); i > 0; --i) {
        const auto id = static_cast<std::int64_t>(random.below(1'000));
        records.emplace_back(change(id), std::to_string(id));
      }
      kinesis_.putMany(stream_, records);
    } while (std::chrono::steady_clock::now() < until);
  }
  /// The first open shard becomes two; or the last two, which came of one, become one again.
  void reshard(bool split) {
    std::vector<std::string> open;
    for (const auto& shard : kinesis_.shards(stream_)) {
      if (shard.open) open.push_back(shard.id);
    }
    if (split)
      kinesis_.split(stream_, open.front());
    else
      kinesis_.merge(stream_, open[open.size() - 2], open.back());
  }
  const std::map<std::int64_t, std::string>& rows() const { return rows_; }
  const std::string& stream() const { return stream_; }
  test::Random random;
  std::uint64_t written = 0;

 private:
  std::string change(std::int64_t id) {
    const bool there = rows_.contains(id);
    if (there && random.chance(20)) {
      rows_.erase(id);
      return testing::recordOf("t", {.op = SourceChange::Op::erase, .id = id});
    }
    const std::string name = std::to_string(++written);
    rows_[id] = name;
    return testing::recordOf(
        "t", {.op = there ? SourceChange::Op::update : SourceChange::Op::insert, .id = id, .row = {.name = name}});
  }
  const bool fanOut_;
  const std::string stream_;
  Kinesalite kinesis_;
  std::map<std::int64_t, std::string> rows_;
};

template <class Holds>
bool awaitIt(Holds&& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

/// An engine that keeps a replica until it is killed.
[[noreturn]] void replicate(const SourceOptions& options, const std::string& file,
                            const std::string& pipeline = "replica") {
  Engine engine({.sources = {{.name = "lake", .source = source(options)}},
                 .pipelines = {{.name = pipeline,
                                .source = "lake",
                                .tables = {{.table = "t"}},
                                .sink = sqlite::sink({.path = file, .synchronous = sqlite::Synchronous::normal}),
                                .commitEvents = 50,
                                .commitInterval = std::chrono::milliseconds(5)}},
                 .observer = std::make_shared<EngineObserver>(),
                 .ackInterval = std::chrono::milliseconds(20)});
  engine.start();
  for (;;) ::pause();
}

std::map<std::int64_t, std::string> replicaIn(const std::string& file) {
  std::map<std::int64_t, std::string> rows;
  try {
    PlainDb db(file);
    for (const std::string& row : db.texts("SELECT id || '=' || name FROM t")) {
      const std::size_t mark = row.find('=');
      rows[std::stoll(row.substr(0, mark))] = row.substr(mark + 1);
    }
  } catch (const std::runtime_error&) {  // not made yet, or busy
  }
  return rows;
}

void killEngines(bool fanOut) {
  TempDir dir;
  const std::string file = dir / "replica.db";
  Writer writer(1, fanOut);
  for (int round = 0; round < rounds(); ++round) {
    Child engine([&] { replicate(writer.options(), file); });
    writer.writeFor(std::chrono::microseconds(writer.random.below(500'000)));
    engine.kill();
    if (round % 3 == 1) writer.reshard(round % 6 == 1);
    if (writer.random.below(3) == 0) writer.writeFor({});
  }
  Child engine([&] { replicate(writer.options(), file); });
  EXPECT_TRUE(awaitIt([&] { return replicaIn(file) == writer.rows(); }))
      << replicaIn(file).size() << " rows, not " << writer.rows().size() << ". The last engine said:\n"
      << engine.said();
}

TEST(KinesisChaos, AReplicaWhoseEngineIsKilledAnywhereEndsAsTheStreamSays) { killEngines(false); }

TEST(KinesisChaos, AReplicaWhoseEngineIsKilledEndsAsTheSubscriptionsSay) { killEngines(true); }

/// The number of a worker that has a shard.
std::size_t ownerIn(const std::string& leases, const std::string& key) {
  std::size_t owner = 0;
  EXPECT_TRUE(awaitIt([&] {
    const auto text = sqlite::stateStore(leases)->get(key);
    const auto table = text ? detail::parseLeases(*text) : std::nullopt;
    if (!table || table->owners.empty()) return false;
    owner = static_cast<std::size_t>(table->owners.begin()->second.back() - '0');
    return true;
  }));
  return owner;
}

/// Engines that share the shards and write into one table. One or two at a time are killed and come back under their
/// names; at last one that has a shard stays away, and another takes it.
TEST(KinesisChaos, EnginesThatShareOneTargetAndAreKilledEndAsTheStreamSays) {
  TempDir dir;
  const std::string file = dir / "replica.db", leases = dir / "leases.db";
  Writer writer(3, false);
  std::vector<std::unique_ptr<Child>> engines(3);
  const auto start = [&](std::size_t worker) {
    engines[worker] = std::make_unique<Child>([&, worker] {
      SourceOptions options = writer.options();
      // Longer than any of them stands still on a busy machine: what its sink holds by then would be written late.
      options.leases = {.store = sqlite::stateStore(leases),
                        .key = writer.stream(),
                        .worker = fmt::format("worker {}", worker),
                        .duration = std::chrono::seconds(5),
                        .interval = std::chrono::milliseconds(100)};
      replicate(options, file, fmt::format("replica {}", worker));
    });
  };
  for (std::size_t worker = 0; worker < engines.size(); ++worker) start(worker);
  std::set<std::size_t> victims;
  for (int round = 0; round < rounds(); ++round) {
    for (const std::size_t victim : std::exchange(victims, {})) start(victim);
    writer.writeFor(std::chrono::microseconds(writer.random.below(500'000)));
    victims = {writer.random.index(engines.size()), writer.random.index(engines.size())};
    for (const std::size_t victim : victims) engines[victim]->kill();
    if (round % 3 == 1) writer.reshard(round % 6 == 1);
    // Long enough for the others to take over what they had, now and then.
    if (round % 10 == 5) writer.writeFor(std::chrono::seconds(6));
  }
  for (const std::size_t victim : victims) start(victim);
  engines[ownerIn(leases, writer.stream())]->kill();
  writer.writeFor(std::chrono::milliseconds(200));
  EXPECT_TRUE(awaitIt([&] { return replicaIn(file) == writer.rows(); }))
      << replicaIn(file).size() << " rows, not " << writer.rows().size();
  for (const auto& engine : engines) {
    if (::testing::Test::HasFailure()) ADD_FAILURE() << "an engine said:\n" << engine->said();
  }
}

/// Which shards a position's reader has, and since when.
std::map<std::string, std::uint64_t> tenuresOf(const Position& position) {
  std::map<std::string, std::uint64_t> tenures;
  for (const auto& [shard, at] : detail::requirePlace(position).shards) tenures[shard] = at.tenure;
  return tenures;
}

/// One worker: what it is given is written to a file, and then acknowledged.
void work(SourceOptions options, const std::string& file) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto reader = source(std::move(options));
  SourceContext context;
  context.onWarning = [](const std::string& warning) { std::fprintf(stderr, "%s\n", warning.c_str()); };
  reader->init(context);
  std::map<std::string, std::uint64_t> held;
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    std::string lines;
    // Where a shard changed hands meanwhile, it goes on where the group is.
    const auto tenures = tenuresOf(batch.back().position);
    if (batch.back().op != ChangeOp::read && tenures != std::exchange(held, tenures)) lines += "turn\n";
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::read) {
        lines += fmt::format("{} {}\n", event.after[0].as<std::int64_t>(), event.after[1].as<std::string>());
      } else if (event.op == ChangeOp::erase) {
        lines += fmt::format("{} -\n", event.before[0].as<std::int64_t>());
      }
    }
    if (::write(out, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) {
      throw std::runtime_error("a line could not be written");
    }
    if (batch.back().op != ChangeOp::read) reader->ack(batch.back().position);
    return Taken::yes;
  };
  for (;;) {
    try {
      const Position from = reader->baseline({"t"}, handler, {});
      reader->ack(from);
      reader->stream({"t"}, from, handler, {});
    } catch (const Error& e) {
      // On a busy machine one may be taken for dead while it reads the baseline.
      if (e.retry() != Retry::later) throw;
    }
  }
}

/// The states that a life of a worker was given, row by row in each turn; an erase goes without a number.
std::map<std::pair<int, std::int64_t>, std::vector<std::uint64_t>> statesIn(const std::string& file) {
  std::map<std::pair<int, std::int64_t>, std::vector<std::uint64_t>> states;
  std::ifstream in(file);
  int turn = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    if (line == "turn") {
      ++turn;
      continue;
    }
    const std::size_t mark = line.find(' ');
    if (line.find_first_not_of("0123456789", mark + 1) != line.npos) continue;
    states[{turn, std::stoll(line.substr(0, mark))}].push_back(std::stoull(line.substr(mark + 1)));
  }
  return states;
}

/// Workers that share shards, of which one after the other is killed and comes back.
void killWorkers(const std::function<std::shared_ptr<StateStore>()>& store, bool fanOut = false) {
  TempDir dir;
  Writer writer(2, fanOut);
  std::vector<std::string> files;
  std::vector<std::unique_ptr<Child>> workers(3);
  const auto start = [&](std::size_t worker) {
    files.push_back(dir / fmt::format("life-{}", files.size()));
    workers[worker] = std::make_unique<Child>([&, file = files.back()] {
      SourceOptions options = writer.options();
      options.leases = {.store = store(), .key = writer.stream(), .duration = std::chrono::milliseconds(300)};
      work(std::move(options), file);
    });
  };
  for (std::size_t worker = 0; worker < workers.size(); ++worker) start(worker);
  for (int round = 0; round < rounds(); ++round) {
    writer.writeFor(std::chrono::microseconds(writer.random.below(500'000)));
    const std::size_t victim = writer.random.index(workers.size());
    workers[victim]->kill();
    if (round % 3 == 1) writer.reshard(round % 6 == 1);
    if (round % 4 == 0) writer.writeFor(std::chrono::milliseconds(400));  // the others take over meanwhile
    start(victim);
  }
  std::size_t seen = 0, given = 0;
  const auto everything = [&] {
    std::map<std::uint64_t, std::size_t> counts;
    given = 0;
    for (const std::string& file : files) {
      for (const auto& [turnAndId, states] : statesIn(file)) {
        for (const std::uint64_t state : states) ++counts[state];
        given += states.size();
      }
    }
    seen = counts.size();
    return seen == writer.written;
  };
  EXPECT_TRUE(awaitIt(everything)) << seen << " of " << writer.written << " states came";
  for (const auto& worker : workers) {
    if (::testing::Test::HasFailure()) ADD_FAILURE() << "a worker said:\n" << worker->said();
  }
  for (const std::string& file : files) {
    for (const auto& [turnAndId, states] : statesIn(file)) {
      for (std::size_t i = 1; i < states.size(); ++i) {
        ASSERT_LT(states[i - 1], states[i])
            << file << ", row " << turnAndId.second << ": one worker is given nothing twice, in order";
      }
    }
  }
  std::printf("%d kills: %zu states, %zu of them twice\n", rounds(), seen, given - seen);
}

TEST(KinesisChaos, WorkersThatAreKilledHandTheirShardsOnThroughSqlite) {
  TempDir dir;
  const std::string file = dir / "leases.db";
  killWorkers([&] { return sqlite::stateStore(file); });
}

TEST(KinesisChaos, WorkersThatAreKilledHandTheirSubscriptionsOn) {
  TempDir dir;
  const std::string file = dir / "leases.db";
  killWorkers([&] { return sqlite::stateStore(file); }, true);
}

TEST(KinesisChaos, WorkersThatAreKilledHandTheirShardsOnThroughDynamo) {
  const std::string table = freshName("leases");
  killWorkers([&] {
    return dynamoStateStore({.table = table,
                             .createMissing = true,
                             .region = "us-east-1",
                             .endpoint = emulatorUrl("TIDEGATE_DYNAMODB_URL"),
                             .credentials = staticCredentials({.accessKeyId = "a", .secretAccessKey = "b"})});
  });
}

}  // namespace
}  // namespace tidegate::kinesis
