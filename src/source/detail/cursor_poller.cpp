#include "source/detail/cursor_poller.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tidegate::detail {
namespace {

/// Rows asked for at once in a catch-up, where they are streamed. Planners sort a whole table rather than use its index
/// if they must expect to return all of it, and then the first row takes as long as the table is large.
constexpr std::size_t kStreamRows = 250'000;
/// How long a statement is read before the rest is asked for anew.
constexpr std::chrono::milliseconds kStreamTime{10'000};

std::chrono::milliseconds streamTime(std::chrono::milliseconds queryTimeout) {
  return queryTimeout.count() == 0 ? kStreamTime : std::min(kStreamTime, queryTimeout / 2);
}

}  // namespace

/// One poll of one table; everything in it dies with the poll.
class CursorPoll {
 public:
  CursorPoll(CursorPoller& poller, PollRun& run, TableReport& report)
      : poller_(poller),
        state_(poller.state_),
        run_(run),
        report_(report),
        page_({.table = poller.table_,
               .cursorColumn = poller.strategy_.cursorColumn,
               .keyColumns = poller.sql_.keyColumns(),
               .clientId = poller.context_.clientId(),
               .pushRows = poller.pushRows_}) {}

  void run() {
    if (!readNewer()) return;
    if (poller_.strategy_.nullCursors == NullCursors::skip) {
      countNulls();
    } else if (!readNulls()) {
      return;
    }
    poller_.save(std::numeric_limits<std::size_t>::max());
  }

 private:
  /// Rows of the window that share a cursor.
  struct WindowRun {
    Value cursor;
    std::int64_t key;
    std::uint64_t firstNumber, rows;
  };
  enum class Ended { atLast, early, paused };
  enum class Rows { newer, nulls };

  /// Reads one answer and pushes it as it is read. @return why it ended; early: there may be more after `after_`.
  Ended readPage(Query query, Rows which);
  /// The next page's LIMIT. A first page is one push: a steady poll needs no more, and a planner uses the index for it.
  std::size_t pageRows() const { return catchUp_ ? poller_.catchUpRows_ : poller_.pushRows_; }
  bool readNewer();
  bool readNulls();
  void countNulls();
  void checkForm(CursorForm form) const;
  void checkMoved(const std::optional<PageEnd>& before) const;
  /// Pushes what was read, and advances as soon as it is accepted. @param more whether the answer may go on.
  void pushRead(Rows which, bool more);
  /// Forgets what the changed rows looked like. A push may be accepted without anyone living to note it; a row that
  /// then changed back would match its old fingerprint and stay silent for ever.
  void doubtChanged();
  void accept();
  void acceptNulls();
  void moveNewest();
  void moveFromInTime();
  void appendRuns(std::size_t firstRun);
  void keepTimeRuns();
  void keepCountedRuns();
  /// A poll of several pages sees several moments of the source. Rows that came meanwhile must not make the window of
  /// the newest rows narrower: it is bounded by what was the n-th newest before the first page. Rows far before the
  /// window need no fingerprints.
  void beginCatchUp();
  /// Whether all rows last read are before what will be the window, as far as one can tell. If not, the next poll
  /// pushes rows again that the gateway then finds unchanged.
  bool farBeforeWindow() const;
  bool pastCountBound(const Value& cursor) const;
  void moveFrom(const Value& from);
  std::uint64_t numberOf(std::size_t note) const { return readNumber_ + note; }

