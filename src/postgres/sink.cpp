#include "tidegate/postgres/sink.h"

#include <fmt/format.h>

#include <map>

#include "postgres/detail/bookkeeping.h"
#include "postgres/detail/encode.h"
#include "postgres/detail/read_back.h"
#include "postgres/detail/replication_origin.h"
#include "postgres/detail/schema_follow.h"
#include "postgres/detail/sink_table.h"

namespace tidegate::postgres {
namespace {

using detail::BaselineState;
using detail::SinkTable;
using detail::TargetName;

constexpr const char* kAdminShutdown = "57P01";

class PostgresSink final : public Sink {
 public:
  explicit PostgresSink(SinkOptions options) : options_(std::move(options)), connection_(options_.connect) {
    quoteIdentifier(Dialect::postgres, options_.schema);
    if (!options_.softDeleteColumn.empty()) quoteIdentifier(Dialect::postgres, options_.softDeleteColumn);
  }
  ~PostgresSink() override { close(); }

  SinkTraits traits() const override { return {}; }

  std::optional<std::string> open(const SinkContext& context) override {
    const std::int64_t held = books_ && pipeline_ == context.pipeline ? books_->epoch() : 0;
    disconnect();
    connection_.open(context.stop);
    pipeline_ = context.pipeline;
    detail::Bookkeeping books(connection_, options_.schema, pipeline_);
    try {
      auto checkpoint = books.takeOver(held);
      if (!options_.origin.empty()) detail::setUpOrigin(connection_, options_.origin);
      books_.emplace(std::move(books));
      return checkpoint;
    } catch (const Error& e) {
      if (e.code() == ErrorCode::fenced) books_.reset();
      disconnect();
      throw;
    }
  }

  void prepareTable(const Shape& shape) override {
    guarded(shape, [&] { tableFor(shape); });
  }

  void apply(const ChangeBatch& batch) override {
    if (batch.empty()) return;
    guarded({}, [&] {
      books();
      connection_.begin();
    });
    for (const ChangeEvent& event : batch) {
      guarded(event.shape, [&] { take(event); });
    }
  }

  void commit(std::string_view checkpoint) override {
    guarded({}, [&] {
      books();
      connection_.begin();
      flushAll();
      books().write(checkpoint);
    });
    try {
      connection_.commit();
    } catch (...) {
      disconnect();
      throw;
    }
  }

  void rollback() noexcept override {
    connection_.rollback();
    forgetTables();
  }

  void close() noexcept override {
    disconnect();
    books_.reset();
  }

  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override {
    return detail::readBack(options_.connect, shape, options_.softDeleteColumn, std::move(stop));
  }

  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override {
    std::uint64_t erased = 0;
    guarded(shape, [&] { erased = expireRows(shape, column, cutoff); });
    return erased;
  }

 private:
  /// Runs a part of the unit of work. Where it fails, the unit is over.
  template <class Work>
  void guarded(const Shape& shape, Work&& work) {
    try {
      work();
    } catch (const Error& e) {
      const bool lost = e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::queryCancelled;
      if (e.code() == ErrorCode::fenced) books_.reset();
      rollback();
      if (lost && books_) {
        disconnect();
        refuseIfTakenOver(e);
      }
      const bool refused = dynamic_cast<const detail::SqlError*>(&e) != nullptr;
      if (!refused || e.code() != ErrorCode::permissionDenied || !shape) throw;
      throw Error(e.code(), e.retry(), withGrant(e, shape));
    } catch (...) {
      rollback();
      throw;
    }
  }

  /// A session that was ended by the server, perhaps for another writer: asks, since that would be for good.
  void refuseIfTakenOver(const Error& e) {
    const auto* refused = dynamic_cast<const detail::SqlError*>(&e);
    if (refused == nullptr || refused->state() != kAdminShutdown) return;
    const std::int64_t held = books_->epoch();
    std::int64_t now = held;
    try {
      detail::SinkConnection probe(options_.connect);
      probe.open({});
      now = detail::Bookkeeping(probe, options_.schema, pipeline_).storedEpoch();
    } catch (const Error&) {
      return;  // then the server is really down
    }
    if (now == held) return;
    const detail::Bookkeeping fencedOff = *books_;
    books_.reset();
    fencedOff.refuseFenced();
  }

