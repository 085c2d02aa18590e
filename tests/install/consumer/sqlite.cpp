#include "tidegate/sqlite/job_driver.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/source.h"

using namespace tidegate;

int main() {
  QueryFn query = sqlite::queryFn({.path = ":memory:"});
  ResultSet result = query({.sql = "SELECT ? + 1", .params = {Value(41)}});
  std::vector<Value> row;
  const bool asked = result.next(row) && row.at(0) == Value(42) && sqlite::jobDriver().connect;
  return asked && sqlite::source({.path = "shop.db"})->supportsResume() ? 0 : 1;
}
