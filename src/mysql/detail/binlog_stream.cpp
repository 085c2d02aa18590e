#include "mysql/detail/binlog_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "mysql/detail/read_row.h"
#include "mysql/detail/snapshot_place.h"

namespace tidegate::mysql::detail {
namespace {

/// A stream that has stood this long has succeeded, even if nothing came.
constexpr std::chrono::seconds kSteady{10};
constexpr std::uint64_t kFirstOffset = 4;
/// A rotation's octets but for the name of the next file; any transaction has more than those with it.
constexpr std::uint64_t kRotation = 31;

}  // namespace

Border startBorder(const Border& from, const std::vector<BinlogFile>& files) {
  if (!from.byFile() || from.file.offset <= UINT32_MAX) return from;
  Border start = from;
  start.file.offset = kFirstOffset;
  const auto numbered = [&](std::uint64_t number) {
    return std::find_if(files.begin(), files.end(), [&](const BinlogFile& file) { return file.number == number; });
  };
  const auto file = numbered(from.file.number);
  const bool ends = file != files.end() && file->size <= from.file.offset + kRotation + file->name.size();
  if (ends && numbered(from.file.number + 1) != files.end()) ++start.file.number;
  return start;
}

BinlogStream::BinlogStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
                           const ChangeHandler& handler, std::stop_token stop)
    : core_(core),
      from_(from),
      stop_(std::move(stop)),
      tables_([this](const TableName& name) { return core_.catalogue(name, stop_); }, core.charsets, core.told),
      chunks_(core, stop_),
      reader_(
          core, handler, tables_,
          [this](const TableBinding& table, std::vector<Value>& row, const std::vector<std::uint32_t>& columns) {
            return fill(table, row, columns);
          },
          hooks(), &chunks_),
      backoff_(core.options.backoff, core.context.jitterSeed) {
  std::vector<TableName> names;
  for (const std::string& table : tables) names.push_back(core.nameOf(table));
  tables_.want(std::move(names));
}

BinlogReader::Hooks BinlogStream::hooks() {
  return {.enterPaused = [this] { core_.state.to(SourceState::paused, "paused"); },
          .leavePaused = [this] { core_.state.to(SourceState::streaming, "resumed"); },
          .monitor = [this] { monitor(); },
          .worked = [this] { backoff_.reset(); }};
}

void BinlogStream::run() {
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
      if (begun_) from_ = reader_.taken();
      if (begun_ && core_.clock->steadyNow() - startedAt_ >= kSteady) backoff_.reset();
      begun_ = false;
      if (!waitToRetry(e, backoff_, core_.state, *core_.scheduler, stop_)) return;
    }
  }
}

/// A MySQL that has none of what another one executed would go on as if we had it from here.
void BinlogStream::requireExecuted(const Place& place) {
  if (place.before.by != BorderBy::sources) return;
  GtidSet told = place.before.set;
  if (place.ordinal != 0) told.add(place.current.source, {place.current.sequence, place.current.sequence});
  core_.ask(stop_, [&](CLink& link) {
    if (link.isMariaDb()) return;  // which is said where the binlog is asked for
    requireGtids(link);
    // In this order: a transaction may be told, and seen by nobody yet.
    const std::set<std::string> owned = gtidsOwned(link.askText("SELECT @@GLOBAL.gtid_owned"));
    GtidSet known = gtidSetFromText(link.askText("SELECT @@GLOBAL.gtid_executed"));
    for (const std::string& text : owned) {
      const Gtid gtid = gtidFromText(text);
      known.add(gtid.source, {gtid.sequence, gtid.sequence});
    }
    if (told.within(known)) return;
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                fmt::format("the position {} has transactions that this server does not have: it is another one, or "
                            "restored from a backup; a new baseline is needed",
                            positionToText(from_)));
  });
}

BinlogStart BinlogStream::startOf(const Border& border) {
  BinlogStart start{.serverId = core_.options.serverId,
                    .heartbeat = core_.options.heartbeatInterval,
                    .silence = core_.silence(),
                    .from = border};
  if (!border.byFile()) return start;
  core_.ask(stop_, [&](CLink& link) {
    const std::string server = link.askText("SELECT @@server_id");
    if (server != std::to_string(border.file.server)) {
      throw Error(ErrorCode::positionLost, Retry::afterOperator,
                  fmt::format("the position {} is one of server {}, and this is server {}; a new baseline is needed",
                              positionToText(from_), border.file.server, server));
    }
    const std::vector<BinlogFile> files = SourceCore::files(link);
    start.from = startBorder(border, files);
    for (const BinlogFile& file : files) {
      if (file.number == start.from.file.number) start.file = file.name;
    }
  });
  if (!start.file.empty()) return start;
  throw Error(
      ErrorCode::positionLost, Retry::afterOperator,
      fmt::format("the server no longer has file {} of its binlog; a new baseline is needed. Keep the binlog longer "
                  "with: SET GLOBAL binlog_expire_logs_seconds = 604800",
                  border.file.number));
}

void BinlogStream::attempt() {
  Place place = placeOf(from_);
  learnNames();
  requireExecuted(place);
  const Border wanted = place.restart ? *place.restart : place.before;
  const BinlogStart start = startOf(wanted);
  if (start.from != wanted) {
    place.restart = start.from;
    from_ = positionOf(place);
  }
  BinlogLink link(core_.options.connect, start, stop_);
  begun_ = true;
  startedAt_ = core_.clock->steadyNow();
  core_.connected("connected");
  core_.state.to(SourceState::streaming, fmt::format("streaming from {}", positionToText(from_)));
  reader_.restart(from_);
  const LinkGuard guard(stop_, link.link());
  reader_.run(link, from_, stop_);
}

/// How this server compares names, and whether it logs those of columns.
void BinlogStream::learnNames() {
  const auto ask = [this](const std::string& sql) {
    return core_.ask(stop_, [&](CLink& link) { return link.ask(sql); });
  };
  tables_.fold(core_.ask(stop_, [](CLink& link) { return foldsNames(link); }) ? NameFold(ask) : NameFold());
  const Cells metadata = ask("SHOW GLOBAL VARIABLES LIKE 'binlog_row_metadata'");
  tables_.logsNames(!metadata.empty() && metadata[0].at(1) == "FULL");
}

bool BinlogStream::fill(const TableBinding& table, std::vector<Value>& row, const std::vector<std::uint32_t>& columns) {
  for (bool said = false;; said = true) {
    try {
      return core_.ask(stop_, [&](CLink& link) { return readRowAgain(link, table, row, columns); });
    } catch (const Error& e) {
      if (e.code() != ErrorCode::queryFailed || e.retry() != Retry::later) throw;
      if (said) continue;
      core_.warn(
          fmt::format("the stream waits for a transaction that holds a row of {}, since the binlog has only "
                      "some of its columns: {}. With SET GLOBAL binlog_row_image = FULL nothing is waited for",
                      table.name.full(), e.message()));
    }
  }
}

void BinlogStream::monitor() {
  if (lagDenied_) return;
  try {
    core_.ask(stop_, [&](CLink& link) { core_.noteLag(SourceCore::files(link)); });
  } catch (const Error& e) {
    if (e.code() != ErrorCode::permissionDenied) throw;
    lagDenied_ = true;
    core_.warn("how far the source lags is not known: " + e.message());
  }
}

}  // namespace tidegate::mysql::detail
