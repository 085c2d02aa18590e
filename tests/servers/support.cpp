#include "servers/support.h"

#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace tidegate::servers {

std::string environment(const char* name) {
  if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  throw std::runtime_error(std::string(name) +
                           " is not set: run this test as `tests/servers/with_servers.sh <command>`");
}

Rows readAll(const QueryFn& query, const Query& what) {
  ResultSet result = query(what);
  Rows rows;
  std::vector<Value> row;
  while (result.next(row)) rows.push_back(row);
  return rows;
}

void execute(const QueryFn& query, const std::vector<std::string>& statements) {
  for (const std::string& sql : statements) readAll(query, sql);
}

Error errorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  throw std::runtime_error("expected a tidegate::Error, but nothing was thrown");
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

bool isMariaDb() {
  const char* const server = std::getenv("TIDEGATE_MYSQL_SERVER");
  return server == nullptr || std::string_view(server) != "mysql";
}

std::string numbersTo(std::size_t last) {
  const std::string end = std::to_string(last);
  if (isMariaDb()) return "seq_1_to_" + end;
  return "(WITH RECURSIVE numbers (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < " + end +
         ") SELECT seq FROM numbers) AS numbers";
}

void control(std::string_view server, std::string_view action) {
  const char* script = server == "postgres"  ? "TIDEGATE_POSTGRES_CTL"
                       : server == "replica" ? "TIDEGATE_REPLICA_CTL"
                                             : "TIDEGATE_MYSQL_CTL";
  const std::string command = environment(script) + " " + std::string(action);
  if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
}

}  // namespace tidegate::servers