  CursorPoller& poller_;
  CursorState& state_;
  PollRun& run_;
  TableReport& report_;
  CursorPage page_;
  CursorForm form_;
  std::optional<CommitHorizon> horizon_;
  std::deque<WindowRun> runs_;    ///< of this poll, at or after the window's start
  std::uint64_t runRows_ = 0;     ///< rows in them
  std::uint64_t passNumber_ = 0;  ///< of this pass's first row
  std::uint64_t readNumber_ = 0;  ///< of the first row last read
  std::optional<PageEnd> after_;  ///< where the last page ended
  bool catchUp_ = false;          ///< this pass needs several pages
  bool printed_ = false;          ///< this pass has put fingerprints since it last dropped its own
  std::optional<Value> countBound_;
  std::int64_t printsFrom_ = std::numeric_limits<std::int64_t>::min();  ///< a `timeKey`
  std::optional<Value> reached_;                                        ///< the last finite cursor of this poll
  std::chrono::microseconds began_{0}, elapsed_{0};  ///< from before the first page to this one's moment
};

CursorPoll::Ended CursorPoll::readPage(Query query, Rows which) {
  const PollContext& context = poller_.context_;
  const std::optional<PageEnd> before = std::exchange(after_, std::nullopt);
  const std::uint64_t firstNumber = poller_.nextNumber_;
  std::optional<GuardedRows> rows(run_.ask(std::move(query)));
  const std::chrono::microseconds asked = context.clock.steadyNow();
  page_.begin(*rows);
  for (bool first = true;; first = false) {
    const bool newer = which == Rows::newer;
    const bool more = page_.read(*rows, newer ? state_.window : state_.nulls, newer ? &form_ : nullptr);
    const std::chrono::microseconds now = context.clock.steadyNow();
    // A page is one moment of the source, before its first rows were read; over several, writers go on meanwhile.
    if (first && (before || horizon_)) elapsed_ = now - began_;
    // No statement, and so no snapshot or lock, is kept for long; none at all where its rows are in memory.
    if (!more || !poller_.streams_ || now - asked >= poller_.streamTime_) rows.reset();
    if (newer) checkForm(form_);
    if (!page_.notes().empty()) {
      after_ = page_.end();
      checkMoved(before);
      pushRead(which, more);
    }
    if (!more && poller_.nextNumber_ - firstNumber < pageRows()) return Ended::atLast;
    if (run_.endsHere()) return Ended::paused;
    if (!rows) return Ended::early;
  }
}

bool CursorPoll::readNewer() {
  form_ = state_.form;
  began_ = poller_.context_.clock.steadyNow();
  if (poller_.strategy_.commitHorizon) {
    horizon_ = askCommitHorizon(run_, poller_.context_.config.query.dialect());
    if (horizon_->prepared) {
      poller_.context_.warn(fmt::format(
          "table \"{}\": a prepared transaction is open, so the look-back window does not move on until it ends",
          poller_.table_.table));
    }
  }
  passNumber_ = poller_.nextNumber_;
  for (;;) {
    const Ended ended = readPage(after_ ? poller_.sql_.next(*after_, pageRows())
                                        : poller_.sql_.first(state_.from ? &*state_.from : nullptr, pageRows()),
                                 Rows::newer);
    if (ended == Ended::paused) return false;
    if (ended == Ended::atLast) break;
    if (!catchUp_) beginCatchUp();
  }
  if (catchUp_ && form_.kind == CursorKind::other && countBound_) moveFrom(*countBound_);
  const std::uint64_t windowStart = runs_.empty() ? poller_.nextNumber_ : runs_.front().firstNumber;
  if (state_.window.dropNow(1, windowStart) > 0) poller_.forgot();
  return true;
}

bool CursorPoll::readNulls() {
  passNumber_ = poller_.nextNumber_;
  after_.reset();
  catchUp_ = false;
  for (;;) {
    const Ended ended = readPage(
        after_ ? poller_.sql_.nextNulls(after_->ids, pageRows()) : poller_.sql_.firstNulls(pageRows()), Rows::nulls);
    if (ended == Ended::paused) return false;
    if (ended == Ended::atLast) break;
    catchUp_ = true;
  }
  if (state_.nulls.dropNow(1, passNumber_) > 0) poller_.forgot();
  return true;
}

void CursorPoll::beginCatchUp() {
  catchUp_ = true;
  const std::size_t rank = form_.isTime() ? 1 : std::max<std::size_t>(1, poller_.strategy_.lookbackRows);
  std::vector<Value> row;
  {
    GuardedRows rows = run_.ask(poller_.sql_.nthNewest(rank, state_.from ? &*state_.from : nullptr));
    if (!rows.next(row)) row.clear();
  }
  const bool known = !row.empty() && !row[0].isNull();
  if (form_.isTime()) {
    if (!known || !(cursorFormOf(row[0]) == form_)) return;
    // Twice the look-back, since the window goes back by the poll's duration too.
    const auto back = poller_.strategy_.lookback * 2 + (horizon_ ? horizon_->age : std::chrono::microseconds(0));
    printsFrom_ = timeKey(earlier(row[0], back));
    return;
  }
  if (known) countBound_ = std::move(row[0]);
  // The first page was read before the question: the poll begins anew at the window's start, which it has moved.
  after_.reset();
  runs_.clear();
  runRows_ = 0;
}

bool CursorPoll::farBeforeWindow() const {
  const CursorPage::Run& last = page_.run(page_.runCount() - 1);
  if (form_.isTime()) return last.key < printsFrom_;
  return countBound_ && compareValues(last.cursor, *countBound_) == std::partial_ordering::less;
}

void CursorPoll::countNulls() {
  GuardedRows rows = run_.ask(poller_.sql_.countNulls());
  std::vector<Value> row;
  if (!rows.next(row) || row.empty()) return;
  if (const auto* n = row[0].getIf<std::int64_t>()) report_.nullCursorRows = static_cast<std::uint64_t>(*n);
}

void CursorPoll::checkForm(CursorForm form) const {
  if (!poller_.strategy_.commitHorizon || form.isTime() || form.kind == CursorKind::none) return;
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
              fmt::format("commitHorizon needs a time cursor, but cursor column \"{}\" holds {}: turn it off and set "
                          "lookbackRows",
                          poller_.strategy_.cursorColumn, describe(form)));
}

