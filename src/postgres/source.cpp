#include "tidegate/postgres/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/detail/baseline.h"
#include "postgres/detail/catalogue.h"
#include "postgres/detail/make_source.h"
#include "postgres/detail/publication.h"
#include "postgres/detail/server_issues.h"
#include "postgres/detail/source_core.h"
#include "postgres/detail/source_stream.h"
#include "postgres/detail/sql.h"
#include "postgres/detail/table_version.h"

namespace tidegate::postgres {
namespace {

using detail::Lsn;
using detail::SourceCore;

/// A baseline that was overtaken by an ALTER TABLE is begun again this often.
constexpr int kBaselineTries = 5;
/// How long a slot may take to be released by a connection that has ended.
constexpr int kReleaseTries = 50;
constexpr std::chrono::milliseconds kReleaseWait{100};

class PostgresSource final : public SyncSource {
 public:
  explicit PostgresSource(SourceOptions options) : core_(std::move(options)) {}
  ~PostgresSource() override { disconnect(); }

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override { return core_.options.mode == SlotMode::stateful; }
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
  void reset() override;

 private:
  void requireOpen() const;
  void disconnect() noexcept;
  void keepEphemeralSlot() noexcept;
  void makeInterleave();
  std::vector<TableIssue> issuesOfSource(PGconn* side);
  Position baselineOnce(const std::vector<std::string>& tables, const ChangeHandler& handler,
                        const std::stop_token& stop);
  void noteTold(const ChangeBatch& batch, const std::stop_token& stop);
  bool needsSlot(const std::stop_token& stop);
  void dropSlot(PGconn* side, const std::stop_token& stop);
  detail::CreatedSlot makeSlot(std::unique_ptr<detail::ReplicationConnection>& aside, const std::stop_token& stop);

