#include "postgres/detail/source_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/detail/publication.h"
#include "postgres/detail/server_error.h"
#include "postgres/detail/sql.h"
#include "postgres/detail/table_version.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

/// A stream that has stood this long has succeeded, even if nothing came.
constexpr std::chrono::seconds kSteady{10};
/// A server that waits for us asks again and again.
constexpr std::chrono::milliseconds kProbeInterval{500};

std::uint32_t newestProtocol(int serverVersion) {
  if (serverVersion >= 160'000) return 4;
  if (serverVersion >= 150'000) return 3;
  return serverVersion >= 140'000 ? 2 : 1;
}

/// The server ends a connection that was silent for its wal_sender_timeout: speak at least four times as often.
std::chrono::milliseconds statusIntervalFor(ReplicationConnection& connection, std::chrono::milliseconds wanted,
                                            const std::stop_token& stop) {
  const OwnedResult rows =
      connection.command("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'", stop);
  if (PQntuples(rows.get()) == 0) return wanted;
  const std::chrono::milliseconds timeout(integerCell(rows.get(), 0, 0));
  return timeout.count() == 0 ? wanted : std::min(wanted, std::max(std::chrono::milliseconds(1), timeout / 4));
}

StreamReaderOptions readerOptions(const SourceOptions& options) {
  StreamReaderOptions out;
  out.statusInterval = options.statusInterval;
  out.monitorInterval = options.monitorInterval;
  if (options.heartbeatInterval.count() > 0) {
    out.monitorInterval = std::min(out.monitorInterval, options.heartbeatInterval);
  }
  out.delivery.maxEvents = options.batchEvents;
  out.skipOrigins = {options.skipOrigins.begin(), options.skipOrigins.end()};
  out.spill = {options.spillMemoryBytes, options.spillDirectory};
  return out;
}

}  // namespace

SourceStream::SourceStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
                           const ChangeHandler& handler, std::stop_token stop)
    : core_(core),
      tables_(tables),
      from_(from),
      stop_(std::move(stop)),
      relations_(questions(), core.known),
      reader_({handler, core.feedback, relations_, core.interleave.get(),
               [this](ChangeEvent& event) {
                 core_.ask(stop_, [&](PGconn* side) { fillUnchanged(side, core_.session.trustedEncoding(), event); });
               },
               core.wake, *core.clock},
              readerOptions(core.options), hooks()),
      backoff_(core.options.backoff, core.context.jitterSeed) {}

CatalogueQuestions SourceStream::questions() {
  return {[this](const std::string& table) {
            return core_.ask(
                stop_, [&](PGconn* side) { return seeTable(side, table, core_.options.publication.name, core_.slot); });
          },
          [this](const std::vector<TypeAsked>& types) {
            return core_.ask(stop_, [&](PGconn* side) { return describeTypes(side, types); });
          }};
}

StreamHooks SourceStream::hooks() {
  return {.paused = [this] { return core_.paused.load(); },
          .enterPaused = [this] { core_.state.to(SourceState::paused, "paused"); },
          .leavePaused = [this] { core_.state.to(SourceState::streaming, "resumed"); },
          .monitor = [this] { monitor(); },
          .askedForReply = [this] { probe(); },
          .between = [this](Lsn received) { announce(received); },
          .worked = [this] { backoff_.reset(); }};
}

void SourceStream::run() {
  const std::stop_callback wake(stop_, [this] { core_.wake.signal(); });
  while (!stop_.stop_requested()) {
    try {
      attempt();
    } catch (const StreamStopped&) {
      return;
    } catch (const HandlerFailed& failed) {
      std::rethrow_exception(failed.cause);
    } catch (const Error& e) {
      if (stop_.stop_requested()) return;
      const Error meaning = meaningOf(e);
      core_.replication.reset();
      if (begun_ && core_.clock->steadyNow() - startedAt_ >= kSteady) backoff_.reset();
      if (!waitToRetry(meaning, backoff_, core_.state, *core_.scheduler, stop_)) return;
    }
  }
}

void SourceStream::attempt() {
  open();
  start();
  reader_.run(*core_.replication, from_, stop_);
}