void CursorPoll::checkMoved(const std::optional<PageEnd>& before) const {
  if (!before) return;
  if (before->cursor == after_->cursor && before->ids == after_->ids) {
    throw Error(ErrorCode::queryFailed, Retry::afterOperator,
                "the next page ends with the same row as the last: the query function ignores WHERE, ORDER BY or the "
                "bound values, or row ids repeat");
  }
}

void CursorPoll::pushRead(Rows which, bool more) {
  constexpr std::size_t kLastPrints = 4'096;
  const std::size_t rows = page_.notes().size();
  report_.rowsRead += rows;
  report_.bytesRead += page_.bytes();
  report_.suppressed += page_.suppressed();
  if (which == Rows::nulls) report_.nullCursorRows += rows;
  readNumber_ = poller_.nextNumber_;
  poller_.nextNumber_ += rows;
  const bool pushes = page_.batch().size() > 0;
  if (pushes) {
    doubtChanged();
    pushAccepted(poller_.context_, page_.batch().ready(), report_);
  }
  if (which == Rows::newer)
    accept();
  else
    acceptNulls();
  if (!pushes) return;
  poller_.save(more ? 0 : kLastPrints);
  poller_.context_.progress(report_);
}

void CursorPoll::doubtChanged() {
  if (!state_.window.empty() || !state_.nulls.empty()) {
    for (const CursorPage::Note& note : page_.notes()) {
      if (!note.pushed) continue;
      const std::uint64_t row = page_.rowOf(note);
      if (state_.window.outdate(row)) poller_.forgot();
      if (state_.nulls.outdate(row)) poller_.forgot();
    }
  }
  if (poller_.forgot_) poller_.save(0);
}

void CursorPoll::accept() {
  state_.form = form_;
  moveNewest();
  if (form_.isTime()) {
    moveFromInTime();
    keepTimeRuns();
  } else {
    keepCountedRuns();
  }
  const std::uint64_t end = numberOf(page_.notes().size());
  const std::uint64_t windowStart = runs_.empty() ? end : runs_.front().firstNumber;
  if (farBeforeWindow()) {
    if (std::exchange(printed_, false) && state_.window.dropNow(passNumber_, end) > 0) poller_.forgot();
    return;
  }
  for (std::uint64_t number = std::max(windowStart, readNumber_); number < end; ++number) {
    const CursorPage::Note& note = page_.notes()[number - readNumber_];
    if (state_.window.put(page_.rowOf(note), page_.printOf(note), number)) poller_.dirty_ = true;
  }
  printed_ = true;
  if (state_.window.drop(passNumber_, windowStart) > 0) poller_.forgot();
}

void CursorPoll::acceptNulls() {
  for (std::size_t i = 0; i < page_.notes().size(); ++i) {
    const CursorPage::Note& note = page_.notes()[i];
    if (state_.nulls.put(page_.rowOf(note), page_.printOf(note), numberOf(i))) poller_.dirty_ = true;
  }
}

void CursorPoll::moveNewest() {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(),
                         kMax = std::numeric_limits<std::int64_t>::max();
  std::size_t run = page_.runCount() - 1;
  if (form_.isTime()) {  // an infinite cursor says nothing of how far the source has come
    const auto infinite = [&](std::size_t r) { return page_.run(r).key == kMax || page_.run(r).key == kMin; };
    while (run > 0 && infinite(run)) --run;
    if (infinite(run)) return;
  }
  const Value& cursor = page_.run(run).cursor;
  reached_ = cursor;
  if (state_.newest && (cursor == *state_.newest || !isNewer(cursor, *state_.newest, form_))) return;
  state_.newest = cursor;
  poller_.dirty_ = true;
}

void CursorPoll::moveFromInTime() {
  if (!reached_ || (horizon_ && horizon_->prepared)) return;
  const std::chrono::microseconds lookback = poller_.strategy_.lookback;
  // A page read early in a long poll may miss what is stamped up to a look-back before *that* moment, so the poll's
  // own duration up to the newest page counts too. And what an earlier poll saw beyond this one's last page says
  // nothing: this poll may end here, with rows before it unread that came meanwhile.
  Value from = earlier(*reached_, lookback + elapsed_ + (horizon_ ? horizon_->age : std::chrono::microseconds(0)));
  if (horizon_ && form_.kind == CursorKind::timestampUtc) {
    const Value bound = earlier(Timestamp::utc(horizon_->oldest.count()), lookback);
    if (timeKey(bound) < timeKey(from)) from = bound;
  }
  if (state_.from && timeKey(from) <= timeKey(*state_.from)) return;
  state_.from = std::move(from);
  poller_.dirty_ = true;
}