  std::string withGrant(const Error& e, const Shape& shape) {
    if (!connection_.isOpen()) return e.message();
    const TargetName name(shape->schema.table);
    return fmt::format(
        "table \"{}\": {}: GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}; to make tables: GRANT CREATE "
        "ON SCHEMA {} TO {}; to change their columns the role must own them",
        name.text, e.message(), name.quoted, detail::quoted(connection_.user()),
        name.schema.empty() ? "public" : detail::quoted(name.schema), detail::quoted(connection_.user()));
  }

  detail::Bookkeeping& books() {
    if (!books_ || !connection_.isOpen()) {
      throw Error(ErrorCode::connectionFailed, Retry::later, "the Postgres sink is not open: call open() first");
    }
    return *books_;
  }

  void take(const ChangeEvent& event) {
    switch (event.op) {
      case ChangeOp::insert:
      case ChangeOp::update:
      case ChangeOp::erase:
        return takeChange(tableFor(event.shape), event);
      case ChangeOp::read:
        return takeRead(tableFor(event.shape), event);
      case ChangeOp::truncate:
        return truncate(tableFor(event.shape));
      case ChangeOp::schemaChange:
        return changeSchema(event);
      case ChangeOp::baselineBegin:
        return beginBaseline(tableFor(event.shape));
      case ChangeOp::baselineEnd:
        return endBaseline(tableFor(event.shape));
      case ChangeOp::progress:
        return;
    }
  }

  void takeChange(SinkTable& table, const ChangeEvent& event) {
    if (table.baseline.pristine) {
      flush(table);
      table.baseline.pristine = false;
      books().markChanged(table.name());
    }
    table.add(event);
    flushIfFull(table);
  }

  void takeRead(SinkTable& table, const ChangeEvent& event) {
    if (!table.baseline.pristine || !table.canCopy() || !event.unchanged.empty()) {
      table.add(event);
      return flushIfFull(table);
    }
    if (copying_ != &table) settle();
    copying_ = &table;
    table.copy(event, connection_);
  }

  void flushIfFull(SinkTable& table) {
    pendingSince_ += 1;
    if (pendingSince_ % 64 != 0) return;
    std::size_t bytes = 0;
    for (const auto& [name, held] : tables_) bytes += held->pendingBytes();
    if (bytes >= options_.maxPendingBytes)
      flushAll();
    else if (table.pendingBytes() >= options_.maxPendingBytes)
      flush(table);
  }

  void send(SinkTable& table) {
    try {
      table.flush(connection_);
    } catch (const detail::SqlError& e) {
      if (e.code() == ErrorCode::connectionFailed) throw;
      const std::string message = fmt::format("table \"{}\": {}", table.name().text, e.message());
      throw Error(e.code(), e.retry(), e.code() == ErrorCode::permissionDenied ? withGrant(e, table.shape()) : message);
    }
  }
  /// Ends a COPY under way: the connection is free for statements.
  void settle() {
    if (copying_ == nullptr) return;
    SinkTable& table = *copying_;
    copying_ = nullptr;
    const bool before = table.baseline.pristine;
    send(table);
    if (before && !table.baseline.pristine) books().markChanged(table.name());
  }
  void flush(SinkTable& table) {
    settle();
    send(table);
  }
  void flushAll() {
    settle();
    for (auto& [name, table] : tables_) send(*table);
  }

  void truncate(SinkTable& table) {
    flush(table);
    if (table.baseline.pristine) books().markChanged(table.name());
    table.baseline.pristine = false;
    connection_.limit(options_.maintenanceTimeout);
    connection_.run(table.eraseSql("", "true"));  // TRUNCATE would lock readers out until the commit
    connection_.limit(connection_.statementTimeout());
  }

  void beginBaseline(SinkTable& table) {
    flush(table);
    const auto rows = connection_.run(fmt::format("SELECT 1 FROM {} LIMIT 1", table.name().quoted));
    table.baseline = books().beginBaseline(table, PQntuples(rows.get()) == 0);
  }

  void endBaseline(SinkTable& table) {
    flush(table);
    if (!table.baseline.seenTable.empty()) {
      connection_.limit(options_.maintenanceTimeout);
      connection_.run(
          "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_seqscan = on; "
          "ANALYZE " +
          table.baseline.seenTable);
      connection_.run(table.eraseSql("", fmt::format("NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
                                                     table.baseline.seenTable, table.keyMatch("s", "k"))));
      connection_.run(
          "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off");
      connection_.limit(connection_.statementTimeout());
    }
    books().endBaseline(table.name(), table.baseline);
    table.baseline = BaselineState{};
  }

