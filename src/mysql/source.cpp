#include "tidegate/mysql/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "mysql/detail/binlog_stream.h"
#include "mysql/detail/make_source.h"
#include "mysql/detail/snapshot_baseline.h"
#include "mysql/detail/source_core.h"
#include "mysql/detail/source_issues.h"
#include "mysql/detail/table_rows.h"

namespace tidegate::mysql {
namespace {

using detail::CLink;
using detail::SourceCore;
using detail::TableName;

/// A baseline that was overtaken by an ALTER TABLE, or whose connection broke, is begun again this often.
constexpr int kBaselineTries = 5;

class MySqlSource final : public SyncSource {
 public:
  explicit MySqlSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override { return detail::positionToText(position); }
  Position positionFromText(std::string_view text) const override { return detail::positionFromText(text); }
  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::total; }
  void pause() override;
  void resume() override;
  SourceState state() const override { return core_.state.state(); }
  SourceLag lag() const override;
  void close() override;
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override;

 private:
  void requireOpen() const;
  Position baselineOnce(const std::vector<TableName>& names, const ChangeHandler& handler, const std::stop_token& stop);

  SourceCore core_;
};

void MySqlSource::init(const SourceContext& context) {
  core_.context = context;
  if (context.clock != nullptr) core_.clock = context.clock;
  if (context.scheduler != nullptr) core_.scheduler = context.scheduler;
  core_.state.setListener(context.onState);
}

void MySqlSource::requireOpen() const {
  if (core_.state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed; make a new one");
  }
}

std::vector<TableIssue> MySqlSource::validateTables(const std::vector<std::string>& tables) {
  requireOpen();
  auto issues = core_.ask({}, [&](CLink& link) {
    if (tables.empty()) return detail::issuesOfServer(link, core_.options);
    std::vector<std::pair<std::string, TableName>> named;
    for (const std::string& table : tables) named.emplace_back(table, core_.nameOf(table));
    std::vector<TableIssue> found = detail::issuesOfNames(link, named);
    for (const std::string& table : tables) {
      for (TableIssue& issue : detail::issuesOfTable(link, table, core_.nameOf(table)))
        found.push_back(std::move(issue));
    }
    return found;
  });
  core_.connected("tables validated");
  return issues;
}

Shape MySqlSource::describeTable(const std::string& table) {
  requireOpen();
  const TableName name = core_.nameOf(table);
  if (const auto found = core_.catalogue(name, {})) return detail::shapeOf(*found);
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              fmt::format("table {} does not exist, or the account may not see it", name.full()));
}

Position MySqlSource::baselineOnce(const std::vector<TableName>& names, const ChangeHandler& handler,
                                   const std::stop_token& stop) {
  const ChangeHandler guarded = [&](ChangeBatch& batch) {
    try {
      return handler(batch);
    } catch (...) {
      throw detail::HandlerFailed{std::current_exception()};
    }
  };
  return detail::runSnapshot({core_, names, guarded, stop});
}

Position MySqlSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                               std::stop_token stop) {
  requireOpen();
  std::vector<TableName> names;
  for (const std::string& table : tables) names.push_back(core_.nameOf(table));
  const std::stop_callback wake(stop, [this] { core_.wake.signal(); });
  for (int tries = 1;; ++tries) {
    try {
      core_.connected("reading a baseline");
      return baselineOnce(names, handler, stop);
    } catch (const detail::HandlerFailed& failed) {
      std::rethrow_exception(failed.cause);
    } catch (const Error& e) {
      if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped");
      if (e.code() == ErrorCode::queryFailed && e.retry() == Retry::later && tries < kBaselineTries) continue;
      core_.state.to(SourceState::error, e.message());
      throw;
    }
  }
}

void MySqlSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                         std::stop_token stop) {
  requireOpen();
  detail::placeOf(from);  // not one of ours: say so before anything is touched
  if (core_.state.state() == SourceState::error) core_.state.to(SourceState::connecting, "trying again");
  detail::BinlogStream run(core_, tables, from, handler, stop);
  const auto leave = [&](const char* reason) {
    if (!run.taken().empty()) core_.left = detail::placeOf(run.taken());
    const SourceState now = core_.state.state();
    if (now == SourceState::streaming || now == SourceState::paused) core_.state.to(SourceState::connected, reason);
  };
  try {
    run.run();
  } catch (...) {
    leave("the stream failed");
    throw;
  }
  leave("the stream was stopped");
}

void MySqlSource::ack(const Position& position) {
  const detail::Place place = detail::placeOf(position);
  const std::lock_guard lock(core_.mutex);
  if (core_.acked.empty() ||
      detail::comparePlaces(detail::placeOf(core_.acked), place) == std::partial_ordering::less) {
    core_.acked = position;
  }
}

Position MySqlSource::lastAckedPosition() const {
  const std::lock_guard lock(core_.mutex);
  return core_.acked;
}

std::partial_ordering MySqlSource::comparePositions(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) {
    return a.empty() && b.empty() ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  }
  return detail::comparePlaces(detail::placeOf(a), detail::placeOf(b));
}

Position MySqlSource::meet(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) return {};
  return detail::positionOf(detail::meetOf(detail::placeOf(a), detail::placeOf(b)));
}

void MySqlSource::pause() {
  core_.paused = true;
  core_.wake.signal();
}

void MySqlSource::resume() {
  core_.paused = false;
  core_.wake.signal();
}

SourceLag MySqlSource::lag() const {
  SourceLag lag;
  if (core_.lagKnown) lag.bytes = core_.lagBytes.load();
  lag.time = std::chrono::milliseconds(0);
  const std::int64_t last = core_.lastCommitMicros;
  if (last == 0 || lag.bytes.value_or(1) == 0) return lag;
  const auto age = core_.clock->wallNow() - Clock::Micros(last);
  lag.time = std::max(std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(age));
  return lag;
}

void MySqlSource::close() {
  core_.side.reset();
  core_.state.to(SourceState::closed, "closed");
}

std::unique_ptr<RowStream> MySqlSource::readTable(const std::string& table, std::stop_token stop) {
  requireOpen();
  return detail::readTableRows(core_, core_.nameOf(table), std::move(stop));
}

}  // namespace

std::unique_ptr<SyncSource> detail::makeSource(SourceOptions options) {
  return std::make_unique<MySqlSource>(std::move(options));
}

std::shared_ptr<SyncSource> source(SourceOptions options) { return detail::makeSource(std::move(options)); }

}  // namespace tidegate::mysql
