#include "sqlite/detail/source_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sqlite/detail/source_shapes.h"

namespace tidegate::sqlite::detail {

namespace {

/// How often the path is looked at: whether the same file stands there.
constexpr std::chrono::milliseconds kCheckInterval{100};
/// Rows of others that one read transaction passes over.
constexpr std::uint64_t kRowsOfALook = 20'000;

std::int64_t microsOf(double julianDay) { return std::llround((julianDay - 2'440'587.5) * 86'400'000.0) * 1'000; }

}  // namespace

SourceStream::SourceStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
                           const ChangeHandler& handler, std::stop_token stop)
    : core_(core),
      tables_(tables.begin(), tables.end()),
      handler_(handler),
      stop_(std::move(stop)),
      backoff_(core.options.backoff, core.context.jitterSeed),
      taken_(placeOf(from)) {}

Error SourceStream::lost(const std::string& why) const {
  return {ErrorCode::positionLost, Retry::afterOperator,
          fmt::format("{}: {}; a new baseline is needed", core_.options.path, why)};
}

void SourceStream::run() {
  while (!stop_.stop_requested()) {
    try {
      open();
      loop();
      return;
    } catch (const Error& e) {
      session_.reset();
      if (stop_.stop_requested()) return;
      // Tables of others are asked for by names that the schema gave: what is missing is one of ours.
      const bool dropped = e.code() == ErrorCode::tableNotFound || e.code() == ErrorCode::columnNotFound;
      const Error meaning = dropped ? lost("the change table, or what belongs to it, was dropped") : e;
      if (!waitToRetry(meaning, backoff_, core_.state, *core_.scheduler, stop_)) return;
    }
  }
}

void SourceStream::open() {
  session_ = std::make_unique<Session>(core_.options, stop_);
  batch_.clear();
  octets_ = 0;
  atEnd_ = afterSchema_ = false;
  read_ = taken_;
  unitOpen_ = !taken_.ends;
  unit_ = taken_.seq + 1;
  bool good = false;
  {
    SourceTransaction look(session_->file, SourceTransaction::Kind::read);
    if (!session_->log.load()) throw lost("the change table is not there: it was dropped, or the file was replaced");
    core_.token = session_->log.token();
    if (const std::string why = session_->log.lostAfter(taken_); !why.empty()) throw lost(why);
    core_.trimmedSeq = session_->log.trimmed().seq;
    good = session_->log.follows(tables_);
  }
  if (!good) followAnew();
  core_.deliveredSeq = taken_.seq;
  core_.connected("connected");
  core_.state.to(SourceState::streaming, "streaming from " + placeToText(taken_));
}

void SourceStream::followAnew() {
  session_->log.follow(tables_, true, [&](const std::string& text) { core_.warn(text); });
  session_->rows.reset();  // it may have more columns
  if (session_->log.token() != taken_.token) throw lost("the change table was dropped and had to be made anew");
}

std::int64_t SourceStream::dataVersion() {
  session_->file.row(session_->version.get());
  const std::int64_t version = sqlite3_column_int64(session_->version.get(), 0);
  sqlite3_reset(session_->version.get());
  return version;
}

void SourceStream::loop() {
  while (core_.waitWhilePaused(SourceState::streaming, stop_)) {
    const auto now = core_.clock->steadyNow();
    if (now >= nextCheck_) {
      nextCheck_ = now + kCheckInterval;
      if (session_->file.replaced()) {
        throw Error(ErrorCode::connectionFailed, Retry::later,
                    fmt::format("{}: another file stands there, or none", core_.options.path));
      }
    }
    const bool more = look();
    if (!deliver()) return;
    if (now >= nextTrim_) trim();
    if (!more && !core_.scheduler->waitFor(core_.options.wakeInterval, stop_)) return;
  }
}

bool SourceStream::look() {
  Session& s = *session_;
  // Asked for before the rows are: a commit in between is seen twice rather than never.
  const std::int64_t version = dataVersion();
  if (atEnd_ && version == s.seenVersion) return false;
  bool good = true;
  {
    SourceTransaction look(s.file, SourceTransaction::Kind::read);
    if (s.log.currentSchemaVersion() != s.log.schemaVersion()) {
      const bool there = s.log.load();
      if (!there) throw lost("the change table was dropped");
      if (s.log.token() != read_.token) throw lost("the change table was made anew");
      s.rows.reset();
      good = s.log.follows(tables_);
    }
    if (good) readRows();
    look.commit();
  }
  if (!good) {
    followAnew();
    return true;
  }
  s.seenVersion = version;
  return !atEnd_;
}

void SourceStream::readRows() {
  Session& s = *session_;
  if (!s.rows) {
    std::string columns;
    for (std::size_t i = 0; i < s.log.width(); ++i) columns += fmt::format(", v{}", i);
    s.rows = s.file.prepare(fmt::format("SELECT seq, t, op, at{} FROM main.{} WHERE seq >= ? ORDER BY seq", columns,
                                        sqlName(s.log.names().log)));
  }
  // From the last row read on, which is never removed before it is acknowledged, nor while it is the last.
  sqlite3_bind_int64(s.rows.get(), 1, static_cast<std::int64_t>(read_.seq + 1));
  atEnd_ = false;
  const std::uint64_t first = read_.seq;
  while (read_.seq - first < kRowsOfALook) {
    if (s.file.row(s.rows.get())) {
      if (!takeRow(s.rows.get())) break;
      continue;
    }
    atEnd_ = true;
    break;
  }
  sqlite3_reset(s.rows.get());
  if (!atEnd_) return;
  const auto end = s.log.end();
  if (!end || end->seq != read_.seq) throw lost("rows were removed from the change table");
  core_.endSeq = read_.seq;
  endUnit();
  if (read_.seq != first) core_.addBorder(read_.token, read_.seq);
}

bool SourceStream::takeRow(sqlite3_stmt* row) {
  const auto seq = static_cast<std::uint64_t>(sqlite3_column_int64(row, 0));
  if (seq != read_.seq + 1) {
    throw lost(fmt::format("rows between {} and {} were removed from the change table", read_.seq, seq));
  }
  const auto op = static_cast<LogOp>(sqlite3_column_int(row, 2));
  const bool known = core_.bordersToken == read_.token && core_.borders.contains(read_.seq);
  if (known || afterSchema_ || op == LogOp::border || op == LogOp::schema) endUnit();
  // The last event of a unit says so; whether it is the last shows only here.
  if (full() && !unitOpen_) return false;
  if (batch_.size() > core_.options.batchEvents || (batch_.size() > 1 && octets_ > kMaxOctets)) return false;
  const double moment = sqlite3_column_double(row, 3);
  rowMicros_ = microsOf(moment);
  read_ = {read_.token, seq, momentOf(moment), true};
  afterSchema_ = op == LogOp::schema;
  if (op == LogOp::border) return true;
  const LoggedShape* shape = session_->log.shape(sqlite3_column_int64(row, 1));
  if (shape == nullptr || op < LogOp::insert || op > LogOp::schema) {
    throw lost(fmt::format("row {} of the change table is none that the source's triggers wrote", seq));
  }
  if (!tables_.contains(shape->table)) return true;
  if (op == LogOp::schema) {
    addSchema(row, *shape);
  } else {
    addChange(row, *shape, op);
  }
  return true;
}

void SourceStream::addChange(sqlite3_stmt* row, const LoggedShape& shape, LogOp op) {
  const auto read = [&](std::size_t i, Value& out) { readValue(row, static_cast<int>(4 + i), shape.lifts[i], out); };
  const std::size_t columns = shape.lifts.size();
  if (op == LogOp::erase) {
    ChangeEvent& event = batch_.add(ChangeOp::erase, shape.shape);
    event.before.resize(columns);
    const auto& key = shape.shape->key;
    for (std::uint32_t i = 0; i < columns; ++i) {
      if (std::find(key.begin(), key.end(), i) == key.end()) {
        event.beforeAbsent.push_back(i);
      } else {
        read(i, event.before[i]);
      }
    }
    return added(event);
  }
  ChangeEvent& event = batch_.addOver(op == LogOp::insert ? ChangeOp::insert : ChangeOp::update, shape.shape);
  event.after.resize(columns);
  for (std::size_t i = 0; i < columns; ++i) read(i, event.after[i]);
  added(event);
}

void SourceStream::addSchema(sqlite3_stmt* row, const LoggedShape& shape) {
  const LoggedChange change = changeFromText(textAt(row, 4));
  auto told = std::make_shared<SchemaChange>();
  const LoggedShape* before = session_->log.shape(change.before);
  if (before != nullptr && !before->lifts.empty()) told->before = before->shape;
  told->renamed = change.renamed;
  told->rowsChanged = change.rowsChanged;
  ChangeEvent& event = batch_.add(ChangeOp::schemaChange, shape.shape);
  event.schemaChange = std::move(told);
  added(event);
}

void SourceStream::added(ChangeEvent& event) {
  event.commitMicros = rowMicros_;
  if (!unitOpen_) unit_ = read_.seq;
  event.transactionBegin = !unitOpen_;
  event.transactionEnd = false;
  event.transactionId = unit_;
  unitOpen_ = true;
  LogPlace place = read_;
  place.ends = false;
  writePlace(place, event.position);
  octets_ += event.bytes();
}

void SourceStream::endUnit() {
  if (!unitOpen_) return;
  unitOpen_ = false;
  if (batch_.empty()) return;  // the stream began within it, and nothing of it was left
  ChangeEvent& last = batch_.back();
  last.transactionEnd = true;
  LogPlace place = placeOf(last.position);
  place.ends = true;
  writePlace(place, last.position);
}

bool SourceStream::deliver() {
  if (!batch_.empty()) {
    std::optional<ChangeEvent> held;
    if (unitOpen_) {
      held = std::move(batch_.back());
      batch_.dropLast();
    }
    if (!batch_.empty() && !offer(batch_.size())) return false;
    octets_ = 0;
    if (held) {
      octets_ = held->bytes();
      batch_.add(held->op, held->shape) = std::move(*held);
    }
  }
  if (batch_.empty() && atEnd_ && read_.seq > taken_.seq) tellProgress();
  return !stop_.stop_requested();
}

bool SourceStream::offer(std::uint64_t events) {
  const LogPlace last = placeOf(batch_.back().position);
  const std::int64_t micros = batch_.back().commitMicros;
  const std::uint64_t mean = octets_ / events;
  if (!core_.offer(batch_, handler_, SourceState::streaming, stop_, [this] { measure(); })) return false;
  backoff_.reset();
  taken_ = last;
  core_.rowOctets = std::max<std::uint64_t>(1, mean);
  core_.deliveredSeq = atEnd_ && !unitOpen_ ? read_.seq : last.seq;
  if (micros != 0) core_.lastCommitMicros = micros;
  return true;
}

void SourceStream::tellProgress() {
  ChangeEvent& event = batch_.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  writePlace(read_, event.position);
  if (!core_.offer(batch_, handler_, SourceState::streaming, stop_, [this] { measure(); })) return;
  taken_ = read_;
  core_.deliveredSeq = read_.seq;
}

/// While a reader has no room, what waits for it is still counted.
void SourceStream::measure() {
  try {
    if (const auto end = session_->log.end()) core_.endSeq = end->seq;
  } catch (const Error&) {
    // Locked, or gone: the batch in hand is offered again as it is, and the next look tells.
  }
}

void SourceStream::trim() {
  const auto now = core_.clock->steadyNow();
  nextTrim_ = now + core_.options.trimInterval;
  measure();
  const Position acked = core_.acked();
  if (!acked.empty()) {
    const LogPlace place = placeOf(acked);
    if (place.token == session_->log.token() && place.seq > core_.trimmedSeq && core_.trimmedSeq + 1 < core_.endSeq) {
      if (const auto reached = session_->log.trim(place.seq, core_.options.trimRows)) {
        core_.trimmedSeq = *reached;
        core_.dropBordersBefore(*reached);
        if (*reached < std::min(place.seq, core_.endSeq - 1)) nextTrim_ = now;
      }
    }
  }
  const std::uint64_t kept = core_.endSeq - std::min<std::uint64_t>(core_.endSeq, core_.trimmedSeq);
  const bool many = core_.options.keptRowsWarn != 0 && kept > core_.options.keptRowsWarn;
  if (many && !warnedOfRows_) {
    core_.warn(fmt::format("{}: the change table of source \"{}\" holds {} rows that no sink has made durable yet",
                           core_.options.path, core_.options.name, kept));
  }
  warnedOfRows_ = many;
}

}  // namespace tidegate::sqlite::detail