  SourceCore core_;
};

void PostgresSource::init(const SourceContext& context) {
  core_.context = context;
  if (context.clock != nullptr) core_.clock = context.clock;
  if (context.scheduler != nullptr) core_.scheduler = context.scheduler;
  core_.state.setListener(context.onState);
}

void PostgresSource::requireOpen() const {
  if (core_.state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed; make a new one");
  }
}

void PostgresSource::makeInterleave() {
  if (core_.interleave) return;
  core_.interleave = detail::makeInterleave(core_.options, [this](const std::string& text) { core_.warn(text); });
}

std::vector<TableIssue> PostgresSource::issuesOfSource(PGconn* side) {
  std::vector<TableIssue> issues;
  const detail::OwnedResult rows = detail::runSql(
      side,
      "SELECT pg_catalog.current_setting('wal_level') = 'logical', rolreplication OR rolsuper, rolname FROM "
      "pg_catalog.pg_roles WHERE rolname = current_user");
  if (PQntuples(rows.get()) == 1 && !detail::isTrue(rows.get(), 0, 0)) {
    issues.push_back(
        {"", ErrorCode::slotInvalid,
         "the server does not log what logical replication needs; mend it with: ALTER SYSTEM SET wal_level "
         "= 'logical', then restart it"});
  }
  if (PQntuples(rows.get()) == 1 && !detail::isTrue(rows.get(), 0, 1)) {
    const std::string role = quoteIdentifier(Dialect::postgres, detail::cell(rows.get(), 0, 2));
    issues.push_back({"", ErrorCode::permissionDenied,
                      fmt::format("role {0} may not replicate; mend it with: ALTER ROLE {0} REPLICATION", role)});
  }
  const PublicationOptions& publication = core_.options.publication;
  if (publication.manage == PublicationMode::leaveAlone && !detail::publicationExists(side, publication.name)) {
    issues.push_back({"", ErrorCode::slotInvalid,
                      fmt::format("publication \"{}\" does not exist; make it with: CREATE PUBLICATION {} FOR TABLE …",
                                  publication.name, quoteIdentifier(Dialect::postgres, publication.name))});
  }
  for (TableIssue& issue : detail::issuesOfSettings(side, core_.options)) issues.push_back(std::move(issue));
  if (core_.options.mode == SlotMode::ephemeral) return issues;
  const auto facts = detail::readSlot(side, core_.slot);
  if (!facts) return issues;  // the first baseline makes it
  core_.confirmedBefore = facts->confirmed;
  if (const auto fault = detail::slotFault(core_.slot, facts)) {
    // One that is lost is made anew by a baseline; one in use may be free by the time it is needed.
    const bool fatal = fault->code() == ErrorCode::slotInvalid && fault->retry() != Retry::later;
    issues.push_back({"", ErrorCode::slotInvalid, fault->message(), fatal});
  }
  return issues;
}

std::vector<TableIssue> PostgresSource::validateTables(const std::vector<std::string>& tables) {
  requireOpen();
  core_.remember(tables);
  const PublicationOptions& publication = core_.options.publication;
  const detail::PublicationUse use{publication.name, publication.manage == PublicationMode::keepInStep,
                                   publication.viaPartitionRoot, publication.generatedColumns};
  auto issues = core_.ask({}, [&](PGconn* side) {
    std::vector<TableIssue> found;
    if (tables.empty()) found = issuesOfSource(side);
    detail::PublicationUse used = use;
    if (publication.manage == PublicationMode::create) {
      used.managed = !detail::publicationExists(side, publication.name);
    }
    for (const std::string& table : tables) {
      const auto facts = detail::readTableFacts(side, table, publication.name);
      auto how = publication.tables.find(table);
      if (how == publication.tables.end() && facts) how = publication.tables.find(facts->fullName());
      used.columns = how == publication.tables.end() ? std::vector<std::string>() : how->second.columns;
      for (TableIssue& issue : detail::issuesOf(table, facts, used)) found.push_back(std::move(issue));
    }
    return found;
  });
  core_.connected("tables validated");
  return issues;
}

Shape PostgresSource::describeTable(const std::string& table) {
  requireOpen();
  return core_.ask({}, [&](PGconn* side) {
    return detail::shapeOf(detail::requireTable(side, table, core_.options.publication.name));
  });
}

/// A connection that ended a moment ago still holds its slot.
void PostgresSource::dropSlot(PGconn* side, const std::stop_token& stop) {
  for (int tries = 1;; ++tries) {
    try {
      return detail::dropSlot(side, core_.slot);
    } catch (const Error& e) {
      if (e.retry() != Retry::later || tries >= kReleaseTries) throw;
      if (!core_.scheduler->waitFor(kReleaseWait, stop)) throw;
    }
  }
}

/// Whether the stream's slot is to be made (anew).
bool PostgresSource::needsSlot(const std::stop_token& stop) {
  if (core_.options.mode == SlotMode::ephemeral) return !core_.replication || !core_.replication->alive();
  return core_.ask(stop, [&](PGconn* side) {
    const auto facts = detail::readSlot(side, core_.slot);
    const auto fault = detail::slotFault(core_.slot, facts);
    if (fault && fault->code() == ErrorCode::slotInvalid && fault->retry() != Retry::later) throw *fault;
    const bool lost = fault && fault->code() == ErrorCode::positionLost;
    if (facts && (core_.renewSlot || lost)) dropSlot(side, stop);
    return !facts || core_.renewSlot || lost;
  });
}

/// Makes a slot with a snapshot: the stream's, on the stream's connection, where there is none; else one that lives as
/// long as `aside`, for its snapshot alone.
detail::CreatedSlot PostgresSource::makeSlot(std::unique_ptr<detail::ReplicationConnection>& aside,
                                             const std::stop_token& stop) {
  const auto connect = [&] { return std::make_unique<detail::ReplicationConnection>(core_.options.connect, stop); };
  if (!needsSlot(stop)) {
    aside = connect();
    return detail::createSlot(*aside, detail::ephemeralName(core_.options.slot), detail::SlotKind::temporary, stop);
  }
  core_.replication = connect();
  const detail::SlotKind kind = core_.options.mode == SlotMode::ephemeral ? detail::SlotKind::temporary
                                : core_.options.failover                  ? detail::SlotKind::failover
                                                                          : detail::SlotKind::plain;
  const detail::CreatedSlot made = detail::createSlot(*core_.replication, core_.slot, kind, stop);
  core_.renewSlot = false;
  core_.feedback.forget();
  core_.slotBegin = core_.confirmedBefore = made.consistentPoint;
  if (core_.options.mode == SlotMode::stateful) {
    core_.ask(stop, [&](PGconn* side) {
      detail::noteSlotBegin(side, core_.options.publication, core_.slot, made.consistentPoint);
    });
  }
  return made;
}

/// Readers learn a table's shape from its baseline.
void PostgresSource::noteTold(const ChangeBatch& batch, const std::stop_token& stop) {
  for (const ChangeEvent& event : batch) {
    if (event.op != ChangeOp::baselineBegin) continue;
    const std::string& name = event.shape->schema.table;
    core_.ask(stop, [&](PGconn* side) {
      const auto [facts, version] = detail::seeTable(side, name, core_.options.publication.name, core_.slot);
      if (facts) core_.known[name] = detail::toldTable(*facts, version);
      core_.known[name].name = name;
      core_.known[name].shape = event.shape;
    });
  }
}

Position PostgresSource::baselineOnce(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                      const std::stop_token& stop) {
  core_.ask(stop, [&](PGconn* side) {
    const std::vector<std::string> all(core_.asked.begin(), core_.asked.end());
    detail::keepPublication(side, core_.options.publication, all, detail::OtherTables::keep);
  });
  std::unique_ptr<detail::ReplicationConnection> aside;
  const detail::CreatedSlot slot = makeSlot(aside, stop);
  core_.connected("reading a baseline");
  const ChangeHandler guarded = [&](ChangeBatch& batch) {
    noteTold(batch, stop);
    try {
      return handler(batch);
    } catch (...) {
      throw detail::HandlerFailed{std::current_exception()};
    }
  };
  const std::string progress =
      detail::runBaseline({core_.options, tables, slot.snapshot, slot.consistentPoint, guarded, stop});
  return detail::positionOf({slot.consistentPoint, 0}, progress);
}

Position PostgresSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                  std::stop_token stop) {
  requireOpen();
  core_.remember(tables);
  for (int tries = 1;; ++tries) {
    try {
      return baselineOnce(tables, handler, stop);
    } catch (const detail::HandlerFailed& failed) {
      std::rethrow_exception(failed.cause);
    } catch (const Error& e) {
      const bool overtaken = e.code() == ErrorCode::queryFailed && e.retry() == Retry::later;
      if (overtaken && tries < kBaselineTries && !stop.stop_requested()) continue;
      if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped");
      core_.state.to(SourceState::error, e.message());
      throw;
    }
  }
}

void PostgresSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                            std::stop_token stop) {
  requireOpen();
  if (!from.empty()) detail::placeOf(from);  // not one of ours: say so before anything is touched
  core_.remember(tables);
  makeInterleave();
  if (core_.state.state() == SourceState::error) core_.state.to(SourceState::connecting, "trying again");
  detail::SourceStream run(core_, tables, from, handler, stop);
  const auto leave = [&](const char* reason) {
    core_.options.mode == SlotMode::ephemeral ? keepEphemeralSlot() : core_.replication.reset();
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

/// A server up to 15 at least ends a second START_REPLICATION of a session at once, and an ephemeral slot cannot change
/// sessions: what goes on is a copy of it in a session of its own.
void PostgresSource::keepEphemeralSlot() noexcept {
  const std::unique_ptr<detail::ReplicationConnection> old = std::move(core_.replication);
  if (!old || !old->alive()) return;
  try {
    auto next = std::make_unique<detail::ReplicationConnection>(core_.options.connect, std::stop_token());
    const std::string name = detail::ephemeralName(core_.options.slot);
    next->command(fmt::format("SELECT pg_catalog.pg_copy_logical_replication_slot({}, {}, true)",
                              detail::quotedLiteral(core_.slot), detail::quotedLiteral(name)),
                  {});
    core_.slot = name;
    core_.replication = std::move(next);
  } catch (const std::exception&) {
    // The next stream says that the place is lost.
  }
}

void PostgresSource::ack(const Position& position) {
  if (!core_.feedback.ack(position)) return;
  core_.wake.signal();
}

Position PostgresSource::lastAckedPosition() const {
  const Position acked = core_.feedback.acked();
  const Lsn before = core_.confirmedBefore;
  if (!acked.empty() && detail::confirmedBy(detail::placeOf(acked)) >= before) return acked;
  // Before every place that needs no more than this, with whichever progress; behind every place that needs more.
  return before == 0 ? Position{} : detail::positionOf({before - 1, detail::kWholeTransaction - 1});
}

std::partial_ordering PostgresSource::comparePositions(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) {
    return a.empty() && b.empty() ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  }
  return detail::comparePositions(a, b);
}

Position PostgresSource::meet(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) return {};
  const std::string progress = detail::meetProgress(detail::progressOf(a), detail::progressOf(b));
  return detail::positionOf(std::min(detail::placeOf(a), detail::placeOf(b)), progress);
}

