#include "postgres/detail/visibility_gate.h"

#include <fmt/format.h>

namespace tidegate::postgres::detail {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAskEvery{10};
/// A commit that waits for no standby is done long before.
constexpr std::chrono::seconds kLate{10};

/// Those in a transaction that their client has yet to end cannot be at its commit. Later, neither can those that are
/// seen to run and not to wait for a standby. Whom we may not look at (no pg_read_all_stats) is waited for. A prepared
/// transaction is at its commit only where somebody waits for a standby.
constexpr const char* kRunning = R"(
SELECT pg_catalog.count(*) FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) AS x(id)
WHERE x.id < '{0}'::pg_catalog.xid8
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity a
    WHERE a.backend_xid::text = (x.id::text::numeric % 4294967296)::text
      AND (a.state LIKE 'idle in transaction%' OR ({1} AND a.state = 'active' AND a.wait_event IS DISTINCT FROM 'SyncRep')))
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_prepared_xacts p
    WHERE p.transaction::text = (x.id::text::numeric % 4294967296)::text AND {1}
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.wait_event = 'SyncRep')))";

/// Flushed here, and not held up by a standby: only the log has to go on.
constexpr const char* kMessage =
    "BEGIN READ WRITE; SET LOCAL synchronous_commit = local; "
    "SELECT pg_catalog.pg_logical_emit_message(true, 'tidegate', 'baseline'); COMMIT";

}  // namespace

void VisibilityGate::shut() {
  open_ = false;
  id_ = 0;
  asked_ = Asked::nothing;  // an answer to an earlier question is none to this one
  shutAt_ = Steady::now();
}

void VisibilityGate::knock() { knocked_ = true; }

void VisibilityGate::step() {
  switch (link_.state()) {
    case AsyncLink::State::closed:
      asked_ = Asked::nothing;
      if (open_ && !knocked_) return;
      link_.open();
      [[fallthrough]];
    case AsyncLink::State::connecting:
    case AsyncLink::State::busy:
    case AsyncLink::State::copying:
      link_.step();
      break;
    default:
      break;
  }
  if (link_.state() == AsyncLink::State::done) answered();
  if (link_.state() == AsyncLink::State::ready) ask();
}

void VisibilityGate::ask() {
  if (!open_ && id_ == 0) {
    // A number of its own, greater than those of all that run; its commit also moves the log on, so that what is read
    // from here on stands behind all that an earlier process has read.
    asked_ = Asked::id;
    link_.send(
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = local; SELECT pg_catalog.pg_current_xact_id(); COMMIT");
  } else if (!open_ && Steady::now() >= askAgain_) {
    asked_ = Asked::running;
    link_.send(fmt::format(kRunning, id_, Steady::now() - shutAt_ > kLate ? "true" : "false"));
  } else if (knocked_) {
    knocked_ = false;
    asked_ = Asked::message;
    link_.send(kMessage);
  }
}

void VisibilityGate::answered() {
  const auto results = link_.takeResults();
  if (asked_ == Asked::id && id_ == 0) {
    for (const OwnedResult& result : results) {
      if (PQntuples(result.get()) > 0) id_ = static_cast<std::uint64_t>(integerCell(result.get(), 0, 0));
    }
  } else if (asked_ == Asked::running && id_ != 0) {
    open_ = integerCell(results.back().get(), 0, 0) == 0;
    askAgain_ = Steady::now() + kAskEvery;
  }
  asked_ = Asked::nothing;
}

}  // namespace tidegate::postgres::detail
