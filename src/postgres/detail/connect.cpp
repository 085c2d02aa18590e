#include "postgres/detail/connect.h"

#include <fmt/format.h>
#include <poll.h>

#include <vector>

#include "postgres/detail/errors.h"

namespace tidegate::postgres::detail {
namespace {

using Steady = std::chrono::steady_clock;

/// How often a wait for the server looks at the stop token while connecting.
constexpr std::chrono::milliseconds kStopCheck{50};

void ignoreNotice(void*, const PGresult*) {}

OwnedConnection startConnection(const Keywords& keywords) {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  OwnedConnection connection(PQconnectStartParams(names.data(), values.data(), 0), PQfinish);
  if (!connection) throw std::bad_alloc();
  PQsetNoticeReceiver(connection.get(), ignoreNotice, nullptr);
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);  // prints the SQLSTATE, of a refused login too
  return connection;
}

}  // namespace

Error cancelledWhileConnecting(const Keywords& keywords) {
  return Error(ErrorCode::queryCancelled, Retry::later,
               fmt::format("stopped while connecting to {}", whereOf(keywords)));
}

OwnedConnection connectTo(const Keywords& keywords, std::chrono::milliseconds timeout, const std::stop_token& stop) {
  const std::string where = whereOf(keywords);
  const auto deadline = Steady::now() + timeout;
  OwnedConnection connection = startConnection(keywords);
  auto state = PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    if (stop.stop_requested()) throw cancelledWhileConnecting(keywords);
    if (Steady::now() >= deadline) {
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  fmt::format("cannot connect to {}: no answer within {} ms (connectTimeout)", where, timeout.count()));
    }
    const short wanted = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    pollfd watched{PQsocket(connection.get()), wanted, 0};
    if (poll(&watched, 1, static_cast<int>(kStopCheck.count())) == 0) continue;
    state = PQconnectPoll(connection.get());
  }
  if (state != PGRES_POLLING_OK) throw fromConnectFailure(PQerrorMessage(connection.get()), where);
  return connection;
}

}  // namespace tidegate::postgres::detail
