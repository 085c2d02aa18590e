#include "tidegate/core/error.h"
#include "tidegate/postgres/query_fn.h"

using namespace tidegate;

int main() {
  QueryFn query = postgres::queryFn({.host = "/nonexistent"});
  try {
    query({.sql = "SELECT 1"});
  } catch (const Error& e) {
    return e.code() == ErrorCode::connectionFailed ? 0 : 1;
  }
  return 1;
}
