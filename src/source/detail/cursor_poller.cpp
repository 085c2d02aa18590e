#include "source/detail/cursor_poller.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace tidegate::detail {

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
               .batch = {.table = poller.table_.table,
                         .clientId = poller.context_.clientId(),
                         .pushDeltas = poller.context_.config.pushDeltas}}) {}

  void run() {
    if (!readNewer()) return;
    if (poller_.strategy_.nullCursors == NullCursors::skip) {
      countNulls();
    } else if (!readNulls()) {
      return;
    }
    poller_.save(false);
  }

 private:
  /// Rows of the window that share a cursor.
  struct WindowRun {
    Value cursor;
    std::int64_t key;
    std::uint64_t firstNumber, rows;
  };
  using TakePart = void (CursorPoll::*)(std::size_t begin, std::size_t end);

  bool readNewer();
  bool readNulls();
  void countNulls();
  void checkForm(CursorForm form) const;
  void checkMoved(const std::optional<PageEnd>& before) const;
  /// Pushes the page, push by push; each part advances as soon as it is accepted.
  void pushPage(TakePart take);
  /// Forgets what the page's changed rows looked like. A push may be accepted without anyone living to note it; a row
  /// that then changed back would match its old fingerprint and stay silent for ever.
  void doubtChanged();
  void accept(std::size_t begin, std::size_t end);
  void acceptNulls(std::size_t begin, std::size_t end);
  void moveNewest(std::size_t firstRun, std::size_t lastRun);
  void moveFromInTime();
  void appendRuns(std::size_t firstRun, std::size_t begin, std::size_t end);
  std::size_t rowsOf(std::size_t run, std::size_t begin, std::size_t end) const;
  void keepTimeRuns(std::size_t begin, std::size_t end);
  void keepCountedRuns(std::size_t begin, std::size_t end);
  /// A poll of several pages sees several moments of the source. Rows that came meanwhile must not make the window of
  /// the newest rows narrower: it is bounded by what was the n-th newest before the first page.
  void askCountBound();
  bool pastCountBound(const Value& cursor) const;
  void moveFrom(const Value& from);
  std::uint64_t numberOf(std::size_t note) const { return pageNumber_ + note; }

  CursorPoller& poller_;
  CursorState& state_;
  PollRun& run_;
  TableReport& report_;
  CursorPage page_;
  CursorForm form_;
  std::optional<CommitHorizon> horizon_;
  std::deque<WindowRun> runs_;    ///< of this poll, at or after the window's start
  std::uint64_t runRows_ = 0;     ///< rows in them
  std::uint64_t pollNumber_ = 0;  ///< of this pass's first row
  std::uint64_t pageNumber_ = 0;  ///< of this page's first row
  bool severalPages_ = false;     ///< and the cursor is no time
  std::optional<Value> countBound_;
  std::optional<Value> reached_;                     ///< the last finite cursor of this poll
  std::chrono::microseconds began_{0}, elapsed_{0};  ///< from before the first page to after this one
};

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
  pollNumber_ = poller_.nextNumber_;
  std::optional<PageEnd> after;
  for (;;) {
    page_.read(run_.ask(after ? poller_.sql_.next(*after) : poller_.sql_.first(state_.from ? &*state_.from : nullptr)),
               state_.window, form_);
    // One page is one moment of the source; over several, writers go on meanwhile.
    if (after || horizon_) elapsed_ = poller_.context_.clock.steadyNow() - began_;
    checkForm(form_);
    checkMoved(after);
    const bool full = page_.notes().size() == poller_.strategy_.pageRows;
    if (full && !severalPages_ && !form_.isTime()) {
      askCountBound();
      continue;
    }
    pushPage(&CursorPoll::accept);
    if (!full) break;
    after = page_.end();
    if (run_.endsHere()) return false;
  }
  if (severalPages_ && form_.kind == CursorKind::other && countBound_) moveFrom(*countBound_);
  const std::uint64_t windowStart = runs_.empty() ? poller_.nextNumber_ : runs_.front().firstNumber;
  if (state_.window.dropNow(1, windowStart) > 0) poller_.forgot();
  return true;
}

