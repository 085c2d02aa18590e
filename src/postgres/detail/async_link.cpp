#include "postgres/detail/async_link.h"

#include <fmt/format.h>
#include <poll.h>

#include "postgres/detail/errors.h"

namespace tidegate::postgres::detail {
namespace {

using Steady = std::chrono::steady_clock;

/// For the startup packet's "options": a blank or a backslash in a value is escaped.
std::string startupSetting(std::string_view name, std::string_view value) {
  std::string out = fmt::format(" -c {}=", name);
  for (const char c : value) {
    if (c == ' ' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// The settings that Session makes, in the startup packet: no question and answer for each. If our process stands still
/// within a transaction, the server ends it: its lock would hold up whoever alters the table, and all behind them.
Keywords startupKeywords(const ConnectOptions& options) {
  Keywords keywords = keywordsOf(options);
  std::string& settings = keywords["options"];
  for (const auto& [name, value] : {std::pair{"TimeZone", "UTC"},
                                    {"DateStyle", "ISO"},
                                    {"IntervalStyle", "iso_8601"},
                                    {"bytea_output", "hex"},
                                    {"extra_float_digits", "3"},
                                    {"idle_in_transaction_session_timeout", "10s"}}) {
    settings += startupSetting(name, value);
  }
  settings += startupSetting("statement_timeout", std::to_string(options.statementTimeout.count()));
  for (const auto& [name, value] : options.settings) settings += startupSetting(name, value);
  return keywords;
}

void dropNotice(void*, const PGresult*) {}

}  // namespace

AsyncLink::AsyncLink(const ConnectOptions& options)
    : keywords_(startupKeywords(options)), connectTimeout_(options.connectTimeout) {}

void AsyncLink::open() {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : keywords_) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  results_.clear();
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  if (!connection_) throw std::bad_alloc();
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(connection_.get(), dropNotice, nullptr);
  deadline_ = Steady::now() + connectTimeout_;
  wanted_ = PGRES_POLLING_WRITING;
  state_ = State::connecting;
}

void AsyncLink::close() noexcept {
  message_.reset();
  results_.clear();
  connection_.reset();
  state_ = State::closed;
}

void AsyncLink::fail(const PGresult* result) {
  const Error error = state_ == State::connecting
                          ? fromConnectFailure(PQerrorMessage(connection_.get()), whereOf(keywords_))
                          : failureOf(result, connection_.get());
  close();
  throw error;
}

void AsyncLink::send(const std::string& sql) {
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) fail(nullptr);
  state_ = State::busy;
}

void AsyncLink::step() {
  if (state_ == State::connecting) stepConnecting();
  if (state_ == State::busy || state_ == State::copying) stepRunning();
}

void AsyncLink::stepConnecting() {
  if (PQstatus(connection_.get()) == CONNECTION_BAD) fail(nullptr);
  for (;;) {
    const short events = wanted_ == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    pollfd watched{PQsocket(connection_.get()), events, 0};
    if (poll(&watched, 1, 0) == 0) break;
    wanted_ = PQconnectPoll(connection_.get());
    if (wanted_ == PGRES_POLLING_FAILED) fail(nullptr);
    if (wanted_ != PGRES_POLLING_OK) continue;
    const char* encoding = PQparameterStatus(connection_.get(), "server_encoding");
    trustedEncoding_ = encoding == nullptr || std::string_view(encoding) != "SQL_ASCII";
    // Else the server refuses to send what is not UTF-8. One short question, for such databases alone.
    if (!trustedEncoding_ && PQsetClientEncoding(connection_.get(), "SQL_ASCII") != 0) fail(nullptr);
    state_ = State::ready;
    return;
  }
  if (Steady::now() < deadline_) return;
  close();
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("cannot connect to {}: no answer within {} ms (connectTimeout)", whereOf(keywords_),
                          connectTimeout_.count()));
}

void AsyncLink::stepRunning() {
  if (PQconsumeInput(connection_.get()) != 1) fail(nullptr);
  while (state_ == State::busy && PQisBusy(connection_.get()) == 0) {
    OwnedResult result(PQgetResult(connection_.get()), PQclear);
    if (!result) {
      state_ = State::done;
      return;
    }
    switch (PQresultStatus(result.get())) {
      case PGRES_COPY_OUT:
        state_ = State::copying;
        break;
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        results_.push_back(std::move(result));
        break;
      default:
        fail(result.get());
    }
  }
}

std::optional<std::string_view> AsyncLink::nextMessage() {
  char* octets = nullptr;
  const int size = PQgetCopyData(connection_.get(), &octets, 1);
  if (size == -2) fail(nullptr);
  message_.reset(octets);
  if (size > 0) return std::string_view(octets, static_cast<std::size_t>(size));
  if (size == -1) {
    state_ = State::busy;
    stepRunning();
  }
  return std::nullopt;
}

std::vector<OwnedResult> AsyncLink::takeResults() {
  state_ = State::ready;
  return std::exchange(results_, {});
}

}  // namespace tidegate::postgres::detail