void CursorPoll::appendRuns(std::size_t firstRun) {
  for (std::size_t r = firstRun; r < page_.runCount(); ++r) {
    const CursorPage::Run& run = page_.run(r);
    const std::size_t rows = page_.rowsOfRun(r);
    runRows_ += rows;
    if (!runs_.empty() && runs_.back().cursor == run.cursor) {
      runs_.back().rows += rows;
    } else {
      runs_.push_back({run.cursor, run.key, numberOf(run.firstNote), rows});
    }
  }
}

void CursorPoll::keepTimeRuns() {
  const std::int64_t from = state_.from ? timeKey(*state_.from) : std::numeric_limits<std::int64_t>::min();
  std::size_t r = page_.runCount();
  while (r > 0 && page_.run(r - 1).key >= from) --r;
  if (r > 0) runs_.clear();
  while (!runs_.empty() && runs_.front().key < from) runs_.pop_front();
  appendRuns(r);
}

bool CursorPoll::pastCountBound(const Value& cursor) const {
  if (!catchUp_) return false;
  return !countBound_ || compareValues(cursor, *countBound_) == std::partial_ordering::greater;
}

void CursorPoll::keepCountedRuns() {
  const std::uint64_t wanted = std::max<std::size_t>(1, poller_.strategy_.lookbackRows);
  std::size_t r = page_.runCount();
  std::uint64_t rows = 0;
  do {
    rows += page_.rowsOfRun(--r);
  } while (r > 0 && (rows < wanted || pastCountBound(page_.run(r).cursor)));
  if (r > 0) {
    runs_.clear();
    runRows_ = 0;
  }
  appendRuns(r);
  while (runs_.size() > 1 && runRows_ - runs_.front().rows >= wanted && !pastCountBound(runs_[1].cursor)) {
    runRows_ -= runs_.front().rows;
    runs_.pop_front();
  }
  // How texts and the like order only the database knows (the octets are a guess, good for keeping fingerprints): over
  // several pages their window moves at the end.
  if (catchUp_ && form_.kind == CursorKind::other) return;
  if (runRows_ >= wanted && !pastCountBound(runs_.front().cursor)) moveFrom(runs_.front().cursor);
}

void CursorPoll::moveFrom(const Value& from) {
  if (state_.from && *state_.from == from) return;
  if (state_.from && form_.kind == CursorKind::number && !isNewer(from, *state_.from, form_)) return;
  state_.from = from;
  poller_.dirty_ = true;
}

CursorPoller::CursorPoller(const PollContext& context, const IngestTableConfig& table)
    : context_(context),
      table_(table),
      strategy_(std::get<CursorStrategy>(table.strategy)),
      streams_(context.config.query.delivery() == Delivery::streamed),
      pushRows_(std::min(strategy_.pageRows, context.config.pushDeltas)),
      catchUpRows_(streams_ ? std::max(kStreamRows, pushRows_) : pushRows_),
      streamTime_(streamTime(context.config.queryTimeout)),
      sql_(context.config.query.dialect(), table, strategy_),
      config_(configHash(table)) {}

void CursorPoller::load() {
  const auto octets = context_.state.get(stateKey(context_.config.name, table_.table));
  if (octets) {
    DecodedState saved = decodeState(*octets, config_);
    if (!saved.problem.empty()) {
      context_.warn(fmt::format("table \"{}\": the saved state is put aside and the table is read anew, because {}",
                                table_.table, saved.problem));
      forgot();
    }
    state_ = std::move(saved.state);
  }
  loaded_ = true;
}

void CursorPoller::save(std::size_t mostPrints) {
  if (!dirty_) return;
  const bool withPrints = state_.window.size() + state_.nulls.size() <= mostPrints;
  context_.state.put(stateKey(context_.config.name, table_.table), encodeState(state_, config_, withPrints));
  dirty_ = !withPrints;
  forgot_ = false;
}

void CursorPoller::poll(PollRun& run, TableReport& report) {
  if (!loaded_) load();
  CursorPoll(*this, run, report).run();
  // One that was paused on its way, too: fingerprints are what keeps the next poll from pushing the same rows again.
  save(std::numeric_limits<std::size_t>::max());
  if (!state_.newest) return;
  const bool sqlite = context_.config.query.dialect() == Dialect::sqlite;
  if (const auto instant = instantOf(*state_.newest, sqlite)) {
    const auto lag = context_.clock.wallNow() - std::chrono::microseconds(*instant);
    report.lag = std::chrono::duration_cast<std::chrono::milliseconds>(lag);
  }
}

std::unique_ptr<TablePoller> makeCursorPoller(const PollContext& context, const IngestTableConfig& table) {
  return std::make_unique<CursorPoller>(context, table);
}

}  // namespace tidegate::detail
