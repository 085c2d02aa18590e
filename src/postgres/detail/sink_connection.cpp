#include "postgres/detail/sink_connection.h"

#include <fmt/format.h>

#include <charconv>

#include "postgres/detail/errors.h"

namespace tidegate::postgres::detail {
namespace {

/// What the server said last, if it said something: "FATAL:  57P01: terminating connection …", then where in its
/// source.
SqlError lostConnection(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  const auto at = text.find("57P01: ");
  if (at == std::string_view::npos) return {fromSqlState("08006", text), "08006"};
  return {fromSqlState("57P01", text.substr(at + 7)), "57P01"};
}

ConnectOptions writable(ConnectOptions options) {
  options.readOnly = false;
  return options;
}

}  // namespace

SinkConnection::SinkConnection(ConnectOptions options) : options_(writable(std::move(options))) {
  keywordsOf(options_);  // refuses what contradicts itself, before anything is connected
}

void SinkConnection::open(const std::stop_token& stop) {
  close();
  stop_ = stop;
  try {
    session_ = std::make_unique<Session>(options_);
    session_->prepare({}, stop);
  } catch (...) {
    const Error error = fromCurrentException();
    session_.reset();
    throw error;
  }
  guard_.emplace(stop, session_->socket());
  // Rows are found by the key's index, whatever the statistics of a table say that was empty when a plan was made.
  run("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;"
      "SET plan_cache_mode = force_generic_plan; SET jit = off");
}

void SinkConnection::close() noexcept {
  guard_.reset();
  session_.reset();
  inTransaction_ = false;
}

SqlResult SinkConnection::run(const std::string& sql) { return checked(PQexec(raw(), sql.c_str())); }

SqlResult SinkConnection::ask(const std::string& sql, const std::vector<std::optional<std::string>>& params) {
  std::vector<const char*> values;
  for (const auto& p : params) values.push_back(p ? p->c_str() : nullptr);
  return checked(
      PQexecParams(raw(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0));
}

std::string SinkConnection::prepare(const std::string& sql, const std::vector<unsigned>& types) {
  std::string name = fmt::format("tidegate_{}", ++prepared_);
  checked(PQprepare(raw(), name.c_str(), sql.c_str(), static_cast<int>(types.size()), types.data()));
  return name;
}

SqlResult SinkConnection::runPrepared(const std::string& name, const std::vector<std::string>& params) {
  std::vector<const char*> values;
  std::vector<int> lengths, formats(params.size(), 1);
  for (const std::string& p : params) {
    values.push_back(p.data());
    lengths.push_back(static_cast<int>(p.size()));
  }
  return checked(PQexecPrepared(raw(), name.c_str(), static_cast<int>(params.size()), values.data(), lengths.data(),
                                formats.data(), 0));
}

void SinkConnection::begin() {
  if (inTransaction_) return;
  run("BEGIN");
  inTransaction_ = true;
}

void SinkConnection::commit() {
  inTransaction_ = false;
  try {
    const SqlResult done = run("COMMIT");
    if (std::string_view(PQcmdStatus(done.get())) == "COMMIT") return;
  } catch (const Error& e) {
    if (PQstatus(raw()) == CONNECTION_OK) throw;
    throw Error(e.code(), Retry::outcomeUnknown, fmt::format("the connection was lost during COMMIT: {}", e.message()));
  }
  throw Error(ErrorCode::internal, Retry::later, "the transaction had failed before its COMMIT");
}

void SinkConnection::rollback() noexcept {
  if (!inTransaction_) return;
  inTransaction_ = false;
  if (!session_ || PQstatus(raw()) != CONNECTION_OK) return;
  try {
    if (PQtransactionStatus(raw()) == PQTRANS_ACTIVE) {  // in the middle of a COPY
      PQputCopyEnd(raw(), "given up");
      while (PGresult* rest = PQgetResult(raw())) PQclear(rest);
    }
    run("ROLLBACK");
  } catch (...) {
    close();  // the server then rolls back
  }
}

void SinkConnection::limit(std::chrono::milliseconds timeout) {
  run(fmt::format("SET LOCAL statement_timeout = {}", timeout.count()));
}

void SinkConnection::copyBegin(const std::string& sql) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(raw(), sql.c_str()), PQclear);
  if (!result || PQresultStatus(result.get()) != PGRES_COPY_IN) fail(result.get());
}

void SinkConnection::copySend(std::string_view octets) {
  if (PQputCopyData(raw(), octets.data(), static_cast<int>(octets.size())) != 1) fail(nullptr);
}

void SinkConnection::copyEnd() {
  if (PQputCopyEnd(raw(), nullptr) != 1) fail(nullptr);
  SqlResult last(PQgetResult(raw()), PQclear);
  while (PGresult* rest = PQgetResult(raw())) PQclear(rest);
  if (!last || PQresultStatus(last.get()) != PGRES_COMMAND_OK) fail(last.get());
}

PGconn* SinkConnection::raw() const {
  if (!session_) {
    throw Error(ErrorCode::connectionFailed, Retry::later, "the Postgres sink is not open: call open() first");
  }
  return session_->connection().raw();
}

SqlResult SinkConnection::checked(PGresult* result) {
  SqlResult owned(result, PQclear);
  const ExecStatusType status = owned ? PQresultStatus(owned.get()) : PGRES_FATAL_ERROR;
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) fail(owned.get());
  return owned;
}

void SinkConnection::fail(const PGresult* result) {
  if (stop_.stop_requested()) {
    throw Error(ErrorCode::queryCancelled, Retry::later, "the Postgres sink was stopped by its stop token");
  }
  const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  const char* text = result != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
  if (state == nullptr && PQstatus(raw()) != CONNECTION_OK) throw lostConnection(PQerrorMessage(raw()));
  const std::string known = state != nullptr ? state : "";
  throw SqlError(fromSqlState(known, text != nullptr ? text : PQerrorMessage(raw())), known);
}

std::string_view cell(const SqlResult& result, int row, int column) {
  return {PQgetvalue(result.get(), row, column), static_cast<std::size_t>(PQgetlength(result.get(), row, column))};
}

bool cellIsTrue(const SqlResult& result, int row, int column) { return cell(result, row, column) == "t"; }

std::uint64_t rowsWritten(const SqlResult& result) {
  const std::string_view text = PQcmdTuples(result.get());
  std::uint64_t rows = 0;
  std::from_chars(text.data(), text.data() + text.size(), rows);
  return rows;
}

}  // namespace tidegate::postgres::detail
