#include "tidegate/core/error.h"
#include "tidegate/mysql/query_fn.h"

using namespace tidegate;

int main() {
  QueryFn query = mysql::queryFn({.host = "127.0.0.1", .port = 1});
  try {
    query({.sql = "SELECT 1"});
  } catch (const Error& e) {
    return e.code() == ErrorCode::connectionFailed ? 0 : 1;
  }
  return 1;
}
