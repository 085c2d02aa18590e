/// Where pollers and sources keep what they must remember: cursors, look-back fingerprints, positions.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

/// A small durable map from key to octets. What `put` returned from is there after a crash.
/// @thread Any.
class StateStore {
 public:
  virtual ~StateStore() = default;
  /// @throws Error{storeUnavailable, storeCorrupt}
  virtual std::optional<std::string> get(std::string_view key) = 0;
  /// Replaces or makes the entry; all or nothing. @throws Error{storeUnavailable}; then the old value stands.
  virtual void put(std::string_view key, std::string_view octets) = 0;
  /// No error if there is none.
  virtual void remove(std::string_view key) = 0;
  /// Writes if the entry still holds `expected` (nullopt: if there is none), in one step for all who share the store.
  /// For what several processes decide together, such as leases. A store need not have it: the default refuses.
  /// @return whether it was written.
  /// @throws Error{storeUnavailable}; with Retry::outcomeUnknown only reading the entry tells.
  ///         Error{invalidConfig} where the store cannot.
  virtual bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets);
};

/// Forgets everything with the process: for tests, and for hosts that accept a full re-read after a restart.
class MemoryStateStore final : public StateStore {
 public:
  std::optional<std::string> get(std::string_view key) override;
  void put(std::string_view key, std::string_view octets) override;
  void remove(std::string_view key) override;
  bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) override;

 private:
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> entries_;  ///< guarded by mutex_
};

}  // namespace tidegate