  void changeSchema(const ChangeEvent& event) {
    const auto found = tables_.find(event.shape->schema.table);
    settle();
    if (found != tables_.end()) {
      send(*found->second);
      tables_.erase(found);
      last_ = nullptr;
    }
    connection_.begin();
    connection_.limit(options_.maintenanceTimeout);
    if (event.schemaChange)
      detail::followChange(connection_, TargetName(event.shape->schema.table), event.shape, *event.schemaChange);
    tableFor(event.shape);
    connection_.limit(connection_.statementTimeout());
  }

  std::uint64_t expireRows(const Shape& shape, std::string_view column, const Value& cutoff) {
    SinkTable& table = tableFor(shape);
    connection_.begin();
    flush(table);
    const auto at = shape->columns->find(column);
    if (!at || cutoff.isNull()) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  fmt::format("table \"{}\" cannot expire by column \"{}\"", shape->schema.table, column));
    }
    const detail::ColumnPlan& plan = table.plans()[*at];
    const auto params = detail::encodeParams({cutoff});
    const bool moment = plan.kind == ValueKind::timestamp;  // perhaps kept as text
    const std::string sql = table.eraseSql(
        "", fmt::format("t.{}{} < $1{}", plan.quoted, moment ? "::timestamptz" : "", moment ? "::timestamptz" : ""));
    connection_.limit(options_.maintenanceTimeout);
    const auto done = connection_.ask(sql, {std::optional(params.texts[0])});
    connection_.limit(connection_.statementTimeout());
    return detail::rowsWritten(done);
  }

  /// The table of a shape, made or matched when it is met for the first time in a unit, or in another shape.
  SinkTable& tableFor(const Shape& shape) {
    if (last_ != nullptr && last_->shape() == shape) return *last_;
    const auto found = tables_.find(shape->schema.table);
    if (found != tables_.end() && found->second->shape()->schema == shape->schema) {
      found->second->adopt(shape);
      return *(last_ = found->second.get());
    }
    settle();
    if (found != tables_.end()) {
      send(*found->second);
      tables_.erase(found);
      last_ = nullptr;
    }
    auto made = makeTable(shape);
    return *(last_ = (tables_[shape->schema.table] = std::move(made)).get());
  }

  std::unique_ptr<SinkTable> makeTable(const Shape& shape) {
    if (shape->key.empty()) {
      throw Error(
          ErrorCode::invalidConfig, Retry::afterOperator,
          fmt::format("table \"{}\" has no key, and a Postgres sink names rows by it: give the source's table a "
                      "primary key or a replica identity by an index",
                      shape->schema.table));
    }
    TargetName name(shape->schema.table);
    detail::Bookkeeping& kept = books();
    connection_.begin();
    detail::makeTarget(connection_, name, shape, options_.softDeleteColumn);
    auto plans = detail::matchColumns(name, shape, detail::readCatalog(connection_, name), options_.softDeleteColumn);
    const BaselineState state = kept.baselineOf(name);
    auto table = std::make_unique<SinkTable>(std::move(name), shape, std::move(plans), options_.softDeleteColumn);
    table->baseline = state;
    return table;
  }

  void forgetTables() noexcept {
    last_ = copying_ = nullptr;
    tables_.clear();
    try {
      if (connection_.isOpen()) connection_.run("DEALLOCATE ALL");
    } catch (...) {
      connection_.close();
    }
  }

  /// Ends the connection; the epoch is kept, so that `open` knows whether another writer came between.
  void disconnect() noexcept {
    last_ = copying_ = nullptr;
    tables_.clear();
    connection_.close();
  }

  const SinkOptions options_;
  detail::SinkConnection connection_;
  std::string pipeline_;
  std::optional<detail::Bookkeeping> books_;
  std::map<std::string, std::unique_ptr<SinkTable>> tables_;
  SinkTable* last_ = nullptr;     ///< of the event before
  SinkTable* copying_ = nullptr;  ///< holds the connection by a COPY
  std::uint64_t pendingSince_ = 0;
};

}  // namespace

std::unique_ptr<Sink> sink(SinkOptions options) { return std::make_unique<PostgresSink>(std::move(options)); }

}  // namespace tidegate::postgres
