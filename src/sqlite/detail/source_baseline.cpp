#include "sqlite/detail/source_baseline.h"

#include <fmt/format.h>

#include <optional>

#include "sqlite/detail/source_log.h"

namespace tidegate::sqlite::detail {

namespace {

/// A baseline that was overtaken by a change of the schema is begun again this often.
constexpr int kSnapshotTries = 20;
constexpr std::size_t kBatchOctets = 8u << 20;

Error baselineStopped() { return {ErrorCode::queryCancelled, Retry::later, "the baseline was stopped"}; }

std::string selectFrom(const TableShape& shape, const std::string& table) {
  std::string names;
  for (const ColumnSchema& column : shape.schema.columns) names += (names.empty() ? "" : ", ") + sqlName(column.name);
  return "SELECT " + names + " FROM " + table;
}

/// Table after table, in one read transaction.
class BaselineReading {
 public:
  BaselineReading(SourceCore& core, const ChangeHandler& handler, const std::stop_token& stop)
      : core_(core), handler_(handler), stop_(stop), file_(core.options, stop), log_(file_, core.options) {}

  Position read(const std::vector<std::string>& tables) {
    const std::set<std::string> all(tables.begin(), tables.end());
    for (int tries = 1;; ++tries) {
      follow(all);
      SourceTransaction snapshot(file_, SourceTransaction::Kind::read);
      if (log_.currentSchemaVersion() == log_.schemaVersion()) return readAt(snapshot, tables);
      if (tries >= kSnapshotTries) {
        throw Error(ErrorCode::queryFailed, Retry::later,
                    fmt::format("{}: the schema changes again and again while a baseline begins", file_.path()));
      }
    }
  }

 private:
  void follow(const std::set<std::string>& all) {
    {
      SourceTransaction look(file_, SourceTransaction::Kind::read);
      if (log_.load() && log_.end() && log_.follows(all)) return;
    }
    log_.follow(all, false, [&](const std::string& text) { core_.warn(text); });
  }

  Position readAt(SourceTransaction& snapshot, const std::vector<std::string>& tables) {
    const auto end = log_.end();
    if (!end) throw Error(ErrorCode::queryFailed, Retry::later, "the change table was emptied by somebody else");
    place_ = *end;
    core_.token = place_.token;
    core_.connected("reading a baseline");
    std::vector<const LoggedShape*> shapes;
    for (const std::string& table : tables) shapes.push_back(&known(table));
    const bool wal = file_.wal();
    if (!wal) {
      for (std::size_t i = 0; i < shapes.size(); ++i) copy(*shapes[i], i);
      snapshot.commit();
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      tell(*shapes[i], wal ? "main." + sqlName(tables[i]) : "temp." + copyName(i));
      if (!wal) file_.exec("DROP TABLE temp." + copyName(i));
    }
    core_.addBorder(place_.token, place_.seq);
    return positionOf(place_);
  }

  const LoggedShape& known(const std::string& table) {
    const LoggedShape* last = nullptr;
    for (std::int64_t number = 1; const LoggedShape* shape = log_.shape(number); ++number) {
      if (shape->table == table && shape->live) last = shape;
    }
    if (last == nullptr) throw Error(ErrorCode::internal, Retry::never, "table " + table + " is not followed");
    return *last;
  }

  static std::string copyName(std::size_t i) { return fmt::format("tidegate_copy_{}", i); }
  /// With a rollback journal no writer can commit while we read: a slow reader must not hold them up.
  void copy(const LoggedShape& shape, std::size_t i) {
    std::string columns;
    for (const ColumnSchema& column : shape.shape->schema.columns) {
      columns += (columns.empty() ? "" : ", ") + sqlName(column.name);
    }
    file_.exec(fmt::format("DROP TABLE IF EXISTS temp.{}", copyName(i)));
    file_.exec(fmt::format("CREATE TEMP TABLE {}({})", copyName(i), columns));  // no types: no value is changed
    file_.exec("INSERT INTO temp." + copyName(i) + " " + selectFrom(*shape.shape, "main." + sqlName(shape.table)));
  }

  ChangeEvent& add(ChangeOp op, const Shape& shape) {
    ChangeEvent& event = op == ChangeOp::read ? batch_.addOver(op, shape) : batch_.add(op, shape);
    event.transactionBegin = event.transactionEnd = true;
    writePlace(place_, event.position);
    return event;
  }
  void offer() {
    octets_ = 0;
    if (!core_.offer(batch_, handler_, SourceState::connected, stop_, [] {})) throw baselineStopped();
  }
  void tell(const LoggedShape& shape, const std::string& from) {
    const StatementPtr rows = file_.prepare(selectFrom(*shape.shape, from));
    add(ChangeOp::baselineBegin, shape.shape);
    while (file_.row(rows.get())) {
      ChangeEvent& event = add(ChangeOp::read, shape.shape);
      event.after.resize(shape.lifts.size());
      for (std::size_t i = 0; i < shape.lifts.size(); ++i) {
        readValue(rows.get(), static_cast<int>(i), shape.lifts[i], event.after[i]);
      }
      octets_ += event.bytes();
      if (batch_.size() >= core_.options.batchEvents || octets_ >= kBatchOctets) offer();
    }
    add(ChangeOp::baselineEnd, shape.shape);
    offer();
  }

  SourceCore& core_;
  const ChangeHandler& handler_;
  const std::stop_token stop_;
  SourceFile file_;
  SourceLog log_;
  LogPlace place_;
  ChangeBatch batch_;
  std::size_t octets_ = 0;
};

class SourceTableRows final : public RowStream {
 public:
  SourceTableRows(const SourceOptions& options, const std::string& table, std::stop_token stop)
      : file_(options, std::move(stop)) {
    const auto found = readSourceTable(file_, table);
    if (!found) {
      const TableIssue issue = missingTable(file_, table);
      throw Error(issue.code, Retry::afterOperator, issue.message);
    }
    shape_ = shapeOfTable(*found, options.kindsByDeclaration);
    lifts_ = liftsOf(*shape_);
    rows_ = file_.prepare(selectFrom(*shape_, "main." + sqlName(table)));
  }
  const Columns& columns() const override { return shape_->columns; }
  bool next(std::vector<Value>& values) override {
    if (!rows_) return false;
    if (!file_.row(rows_.get())) return rows_.reset(), false;
    values.resize(lifts_.size());
    for (std::size_t i = 0; i < lifts_.size(); ++i) {
      readValue(rows_.get(), static_cast<int>(i), lifts_[i], values[i]);
    }
    return true;
  }

 private:
  SourceFile file_;
  Shape shape_;
  std::vector<Lift> lifts_;
  StatementPtr rows_;  ///< null: at the end. Goes before the file does
};

}  // namespace

Position readBaseline(SourceCore& core, const std::vector<std::string>& tables, const ChangeHandler& handler,
                      const std::stop_token& stop) {
  try {
    return BaselineReading(core, handler, stop).read(tables);
  } catch (const Error&) {
    if (stop.stop_requested()) throw baselineStopped();
    throw;
  }
}

std::unique_ptr<RowStream> readTableNow(const SourceOptions& options, const std::string& table, std::stop_token stop) {
  return std::make_unique<SourceTableRows>(options, table, std::move(stop));
}

}  // namespace tidegate::sqlite::detail
