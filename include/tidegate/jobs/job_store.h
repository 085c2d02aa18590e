/// Where jobs and the history of their runs are kept: `sqlite::jobStore`, or memory for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

/// A job as the store keeps it: the text is ours alone, and holds secrets only encrypted.
struct StoredJob {
  std::string name{};
  std::uint64_t version = 0;  ///< another one after each `put`, never used twice in a store
  std::string record{};
};

struct StoredRun {
  std::uint64_t id = 0;
  std::string record{};
};

/// Several processes may share a store: `put` and `remove` succeed only where nobody else wrote in between.
/// @thread Any.
class JobStore {
 public:
  virtual ~JobStore() = default;
  /// By name. @throws Error{storeUnavailable, storeCorrupt}, as all that follow.
  virtual std::vector<StoredJob> list() = 0;
  virtual std::optional<StoredJob> get(std::string_view name) = 0;
  /// Writes the job, and with it a run of it (made or replaced by its id), all or nothing. Durable when it returns.
  /// @param expected the version last seen; 0: there must be none. @param keepRuns the newest that are kept.
  /// @return the new version; nullopt if another one is there now: then nothing was written.
  virtual std::optional<std::uint64_t> put(std::string_view name, std::uint64_t expected, std::string_view record,
                                           const StoredRun* run, std::size_t keepRuns) = 0;
  /// Removes the job and its runs. @return whether that version was there.
  virtual bool remove(std::string_view name, std::uint64_t expected) = 0;
  /// Newest first, those with an id under `before` (0: all).
  virtual std::vector<StoredRun> runs(std::string_view name, std::uint64_t before, std::size_t limit) = 0;
};

/// Forgets everything with the process.
class MemoryJobStore final : public JobStore {
 public:
  std::vector<StoredJob> list() override;
  std::optional<StoredJob> get(std::string_view name) override;
  std::optional<std::uint64_t> put(std::string_view name, std::uint64_t expected, std::string_view record,
                                   const StoredRun* run, std::size_t keepRuns) override;
  bool remove(std::string_view name, std::uint64_t expected) override;
  std::vector<StoredRun> runs(std::string_view name, std::uint64_t before, std::size_t limit) override;

 private:
  struct Entry {
    StoredJob job;
    std::map<std::uint64_t, std::string> runs;
  };
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  ///< guarded by mutex_
  std::uint64_t lastVersion_ = 0;                      ///< guarded by mutex_
};

}  // namespace tidegate
