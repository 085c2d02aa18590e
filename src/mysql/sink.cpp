#include "tidegate/mysql/sink.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "mysql/detail/bookkeeping.h"
#include "mysql/detail/read_back.h"
#include "mysql/detail/schema_follow.h"
#include "mysql/detail/sink_table.h"

namespace tidegate::mysql {
namespace {

using detail::BaselineState;
using detail::SinkTable;
using detail::TargetName;

class MySqlSink final : public Sink {
 public:
  explicit MySqlSink(SinkOptions options)
      : options_(std::move(options)), connection_(options_.connect, options_.maintenanceTimeout) {
    detail::quoted(options_.tablePrefix + "checkpoints");
    if (!options_.softDeleteColumn.empty()) detail::quoted(options_.softDeleteColumn);
  }
  ~MySqlSink() override { close(); }

  SinkTraits traits() const override { return {}; }

  std::optional<std::string> open(const SinkContext& context) override {
    const std::int64_t held = books_ && pipeline_ == context.pipeline ? books_->epoch() : 0;
    disconnect();
    connection_.open(context.stop);
    pipeline_ = context.pipeline;
    detail::Bookkeeping books(connection_, options_.tablePrefix, pipeline_);
    try {
      auto checkpoint = books.takeOver(held);
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
    afterCommit();
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
      const bool lost = e.code() == ErrorCode::connectionFailed;
      if (e.code() == ErrorCode::fenced) books_.reset();
      rollback();
      if ((lost || e.code() == ErrorCode::queryCancelled) && books_) disconnect();
      if (lost && books_) refuseIfTakenOver();
      if (e.code() != ErrorCode::permissionDenied || !shape || e.message().find("GRANT CREATE") != std::string::npos)
        throw;
      throw Error(e.code(), e.retry(), withGrant(e, shape));
    } catch (...) {
      rollback();
      throw;
    }
  }

  /// A connection that was ended, perhaps for another writer: asks, since that would be for good.
  void refuseIfTakenOver() {
    std::int64_t now = 0;
    try {
      detail::SinkConnection probe(options_.connect, options_.connect.connectTimeout);
      probe.open({});
      now = detail::Bookkeeping(probe, options_.tablePrefix, pipeline_).storedEpoch();
    } catch (const Error&) {
      return;  // then the server is really down
    }
    if (now == books_->epoch()) return;
    const detail::Bookkeeping fencedOff = *books_;
    books_.reset();
    fencedOff.refuseFenced();
  }

  std::string withGrant(const Error& e, const Shape& shape) {
    const TargetName name(shape->schema.table, connection_.database());
    return fmt::format(
        "table \"{}\": {}: GRANT CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, DELETE ON {}.{} TO the "
        "account",
        name.text, e.message(), detail::quoted(name.database), detail::quoted(name.table));
  }

  detail::Bookkeeping& books() {
    if (!books_ || !connection_.isOpen()) {
      throw Error(ErrorCode::connectionFailed, Retry::later, "the MySQL sink is not open: call open() first");
    }
    return *books_;
  }

  void take(const ChangeEvent& event) {
    switch (event.op) {
      case ChangeOp::insert:
      case ChangeOp::update:
      case ChangeOp::erase:
      case ChangeOp::read: {
        SinkTable& table = tableFor(event.shape);
        table.add(event);
        return flushIfFull();
      }
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

  void flushIfFull() {
    if (++taken_ % 64 != 0) return;
    std::size_t bytes = 0;
    for (const auto& [name, held] : tables_) bytes += held->pendingBytes();
    if (bytes >= options_.maxPendingBytes) flushAll();
  }
  void flush(SinkTable& table) {
    try {
      table.flush(connection_);
    } catch (const Error& e) {
      const bool own = e.code() != ErrorCode::queryFailed || e.message().starts_with("table ");
      if (own) throw;
      throw Error(e.code(), e.retry(), fmt::format("table \"{}\": {}", table.name().text, e.message()));
    }
  }
  void flushAll() {
    for (auto& [name, table] : tables_) flush(*table);
  }

  void truncate(SinkTable& table) {
    flush(table);
    connection_.limit(options_.maintenanceTimeout);
    connection_.write(table.eraseSql("", "TRUE"), {});  // TRUNCATE would commit
    connection_.limit(connection_.options().statementTimeout);
  }

  void beginBaseline(SinkTable& table) {
    flush(table);
    const bool empty = connection_.ask(fmt::format("SELECT 1 FROM {} LIMIT 1", table.name().quotedName)).empty();
    table.baseline = books().beginBaseline(table, empty);
  }

  void endBaseline(SinkTable& table) {
    flush(table);
    if (table.baseline.tracked) {
      connection_.limit(options_.maintenanceTimeout);
      const std::string join = fmt::format("LEFT JOIN {} AS s ON {}", table.namedTable(), table.namedMatch());
      connection_.write(table.eraseSql(join, "s.k1 IS NULL"), {});
      connection_.limit(connection_.options().statementTimeout);
      emptied_.push_back(table.namedTable());
    }
    books().endBaseline(table.name());
    table.baseline = BaselineState{};
  }

  void changeSchema(const ChangeEvent& event) {
    const TargetName name(event.shape->schema.table, connection_.database());
    detail::SchemaFollow follow(connection_, books(), name, options_.softDeleteColumn);
    const auto found = tables_.find(event.shape->schema.table);
    connection_.limit(options_.maintenanceTimeout);
    if (event.schemaChange) {
      // The table suits both shapes before the rows of the older one are sent.
      for (const auto& [from, to] : follow.follow(event.shape, *event.schemaChange)) {
        if (found != tables_.end()) found->second->renameColumn(from, to);
      }
    }
    follow.make(event.shape);
    follow.finish();
    auto made = makeTable(event.shape);
    last_ = nullptr;
    connection_.begin();
    if (found != tables_.end()) {
      flush(*found->second);
      made->baseline = found->second->baseline;
    }
    if (event.schemaChange) follow.note(event.shape, *event.schemaChange);
    dropsMayWait_ = true;
    tables_[event.shape->schema.table] = std::move(made);
    connection_.limit(connection_.options().statementTimeout);
  }

  std::uint64_t expireRows(const Shape& shape, std::string_view column, const Value& cutoff) {
    SinkTable& table = tableFor(shape);
    const auto at = shape->columns->find(column);
    if (!at || cutoff.isNull()) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  fmt::format("table \"{}\" cannot expire by column \"{}\"", shape->schema.table, column));
    }
    connection_.begin();
    flush(table);
    const detail::ColumnPlan& plan = table.plan(*at);
    std::string cell = "t." + plan.quotedName;
    if (plan.kind == ValueKind::timestamp && plan.put == detail::Put::textForm) {  // kept as text
      cell = fmt::format(
          "CASE WHEN {0} LIKE '%infinity%' THEN NULL ELSE CAST(REPLACE(REPLACE({0}, 'T', ' '), 'Z', '') AS "
          "DATETIME(6)) END",
          cell);
    }
    connection_.limit(options_.maintenanceTimeout);
    const std::uint64_t erased = connection_.write(table.eraseSql("", cell + " < ?"), {cutoff});
    connection_.limit(connection_.options().statementTimeout);
    return erased;
  }

