// The source against kinesalite, dynalite and s3rver: what the contract does not ask.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <set>
#include <thread>

#include "contract/state_store_contract.h"
#include "kinesis/stream_database.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/kinesis/dynamo_state_store.h"

namespace tidegate::kinesis {
namespace {

using testing::emulatorUrl;
using testing::freshName;
using testing::Kinesalite;

SourceOptions optionsFor(const std::string& stream) {
  SourceOptions options = testing::quickOptions(stream, stream + "/");
  options.tables = {testing::contractTable("t")};
  return options;
}

std::string insertOf(std::int64_t id) {
  return testing::recordOf("t", {.id = id, .row = {.name = "row " + std::to_string(id)}});
}

std::string linesOf(std::int64_t first, std::int64_t count) {
  std::string lines;
  for (std::int64_t id = first; id < first + count; ++id) {
    lines += fmt::format("{{\"id\":{},\"name\":\"row {}\",\"amount\":null}}\n", id, id);
  }
  return lines;
}

std::string gzip(const std::string& plain) {
  z_stream out{};
  deflateInit2(&out, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&out, plain.size()), '\0');
  out.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  out.avail_in = static_cast<uInt>(plain.size());
  out.next_out = reinterpret_cast<Bytef*>(packed.data());
  out.avail_out = static_cast<uInt>(packed.size());
  deflate(&out, Z_FINISH);
  packed.resize(packed.size() - out.avail_out);
  deflateEnd(&out);
  return packed;
}

std::string zstd(const std::string& plain) {
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 1));
  return packed;
}

/// Ids of a baseline's rows, in their order. `onBatch` is called before each batch is taken.
std::vector<std::int64_t> baselineOf(SyncSource& of, const std::function<void()>& onBatch = {}) {
  std::vector<std::int64_t> ids;
  of.baseline({"t"},
              [&](ChangeBatch& batch) {
                if (onBatch) onBatch();
                for (const ChangeEvent& event : batch) {
                  if (event.op == ChangeOp::read) ids.push_back(event.after[0].as<std::int64_t>());
                }
                return Taken::yes;
              },
              {});
  return ids;
}

std::vector<std::int64_t> upTo(std::int64_t count) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
  return ids;
}

