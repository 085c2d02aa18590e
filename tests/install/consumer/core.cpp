#include "tidegate/source/source_poller.h"

using namespace tidegate;

int main() {
  Gateway gateway;
  QueryFn query{Dialect::sqlite, [](const Query&) {
                  return ResultSet::fromRows(makeColumns({"id", "name"}), {{Value(1), Value("Ada")}});
                }};
  SourcePoller poller({.name = "memory", .query = query, .tables = {{.table = "users", .query = "SELECT 1"}}}, gateway);
  return poller.pollOnce().ok() && gateway.row("users", "1") ? 0 : 1;
}
