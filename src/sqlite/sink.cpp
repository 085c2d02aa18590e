#include "tidegate/sqlite/sink.h"

#include <fmt/format.h>

#include <map>

#include "sqlite/detail/sink_baselines.h"
#include "sqlite/detail/sink_reader.h"
#include "sqlite/detail/sink_schema.h"

namespace tidegate::sqlite {

namespace {

using namespace detail;

constexpr const char* kCheckpoints =
    "CREATE TABLE IF NOT EXISTS main._tidegate_checkpoints(pipeline TEXT PRIMARY KEY, epoch INTEGER NOT NULL, "
    "checkpoint TEXT) WITHOUT ROWID";

/// Events between two looks at the stop token.
constexpr std::size_t kStopEvery = 1'024;

void bindParameter(sqlite3_stmt* statement, int index, std::string_view text) {
  sqlite3_bind_text64(statement, index, text.data() != nullptr ? text.data() : "", text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

/// All that belongs to one connection.
struct Session {
  Session(const SinkOptions& options, const SinkContext& context)
      : file(options, context.stop),
        schema(file, options.softDeleteColumn),
        baselines(file, context.pipeline, options.softDeleteColumn) {}

  SinkFile file;
  SinkSchema schema;
  SinkBaselines baselines;
  std::map<Shape, SinkTable> tables{};  ///< statements, by the shape that events come in
  Shape lastShape{};
  SinkTable* lastTable = nullptr;
  std::string pipeline{};
  std::int64_t epoch = 0;
  StatementPtr readEpoch{}, writeCheckpoint{};
};

class SqliteSink final : public Sink {
 public:
  explicit SqliteSink(SinkOptions options)
      : options_(std::move(options)), clock_(options_.clock != nullptr ? *options_.clock : systemClock()) {
    if (options_.path.empty() || options_.path == ":memory:" || options_.path.find('\0') != std::string::npos) {
      throw Error(ErrorCode::invalidConfig, Retry::never, "sink: the path must name a file; it is made if needed");
    }
    if (!options_.softDeleteColumn.empty()) sqlName(options_.softDeleteColumn);
  }

  SinkTraits traits() const override { return {}; }
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override { session_.reset(); }
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override {
    return readRows(options_, shape, std::move(stop));
  }
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override;

 private:
  Session& session();
  Session& beginUnit();
  /// Runs a part of the unit; a failure ends all of it.
  template <class Work>
  auto inUnit(Work&& work) {
    try {
      return work(beginUnit());
    } catch (...) {
      endAfterFailure();
      throw;
    }
  }
  void endAfterFailure() noexcept;
  SinkTable& tableOf(Session& s, const Shape& shape);
  void forgetStatements(Session& s) noexcept;
  void applyOne(Session& s, const ChangeEvent& event);
  void applyToTable(Session& s, const ChangeEvent& event);
  void truncate(Session& s, const ChangeEvent& event);
  Timestamp timeOf(const ChangeEvent& event) const {
    return Timestamp::utc(event.commitMicros != 0 ? event.commitMicros : clock_.wallNow().count());
  }

  const SinkOptions options_;
  const Clock& clock_;
  std::unique_ptr<Session> session_;  ///< null: not open
};

std::optional<std::string> SqliteSink::open(const SinkContext& context) {
  session_.reset();
  auto s = std::make_unique<Session>(options_, context);
  s->pipeline = context.pipeline;
  addExpiryFunction(s->file.handle());
  s->file.begin();
  s->file.exec(kCheckpoints);
  s->file.exec(SinkBaselines::schema());
  const StatementPtr take = s->file.prepare(
      "INSERT INTO main._tidegate_checkpoints(pipeline, epoch) VALUES (?, 1) ON CONFLICT(pipeline) DO UPDATE SET "
      "epoch = epoch + 1 RETURNING epoch, checkpoint");
  bindParameter(take.get(), 1, s->pipeline);
  std::optional<std::string> checkpoint;
  while (s->file.row(take.get())) {
    s->epoch = sqlite3_column_int64(take.get(), 0);
    if (const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(take.get(), 1))) {
      checkpoint.emplace(text, static_cast<std::size_t>(sqlite3_column_bytes(take.get(), 1)));
    }
  }
  s->file.commit();
  s->readEpoch = s->file.prepare("SELECT epoch FROM main._tidegate_checkpoints WHERE pipeline = ?");
  s->writeCheckpoint = s->file.prepare("UPDATE main._tidegate_checkpoints SET checkpoint = ? WHERE pipeline = ?");
  session_ = std::move(s);
  return checkpoint;
}

Session& SqliteSink::session() {
  if (!session_ || session_->file.broken()) {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                fmt::format("sink {}: not open; call open first", options_.path));
  }
  return *session_;
}

Session& SqliteSink::beginUnit() {
  Session& s = session();
  if (s.file.inTransaction()) return s;
  s.file.begin();
  // Holding the file's one write lock: nobody can take the pipeline over before this unit ends.
  bindParameter(s.readEpoch.get(), 1, s.pipeline);
  const bool ours = s.file.row(s.readEpoch.get()) && sqlite3_column_int64(s.readEpoch.get(), 0) == s.epoch;
  sqlite3_reset(s.readEpoch.get());
  if (!ours) {
    throw Error(ErrorCode::fenced, Retry::afterOperator,
                fmt::format("sink {}: another writer took over pipeline \"{}\"; stop one of the two", options_.path,
                            s.pipeline));
  }
  return s;
}

void SqliteSink::endAfterFailure() noexcept {
  if (!session_) return;
  rollback();
  if (session_->file.broken()) session_.reset();
}

void SqliteSink::forgetStatements(Session& s) noexcept {
  s.tables.clear();
  s.lastShape.reset();
  s.lastTable = nullptr;
}

SinkTable& SqliteSink::tableOf(Session& s, const Shape& shape) {
  if (shape == s.lastShape) return *s.lastTable;
  auto at = s.tables.find(shape);
  if (at == s.tables.end()) {
    if (s.tables.size() >= 256) forgetStatements(s);
    at = s.tables.try_emplace(shape, s.file, shape, options_.softDeleteColumn).first;
    const Baseline baseline = s.baselines.find(shape->schema.table);
    at->second.setBaseline(baseline.kind, baseline.seenTable);
  }
  s.lastShape = shape;
  s.lastTable = &at->second;
  return at->second;
}

void SqliteSink::prepareTable(const Shape& shape) {
  inUnit([&](Session& s) {
    s.schema.prepare(*shape);
    forgetStatements(s);
  });
}

void SqliteSink::apply(const ChangeBatch& batch) {
  inUnit([&](Session& s) {
    std::size_t count = 0;
    for (const ChangeEvent& event : batch) {
      if (count++ % kStopEvery == 0 && s.file.stopped()) throw s.file.error(SQLITE_INTERRUPT);
      applyOne(s, event);
    }
  });
}

void SqliteSink::applyOne(Session& s, const ChangeEvent& event) {
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::read:
      return tableOf(s, event.shape).write(event);
    case ChangeOp::update:
      return tableOf(s, event.shape).update(event);
    case ChangeOp::erase:
      return tableOf(s, event.shape).erase(event, timeOf(event));
    case ChangeOp::progress:
      return;
    default:
      return applyToTable(s, event);
  }
}

/// What concerns a whole table: statements are then prepared anew, since a baseline or a column may be another.
void SqliteSink::applyToTable(Session& s, const ChangeEvent& event) {
  forgetStatements(s);
  switch (event.op) {
    case ChangeOp::truncate:
      return truncate(s, event);
    case ChangeOp::schemaChange:
      return s.schema.follow(*event.shape, event.schemaChange ? *event.schemaChange : SchemaChange{});
    case ChangeOp::baselineBegin:
      s.baselines.begin(*event.shape);
      return;
    case ChangeOp::baselineEnd:
      return s.baselines.end(*event.shape, timeOf(event));
    default:
      return;
  }
}

void SqliteSink::truncate(Session& s, const ChangeEvent& event) {
  const std::string table = "main." + sqlName(event.shape->schema.table);
  s.baselines.truncated(event.shape->schema.table);
  if (options_.softDeleteColumn.empty()) return s.file.exec("DELETE FROM " + table);
  const std::string deleted = sqlName(options_.softDeleteColumn);
  const StatementPtr all = s.file.prepare("UPDATE " + table + " SET " + deleted + " = ? WHERE " + deleted + " IS NULL");
  TextSlot slot;
  const Value when = timeOf(event);
  bindCell(all.get(), 1, when, slot);
  s.file.run(all.get());
}

void SqliteSink::commit(std::string_view checkpoint) {
  inUnit([&](Session& s) {
    bindParameter(s.writeCheckpoint.get(), 1, checkpoint);
    bindParameter(s.writeCheckpoint.get(), 2, s.pipeline);
    s.file.run(s.writeCheckpoint.get());
    s.file.commit();
  });
}

void SqliteSink::rollback() noexcept {
  if (!session_) return;
  forgetStatements(*session_);
  session_->file.rollback();
}

std::uint64_t SqliteSink::expire(const Shape& shape, std::string_view column, const Value& cutoff) {
  const auto at = shape->columns->find(column);
  if (!at) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("target \"{}\" has no column \"{}\" to expire rows by", shape->schema.table, column));
  }
  return inUnit([&](Session& s) {
    const ExpirySql sql = expirySql(*shape, column, cutoff, options_.softDeleteColumn);
    const StatementPtr remove = s.file.prepare(sql.text);
    TextSlot first, second;
    const Value now = Timestamp::utc(clock_.wallNow().count());
    if (sql.bindsNow) bindCell(remove.get(), 2, now, second);
    bindCell(remove.get(), 1, cutoff, first);
    return s.file.run(remove.get());
  });
}

}  // namespace

std::shared_ptr<Sink> sink(SinkOptions options) { return std::make_shared<SqliteSink>(std::move(options)); }

}  // namespace tidegate::sqlite
