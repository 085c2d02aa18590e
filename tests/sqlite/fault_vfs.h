/// SQLite's default VFS with failures at chosen moments: a full disk, a failing fsync.
#pragma once

#include <sqlite3.h>

#include <string>

namespace tidegate::testing {

/// While it lives, every file that SQLite opens passes through it. Only one at a time; one thread.
class FaultVfs {
 public:
  FaultVfs();
  /// Every file opened through it must be closed by now.
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  /// The `nth` write or sync from now on (1 = the next) fails with the code, and so do `times - 1` after it.
  void failWrites(int nth, int code = SQLITE_FULL, int times = 1);
  void failSyncs(int nth, int code = SQLITE_IOERR_FSYNC, int times = 1);
  void heal();
  /// Failures given so far.
  int failures() const;

 private:
  sqlite3_vfs vfs_{};
  sqlite3_vfs* before_;
};

}  // namespace tidegate::testing
