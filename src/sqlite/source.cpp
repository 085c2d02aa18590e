#include "tidegate/sqlite/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "sqlite/detail/source_baseline.h"
#include "sqlite/detail/source_stream.h"

namespace tidegate::sqlite {
namespace {

using detail::LogPlace;
using detail::SourceCore;
using detail::SourceFile;
using detail::SourceLog;
using detail::SourceTransaction;

class SqliteSource final : public SyncSource {
 public:
  explicit SqliteSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override {
    core_.context = context;
    if (context.clock != nullptr) core_.clock = context.clock;
    if (context.scheduler != nullptr) core_.scheduler = context.scheduler;
    core_.state.setListener(context.onState);
  }
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override { core_.ack(position); }
  Position lastAckedPosition() const override { return core_.acked(); }
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override {
    return position.empty() ? std::string() : detail::placeToText(detail::placeOf(position));
  }
  Position positionFromText(std::string_view text) const override {
    return detail::positionOf(detail::placeFromText(text));
  }
  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::total; }
  void pause() override { core_.paused = true; }
  void resume() override { core_.paused = false; }
  SourceState state() const override { return core_.state.state(); }
  SourceLag lag() const override;
  void close() override { core_.state.to(SourceState::closed, "closed"); }
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override {
    core_.requireOpen();
    return detail::readTableNow(core_.options, table, std::move(stop));
  }
  void reset() override;

 private:
  std::vector<TableIssue> issuesOfSource(SourceFile& file);

  SourceCore core_;
};

std::vector<TableIssue> SqliteSource::issuesOfSource(SourceFile& file) {
  std::vector<TableIssue> issues;
  if (file.readOnly()) {
    issues.push_back({"", ErrorCode::permissionDenied,
                      fmt::format("{} and its folder must be writable for this process, since the source keeps a "
                                  "change table in it; mend it with the file's permissions",
                                  core_.options.path)});
  }
  if (!file.wal()) {
    issues.push_back({"", ErrorCode::slotInvalid,
                      fmt::format("{} has a rollback journal: readers and writers wait for each other. Better: PRAGMA "
                                  "journal_mode = WAL",
                                  core_.options.path),
                      false});
  }
  const detail::LogNames names(core_.options.name);
  for (const std::string& name : {names.log, names.doubt, names.shapes, names.facts}) {
    const auto type =
        file.text("SELECT type FROM main.sqlite_schema WHERE type <> 'trigger' AND name = " + detail::sqlText(name));
    if (!type || *type == "table") continue;
    issues.push_back({"", ErrorCode::slotInvalid,
                      fmt::format("the {0} {1} has a name that the source needs; mend it with: DROP {0} {1}", *type,
                                  detail::sqlName(name))});
  }
  return issues;
}

std::vector<TableIssue> SqliteSource::validateTables(const std::vector<std::string>& tables) {
  core_.requireOpen();
  SourceFile file(core_.options, {});
  SourceTransaction look(file, SourceTransaction::Kind::read);
  std::vector<TableIssue> issues;
  if (tables.empty()) issues = issuesOfSource(file);
  for (const std::string& table : tables) {
    const auto found = detail::readSourceTable(file, table);
    if (!found) {
      issues.push_back(detail::missingTable(file, table));
      continue;
    }
    for (TableIssue& issue : detail::issuesOfTable(*found, core_.options)) issues.push_back(std::move(issue));
  }
  core_.connected("tables validated");
  return issues;
}

Shape SqliteSource::describeTable(const std::string& table) {
  core_.requireOpen();
  SourceFile file(core_.options, {});
  SourceTransaction look(file, SourceTransaction::Kind::read);
  const auto found = detail::readSourceTable(file, table);
  if (found) return detail::shapeOfTable(*found, core_.options.kindsByDeclaration);
  const TableIssue issue = detail::missingTable(file, table);
  throw Error(issue.code, Retry::afterOperator, issue.message);
}

Position SqliteSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                std::stop_token stop) {
  core_.requireOpen();
  core_.remember(tables);
  try {
    return detail::readBaseline(core_, tables, handler, stop);
  } catch (const detail::SourceHandlerFailed& failed) {
    if (core_.state.state() == SourceState::paused) core_.state.to(SourceState::connected, "the reader failed");
    std::rethrow_exception(failed.cause);
  } catch (const Error& e) {
    if (!stop.stop_requested()) {
      core_.state.to(SourceState::error, e.message());
    } else if (core_.state.state() == SourceState::paused) {
      core_.state.to(SourceState::connected, "stopped");
    }
    throw;
  }
}

void SqliteSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                          std::stop_token stop) {
  core_.requireOpen();
  detail::placeOf(from);  // not one of ours: say so before anything is touched
  core_.remember(tables);
  if (core_.state.state() == SourceState::error) core_.state.to(SourceState::connecting, "trying again");
  const auto leave = [&](const char* reason) {
    const SourceState now = core_.state.state();
    if (now == SourceState::streaming || now == SourceState::paused || now == SourceState::reconnecting) {
      core_.state.to(SourceState::connected, reason);
    }
  };
  try {
    detail::SourceStream(core_, tables, from, handler, stop).run();
  } catch (const detail::SourceHandlerFailed& failed) {
    leave("the reader failed");
    std::rethrow_exception(failed.cause);
  } catch (...) {
    leave("the stream failed");
    throw;
  }
  leave("the stream was stopped");
}

std::partial_ordering SqliteSource::comparePositions(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) {
    return a.empty() && b.empty() ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  }
  return detail::comparePlaces(detail::placeOf(a), detail::placeOf(b));
}

Position SqliteSource::meet(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) return {};
  const LogPlace left = detail::placeOf(a), right = detail::placeOf(b);
  // Of two change tables one is no more: a stream from there says so, which neither may miss.
  if (left.token != right.token) return left.token == core_.token ? b : a;
  return left.seq <= right.seq ? a : b;
}

SourceLag SqliteSource::lag() const {
  SourceLag lag;
  if (core_.token == 0 || core_.endSeq == 0) return lag;
  const std::uint64_t end = core_.endSeq, delivered = core_.deliveredSeq, trimmed = core_.trimmedSeq;
  const std::uint64_t octets = std::max<std::uint64_t>(core_.rowOctets, 1);
  const std::uint64_t waiting = end - std::min(end, delivered);
  lag.bytes = waiting * octets;
  lag.retainedBytes = (end - std::min(end, trimmed)) * octets;
  lag.time = std::chrono::milliseconds(0);
  const std::int64_t last = core_.lastCommitMicros;
  if (waiting > 0 && last != 0) {
    lag.time = std::chrono::milliseconds(std::max<std::int64_t>(0, (core_.clock->wallNow().count() - last) / 1'000));
  }
  return lag;
}

void SqliteSource::reset() {
  core_.requireOpen();
  SourceFile file(core_.options, {});
  SourceTransaction write(file, SourceTransaction::Kind::write);
  SourceLog(file, core_.options).remove();
  write.commit();
  core_.token = 0;
}

}  // namespace

std::shared_ptr<SyncSource> source(SourceOptions options) { return std::make_shared<SqliteSource>(std::move(options)); }

std::string borderStatement(const std::string& name) {
  detail::checkSourceOptions({.path = "-", .name = name});
  return "INSERT INTO " + detail::sqlName(detail::LogNames(name).log) + "(op, at) VALUES (0, julianday('now'))";
}

}  // namespace tidegate::sqlite