void SourceStream::open() {
  if (begun_) from_ = reader_.taken();
  begun_ = false;
  checkPublication();
  checkSlot();
  if (!described_) relations_.want(tables_);
  described_ = true;
  if (!core_.replication) core_.replication = std::make_unique<ReplicationConnection>(core_.options.connect, stop_);
  if (letFailOver_) letFailOver(*core_.replication, core_.slot, stop_);
  letFailOver_ = false;
  checkHistory();
  relations_.setTrustedEncoding(core_.replication->trustedEncoding());
}

void SourceStream::checkPublication() {
  const PublicationOptions& publication = core_.options.publication;
  core_.ask(stop_, [&](PGconn* side) {
    if (!publicationExists(side, publication.name)) {
      if (publication.manage != PublicationMode::leaveAlone) {
        keepPublication(side, publication, tables_, OtherTables::keep);
        core_.warn(fmt::format("publication \"{}\" was missing and has been made anew", publication.name));
        return;
      }
      throw Error(ErrorCode::slotInvalid, Retry::afterOperator,
                  fmt::format("publication \"{}\" does not exist; make it with: CREATE PUBLICATION {} FOR TABLE …",
                              publication.name, quoteIdentifier(Dialect::postgres, publication.name)));
    }
    if (described_ || publication.manage != PublicationMode::keepInStep) return;
    for (const std::string& table : tables_) {
      const auto facts = readTableFacts(side, table, publication.name);
      if (!facts || facts->publication.listed) continue;
      keepPublication(side, publication, tables_, OtherTables::keep);
      throw Error(
          ErrorCode::positionLost, Retry::afterOperator,
          fmt::format("table {} was not in publication \"{}\": changes made since are not in the stream. It was "
                      "added; a new baseline is needed",
                      facts->fullName(), publication.name));
    }
    const std::vector<std::string> all(core_.asked.begin(), core_.asked.end());
    keepPublication(side, publication, all, OtherTables::drop);
  });
}

void SourceStream::checkSlot() {
  if (core_.options.mode == SlotMode::ephemeral) {
    if (core_.replication && core_.replication->alive()) return;
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the ephemeral slot has ended with its connection; a new baseline makes a new one");
  }
  core_.ask(stop_, [&](PGconn* side) {
    const std::optional<SlotFacts> facts = readSlot(side, core_.slot);
    if (const auto fault = slotFault(core_.slot, facts)) throw *fault;
    core_.confirmedBefore = confirmed_ = facts->confirmed;
    letFailOver_ = core_.options.failover && !facts->failover;
    if (from_.empty()) from_ = positionOf({facts->confirmed, 0});
    const Place place = placeOf(from_);
    const Lsn end = readLogEnd(side);
    core_.logEnd = end;
    if (confirmedBy(place) > end + 1) {
      throw Error(ErrorCode::positionLost, Retry::afterOperator,
                  fmt::format("the position {} lies behind the end of this server's log, {}: it is another server than "
                              "before, or was restored from a backup",
                              positionToText(from_), lsnToText(end)));
    }
    const Lsn begin =
        std::max(core_.slotBegin, notedSlotBegin(side, core_.options.publication.name, core_.slot).value_or(0));
    checkNothingForgotten(place, begin, facts->confirmed);
  });
}

/// A standby that took over has a log of its own from there on. What its predecessor told us behind that place is not
/// in it, and other changes may be. A slot that came along was confirmed before, and one that was used since is past
/// it.
void SourceStream::checkHistory() {
  const Lsn place = confirmedBy(placeOf(from_));
  if (core_.options.mode == SlotMode::ephemeral || place <= confirmed_) return;
  const OwnedResult system = core_.replication->command("IDENTIFY_SYSTEM", stop_);
  const std::int64_t timeline = integerCell(system.get(), 0, 1);
  if (timeline <= 1) return;
  const OwnedResult file = core_.replication->command(fmt::format("TIMELINE_HISTORY {}", timeline), stop_);
  for (const Lsn parted : partingsIn(cell(file.get(), 0, 1))) {
    if (confirmed_ > parted || place <= parted) continue;
    throw Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("this server took over from another at {}, before the position {}: it never had what was delivered "
                    "in between. A new baseline is needed; synchronized_standby_slots makes a primary wait for its "
                    "standbys",
                    lsnToText(parted), positionToText(from_)));
  }
}

