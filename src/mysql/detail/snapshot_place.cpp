#include "mysql/detail/snapshot_place.h"

#include <fmt/format.h>
#include <poll.h>

#include <charconv>

#include "mysql/detail/binlog_position.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

/// After so many tries somebody always commits in between, and the tables are locked for a moment.
constexpr int kTriesWithoutLock = 60;
constexpr std::size_t kUuidLetters = 36, kUuidDash = 8;

std::uint64_t numberOf(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Error noBinlog() {
  return Error(ErrorCode::slotInvalid, Retry::afterOperator,
               "the server writes no binlog; mend it with the lines log_bin and binlog_format = ROW in its "
               "configuration, then restart it");
}

/// The end of the binlog. The server looks between two groups of commits.
LogPlace endOfLog(CLink& link, std::string* executed = nullptr) {
  Cells status;
  try {
    status = link.ask(link.isMariaDb() ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS");
  } catch (const Error& e) {
    if (link.isMariaDb() || e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::permissionDenied) throw;
    status = link.ask("SHOW MASTER STATUS");  // before 8.2
  }
  if (status.empty()) throw noBinlog();
  const auto& cells = status[0];
  if (executed != nullptr) *executed = cells.at(4).value_or("");
  return {cells.at(0).value_or(""), numberOf(cells.at(1).value_or(""))};
}

/// While the lock waits for a statement that runs long, all writes wait for the lock: so it does not wait long.
void lockForAMoment(CLink& link) {
  link.run("SET SESSION lock_wait_timeout = 5");
  try {
    link.run("FLUSH TABLES WITH READ LOCK");
  } catch (const Error& e) {
    if (e.retry() != Retry::later || e.code() != ErrorCode::queryFailed) throw;
    throw Error(
        e.code(), e.retry(),
        fmt::format("the tables cannot be locked for a moment, since a statement or a transaction holds one: {}. "
                    "With gtid_mode = ON large tables need no lock: read them in ranges (chunkedFromRows)",
                    e.message()));
  }
  link.run("SET SESSION lock_wait_timeout = DEFAULT");
}

/// MariaDB's GTIDs at a place that is the binlog's end: no group of commits was written while they were asked for.
std::optional<GtidState> gtidsAtEnd(CLink& link, const LogPlace& place) {
  try {
    if (endOfLog(link) != place) return std::nullopt;
    const std::string gtids = link.askText("SELECT @@GLOBAL.gtid_binlog_pos");
    if (endOfLog(link) != place) return std::nullopt;
    return gtidStateFromText(gtids);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::permissionDenied) throw;
    return std::nullopt;
  }
}

SnapshotPlace beginLockedSnapshot(CLink& link) {
  SnapshotPlace place;
  lockForAMoment(link);
  link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  place.seen = place.most = endOfLog(link, &place.executed);
  link.run("UNLOCK TABLES");
  return place;
}

}  // namespace

tidegate::detail::TransactionName LogPlace::name() const { return {fileNumberOf(file), offset}; }

void prepareForSnapshots(CLink& link) {
  link.run("SET SESSION net_write_timeout = 31536000");  // a slow sink must not make the server give up
  link.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  // Not bounded by the timeout of what is asked of the catalogue.
  link.run(link.isMariaDb() ? "SET SESSION max_statement_time = 0" : "SET SESSION max_execution_time = 0");
}

SnapshotPlace beginNotedSnapshot(CLink& link) {
  link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  LogPlace place;
  for (const auto& cells : link.ask("SHOW STATUS LIKE 'binlog_snapshot_%'")) {
    if (cells.at(0) == "Binlog_snapshot_file") place.file = cells.at(1).value_or("");
    if (cells.at(0) == "Binlog_snapshot_position") place.offset = numberOf(cells.at(1).value_or(""));
  }
  if (place.file.empty()) throw noBinlog();
  return {.seen = place, .most = place};
}

GtidState gtidsAt(CLink& link, const LogPlace& place) {
  if (std::optional<GtidState> atEnd = gtidsAtEnd(link, place)) return std::move(*atEnd);
  const Cells gtids = link.ask(fmt::format("SELECT BINLOG_GTID_POS({}, {})", literal(place.file), place.offset));
  if (!gtids.empty() && gtids[0].at(0)) return gtidStateFromText(*gtids[0][0]);
  throw Error(ErrorCode::queryFailed, Retry::later,
              fmt::format("the server does not know the GTIDs at {} of {}", place.offset, place.file));
}

bool hasGtids(CLink& link) {
  const Cells mode = link.ask("SHOW GLOBAL VARIABLES LIKE 'gtid_mode'");
  return !mode.empty() && mode[0].at(1) == "ON";
}

void requireGtids(CLink& link) {
  if (hasGtids(link)) return;
  throw Error(
      ErrorCode::slotInvalid, Retry::afterOperator,
      "gtid_mode is not ON, and positions by GTID, and tables that are read in ranges, need it; mend it with: SET "
      "GLOBAL enforce_gtid_consistency = ON, then SET GLOBAL gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE and ON "
      "one after the other; or use PositionBy::file and load the tables anew");
}

/// "uuid:7#12:8#13", a tag behind the UUID if it has one. Nothing stands between one source and the next: it is found
/// by the first dash of its UUID.
std::set<std::string> gtidsOwned(std::string_view text) {
  std::set<std::string> gtids;
  while (!text.empty()) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos || dash < kUuidDash || text.size() < dash - kUuidDash + kUuidLetters) break;
    text.remove_prefix(dash - kUuidDash);
    std::string source(text.substr(0, kUuidLetters));
    text.remove_prefix(kUuidLetters);
    const auto next = text.find('-');
    std::string_view mine = text.substr(0, next == std::string_view::npos ? next : next - kUuidDash);
    text.remove_prefix(mine.size());
    while (!mine.empty()) {
      mine.remove_prefix(1);  // a colon
      const std::string_view part = mine.substr(0, mine.find(':'));
      mine.remove_prefix(part.size());
      const auto owner = part.find('#');
      if (owner == std::string_view::npos) {
        source = fmt::format("{}:{}", source.substr(0, kUuidLetters), part);
      } else {
        gtids.insert(fmt::format("{}:{}", source, part.substr(0, owner)));
      }
    }
  }
  return gtids;
}

std::optional<SnapshotPlace> SnapshotBracket::begin(CLink& link) {
  const auto owned = [&] { return gtidsOwned(link.askText("SELECT @@GLOBAL.gtid_owned")); };
  if (!first_) {
    requireGtids(link);
    first_ = endOfLog(link);
    unseen_ = owned();
  } else {
    const std::set<std::string> now = owned();
    std::erase_if(unseen_, [&](const std::string& gtid) { return !now.contains(gtid); });
  }
  if (!unseen_.empty()) return std::nullopt;
  SnapshotPlace place;
  place.seen = *first_;
  place.executed = link.askText("SELECT @@GLOBAL.gtid_executed");
  first_.reset();
  link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  place.most = endOfLog(link);
  return place;
}

SnapshotPlace beginExactSnapshot(CLink& link) {
  if (!hasGtids(link)) return beginLockedSnapshot(link);
  SnapshotBracket bracket;
  for (int tries = 0; tries < kTriesWithoutLock; ++tries) {
    if (const auto place = bracket.begin(link)) {
      // Nothing was committed in between: then what was executed is what lies before the place.
      if (place->exact()) return *place;
      link.run("COMMIT");
    }
    ::poll(nullptr, 0, 1);
  }
  return beginLockedSnapshot(link);
}

}  // namespace tidegate::mysql::detail