bool CursorPoll::readNulls() {
  pollNumber_ = poller_.nextNumber_;
  std::optional<PageEnd> after;
  for (;;) {
    page_.readNulls(run_.ask(after ? poller_.sql_.nextNulls(after->ids) : poller_.sql_.firstNulls()), state_.nulls);
    checkMoved(after);
    report_.nullCursorRows += page_.notes().size();
    pushPage(&CursorPoll::acceptNulls);
    if (page_.notes().size() < poller_.strategy_.pageRows) break;
    after = page_.end();
    if (run_.endsHere()) return false;
  }
  if (state_.nulls.dropNow(1, pollNumber_) > 0) poller_.forgot();
  return true;
}

void CursorPoll::askCountBound() {
  severalPages_ = true;
  const std::size_t wanted = std::max<std::size_t>(1, poller_.strategy_.lookbackRows);
  GuardedRows rows = run_.ask(poller_.sql_.nthNewest(wanted, state_.from ? &*state_.from : nullptr));
  std::vector<Value> row;
  if (rows.next(row) && !row.empty() && !row[0].isNull()) countBound_ = std::move(row[0]);
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
  if (!before || !page_.end()) return;
  if (before->cursor == page_.end()->cursor && before->ids == page_.end()->ids) {
    throw Error(ErrorCode::queryFailed, Retry::afterOperator,
                "the next page ends with the same row as the last: the query function ignores WHERE, ORDER BY or the "
                "bound values, or row ids repeat");
  }
}

void CursorPoll::pushPage(TakePart take) {
  const auto& notes = page_.notes();
  report_.rowsRead += notes.size();
  report_.bytesRead += page_.bytes();
  report_.suppressed += page_.suppressed();
  pageNumber_ = poller_.nextNumber_;
  poller_.nextNumber_ += notes.size();
  const std::size_t pushes = page_.batch().pushes();
  if (pushes > 0) doubtChanged();
  std::size_t begin = 0;
  for (std::size_t p = 0; p < pushes; ++p) {
    if (p > 0) run_.endsHere();
    std::size_t end = notes.size();
    if (p + 1 < pushes) {
      end = begin;
      while (!notes[end].pushed || notes[end].place.push == p) ++end;
    }
    pushAccepted(poller_.context_, page_.batch().ready(p), report_);
    (this->*take)(begin, end);
    poller_.save(true);
    begin = end;
  }
  if (begin < notes.size()) (this->*take)(begin, notes.size());
  if (pushes > 0) poller_.context_.progress(report_);
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
  if (poller_.forgot_) poller_.save(true);
}

std::size_t CursorPoll::rowsOf(std::size_t run, std::size_t begin, std::size_t end) const {
  const std::size_t next = run + 1 < page_.runCount() ? page_.run(run + 1).firstNote : page_.notes().size();
  return std::min(next, end) - std::max(page_.run(run).firstNote, begin);
}

void CursorPoll::accept(std::size_t begin, std::size_t end) {
  const std::size_t firstRun = page_.notes()[begin].run, lastRun = page_.notes()[end - 1].run;
  state_.form = form_;
  moveNewest(firstRun, lastRun);
  if (form_.isTime()) {
    moveFromInTime();
    keepTimeRuns(begin, end);
  } else {
    keepCountedRuns(begin, end);
  }
  const std::uint64_t windowStart = runs_.empty() ? numberOf(end) : runs_.front().firstNumber;
  for (std::size_t i = begin; i < end; ++i) {
    const CursorPage::Note& note = page_.notes()[i];
    if (numberOf(i) < windowStart) continue;
    if (state_.window.put(page_.rowOf(note), page_.printOf(note), numberOf(i))) poller_.dirty_ = true;
  }
  if (state_.window.drop(pollNumber_, windowStart) > 0) poller_.forgot();
}