TEST(KinesisBaseline, ReadsEveryFormOfAnObject) {
  for (const char* suffix : {".jsonl", ".jsonl.gz", ".jsonl.zst"}) {
    SCOPED_TRACE(suffix);
    const std::string stream = freshName("forms");
    Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
    std::string body = linesOf(0, 5'000);
    if (suffix == std::string(".jsonl.gz")) body = gzip(body);
    if (suffix == std::string(".jsonl.zst")) body = zstd(body);
    testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/t" + suffix, std::move(body));
    const auto reader = source(optionsFor(stream));
    reader->init({});
    EXPECT_TRUE(baselineOf(*reader) == upTo(5'000));
  }
}

TEST(KinesisBaseline, ReadsThePartsThatTheManifestNames) {
  const std::string stream = freshName("parts"), s3 = emulatorUrl("TIDEGATE_S3_URL");
  Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  testing::putObject(s3, stream + "/a part+1.jsonl", linesOf(0, 100));
  testing::putObject(s3, stream + "/deep/part=2.jsonl.zst", zstd(linesOf(100, 100)));
  testing::putObject(
      s3, stream + "/manifest.json",
      R"({"tables":[{"table":"t","columns":[{"name":"id","type":"int64"},{"name":"name"}],"primaryKey":["id"],)"
      R"("parts":["a part+1.jsonl","deep/part=2.jsonl.zst"]}]})");
  SourceOptions options = optionsFor(stream);
  options.tables.clear();
  const auto reader = source(options);
  reader->init({});
  EXPECT_TRUE(baselineOf(*reader) == upTo(200));
  EXPECT_EQ(reader->describeTable("t")->columns->size(), 2u);
}

TEST(KinesisBaseline, GoesOnWhereATransferBroke) {
  const std::string stream = freshName("broken"), s3 = emulatorUrl("TIDEGATE_S3_URL");
  Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  constexpr std::int64_t kRows = 500'000;  // over what sockets hold
  testing::putObject(s3, stream + "/t.jsonl", linesOf(0, kRows));
  test::TcpProxy proxy(testing::portOf(s3));
  SourceOptions options = optionsFor(stream);
  options.s3Endpoint = fmt::format("http://127.0.0.1:{}", proxy.port());
  options.batchEvents = 1'000;
  const auto reader = source(options);
  int cuts = 0, batches = 0;
  SourceContext context;
  context.onState = [&](const SourceStateChange& step) { cuts += step.to == SourceState::reconnecting ? 1 : 0; };
  reader->init(context);
  const auto ids = baselineOf(*reader, [&] {
    if (++batches % 60 == 0) proxy.cut();
  });
  EXPECT_TRUE(ids == upTo(kRows)) << "each row once, in its order";
  EXPECT_GT(cuts, 0) << "nothing broke, so nothing was shown";
}

TEST(KinesisBaseline, RefusesAnObjectThatIsReplacedWhileItIsRead) {
  const std::string stream = freshName("replaced"), s3 = emulatorUrl("TIDEGATE_S3_URL");
  Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  testing::putObject(s3, stream + "/t.jsonl", linesOf(0, 500'000));
  test::TcpProxy proxy(testing::portOf(s3));
  SourceOptions options = optionsFor(stream);
  options.s3Endpoint = fmt::format("http://127.0.0.1:{}", proxy.port());
  const auto reader = source(options);
  reader->init({});
  bool replaced = false;
  try {
    baselineOf(*reader, [&] {
      if (std::exchange(replaced, true)) return;
      testing::putObject(s3, stream + "/t.jsonl", linesOf(500'000, 500'000));
      proxy.cut();
    });
    ADD_FAILURE() << "half of the one and half of the other";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryFailed) << e.what();
    EXPECT_EQ(e.retry(), Retry::later);
  }
}

TEST(KinesisBaseline, HandsLargeRowsOverInSmallBatches) {
  const std::string stream = freshName("large"), s3 = emulatorUrl("TIDEGATE_S3_URL");
  Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  const std::string large(1 << 20, 'x');
  std::string lines;
  for (int id = 0; id < 24; ++id) lines += fmt::format("{{\"id\":{},\"name\":\"{}\"}}\n", id, large);
  testing::putObject(s3, stream + "/t.jsonl", std::move(lines));
  const auto reader = source(optionsFor(stream));
  reader->init({});
  std::size_t rows = 0, most = 0;
  const ChangeHandler count = [&](ChangeBatch& batch) {
    rows += static_cast<std::size_t>(
        std::count_if(batch.begin(), batch.end(), [](const ChangeEvent& e) { return e.op == ChangeOp::read; }));
    most = std::max(most, batch.bytes());
    return Taken::yes;
  };
  reader->baseline({"t"}, count, {});
  EXPECT_EQ(rows, 24u);
  EXPECT_LE(most, 6u << 20) << "four such rows and what is around them";
}

TEST(KinesisBaseline, NamesObjectAndLineOfWhatIsNoRow) {
  const std::string stream = freshName("line");
  Kinesalite(emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/t.jsonl", linesOf(0, 41) + "{\"id\":\"secret\"}\n");
  const auto reader = source(optionsFor(stream));
  reader->init({});
  try {
    baselineOf(*reader);
    ADD_FAILURE() << "it was read";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    EXPECT_NE(e.message().find(stream + "/t.jsonl, line 42"), std::string::npos) << e.message();
    EXPECT_EQ(e.message().find("secret"), std::string::npos);
  }
}

/// Reads in a process of its own and writes what it was given to a file: "B" a baseline begins, "R id" and "I id" rows,
/// "P position" once a batch was written.
void readUntilKilled(const SourceOptions& options, const std::string& file, const std::string& position) {
  std::ofstream out(file, std::ios::app);
  const auto reader = source(options);
  reader->init({});
  const ChangeHandler handler = [&](ChangeBatch& batch) {
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::baselineBegin) out << "B\n";
      if (event.op == ChangeOp::read) out << "R " << event.after[0].as<std::int64_t>() << "\n";
      if (event.op == ChangeOp::insert) out << "I " << event.after[0].as<std::int64_t>() << "\n";
    }
    if (batch.size() > 0 && batch.back().op != ChangeOp::read && batch.back().op != ChangeOp::baselineBegin &&
        batch.back().op != ChangeOp::baselineEnd) {
      out << "P " << reader->positionToText(batch.back().position) << "\n";
    }
    out.flush();
    return Taken::yes;
  };
  Position from{position};
  if (from.empty()) {
    from = reader->baseline({"t"}, handler, {});
    out << "P " << from.octets << "\n" << std::flush;
  }
  reader->stream({"t"}, from, handler, {});
}

/// What a file says: rows in their order up to its last whole batch, and that batch's place.
struct Written {
  std::vector<std::int64_t> rows{};
  std::string position{};
  std::size_t baselines = 0;
};
Written readBack(const std::string& file) {
  Written written;
  std::vector<std::int64_t> open;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    if (line == "B") {
      ++written.baselines;
      open.clear();
    } else if (line[0] == 'P') {
      written.position = line.substr(2);
      written.rows.insert(written.rows.end(), open.begin(), open.end());
      open.clear();
    } else {
      open.push_back(std::stoll(line.substr(2)));
    }
  }
  return written;
}

/// TIDEGATE_KINESIS_ROUNDS rounds of it, each with a kill: tests/kinesis/chaos.sh.
TEST(KinesisCrash, AReaderThatIsKilledAnywhereGoesOnWithoutAGapOrADouble) {
  const char* asked = std::getenv("TIDEGATE_KINESIS_ROUNDS");
  const int kills = asked != nullptr ? std::atoi(asked) : 6;
  const std::string stream = freshName("crash");
  Kinesalite kinesis(emulatorUrl("TIDEGATE_KINESIS_URL"));
  kinesis.create(stream, 2);
  constexpr std::int64_t kBaseline = 2'000;
  testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/t.jsonl", linesOf(0, kBaseline));
  std::string shards;
  for (const auto& shard : kinesis.shards(stream))
    shards += fmt::format("{}\"{}\":\"TRIM_HORIZON\"", shards.empty() ? "" : ",", shard.id);
  testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/manifest.json",
                     R"({"tables":[],"stream":{)" + shards + "}}");
  const std::string file = fmt::format("/tmp/tidegate-{}", stream);
  ::unlink(file.c_str());
  test::Random random(1);
  std::int64_t next = kBaseline;
  Written written;
  bool writing = true;
  const auto reads = [&](const std::function<bool()>& enough) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        readUntilKilled(optionsFor(stream), file, written.position);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
      }
      ::_exit(1);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!enough() && std::chrono::steady_clock::now() < deadline) {
      if (!writing) {
        ::usleep(2'000);
        continue;
      }
      // Splits and merges happen while it reads and while it does not.
      std::vector<std::pair<std::string, std::string>> records;
      for (std::uint64_t i = random.below(8); i > 0 && next < kBaseline + 400 * (kills + 1); --i) {
        records.emplace_back(insertOf(next), std::to_string(next));
        ++next;
      }
      if (!records.empty()) kinesis.putMany(stream, records);
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    written = readBack(file);
    // What was written after the last whole batch comes again: a careful sink takes it out.
    std::ofstream(file, std::ios::trunc) << "B\n"
                                         <<
        [&] {
          std::string text;
          for (const std::int64_t id : written.rows) text += fmt::format("R {}\n", id);
          return text + (written.position.empty() ? "" : "P " + written.position + "\n");
        }();
  };
  for (int kill = 0; kill < kills; ++kill) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random.below(400'000));
    reads([&] { return std::chrono::steady_clock::now() > until; });
    if (kill % 3 == 1) {
      for (const auto& shard : kinesis.shards(stream)) {
        if (!shard.open) continue;
        kinesis.split(stream, shard.id);
        break;
      }
    }
  }
  const auto all = [&] {
    const Written now = readBack(file);
    return now.rows.size() >= static_cast<std::size_t>(next);
  };
  writing = false;
  reads(all);
  std::multiset<std::int64_t> rows(written.rows.begin(), written.rows.end());
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(next));
  for (std::int64_t id = 0; id < next; ++id) EXPECT_EQ(rows.count(id), 1u) << id;
  ::unlink(file.c_str());
}

