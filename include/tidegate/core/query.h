/// How Tidegate asks a SQL database: SQL text and bound values in, a stream of rows out.
///
/// Writing one for a host that has rows in a vector:
///
///     QueryFn mine{Dialect::postgres, [&](const Query& q) {
///       MyResult r = myDb.run(q.sql, q.params);               // q.params are tidegate::Value
///       return ResultSet::fromRows(makeColumns(r.names()), r.rowsAsValues());
///     }};
///
/// The built-in ones (`sqlite::queryFn`, `postgres::queryFn`, `mysql::queryFn`) stream what is asked for with
/// `wholeResult`.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/row.h"
#include "tidegate/core/value.h"

namespace tidegate {

/// Which SQL is spoken: quoting, placeholders, literals, time functions.
enum class Dialect { sqlite, postgres, mysql };

std::string_view toString(Dialect dialect) noexcept;

/// One question. Values are always bound, never pasted into the text.
struct Query {
  std::string sql;  ///< placeholders as the dialect's: `?` (SQLite, MySQL), `$1` (Postgres)
  std::vector<Value> params{};
  std::stop_token stop{};  ///< a QueryFn returns or throws Error{queryCancelled} soon after it is requested
  std::chrono::milliseconds timeout{0};  ///< 0: the driver's own statement timeout
  bool wholeResult = false;              ///< true: the result may be large; a driver must stream it, not buffer it
  std::string orderBy{};                 ///< the ORDER BY list within `sql`, for a driver that must wrap the text
};

/// A driver's half of a result set. Destroying it early must cancel or drain the query.
class RowStream {
 public:
  virtual ~RowStream() = default;
  /// Never null, before the first row and after the last.
  virtual const Columns& columns() const = 0;
  /// Fills `values` (resized to the column count; its strings' capacity may be reused).
  /// @return false at the end. @throws Error{queryFailed, connectionFailed, queryCancelled}
  virtual bool next(std::vector<Value>& values) = 0;
};

/// Rows of one answer, read forward once.
/// @thread One at a time.
class ResultSet {
 public:
  explicit ResultSet(std::unique_ptr<RowStream> stream) : stream_(std::move(stream)) {}
  /// @throws Error{invalidArgument} if a row's length is not the column count.
  static ResultSet fromRows(Columns columns, std::vector<std::vector<Value>> rows);

  const Columns& columns() const { return stream_->columns(); }
  bool next(std::vector<Value>& values) { return stream_->next(values); }

 private:
  std::unique_ptr<RowStream> stream_;
};

/// How a query function answers with `wholeResult`.
enum class Delivery {
  buffered,  ///< the rows are in memory before the first is handed out: a poll asks for no more than a page at a time
  streamed   ///< row by row as the source finds them, all of one moment; a reader may take its time between two rows
};

/// A way to ask, with the dialect it speaks. Copyable; copies share the connection behind it.
/// @thread One call at a time unless the implementation says more.
class QueryFn {
 public:
  using Function = std::function<ResultSet(const Query&)>;
  QueryFn() = default;
  QueryFn(Dialect dialect, Function function, Delivery delivery = Delivery::buffered)
      : dialect_(dialect), delivery_(delivery), function_(std::move(function)) {}

  Dialect dialect() const noexcept { return dialect_; }
  Delivery delivery() const noexcept { return delivery_; }
  explicit operator bool() const noexcept { return static_cast<bool>(function_); }
  ResultSet operator()(const Query& query) const { return function_(query); }

 private:
  Dialect dialect_ = Dialect::sqlite;
  Delivery delivery_ = Delivery::buffered;
  Function function_;
};

/// The one place that quotes identifiers: "a""b" or `a``b`. A dotted name is *one* name unless given as parts.
/// @throws Error{invalidArgument} for an empty name, one over 255 bytes, or one that holds NUL or invalid UTF-8.
std::string quoteIdentifier(Dialect dialect, std::string_view name);
/// "$3" or "?".
std::string placeholder(Dialect dialect, std::size_t oneBasedIndex);
/// The user's query without trailing white space, comments at its end and semicolons, fit to be wrapped as a subquery.
/// Quotes, dollar quotes and comments inside are respected.
/// @throws Error{invalidConfig} if it is empty or holds a second statement.
std::string wrappableQuery(Dialect dialect, std::string_view sql);

}  // namespace tidegate
