#include "source/detail/poll_run.h"

#include <fmt/format.h>

#include <exception>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

/// A host's own query function may throw anything; what leaves here is an Error.
template <class Call>
auto guardedCall(PollGuard& guard, Call&& call) {
  guard.enterQuery();
  try {
    auto result = call();
    guard.leaveQuery();
    return result;
  } catch (const PollAbandoned&) {
    throw;
  } catch (const Error&) {
    guard.leaveQuery();
    throw;
  } catch (const std::exception& e) {
    guard.leaveQuery();
    throw Error(ErrorCode::queryFailed, Retry::later, redactSecrets(e.what()));
  } catch (...) {
    guard.leaveQuery();
    throw Error(ErrorCode::queryFailed, Retry::later, "the query function threw something that is no std::exception");
  }
}

}  // namespace

GuardedRows::~GuardedRows() {
  if (!rows_) return;
  const bool entered = guard_->tryEnterQuery();
  rows_.reset();
  if (entered) guard_->tryLeaveQuery();
}

bool GuardedRows::take() {
  at_ = taken_ = 0;
  if (ended_) return false;
  // The driver fills rows of this object, which lives on the polling thread's stack: a late row harms nobody.
  taken_ = guardedCall(*guard_, [&] {
    std::size_t taken = 0;
    while (taken < kRowsAhead && rows_->next(ahead_[taken])) ++taken;
    return taken;
  });
  ended_ = taken_ < kRowsAhead;
  for (std::size_t i = 0; i < taken_; ++i) {
    if (ahead_[i].size() == width_) continue;
    throw Error(ErrorCode::queryFailed, Retry::afterOperator,
                fmt::format("a row has {} values but the result has {} columns: mend the query function",
                            ahead_[i].size(), width_));
  }
  return taken_ > 0;
}

GuardedRows PollRun::ask(Query query) {
  query.stop = control_.stop;
  query.timeout = config_.queryTimeout;
  return GuardedRows(guardedCall(control_.guard, [&] { return config_.query(query); }), control_.guard);
}

bool PollRun::endsHere() const {
  control_.guard.check();
  if (control_.stop.stop_requested()) {
    throw Error(ErrorCode::queryCancelled, Retry::later, "the poll was stopped; what was accepted so far is kept");
  }
  return control_.paused.load();
}

}  // namespace tidegate::detail