TEST(KinesisReshard, SplitsAndMergesUnderLoadLoseNothing) {
  const std::string stream = freshName("reshard");
  Kinesalite kinesis(emulatorUrl("TIDEGATE_KINESIS_URL"));
  kinesis.create(stream, 2);
  testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/t.jsonl", "");
  std::string shards;
  for (const auto& shard : kinesis.shards(stream))
    shards += fmt::format("{}\"{}\":\"TRIM_HORIZON\"", shards.empty() ? "" : ",", shard.id);
  testing::putObject(emulatorUrl("TIDEGATE_S3_URL"), stream + "/manifest.json",
                     R"({"tables":[],"stream":{)" + shards + "}}");
  const auto reader = source(optionsFor(stream));
  reader->init({});
  const Position from = reader->baseline({"t"}, [](ChangeBatch&) { return Taken::yes; }, {});
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::int64_t, std::vector<std::string>> seen;  // of each row, its states
  std::size_t events = 0;
  std::jthread reading([&](const std::stop_token& stop) {
    reader->stream(
        {"t"}, from,
        [&](ChangeBatch& batch) {
          const std::lock_guard lock(mutex);
          for (const ChangeEvent& event : batch) {
            if (event.op == ChangeOp::progress) continue;
            seen[event.after[0].as<std::int64_t>()].push_back(event.after[1].as<std::string>());
            ++events;
          }
          changed.notify_all();
          return Taken::yes;
        },
        stop);
  });
  constexpr int kStates = 40, kIds = 20;
  for (int state = 0; state < kStates; ++state) {
    std::vector<std::pair<std::string, std::string>> records;
    for (int id = 0; id < kIds; ++id) {
      records.emplace_back(
          testing::recordOf(
              "t", {.op = contract::SourceChange::Op::update, .id = id, .row = {.name = std::to_string(state)}}),
          std::to_string(id));
    }
    kinesis.putMany(stream, records);
    std::vector<std::string> open;
    for (const auto& shard : kinesis.shards(stream)) {
      if (shard.open) open.push_back(shard.id);
    }
    if (state % 10 == 3) kinesis.split(stream, open.front());
    if (state % 10 == 8) kinesis.merge(stream, open[open.size() - 2], open.back());
  }
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return events == kStates * kIds; })) << events;
  }
  reading.request_stop();
  reading.join();
  EXPECT_EQ(events, static_cast<std::size_t>(kStates * kIds));
  for (const auto& [id, states] : seen) {
    for (int state = 0; state < kStates; ++state) {
      ASSERT_LT(static_cast<std::size_t>(state), states.size());
      ASSERT_EQ(states[static_cast<std::size_t>(state)], std::to_string(state)) << "row " << id << ", in its order";
    }
  }
}

}  // namespace
}  // namespace tidegate::kinesis

namespace tidegate::contract {
namespace {

StateStoreCase::Opener dynamo() {
  const std::string table = kinesis::testing::freshName("state");
  return [table] {
    return kinesis::dynamoStateStore(
        {.table = table,
         .createMissing = true,
         .region = "us-east-1",
         .endpoint = kinesis::testing::emulatorUrl("TIDEGATE_DYNAMODB_URL"),
         .credentials = kinesis::staticCredentials({.accessKeyId = "a", .secretAccessKey = "b"})});
  };
}
INSTANTIATE_TEST_SUITE_P(Dynamo, StateStoreContract,
                         ::testing::Values(StateStoreCase{.name = "dynamo", .make = dynamo, .conditional = true}),
                         stateStoreCaseName);

}  // namespace
}  // namespace tidegate::contract