/// The server would go on behind what was confirmed, whatever we ask for, and say nothing.
void SourceStream::checkNothingForgotten(const Place& place, Lsn begin, Lsn confirmed) const {
  if (confirmedBy(place) >= std::max(begin, confirmed)) return;
  throw Error(
      ErrorCode::positionLost, Retry::afterOperator,
      confirmedBy(place) < begin
          ? fmt::format("replication slot \"{}\" was made anew at {}, after the position {}: what changed in between "
                        "cannot be read",
                        core_.slot, lsnToText(begin), positionToText(from_))
          : fmt::format("replication slot \"{}\" is confirmed up to {}, past the position {}: the slot was made or "
                        "moved on by somebody else, or the target was restored from a backup or was not written to for "
                        "a time. What changed in between cannot be read",
                        core_.slot, lsnToText(confirmed), positionToText(from_)));
}

std::string SourceStream::startCommand() const {
  const int server = core_.replication->serverVersion();
  const std::uint32_t newest = newestProtocol(server);
  const std::uint32_t version = core_.options.protocolVersion == 0 ? newest : core_.options.protocolVersion;
  if (version > newest) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("protocolVersion {} is newer than what the server has, {}", version, newest));
  }
  std::string options = fmt::format("proto_version '{}', publication_names {}", version,
                                    quotedLiteral(quoteIdentifier(Dialect::postgres, core_.options.publication.name)));
  // What is streamed before its commit comes without its origin.
  const bool streamed = core_.options.streamLargeTransactions && core_.options.skipOrigins.empty();
  if (version >= 2 && streamed) options += ", streaming 'on'";
  if (server >= 140'000) options += ", messages 'true'";
  return fmt::format("START_REPLICATION SLOT {} LOGICAL {} ({})", quoteIdentifier(Dialect::postgres, core_.slot),
                     lsnToText(confirmedBy(placeOf(from_))), options);
}

void SourceStream::start() {
  reader_.setStatusInterval(statusIntervalFor(*core_.replication, core_.options.statusInterval, stop_));
  core_.replication->start(startCommand(), stop_);
  begun_ = true;
  startedAt_ = core_.clock->steadyNow();
  core_.connected("connected");
  core_.state.to(SourceState::streaming, fmt::format("streaming from {}", positionToText(from_)));
}

Error SourceStream::meaningOf(const Error& failure) {
  if (failure.code() == ErrorCode::positionLost) return core_.positionLost(failure);
  if (core_.options.mode == SlotMode::ephemeral && core_.replication &&
      (failure.retry() == Retry::later || !core_.replication->alive())) {
    return core_.positionLost(
        Error(failure.code(), failure.retry(),
              fmt::format("the ephemeral slot has ended with its connection ({}); a new baseline makes a new one",
                          failure.message())));
  }
  const auto* server = dynamic_cast<const ServerError*>(&failure);
  if (server == nullptr) return failure;
  const std::string& state = server->sqlState();
  if (state == "42704" && begun_) return publicationMissing(failure);
  if (state == "58P01") {  // the log that the slot needs is gone
    return core_.positionLost(Error(
        failure.code(), failure.retry(),
        fmt::format("the server no longer has the log that slot \"{}\" needs: {}", core_.slot, failure.message())));
  }
  // Another process took the slot, or it was dropped, since it was looked at: the next look tells which.
  if (state == "55006" || state == "42704" || state == "55000") {
    return Error(ErrorCode::slotInvalid, Retry::later, failure.message());
  }
  return failure;
}

/// pgoutput looks the publication up as it was when the change was made: what was changed while there was none can
/// never be read from this slot.
Error SourceStream::publicationMissing(const Error& failure) {
  try {
    const std::string& name = core_.options.publication.name;
    const bool exists = core_.ask(stop_, [&](PGconn* side) { return publicationExists(side, name); });
    if (!exists) return Error(ErrorCode::slotInvalid, Retry::later, failure.message());
    return core_.positionLost(
        Error(failure.code(), failure.retry(),
              fmt::format("publication \"{}\" did not exist when changes were made that come next in the log, and they "
                          "cannot be read without it; a new baseline makes a new slot",
                          name)));
  } catch (const Error& e) {
    return e;
  }
}