void CursorPoll::acceptNulls(std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const CursorPage::Note& note = page_.notes()[i];
    if (state_.nulls.put(page_.rowOf(note), page_.printOf(note), numberOf(i))) poller_.dirty_ = true;
  }
}

void CursorPoll::moveNewest(std::size_t firstRun, std::size_t lastRun) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(),
                         kMax = std::numeric_limits<std::int64_t>::max();
  std::size_t run = lastRun;
  if (form_.isTime()) {  // an infinite cursor says nothing of how far the source has come
    const auto infinite = [&](std::size_t r) { return page_.run(r).key == kMax || page_.run(r).key == kMin; };
    while (run > firstRun && infinite(run)) --run;
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

void CursorPoll::appendRuns(std::size_t firstRun, std::size_t begin, std::size_t end) {
  for (std::size_t r = firstRun; r <= page_.notes()[end - 1].run; ++r) {
    const CursorPage::Run& run = page_.run(r);
    const std::size_t rows = rowsOf(r, begin, end);
    runRows_ += rows;
    if (!runs_.empty() && runs_.back().cursor == run.cursor) {
      runs_.back().rows += rows;
    } else {
      runs_.push_back({run.cursor, run.key, numberOf(std::max(run.firstNote, begin)), rows});
    }
  }
}

void CursorPoll::keepTimeRuns(std::size_t begin, std::size_t end) {
  const std::int64_t from = state_.from ? timeKey(*state_.from) : std::numeric_limits<std::int64_t>::min();
  const std::size_t firstRun = page_.notes()[begin].run;
  std::size_t r = page_.notes()[end - 1].run + std::size_t{1};
  while (r > firstRun && page_.run(r - 1).key >= from) --r;
  if (r > firstRun) runs_.clear();
  while (!runs_.empty() && runs_.front().key < from) runs_.pop_front();
  appendRuns(r, begin, end);
}

bool CursorPoll::pastCountBound(const Value& cursor) const {
  if (!severalPages_) return false;
  return !countBound_ || compareValues(cursor, *countBound_) == std::partial_ordering::greater;
}

void CursorPoll::keepCountedRuns(std::size_t begin, std::size_t end) {
  const std::uint64_t wanted = std::max<std::size_t>(1, poller_.strategy_.lookbackRows);
  const std::size_t firstRun = page_.notes()[begin].run;
  std::size_t r = page_.notes()[end - 1].run + std::size_t{1};
  std::uint64_t rows = 0;
  do {
    rows += rowsOf(--r, begin, end);
  } while (r > firstRun && (rows < wanted || pastCountBound(page_.run(r).cursor)));
  if (r > firstRun) {
    runs_.clear();
    runRows_ = 0;
  }
  appendRuns(r, begin, end);
  while (runs_.size() > 1 && runRows_ - runs_.front().rows >= wanted && !pastCountBound(runs_[1].cursor)) {
    runRows_ -= runs_.front().rows;
    runs_.pop_front();
  }
  // How texts and the like order only the database knows (the octets are a guess, good for keeping fingerprints): over
  // several pages their window moves at the end.
  if (severalPages_ && form_.kind == CursorKind::other) return;
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

void CursorPoller::save(bool middle) {
  constexpr std::size_t kMiddlePrints = 4'096;
  if (!dirty_) return;
  const bool withPrints = !middle || state_.window.size() + state_.nulls.size() <= kMiddlePrints;
  context_.state.put(stateKey(context_.config.name, table_.table), encodeState(state_, config_, withPrints));
  dirty_ = !withPrints;
  forgot_ = false;
}

void CursorPoller::poll(PollRun& run, TableReport& report) {
  if (!loaded_) load();
  CursorPoll(*this, run, report).run();
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
