#include "tidegate/core/error.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/mysql/source.h"

using namespace tidegate;

int main() {
  QueryFn query = mysql::queryFn({.host = "127.0.0.1", .port = 1});
  const auto source = mysql::source({.connect = {.host = "127.0.0.1", .port = 1}});
  int failures = 0;
  try {
    query({.sql = "SELECT 1"});
  } catch (const Error& e) {
    failures += e.code() == ErrorCode::connectionFailed;
  }
  try {
    source->validateTables({});
  } catch (const Error& e) {
    failures += e.code() == ErrorCode::connectionFailed;
  }
  return failures == 2 ? 0 : 1;
}