void SourceStream::lookAfterSlot(bool beat, bool look) {
  try {
    core_.ask(stop_, [&](PGconn* side) {
      if (beat) runSql(side, "SELECT pg_catalog.pg_logical_emit_message(false, 'tidegate', 'heartbeat')");
      if (!look) return;
      const Lsn end = readLogEnd(side);
      core_.logEnd = end;
      lookAtTables(side);
      const auto facts = readSlot(side, core_.slot);
      if (!facts || facts->restart == 0) return;
      core_.retained = end - std::min(end, facts->restart);
      core_.retainedKnown = true;
    });
  } catch (const Error& e) {
    if (stop_.stop_requested()) throw StreamStopped{};
    // A server that is about to end waits until all that it sent is confirmed: a slow sink must not keep it from that.
    if (e.message().find("SQLSTATE 57P") != std::string::npos) throw;
    // Otherwise the stream's own connection tells when the server is gone.
    if (e.code() != ErrorCode::connectionFailed) core_.warn("the source cannot look after its slot: " + e.message());
  }
}

/// The server describes a table again only before its next change. A table that nobody writes to is looked at here.
void SourceStream::lookAtTables(PGconn* side) {
  std::vector<unsigned> oids;
  for (const auto& [name, table] : relations_.wantedTables()) oids.push_back(table->oid);
  const bool isFirst = fingerprints_.empty();
  std::map<unsigned, std::string> now = readFingerprints(side, oids);
  for (const auto& [name, table] : relations_.wantedTables()) {
    const std::string& before = fingerprints_[table->oid];
    const std::string& print = now[table->oid];
    if (print == before && !print.empty()) continue;
    const Lsn from = readLogInsertEnd(side);
    const TableSeen seen = seeTable(side, name, core_.options.publication.name, core_.slot);
    if (!seen.facts) {
      if (!before.empty() || isFirst) {
        core_.warn(
            fmt::format("table {} was dropped or renamed: as far as it is written to, changes come no more", name));
      }
      continue;
    }
    if (seen.facts->oid != table->oid) adopt(side, *seen.facts);
    seen_.push_back({table, seen, from, readLogInsertEnd(side)});
  }
  fingerprints_ = std::move(now);
}

/// Another table stands under the name: it has to be published too, and read anew.
void SourceStream::adopt(PGconn* side, const TableFacts& facts) {
  if (core_.options.publication.manage == PublicationMode::keepInStep) {
    keepPublication(side, core_.options.publication, {facts.fullName()}, OtherTables::keep);
  }
  core_.warn(fmt::format("table {} was dropped and made anew: it needs a new baseline", facts.fullName()));
}

void SourceStream::announce(Lsn received) {
  if (const std::string renamed = relations_.takeRenameWarning(); !renamed.empty()) core_.warn(renamed);
  for (std::size_t i = 0; i < seen_.size();) {
    const Seen& seen = seen_[i];
    if (received < seen.until || !reader_.delivery().canAnnounce(received)) {
      ++i;
      continue;
    }
    if (seen.table->toldAt >= seen.from) {
      fingerprints_.erase(seen.table->oid);  // which of the two is younger is not known: look again
    } else if (const auto change = relations_.announce(*seen.table, *seen.seen.facts, seen.seen.version)) {
      reader_.delivery().announce(received, seen.table->shape, change);
    }
    seen_.erase(seen_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

/// A server that is shutting down ends every connection but ours, and takes no new ones.
void SourceStream::probe() {
  const Clock::Micros now = core_.clock->steadyNow();
  if (lastProbe_.count() != 0 && now - lastProbe_ < kProbeInterval) return;
  lastProbe_ = now;
  core_.ask(stop_, [](PGconn* side) { runSql(side, "SELECT 1"); });
}

void SourceStream::monitor() {
  const Clock::Micros now = core_.clock->steadyNow();
  const auto isDue = [&](Clock::Micros last, std::chrono::milliseconds interval) {
    return interval.count() > 0 && (last.count() == 0 || now - last >= interval);
  };
  const bool look = isDue(lastMonitor_, core_.options.monitorInterval);
  const bool beatNow = isDue(lastBeat_, core_.options.heartbeatInterval);
  if (!look && !beatNow) return;
  lookAfterSlot(beatNow, look);
  if (look) lastMonitor_ = now;
  if (beatNow) lastBeat_ = now;
  const std::uint64_t limit = core_.options.retainedWalWarnBytes;
  const bool over = limit != 0 && core_.retained > limit;
  if (over && !warnedOfLog_) {
    core_.warn(
        fmt::format("the server keeps {} octets of log for replication slot \"{}\", over retainedWalWarnBytes = {}: "
                    "see that its sinks get on, or drop it with `reset`",
                    core_.retained.load(), core_.slot, limit));
  }
  warnedOfLog_ = over;
}

}  // namespace tidegate::postgres::detail
