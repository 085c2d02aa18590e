#include "mysql/detail/source_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "mysql/detail/options.h"
#include "mysql/detail/snapshot_place.h"
#include "tidegate/core/clock.h"

namespace tidegate::mysql::detail {
namespace {

/// A server that has sent nothing for this many heartbeats is gone.
constexpr int kSilentHeartbeats = 10;
constexpr std::chrono::milliseconds kLeastSilence{3'000};
constexpr std::chrono::milliseconds kLeastHeartbeat{10};

[[noreturn]] void refuseOption(const std::string& message) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "mysql::SourceOptions: " + message);
}

SourceOptions checked(SourceOptions options) {
  options.connect = resolve(std::move(options.connect));
  if (options.batchEvents == 0) refuseOption("batchEvents must be at least 1");
  if (options.baseline.chunkRows == 0) refuseOption("baseline.chunkRows must be at least 1");
  if (options.baseline.chunkBytes == 0) refuseOption("baseline.chunkBytes must be at least 1");
  if (options.heartbeatInterval < kLeastHeartbeat) refuseOption("heartbeatInterval must be at least 10 ms");
  if (options.monitorInterval.count() < 1) refuseOption("monitorInterval must be at least 1 ms");
  Backoff{options.backoff, 1};
  if (options.serverId == 0) options.serverId = 0x8000'0000U | std::random_device{}();
  return options;
}

std::uint64_t numberIn(const Cell& cell) {
  std::uint64_t number = 0;
  if (cell) std::from_chars(cell->data(), cell->data() + cell->size(), number);
  return number;
}

}  // namespace

SourceCore::SourceCore(SourceOptions given)
    : options(checked(std::move(given))),
      clock(&systemClock()),
      scheduler(&systemScheduler()),
      charsets([this](const std::string& sql) { return ask({}, [&](CLink& link) { return link.ask(sql); }); }) {}

std::chrono::milliseconds SourceCore::silence() const {
  return std::max(options.heartbeatInterval * kSilentHeartbeats, kLeastSilence);
}

std::unique_ptr<CLink> SourceCore::connect(std::chrono::milliseconds patience, const std::stop_token& stop) const {
  auto link = std::make_unique<CLink>(options.connect, patience, stop);
  for (const std::string& statement : options.connect.sessionSql) link->run(statement);
  return link;
}

std::unique_ptr<CLink> SourceCore::connectSide(const std::stop_token& stop) const {
  std::unique_ptr<CLink> link = connect(silence(), stop);
  link->run("SET SESSION innodb_lock_wait_timeout = 1");
  // What is not found is not locked.
  link->run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  return link;
}

void SourceCore::connected(const std::string& reason) {
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  state.to(SourceState::connected, reason);
}

void SourceCore::warn(const std::string& message) const {
  if (context.onWarning) context.onWarning(message);
}

std::optional<CatalogueTable> SourceCore::catalogue(const TableName& name, const std::stop_token& stop) {
  return ask(stop, [&](CLink& link) { return readFollowedTable(link, name); });
}

BorderBy SourceCore::positionsOn(CLink& link) const {
  if (options.positions == PositionBy::file) return BorderBy::file;
  if (link.isMariaDb()) return BorderBy::domains;
  if (options.positions == PositionBy::gtid) requireGtids(link);
  return hasGtids(link) ? BorderBy::sources : BorderBy::file;
}

std::vector<BinlogFile> SourceCore::files(CLink& link) {
  std::vector<BinlogFile> files;
  for (const auto& cells : link.ask("SHOW BINARY LOGS")) {
    const std::string name = cells.at(0).value_or("");
    files.push_back({name, fileNumberOf(name), numberIn(cells.at(1))});
  }
  return files;
}

void SourceCore::noteLag(const std::vector<BinlogFile>& files) {
  const std::uint64_t file = reachedFile, offset = reachedOffset;
  if (file == 0) return;
  std::uint64_t bytes = 0;
  for (const BinlogFile& one : files) {
    if (one.number > file) bytes += one.size;
    if (one.number == file) bytes += one.size - std::min(one.size, offset);
  }
  lagBytes = bytes;
  lagKnown = true;
}

}  // namespace tidegate::mysql::detail