  /// The table of a shape, made or matched when it is met for the first time in a unit, or in another shape.
  SinkTable& tableFor(const Shape& shape) {
    if (last_ != nullptr && last_->shape() == shape) return *last_;
    const auto found = tables_.find(shape->schema.table);
    if (found != tables_.end() && found->second->shape()->schema == shape->schema) {
      found->second->adopt(shape);
      return *(last_ = found->second.get());
    }
    auto made = makeTable(shape);  // before rows of another shape are sent: it may need a DDL statement
    if (found != tables_.end()) {
      connection_.begin();
      flush(*found->second);
      made->baseline = found->second->baseline;
      last_ = nullptr;
    }
    return *(last_ = (tables_[shape->schema.table] = std::move(made)).get());
  }

  std::unique_ptr<SinkTable> makeTable(const Shape& shape) {
    if (shape->key.empty()) {
      throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                  fmt::format("table \"{}\" has no key, and a MySQL sink names rows by it: give the source's table a "
                              "primary key or a replica identity by an index",
                              shape->schema.table));
    }
    TargetName name(shape->schema.table, connection_.database());
    detail::Bookkeeping& kept = books();
    detail::SchemaFollow follow(connection_, kept, name, options_.softDeleteColumn);
    follow.make(shape);
    follow.finish();
    const detail::CatalogTable catalog = detail::readCatalog(connection_, name);
    const detail::Moved moved = kept.movedOf(name);
    auto plans = detail::matchColumns(connection_, name, shape, catalog, options_.softDeleteColumn, moved);
    const std::string named = kept.namedTableFor(name, shape, catalog, moved);
    const BaselineState state = kept.baselineOf(name);
    auto table =
        std::make_unique<SinkTable>(std::move(name), shape, std::move(plans), options_.softDeleteColumn, named);
    table->baseline = state;
    return table;
  }

  /// What could not be part of the unit. If it fails, it is done by and by: the commit stands.
  void afterCommit() noexcept {
    try {
      for (const std::string& table : emptied_) connection_.define("TRUNCATE TABLE " + table);
      emptied_.clear();
      if (std::exchange(dropsMayWait_, false)) books_->dropColumns();
    } catch (...) {
      disconnect();
    }
  }

  void forgetTables() noexcept {
    last_ = nullptr;
    tables_.clear();
    emptied_.clear();
  }

  /// Ends the connection; the epoch is kept, so that `open` knows whether another writer came between.
  void disconnect() noexcept {
    forgetTables();  // prepared statements go before their connection
    connection_.close();
  }

  const SinkOptions options_;
  detail::SinkConnection connection_;
  std::string pipeline_;
  std::optional<detail::Bookkeeping> books_;
  std::map<std::string, std::unique_ptr<SinkTable>> tables_;
  std::vector<std::string> emptied_;  ///< tables of named keys that nobody needs once the unit is committed
  SinkTable* last_ = nullptr;         ///< of the event before
  bool dropsMayWait_ = false;         ///< columns may be dropped once the unit is committed
  std::uint64_t taken_ = 0;
};

}  // namespace

std::unique_ptr<Sink> sink(SinkOptions options) { return std::make_unique<MySqlSink>(std::move(options)); }

}  // namespace tidegate::mysql
