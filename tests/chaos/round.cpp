#include "chaos/round.h"

#include <fmt/format.h>

#include <algorithm>

#include "chaos/workload.h"
#include "servers/servers.h"
#include "tidegate/core/clock.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::chaos {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long a connection hangs and a disk is full: longer than the engine's first retries, shorter than any timeout.
constexpr milliseconds kHalt{1'200};

void pause(milliseconds time) { systemScheduler().waitFor(time, {}); }

std::vector<std::string> linesOf(const QueryFn& query, const std::string& sql) {
  std::vector<std::string> lines;
  for (const auto& row : servers::readAll(query, sql)) {
    std::string line;
    for (const Value& value : row) line += describe(value, 1u << 20) + "|";
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string firstDifference(const std::vector<std::string>& source, const std::vector<std::string>& sink) {
  const auto at = std::mismatch(source.begin(), source.end(), sink.begin(), sink.end());
  const auto cut = [](const auto& here, const auto& all) {
    return here == all.end() ? "(none)" : here->substr(0, 200);
  };
  return fmt::format("source {}, sink {}", cut(at.first, source), cut(at.second, sink));
}

}  // namespace

void Round::startEngine() {
  engine_ = std::make_unique<Child>(std::vector<std::string>{arena_.program, "--engine", std::to_string(plan_.seed),
                                                             arena_.folder, std::to_string(arena_.proxy.port())},
                                    arena_.engineLog);
}

void Round::dropSlot() {
  const QueryFn admin = postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL"), .readOnly = false});
  for (int attempt = 0; attempt < 40; ++attempt) {
    try {
      servers::readAll(admin, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
      servers::readAll(admin,
                       "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = "
                       "'tidegate_chaos'");
      return;
    } catch (const Error&) {
      pause(milliseconds(50));  // the walsender is not gone yet, or the engine was quicker
    }
  }
}

void Round::inflict(Fault fault) {
  switch (fault) {
    case Fault::killSource:
      servers::control("postgres", "kill9");
      return servers::control("postgres", "start");
    case Fault::restartSource:
      servers::control("postgres", "stop");
      return servers::control("postgres", "start");
    case Fault::killReplica:
      servers::control("replica", "kill9");
      return servers::control("replica", "start");
    case Fault::killMySql:
      servers::control("mysql", "kill9");
      return servers::control("mysql", "start");
    case Fault::killEngine:
      engine_->kill9();
      return startEngine();
    case Fault::stopEngine:
      engine_->stop(seconds(30));
      return startEngine();
    case Fault::cut:
      return arena_.proxy.cut();
    case Fault::freeze:
      arena_.proxy.freeze(true);
      pause(kHalt);
      return arena_.proxy.freeze(false);
    case Fault::slow:
      return arena_.proxy.delay(milliseconds(20));
    case Fault::fillDisk:
      arena_.disk.fill(engine_->pid());
      pause(kHalt);
      return arena_.disk.free(engine_->pid());
    case Fault::dropSlot:
      return dropSlot();
  }
}

std::string Round::ask(const std::string& command) {
  const auto answer = engine_->ask(command, seconds(120));
  if (answer) return *answer;
  return engine_->alive() ? "no answer to " + command : "the engine's process died";
}

std::string Round::settle() {
  arena_.proxy.delay(milliseconds(0));
  std::string answer = ask("ready");
  if (answer != "ready") return answer;
  // Verification looks again at what differs, but the backlog of a round may take longer than its patience.
  const auto began = systemClock().steadyNow();
  while (systemClock().steadyNow() - began < std::chrono::minutes(3)) {
    answer = ask("verify");
    if (answer == "ok") return {};
    if (!engine_->alive()) return answer;
    pause(milliseconds(100));
  }
  return answer + "\n" + ask("status");
}

std::string Round::compare() const {
  const QueryFn source = postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL")});
  const std::vector<std::pair<std::string, QueryFn>> sinks{
      {"sqlite", sqlite::queryFn({.path = arena_.folder + "/replica.db"})},
      {"postgres", postgres::queryFn({.url = servers::environment("TIDEGATE_REPLICA_URL")})},
      {"mysql", mysql::queryFn({.url = servers::environment("TIDEGATE_MYSQL_URL")})}};
  for (const CheckedTable& table : checkedTables()) {
    const auto wanted = linesOf(source, fmt::format("SELECT {} FROM {}", table.columns, table.source));
    for (const auto& [name, query] : sinks) {
      const auto held = linesOf(query, fmt::format("SELECT {} FROM {}", table.columns, table.target));
      if (held == wanted) continue;
      return fmt::format("{}: {} holds {} rows, the source {}: {}", table.target, name, held.size(), wanted.size(),
                         firstDifference(wanted, held));
    }
  }
  return {};
}

std::string Round::run() {
  const Clock& clock = systemClock();
  const auto began = clock.steadyNow();
  const auto secondsSince = [&](Clock::Micros then) {
    return static_cast<double>((clock.steadyNow() - then).count()) / 1e6;
  };
  startEngine();
  Workload workload(servers::environment("TIDEGATE_POSTGRES_URL"), plan_.seed, plan_.writers);
  for (const PlannedFault& planned : plan_.faults) {
    const auto passed = std::chrono::duration_cast<milliseconds>(clock.steadyNow() - began);
    if (planned.at > passed) pause(planned.at - passed);
    inflict(planned.fault);
  }
  const auto passed = std::chrono::duration_cast<milliseconds>(clock.steadyNow() - began);
  if (plan_.length > passed) pause(plan_.length - passed);
  workload.stop();
  const auto& counts = workload.counts();
  fmt::print("  {} transactions committed, {} rolled back, {} failed, {} schema changes", counts.committed.load(),
             counts.rolledBack.load(), counts.failed.load(), counts.schemaChanges.load());
  std::fflush(stdout);
  const auto stopped = clock.steadyNow();
  if (std::string wrong = settle(); !wrong.empty()) return wrong;
  if (std::string wrong = compare(); !wrong.empty()) return "verify() found nothing, but " + wrong;
  if (engine_->stop(seconds(30)) != 0) return "the engine did not stop in order";
  fmt::print("; settled after {:.1f} s, {:.1f} s in all\n", secondsSince(stopped), secondsSince(began));
  return {};
}

}  // namespace tidegate::chaos
