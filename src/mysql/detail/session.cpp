#include "mysql/detail/session.h"

#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <fmt/format.h>

#include "mysql/detail/errors.h"

namespace tidegate::mysql::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long a server may stay silent after a statement's own timeout has passed.
constexpr milliseconds kSilence{10'000};
constexpr milliseconds kKillTimeout{2'000};
/// A connection idle for longer is asked whether it lives before it is used.
constexpr milliseconds kIdle{1'000};

/// A fixed mode, so that quoting and comparing do not depend on the server's configuration.
constexpr const char* kSqlMode = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

int wholeSeconds(milliseconds time) { return static_cast<int>(std::chrono::ceil<seconds>(time).count()); }

sql::Driver& driver() {
  static sql::Driver* const instance = get_driver_instance();  // itself not safe for two threads at once
  return *instance;
}

/// @param readTimeout 0: none.
std::unique_ptr<sql::Connection> open(const ConnectOptions& options, milliseconds connectTimeout,
                                      milliseconds readTimeout) {
  sql::ConnectOptionsMap map;
  const bool bare = options.host.find(':') == std::string::npos;
  map["hostName"] = sql::SQLString(!options.unixSocket.empty() ? "unix://" + options.unixSocket
                                   : bare                      ? fmt::format("tcp://{}:{}", options.host, options.port)
                                          : fmt::format("tcp://[{}]:{}", options.host, options.port));
  map["userName"] = sql::SQLString(options.user);
  map["password"] = sql::SQLString(options.password);
  map["schema"] = sql::SQLString(options.database);
  map["OPT_CONNECT_TIMEOUT"] = wholeSeconds(connectTimeout);
  map["OPT_LOCAL_INFILE"] = 0;  // a hostile server could ask for any file of this machine
  map["OPT_RECONNECT"] = false;
  if (readTimeout.count() > 0) {
    map["OPT_READ_TIMEOUT"] = wholeSeconds(readTimeout);
    map["OPT_WRITE_TIMEOUT"] = wholeSeconds(readTimeout);
  }
  if (*options.tls != TlsMode::off) {
    map["sslEnforce"] = true;
    map["sslVerify"] = *options.tls == TlsMode::verifyFull;
    if (!options.caFile.empty()) map["sslCA"] = sql::SQLString(options.caFile);
    if (!options.certFile.empty()) map["sslCert"] = sql::SQLString(options.certFile);
    if (!options.keyFile.empty()) map["sslKey"] = sql::SQLString(options.keyFile);
  }
  return std::unique_ptr<sql::Connection>(driver().connect(map));
}

void killConnection(const ConnectOptions& options, std::uint64_t id) noexcept {
  try {
    const auto second = open(options, kKillTimeout, kKillTimeout);
    const std::unique_ptr<sql::Statement> statement(second->createStatement());
    statement->execute(fmt::format("KILL {}", id));
  } catch (...) {
    // It has ended already, or the server takes no connection: then the read timeout ends the wait.
  }
}

}  // namespace

Session::Session(ConnectOptions options) : options_(resolve(std::move(options))) {}

std::function<void()> Session::killer() const {
  return [options = options_, id = id_] { killConnection(options, id); };
}

void Session::prepare(milliseconds timeout, const std::stop_token& stop) {
  if (stop.stop_requested())
    throw Error(ErrorCode::queryCancelled, Retry::later, "the query was stopped before it began");
  if (timeout.count() == 0) timeout = options_.statementTimeout;
  const milliseconds patience = timeout.count() == 0 ? milliseconds{0} : timeout + kSilence;
  const bool impatient = readTimeout_.count() != 0 && (patience.count() == 0 || patience > readTimeout_);
  if (connection_ && (impatient || !idleAndAlive())) drop();
  if (!connection_) {
    readTimeout_ = patience;
    connect();
  }
  if (timeout != timeoutSet_) setTimeout(timeout);
  lastUsed_ = std::chrono::steady_clock::now();
}

void Session::connect() {
  try {
    connection_ = open(options_, options_.connectTimeout, readTimeout_);
    configure();
  } catch (...) {
    const Error error = fromCurrentException(fmt::format("cannot connect to {}", whereOf(options_)));
    drop();
    throw error;
  }
}

void Session::configure() {
  if (*options_.tls != TlsMode::off && ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'", 2).empty()) {
    throw Error(ErrorCode::connectionFailed, Retry::afterOperator,
                fmt::format("{} does not speak TLS: enable it there, or set tls = TlsMode::off", whereOf(options_)));
  }
  id_ = std::stoull(ask("SELECT CONNECTION_ID()", 1));
  mariaDb_ = ask("SELECT VERSION()", 1).find("MariaDB") != std::string::npos;
  run(fmt::format("SET SESSION time_zone = '+00:00', sql_mode = '{}'", kSqlMode));
  if (options_.readOnly) run("SET SESSION TRANSACTION READ ONLY");
  for (const std::string& statement : options_.sessionSql) run(statement);
  timeoutSet_ = milliseconds{-1};
  preparedSql.clear();
}

void Session::setTimeout(milliseconds timeout) {
  run(mariaDb_ ? fmt::format("SET SESSION max_statement_time = {:.3f}", static_cast<double>(timeout.count()) / 1000)
               : fmt::format("SET SESSION max_execution_time = {}", timeout.count()));
  timeoutSet_ = timeout;
}

bool Session::idleAndAlive() noexcept {
  try {
    return std::chrono::steady_clock::now() - lastUsed_ < kIdle || connection_->isValid();
  } catch (...) {
    return false;
  }
}

void Session::run(const std::string& statement) {
  const std::unique_ptr<sql::Statement> made(connection_->createStatement());
  made->execute(statement);
}

std::string Session::ask(const std::string& statement, std::uint32_t column) {
  const std::unique_ptr<sql::Statement> made(connection_->createStatement());
  const std::unique_ptr<sql::ResultSet> rows(made->executeQuery(statement));
  return rows->next() ? rows->getString(column).asStdString() : std::string();
}

void Session::drop() noexcept {
  connection_.reset();
  preparedSql.clear();
}

}  // namespace tidegate::mysql::detail
