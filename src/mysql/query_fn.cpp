#include "tidegate/mysql/query_fn.h"

#include <cppconn/connection.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>

#include <optional>

#include "mysql/detail/errors.h"
#include "mysql/detail/session.h"
#include "mysql/detail/statement.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql {
namespace {

using detail::OpenResult;
using detail::Session;

Error cancelled() { return Error(ErrorCode::queryCancelled, Retry::later, "the query was stopped by its stop token"); }

/// Whether the connection cannot be trusted after this error.
bool endsConnection(const Error& e) { return e.code() == ErrorCode::connectionFailed; }

/// A page in the client's memory; the connection is free again.
class PageStream final : public RowStream {
 public:
  explicit PageStream(OpenResult result) : result_(std::move(result)) {}
  const Columns& columns() const override { return result_.shape.columns; }
  bool next(std::vector<Value>& values) override {
    try {
      if (!result_.rows || !result_.rows->next()) return false;
      detail::readRow(*result_.rows, result_.shape, values);
      return true;
    } catch (...) {
      throw detail::fromCurrentException();
    }
  }

 private:
  OpenResult result_;
};

/// Row by row from the socket. The connection is held until the end.
class LiveStream final : public RowStream {
 public:
  LiveStream(std::shared_ptr<Session> session, OpenResult result, std::stop_token stop)
      : session_(std::move(session)),
        stop_(std::move(stop)),
        guard_(std::in_place, stop_, *session_),
        result_(std::move(result)),
        columns_(result_.shape.columns) {
    session_->streaming = true;
  }
  ~LiveStream() override {
    if (!open_) return;
    session_->killer()();  // else freeing the result would read all the rest
    close(Keep::no);
  }

  const Columns& columns() const override { return columns_; }

  bool next(std::vector<Value>& values) override {
    if (!open_) return false;
    try {
      if (stop_.stop_requested()) throw cancelled();
      if (result_.rows && result_.rows->next()) {
        detail::readRow(*result_.rows, result_.shape, values);
        return true;
      }
      if (stop_.stop_requested()) throw cancelled();
      result_.rows.reset();
      result_.statement.reset();
      detail::checkStreamEnded(*result_.connection);
      close(Keep::yes);
      return false;
    } catch (...) {
      Error error = detail::fromCurrentException();
      if (stop_.stop_requested())
        error = cancelled();
      else if (result_.rows && !endsConnection(error))
        session_->killer()();  // freeing the result would read all the rest
      close(Keep::no);
      throw error;
    }
  }

 private:
  enum class Keep { no, yes };

  void close(Keep keep) noexcept {
    open_ = false;
    guard_.reset();  // from here on a late stop must not kill a connection that others use
    // A connection that a stop has killed, or may have, is not used again.
    if (keep == Keep::no || stop_.stop_requested()) session_->drop();
    result_ = OpenResult();
    session_->streaming = false;
  }

  std::shared_ptr<Session> session_;
  std::stop_token stop_;
  std::optional<detail::StopGuard> guard_;
  OpenResult result_;
  const Columns columns_;  ///< stays when the result is let go
  bool open_ = true;
};

OpenResult executeGuarded(Session& session, const Query& query) {
  const detail::StopGuard guard(query.stop, session);
  return detail::execute(session, query);
}

ResultSet run(const std::shared_ptr<Session>& session, const Query& query) {
  if (session->streaming) {
    throw Error(
        ErrorCode::invalidArgument, Retry::never,
        "a stream of this query function is still open: read it to its end or destroy it before the next query");
  }
  try {
    session->prepare(query.timeout, query.stop);
    OpenResult result = executeGuarded(*session, query);
    if (query.stop.stop_requested()) throw cancelled();
    if (query.wholeResult) return ResultSet(std::make_unique<LiveStream>(session, std::move(result), query.stop));
    return ResultSet(std::make_unique<PageStream>(std::move(result)));
  } catch (...) {
    Error error = detail::fromCurrentException();
    if (query.stop.stop_requested()) error = cancelled();
    if (query.stop.stop_requested() || endsConnection(error)) session->drop();
    throw error;
  }
}

}  // namespace

QueryFn queryFn(ConnectOptions options) {
  auto session = std::make_shared<Session>(std::move(options));
  return QueryFn(
      Dialect::mysql, [session](const Query& query) { return run(session, query); }, Delivery::streamed);
}

}  // namespace tidegate::mysql
