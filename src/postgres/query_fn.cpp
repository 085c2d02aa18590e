#include "tidegate/postgres/query_fn.h"

#include <fmt/format.h>

#include "postgres/detail/decode.h"
#include "postgres/detail/encode.h"
#include "postgres/detail/errors.h"
#include "postgres/detail/session.h"
#include "postgres/detail/sql.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres {
namespace {

using detail::failureOf;
using detail::OwnedResult;
using detail::Session;

/// Column names and, for each, how to read it.
struct ResultShape {
  Columns columns;
  std::vector<detail::Decoder> decoders;

  void add(std::vector<std::string>& names, const char* name, unsigned typeOid, bool trustedEncoding) {
    names.emplace_back(name);
    decoders.push_back(detail::decoderFor(typeOid, trustedEncoding));
  }
  void finish(std::vector<std::string> names) {
    try {
      columns = makeColumns(std::move(names));
    } catch (const Error& e) {
      throw Error(ErrorCode::queryFailed, Retry::never,
                  fmt::format("the query's columns need distinct names (SELECT … AS name): {}", e.message()));
    }
  }
};

Error cancelled() { return Error(ErrorCode::queryCancelled, Retry::later, "the query was stopped by its stop token"); }

/// Reads one row of a result.
void readRow(const PGresult* rows, int row, const ResultShape& shape, std::vector<Value>& values) {
  values.resize(shape.decoders.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int column = static_cast<int>(i);
    if (PQgetisnull(rows, row, column) == 1)
      values[i].variant() = Null{};
    else
      shape.decoders[i]({PQgetvalue(rows, row, column), static_cast<std::size_t>(PQgetlength(rows, row, column))},
                        values[i]);
  }
}

ResultShape shapeOf(const PGresult* rows, bool trustedEncoding) {
  ResultShape shape;
  std::vector<std::string> names;
  for (int i = 0; i < PQnfields(rows); ++i) shape.add(names, PQfname(rows, i), PQftype(rows, i), trustedEncoding);
  shape.finish(std::move(names));
  return shape;
}

bool succeeded(ExecStatusType status) {
  return status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE || status == PGRES_COMMAND_OK;
}

/// A page in memory; the connection is free again.
class PageStream final : public RowStream {
 public:
  PageStream(OwnedResult rows, bool trustedEncoding)
      : rows_(std::move(rows)), shape_(shapeOf(rows_.get(), trustedEncoding)) {}

  const Columns& columns() const override { return shape_.columns; }

  bool next(std::vector<Value>& values) override {
    if (at_ == PQntuples(rows_.get())) return false;
    readRow(rows_.get(), at_++, shape_, values);
    return true;
  }

 private:
  OwnedResult rows_;
  int at_ = 0;
  ResultShape shape_;
};

/// Row by row as they arrive, by libpq's single-row mode, which libpqxx does not offer.
class SingleRowStream final : public RowStream {
 public:
  SingleRowStream(std::shared_ptr<Session> session, const Query& query)
      : session_(std::move(session)), stop_(query.stop), guard_(std::in_place, query.stop, session_->socket()) {
    const detail::EncodedParams params = detail::encodeParams(query.params);
    PGconn* raw = session_->connection().raw();
    session_->streaming = true;
    if (PQsendQueryParams(raw, query.sql.c_str(), static_cast<int>(params.pointers.size()), nullptr,
                          params.pointers.data(), nullptr, nullptr, 0) != 1 ||
        PQsetSingleRowMode(raw) != 1) {
      fail(nullptr);
    }
    try {
      fetch();
      shape_ = shapeOf(row_.get(), session_->trustedEncoding());
    } catch (...) {
      release(Keep::no);
      throw;
    }
  }

  ~SingleRowStream() override { release(finished_ ? Keep::yes : Keep::no); }

  const Columns& columns() const override { return shape_.columns; }

  bool next(std::vector<Value>& values) override {
    if (finished_) return false;
    if (stop_.stop_requested()) fail(nullptr);
    if (!row_) fetch();
    if (finished_) return false;
    readRow(row_.get(), 0, shape_, values);
    row_.reset();
    return true;
  }

 private:
  enum class Keep { no, yes };

  /// The next row into `row_`, or the end. The result of the end has the columns too.
  void fetch() {
    OwnedResult result(PQgetResult(session_->connection().raw()), PQclear);
    const ExecStatusType status = result ? PQresultStatus(result.get()) : PGRES_FATAL_ERROR;
    if (!succeeded(status)) return fail(std::move(result));
    row_ = std::move(result);
    if (status == PGRES_SINGLE_TUPLE) return;
    while (PGresult* rest = PQgetResult(session_->connection().raw())) PQclear(rest);
    finished_ = true;
    release(Keep::yes);
  }

  void fail(OwnedResult result) {
    const Error error = stop_.stop_requested() ? cancelled() : failureOf(result.get(), session_->connection().raw());
    finished_ = true;
    release(Keep::no);
    throw error;
  }
  void fail(std::nullptr_t) { fail(OwnedResult(nullptr, PQclear)); }

  void release(Keep keep) noexcept {
    guard_.reset();  // from here on a late stop must not touch a connection that others use
    if (!session_ || !session_->streaming || released_) return;
    released_ = true;
    session_->streaming = false;
    if (keep == Keep::no) session_->drop();
  }

  std::shared_ptr<Session> session_;
  std::stop_token stop_;
  std::optional<detail::StopGuard> guard_;
  OwnedResult row_{nullptr, PQclear};
  ResultShape shape_;
  bool finished_ = false;
  bool released_ = false;
};

/// By libpq too: libpqxx's exec_params loses the result's memory when the connection breaks under it.
ResultSet readPage(Session& session, const Query& query) {
  const detail::EncodedParams params = detail::encodeParams(query.params);
  PGconn* raw = session.connection().raw();
  OwnedResult rows(nullptr, PQclear);
  {
    const detail::StopGuard guard(query.stop, session.socket());
    rows.reset(PQexecParams(raw, query.sql.c_str(), static_cast<int>(params.pointers.size()), nullptr,
                            params.pointers.data(), nullptr, nullptr, 0));
  }
  if (query.stop.stop_requested()) {
    session.drop();
    throw cancelled();
  }
  if (!rows || !succeeded(PQresultStatus(rows.get()))) {
    const Error error = failureOf(rows.get(), raw);
    session.dropIfBroken();
    throw error;
  }
  return ResultSet(std::make_unique<PageStream>(std::move(rows), session.trustedEncoding()));
}

ResultSet run(const std::shared_ptr<Session>& session, const Query& query) {
  if (session->streaming) {
    throw Error(
        ErrorCode::invalidArgument, Retry::never,
        "a stream of this query function is still open: read it to its end or destroy it before the next query");
  }
  try {
    session->prepare(query.timeout, query.stop);
    if (query.wholeResult) return ResultSet(std::make_unique<SingleRowStream>(session, query));
    return readPage(*session, query);
  } catch (...) {
    Error error = detail::fromCurrentException();
    if (query.stop.stop_requested()) error = cancelled();
    throw error;
  }
}

}  // namespace

QueryFn queryFn(ConnectOptions options) {
  auto session = std::make_shared<Session>(std::move(options));
  return QueryFn(
      Dialect::postgres, [session](const Query& query) { return run(session, query); }, Delivery::streamed);
}

}  // namespace tidegate::postgres
