/// One owner for one file, without keeping readers out.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace tidegate::sqlite::detail {

/// An advisory lock of the kernel's on a file beside the database (`<path>-owner`), held until destruction; it ends
/// with the process however that ends. SQLite's own exclusive mode would also keep out backups and the `sqlite3` shell,
/// and a lock on the database file itself would be dropped with SQLite's own whenever a descriptor of it is closed.
class OwnerLock {
 public:
  /// @param what for messages, e.g. "gateway store".
  /// @throws Error{storeUnavailable}: Retry::later, naming the owner's process, if it is held past `timeout`.
  OwnerLock(std::string_view what, const std::string& path, std::chrono::milliseconds timeout);
  ~OwnerLock();
  OwnerLock(const OwnerLock&) = delete;
  OwnerLock& operator=(const OwnerLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace tidegate::sqlite::detail
