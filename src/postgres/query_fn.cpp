#include "tidegate/postgres/query_fn.h"

#include <fmt/format.h>

#include <pqxx/nontransaction>
#include <pqxx/prepared_statement>
#include <pqxx/result>

#include "postgres/detail/decode.h"
#include "postgres/detail/encode.h"
#include "postgres/detail/errors.h"
#include "postgres/detail/session.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres {
namespace {

using detail::Session;
using OwnedResult = std::unique_ptr<PGresult, void (*)(PGresult*)>;

/// Column names and, for each, how to read it.
struct Shape {
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

/// A page, read whole into a pqxx::result; the connection is free again.
class PageStream final : public RowStream {
 public:
  PageStream(pqxx::result rows, bool trustedEncoding) : rows_(std::move(rows)) {
    std::vector<std::string> names;
    for (pqxx::row::size_type i = 0; i < rows_.columns(); ++i) {
      shape_.add(names, rows_.column_name(i), rows_.column_type(i), trustedEncoding);
    }
    shape_.finish(std::move(names));
  }

  const Columns& columns() const override { return shape_.columns; }

  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values.resize(shape_.decoders.size());
    const pqxx::row row = rows_[at_++];
    for (std::size_t i = 0; i < values.size(); ++i) {
      const pqxx::field cell = row[static_cast<pqxx::row::size_type>(i)];
      if (cell.is_null())
        values[i].variant() = Null{};
      else
        shape_.decoders[i]({cell.c_str(), cell.size()}, values[i]);
    }
    return true;
  }

 private:
  pqxx::result rows_;
  pqxx::result::size_type at_ = 0;
  Shape shape_;
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
      describe();
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
    values.resize(shape_.decoders.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const int column = static_cast<int>(i);
      if (PQgetisnull(row_.get(), 0, column) == 1)
        values[i].variant() = Null{};
      else
        shape_.decoders[i](
            {PQgetvalue(row_.get(), 0, column), static_cast<std::size_t>(PQgetlength(row_.get(), 0, column))},
            values[i]);
    }
    row_.reset();
    return true;
  }

 private:
  enum class Keep { no, yes };

  /// The next row into `row_`, or the end. The result of the end has the columns too.
  void fetch() {
    OwnedResult result(PQgetResult(session_->connection().raw()), PQclear);
    const ExecStatusType status = result ? PQresultStatus(result.get()) : PGRES_FATAL_ERROR;
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      return fail(std::move(result));
    }
    row_ = std::move(result);
    if (status == PGRES_SINGLE_TUPLE) return;
    while (PGresult* rest = PQgetResult(session_->connection().raw())) PQclear(rest);
    finished_ = true;
    release(Keep::yes);
  }

  void describe() {
    std::vector<std::string> names;
    for (int i = 0; i < PQnfields(row_.get()); ++i) {
      shape_.add(names, PQfname(row_.get(), i), PQftype(row_.get(), i), session_->trustedEncoding());
    }
    shape_.finish(std::move(names));
  }

  void fail(OwnedResult result) {
    PGconn* raw = session_->connection().raw();
    Error error = cancelled();
    if (!stop_.stop_requested()) {
      const char* state = result ? PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) : nullptr;
      const char* text = result ? PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY) : nullptr;
      const bool lost = PQstatus(raw) != CONNECTION_OK;
      error = detail::fromSqlState(state != nullptr ? state
                                   : lost           ? "08006"
                                                    : "",
                                   text != nullptr ? text : PQerrorMessage(raw));
    }
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
  Shape shape_;
  bool finished_ = false;
  bool released_ = false;
};

ResultSet readPage(Session& session, const Query& query) {
  const detail::EncodedParams params = detail::encodeParams(query.params);
  try {
    const detail::StopGuard guard(query.stop, session.socket());
    pqxx::nontransaction work(session.connection());
    pqxx::result rows = work.exec_params(query.sql, pqxx::prepare::make_dynamic_params(params.pointers));
    if (query.stop.stop_requested()) throw cancelled();
    return ResultSet(std::make_unique<PageStream>(std::move(rows), session.trustedEncoding()));
  } catch (...) {
    if (query.stop.stop_requested())
      session.drop();
    else
      session.dropIfBroken();
    throw;
  }
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
  return QueryFn(Dialect::postgres, [session](const Query& query) { return run(session, query); });
}

}  // namespace tidegate::postgres
