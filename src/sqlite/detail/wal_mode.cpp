#include "sqlite/detail/wal_mode.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace tidegate::sqlite::detail {

int enterWal(sqlite3* database, std::chrono::milliseconds patience, bool& wal) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto isWal = [](void* out, int, char** values, char**) {
    *static_cast<bool*>(out) = values[0] != nullptr && std::strcmp(values[0], "wal") == 0;
    return 0;
  };
  for (std::chrono::milliseconds pause(1);; pause = std::min(2 * pause, std::chrono::milliseconds(20))) {
    wal = false;
    const int code = sqlite3_exec(database, "PRAGMA journal_mode = WAL", isWal, &wal, nullptr);
    if ((code & 0xFF) != SQLITE_BUSY || std::chrono::steady_clock::now() >= deadline) return code;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace tidegate::sqlite::detail
