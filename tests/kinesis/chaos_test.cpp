// Readers in processes of their own that are killed at any moment, while records come, shards split and merge, reads
// are throttled and iterators expire. TIDEGATE_KINESIS_ROUNDS kills of each kind: tests/kinesis/chaos.sh.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

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

/// A process of its own. It ends by being killed, or not as it should.
class Child {
 public:
  explicit Child(const std::function<void()>& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      body();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "a reader ended: %s\n", e.what());
    }
    ::_exit(1);
  }
  ~Child() { kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

/// A stream of rows that change, and what they are in the end.
class Writer {
 public:
  explicit Writer(std::uint64_t seed)
      : random(seed), stream_(freshName("chaos")), kinesis_(emulatorUrl("TIDEGATE_KINESIS_URL")) {
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
    options.kinesisEndpoint = emulatorUrl("TIDEGATE_BAD_KINESIS_URL");
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
[[noreturn]] void replicate(const SourceOptions& options, const std::string& file) {
  Engine engine({.sources = {{.name = "lake", .source = source(options)}},
                 .pipelines = {{.name = "replica",
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

TEST(KinesisChaos, AReplicaWhoseEngineIsKilledAnywhereEndsAsTheStreamSays) {
  TempDir dir;
  const std::string file = dir / "replica.db";
  Writer writer(1);
  for (int round = 0; round < rounds(); ++round) {
    Child engine([&] { replicate(writer.options(), file); });
    writer.writeFor(std::chrono::microseconds(writer.random.below(500'000)));
    engine.kill();
    if (round % 3 == 1) writer.reshard(round % 6 == 1);
    if (writer.random.below(3) == 0) writer.writeFor({});
  }
  Child engine([&] { replicate(writer.options(), file); });
  EXPECT_TRUE(awaitIt([&] { return replicaIn(file) == writer.rows(); }))
      << replicaIn(file).size() << " rows, not " << writer.rows().size();
}

/// One worker: what it is given is written to a file, and then acknowledged.
void work(SourceOptions options, const std::string& file) {
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto reader = source(std::move(options));
  reader->init({});
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    std::string lines;
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::read) {
        lines += fmt::format("{} {}\n", event.after[0].as<std::int64_t>(), event.after[1].as<std::string>());
      } else if (event.op == ChangeOp::erase) {
        lines += fmt::format("{} -\n", event.before[0].as<std::int64_t>());
      }
    }
    if (::write(out, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) ::_exit(2);
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

/// The states that a life of a worker was given, row by row; an erase goes without a number.
std::map<std::int64_t, std::vector<std::uint64_t>> statesIn(const std::string& file) {
  std::map<std::int64_t, std::vector<std::uint64_t>> states;
  std::ifstream in(file);
  std::int64_t id = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const std::size_t mark = line.find(' ');
    id = std::stoll(line.substr(0, mark));
    if (line.find_first_not_of("0123456789", mark + 1) == line.npos)
      states[id].push_back(std::stoull(line.substr(mark + 1)));
  }
  return states;
}

/// Workers that share shards, of which one after the other is killed and comes back.
void killWorkers(const std::function<std::shared_ptr<StateStore>()>& store) {
  TempDir dir;
  Writer writer(2);
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
      for (const auto& [id, states] : statesIn(file)) {
        for (const std::uint64_t state : states) ++counts[state];
        given += states.size();
      }
    }
    seen = counts.size();
    return seen == writer.written;
  };
  EXPECT_TRUE(awaitIt(everything)) << seen << " of " << writer.written << " states came";
  for (const std::string& file : files) {
    for (const auto& [id, states] : statesIn(file)) {
      for (std::size_t i = 1; i < states.size(); ++i) {
        ASSERT_LT(states[i - 1], states[i])
            << file << ", row " << id << ": one worker is given nothing twice, in order";
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