void PostgresSource::pause() {
  core_.paused = true;
  core_.wake.signal();
}

void PostgresSource::resume() {
  core_.paused = false;
  core_.wake.signal();
}

SourceLag PostgresSource::lag() const {
  SourceLag lag;
  if (core_.retainedKnown) lag.retainedBytes = core_.retained.load();
  const Lsn end = core_.logEnd, reached = core_.feedback.reached();
  if (end == 0) return lag;
  lag.bytes = end - std::min(end, reached);
  lag.time = std::chrono::milliseconds(0);
  const std::int64_t last = core_.feedback.lastCommitMicros();
  if (*lag.bytes == 0 || last == 0) return lag;
  const auto age = core_.clock->wallNow() - Clock::Micros(last);
  lag.time = std::max(std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(age));
  return lag;
}

void PostgresSource::disconnect() noexcept {
  core_.replication.reset();
  core_.interleave.reset();
  core_.session.drop();
}

void PostgresSource::close() {
  disconnect();
  core_.state.to(SourceState::closed, "closed");
}

std::unique_ptr<RowStream> PostgresSource::readTable(const std::string& table, std::stop_token stop) {
  requireOpen();
  return detail::readTable(core_.options, table, std::move(stop));
}

void PostgresSource::reset() {
  core_.replication.reset();  // an ephemeral slot goes with it
  core_.ask({}, [&](PGconn* side) {
    if (core_.options.mode == SlotMode::stateful) dropSlot(side, {});
    detail::dropPublication(side, core_.options.publication);
  });
  core_.slotBegin = 0;
  core_.confirmedBefore = 0;
  core_.feedback.forget();
}

}  // namespace

std::unique_ptr<SyncSource> detail::makeSource(SourceOptions options) {
  return std::make_unique<PostgresSource>(std::move(options));
}

std::shared_ptr<SyncSource> source(SourceOptions options) { return detail::makeSource(std::move(options)); }

}  // namespace tidegate::postgres
