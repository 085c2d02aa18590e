/// A SQLite file that Tidegate owns: how it is opened, recognised, and written in transactions.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sqlite/detail/owner_lock.h"
#include "tidegate/core/error.h"

namespace tidegate::sqlite::detail {

/// What a file of ours is for. The application id stands in its header.
struct StoreFormat {
  std::string_view what;  ///< for messages
  std::int32_t applicationId;
  int version;
  const char* schema;  ///< makes the tables of a new file
};

struct StoreFileOptions {
  std::string path;
  bool oneOwner = false;    ///< no second StoreFile may have it open
  bool syncCommits = true;  ///< synchronous = FULL, else NORMAL
  std::chrono::milliseconds lockTimeout{10'000};
  int pageSize = 4'096;  ///< of a new file
};

/// Checksum of octets kept in a store, bound to the name they are kept under.
std::int64_t storeChecksum(std::string_view name, std::string_view octets) noexcept;

/// An open file in WAL mode, its schema in place. Not shared between threads.
class StoreFile {
 public:
  /// @throws Error{storeUnavailable, storeCorrupt, invalidConfig}
  StoreFile(const StoreFormat& format, StoreFileOptions options);

  SQLite::Database& database() noexcept { return *database_; }
  sqlite3* handle() const noexcept { return database_->getHandle(); }
  const std::string& path() const noexcept { return options_.path; }

  /// Runs `work`, giving SQLite's failures as ours.
  template <class Work>
  auto run(Work&& work) {
    try {
      return work();
    } catch (const SQLite::Exception& e) {
      throw error(e);
    }
  }

  /// Runs `work` in one transaction: all of it, or none and an error. Once an outcome could not be known, refuses.
  template <class Work>
  void write(Work&& work) {
    begin();
    try {
      run(work);
    } catch (...) {
      rollback();
      throw;
    }
    commit();
  }

  void begin();
  /// @throws Error with Retry::outcomeUnknown where only opening the file again can tell; else nothing was changed.
  void commit();
  /// Ends whatever transaction there is.
  void rollback() noexcept;
  Error error(const SQLite::Exception& e) const;

 private:
  void open();
  void recognise();
  void configure();
  std::int64_t pragma(const std::string& name);

  const StoreFormat format_;
  const StoreFileOptions options_;
  std::optional<OwnerLock> owner_;  ///< outlives the connection
  std::unique_ptr<SQLite::Database> database_;
  bool inDoubt_ = false;
};

}  // namespace tidegate::sqlite::detail
