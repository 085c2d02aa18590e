/// What the tests of the MySQL source share: the test server by query, and options that reach it.
#pragma once

#include <string>

#include "servers/support.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/mysql/source.h"

namespace tidegate::mysql {

inline ConnectOptions testConnect() { return {.url = servers::environment("TIDEGATE_MYSQL_URL"), .readOnly = false}; }

/// Quick about everything that tests wait for.
inline SourceOptions quickOptions() {
  return {
      .connect = testConnect(),
      .heartbeatInterval = std::chrono::milliseconds(100),
      .monitorInterval = std::chrono::milliseconds(20),
      .backoff = {
          .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(20), .maxRetries = 1'000}};
}

}  // namespace tidegate::mysql
