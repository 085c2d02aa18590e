#include "tidegate/sqlite/query_fn.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "sqlite/detail/connection.h"
#include "sqlite/detail/values.h"
#include "tidegate/core/error.h"

namespace tidegate::sqlite {

namespace {

using detail::Connection;
using detail::Interrupt;
using detail::Lift;
using detail::StatementPtr;

/// Rows of one running statement. The first step is taken at once: only then has SQLite taken in a changed schema, so
/// that the column names are those of the rows.
class StatementStream final : public RowStream {
 public:
  StatementStream(std::shared_ptr<Connection> connection, const Query& query, Interrupt interrupt)
      : connection_(std::move(connection)),
        sql_(query.sql),
        params_(query.params),
        interrupt_(std::move(interrupt)),
        statement_(connection_->take(sql_, interrupt_)) {
    try {
      bind();
      stepped_ = step();
      describeColumns();
    } catch (...) {
      release();
      throw;
    }
  }
  ~StatementStream() override { release(); }
  StatementStream(const StatementStream&) = delete;
  StatementStream& operator=(const StatementStream&) = delete;

  const Columns& columns() const override { return columns_; }

  bool next(std::vector<Value>& values) override {
    if (!statement_) return false;
    if (!std::exchange(stepped_, false) && !advance()) return false;
    values.resize(lifts_.size());
    for (std::size_t i = 0; i < lifts_.size(); ++i) {
      detail::readValue(statement_.get(), static_cast<int>(i), lifts_[i], values[i]);
    }
    return true;
  }

 private:
  void bind() {
    const auto wanted = static_cast<std::size_t>(sqlite3_bind_parameter_count(statement_.get()));
    if (wanted != params_.size()) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  fmt::format("the SQL text has {} parameters, {} values were given", wanted, params_.size()));
    }
    for (std::size_t i = 0; i < params_.size(); ++i) {
      const int code = detail::bindValue(statement_.get(), static_cast<int>(i) + 1, params_[i]);
      if (code != SQLITE_OK) throw connection_->error(code, interrupt_);
    }
  }

  bool advance() {
    try {
      if (step()) return true;
    } catch (...) {
      release();
      throw;
    }
    release();
    return false;
  }

  bool step() {
    const int code = interrupt_.stopped() ? SQLITE_INTERRUPT : connection_->step(statement_.get(), interrupt_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) throw connection_->error(code, interrupt_);
    return false;
  }

  void describeColumns() {
    const int count = sqlite3_column_count(statement_.get());
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
      const char* name = sqlite3_column_name(statement_.get(), i);
      if (name == nullptr) throw std::bad_alloc();
      names.emplace_back(name);
      lifts_.push_back(detail::liftOf(sqlite3_column_decltype(statement_.get(), i)));
    }
    columns_ = makeColumns(std::move(names));
    if (!stepped_) release();
  }

  /// Ends the read transaction; the statement serves the next query with the same SQL.
  void release() noexcept {
    if (statement_) connection_->giveBack(sql_, std::move(statement_));
  }

  std::shared_ptr<Connection> connection_;
  const std::string sql_;
  const std::vector<Value> params_;  ///< bound without a copy
  const Interrupt interrupt_;
  StatementPtr statement_;  ///< null past the last row
  Columns columns_;
  std::vector<Lift> lifts_;
  bool stepped_ = false;  ///< a row waits to be read
};

/// The connection that copies of one QueryFn share.
class Asker {
 public:
  explicit Asker(QueryOptions options) : options_(std::move(options)) {}

  ResultSet ask(const Query& query) {
    Interrupt interrupt{query.stop, std::nullopt};
    const auto timeout = query.timeout.count() > 0 ? query.timeout : options_.statementTimeout;
    if (timeout.count() > 0) interrupt.deadline = std::chrono::steady_clock::now() + timeout;
    if (!connection_ || connection_->stale()) {
      connection_.reset();
      connection_ = std::make_shared<Connection>(options_);
    }
    return ResultSet(std::make_unique<StatementStream>(connection_, query, std::move(interrupt)));
  }

 private:
  const QueryOptions options_;
  std::shared_ptr<Connection> connection_;
};

void check(const QueryOptions& options) {
  const auto refuse = [](const char* why) { return Error(ErrorCode::invalidConfig, Retry::never, why); };
  if (options.path.empty()) throw refuse("sqlite::QueryOptions::path is empty; name a database file");
  if (options.path.find('\0') != std::string::npos) throw refuse("sqlite::QueryOptions::path holds a NUL");
  if (options.create && options.readOnly) throw refuse("sqlite::QueryOptions::create needs readOnly = false");
  if (options.busyTimeout.count() < 0) throw refuse("sqlite::QueryOptions::busyTimeout is negative");
  if (options.statementTimeout.count() < 0) throw refuse("sqlite::QueryOptions::statementTimeout is negative");
}

}  // namespace

QueryFn queryFn(QueryOptions options) {
  check(options);
  auto asker = std::make_shared<Asker>(std::move(options));
  return QueryFn(Dialect::sqlite, [asker](const Query& query) { return asker->ask(query); });
}

}  // namespace tidegate::sqlite
