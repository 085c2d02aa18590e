#include "mysql/detail/sink_connection.h"

#include <cppconn/connection.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>
#include <fmt/format.h>

#include "mysql/detail/errors.h"
#include "mysql/detail/params.h"

namespace tidegate::mysql::detail {
namespace {

ConnectOptions writable(ConnectOptions options) {
  options.readOnly = false;
  return options;
}

TextRows textRows(sql::ResultSet& rows) {
  TextRows out;
  const unsigned columns = rows.getMetaData()->getColumnCount();
  while (rows.next()) {
    auto& row = out.emplace_back();
    for (unsigned i = 1; i <= columns; ++i) {
      const std::string text = rows.getString(i).asStdString();
      row.push_back(rows.isNull(i) ? std::optional<std::string>() : text);
    }
  }
  return out;
}

}  // namespace

SinkConnection::SinkConnection(ConnectOptions options, std::chrono::milliseconds silence)
    : options_(writable(std::move(options))), database_(resolve(options_).database), silence_(silence) {
  if (database_.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "mysql::SinkOptions: connect.database must be named: the sink's tables go there");
  }
}

template <class Work>
auto SinkConnection::guarded(Work&& work) {
  try {
    return work();
  } catch (...) {
    const Error error = fromCurrentException();
    if (!stop_.stop_requested()) throw error;
    throw Error(ErrorCode::queryCancelled, Retry::later, "the MySQL sink was stopped by its stop token");
  }
}

void SinkConnection::open(const std::stop_token& stop) {
  close();
  stop_ = stop;
  guarded([&] {
    session_ = std::make_unique<Session>(options_);
    try {
      session_->prepare(silence_, stop);
    } catch (...) {
      session_.reset();
      throw;
    }
  });
  guard_.emplace(stop, *session_);
  mariaDb_ = ask("SELECT VERSION()")[0][0].value_or("").find("MariaDB") != std::string::npos;
  run("SET NAMES utf8mb4");
  run("SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
      "NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1");
  run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  maxPacket_ = std::stoull(ask("SELECT @@max_allowed_packet")[0][0].value_or("0"));
  limit(options_.statementTimeout);
}

void SinkConnection::close() noexcept {
  guard_.reset();
  session_.reset();
  inTransaction_ = dirty_ = false;
}

std::uint64_t SinkConnection::run(const std::string& sql) {
  return guarded([&] {
    const std::unique_ptr<sql::Statement> statement(raw().createStatement());
    statement->execute(sql);
    const auto written = statement->getUpdateCount();
    return written == UINT64_MAX ? 0 : written;
  });
}

TextRows SinkConnection::ask(const std::string& sql, const std::vector<std::string>& params) {
  return guarded([&] {
    if (params.empty()) {
      const std::unique_ptr<sql::Statement> statement(raw().createStatement());
      const std::unique_ptr<sql::ResultSet> rows(statement->executeQuery(sql));
      return textRows(*rows);
    }
    const std::unique_ptr<sql::PreparedStatement> statement(raw().prepareStatement(sql));
    for (std::size_t i = 0; i < params.size(); ++i) statement->setString(static_cast<unsigned>(i + 1), params[i]);
    const std::unique_ptr<sql::ResultSet> rows(statement->executeQuery());
    return textRows(*rows);
  });
}

std::uint64_t SinkConnection::write(const std::string& sql, const std::vector<Value>& params) {
  const auto statement = prepare(sql);
  for (std::size_t i = 0; i < params.size(); ++i) bindParameter(*statement, static_cast<unsigned>(i + 1), params[i]);
  return execute(*statement);
}

std::unique_ptr<sql::PreparedStatement> SinkConnection::prepare(const std::string& sql) {
  return guarded([&] { return std::unique_ptr<sql::PreparedStatement>(raw().prepareStatement(sql)); });
}

std::uint64_t SinkConnection::execute(sql::PreparedStatement& statement) {
  dirty_ = inTransaction_;
  return guarded([&] { return static_cast<std::uint64_t>(statement.executeUpdate()); });
}

void SinkConnection::begin() {
  if (inTransaction_) return;
  run("START TRANSACTION");
  inTransaction_ = true;
}

void SinkConnection::define(const std::string& sql) {
  if (dirty_) {
    // Rows of this unit are sent already. They are taken back, and come again when the table is ready for them.
    rollback();
    run(sql);
    throw Error(ErrorCode::queryFailed, Retry::later,
                "a table was altered, which these servers commit at once: the unit of work begins again");
  }
  if (inTransaction_) run("ROLLBACK");
  const bool again = std::exchange(inTransaction_, false);
  run(sql);
  if (again) begin();
}

void SinkConnection::commit() {
  inTransaction_ = dirty_ = false;
  try {
    run("COMMIT");
  } catch (const Error& e) {
    const bool lost = e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::queryCancelled;
    if (!lost) throw;
    throw Error(e.code(), Retry::outcomeUnknown, fmt::format("the connection was lost during COMMIT: {}", e.message()));
  }
}

void SinkConnection::rollback() noexcept {
  if (!inTransaction_) return;
  inTransaction_ = dirty_ = false;
  try {
    if (session_) run("ROLLBACK");
  } catch (...) {
    close();  // the server then rolls back
  }
}

void SinkConnection::limit(std::chrono::milliseconds timeout) {
  run(mariaDb_ ? fmt::format("SET SESSION max_statement_time = {:.3f}", static_cast<double>(timeout.count()) / 1000)
               : fmt::format("SET SESSION max_execution_time = {}", timeout.count()));
}

std::string SinkConnection::account() { return ask("SELECT CURRENT_USER()")[0][0].value_or(""); }

sql::Connection& SinkConnection::raw() const {
  if (!session_ || !session_->connection()) {
    throw Error(ErrorCode::connectionFailed, Retry::later, "the MySQL sink is not open: call open() first");
  }
  return *session_->connection();
}

}  // namespace tidegate::mysql::detail
