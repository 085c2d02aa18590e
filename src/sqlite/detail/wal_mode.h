/// How a database of ours comes into WAL mode, also when several open a new one at once.
#pragma once

#include <sqlite3.h>

#include <chrono>

namespace tidegate::sqlite::detail {

/// Puts the file into WAL mode, waiting for others that use it: SQLite itself waits for nobody when the mode changes.
/// @param wal whether it is in WAL mode now; some file systems do not do it.
/// @return SQLite's code; SQLITE_BUSY once `patience` is over.
int enterWal(sqlite3* database, std::chrono::milliseconds patience, bool& wal);

}  // namespace tidegate::sqlite::detail
