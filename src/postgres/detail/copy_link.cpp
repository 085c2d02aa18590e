#include "postgres/detail/copy_link.h"

#include "postgres/detail/errors.h"

namespace tidegate::postgres::detail {
namespace {

ConnectOptions withoutTimeout(ConnectOptions options) {
  options.statementTimeout = std::chrono::milliseconds{0};
  options.readOnly = true;
  return options;
}

}  // namespace

CopyLink::CopyLink(const ConnectOptions& options, const std::stop_token& stop)
    : session_(withoutTimeout(options)), stop_(stop) {
  session_.patient = true;
  try {
    session_.prepare({}, stop);
  } catch (...) {
    Error error = fromCurrentException();
    if (stop.stop_requested()) error = Error(ErrorCode::queryCancelled, Retry::later, "stopped while connecting");
    throw error;
  }
  guard_.emplace(stop, session_.socket());
}

Error CopyLink::failure(const PGresult* result) {
  if (stop_.stop_requested()) {
    return Error(ErrorCode::queryCancelled, Retry::later, "reading the tables was stopped");
  }
  return failureOf(result, raw());
}

OwnedResult CopyLink::run(const std::string& sql, const SqlParams& params) {
  try {
    return runSql(raw(), sql, params);
  } catch (const Error&) {
    if (stop_.stop_requested()) throw failure();
    throw;
  }
}

void CopyLink::start(const std::string& copySql, CopyDecoder decoder) {
  if (PQsendQuery(raw(), copySql.c_str()) != 1) throw failure();
  decoder_.emplace(std::move(decoder));
  answered_ = false;
  rest_ = {};
}

void CopyLink::receive() {
  if (PQconsumeInput(raw()) != 1) throw failure();
}

void CopyLink::beginCopy() {
  const OwnedResult result(PQgetResult(raw()), PQclear);
  if (!result || PQresultStatus(result.get()) != PGRES_COPY_OUT) throw failure(result.get());
  answered_ = true;
}

/// Behind the last row: how the statement ended.
void CopyLink::endCopy() {
  message_.reset();
  while (const OwnedResult result = OwnedResult(PQgetResult(raw()), PQclear)) {
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw failure(result.get());
  }
  decoder_->finish();
  decoder_.reset();
}

/// The next message into `rest_`; false if there is none yet, or none any more.
bool CopyLink::fetch(bool wait) {
  if (!answered_) {
    if (!wait && PQisBusy(raw()) == 1) return false;
    beginCopy();
  }
  char* octets = nullptr;
  const int size = PQgetCopyData(raw(), &octets, wait ? 0 : 1);
  if (size == -2) throw failure();
  if (size == -1) endCopy();
  if (size <= 0) return false;
  message_.reset(octets);
  rest_ = {octets, static_cast<std::size_t>(size)};
  return true;
}

bool CopyLink::next(std::vector<Value>& values) {
  while (decoder_) {
    if (!rest_.empty() && decoder_->next(rest_, values)) return true;
    if (!fetch(false)) return false;
  }
  return false;
}

bool CopyLink::nextWaiting(std::vector<Value>& values) {
  while (decoder_) {
    if (!rest_.empty() && decoder_->next(rest_, values)) return true;
    fetch(true);
  }
  return false;
}

}  // namespace tidegate::postgres::detail
