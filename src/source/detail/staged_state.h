/// Keeps a poller's saved states back until what they stand for is acknowledged, each with the place it belongs to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "source/detail/polling_place.h"
#include "tidegate/core/state_store.h"

namespace tidegate::detail {

/// What the pollers are given as their store.
/// @thread One at a time.
class StagedState final : public StateStore {
 public:
  /// @param prefix of its keys in the real store, so that it never meets the state of a SourcePoller.
  StagedState(std::shared_ptr<StateStore> store, std::string prefix)
      : store_(std::move(store)), prefix_(std::move(prefix)) {}

  std::optional<std::string> get(std::string_view key) override;
  /// Stays in memory, as of the place last given to `at`.
  void put(std::string_view key, std::string_view octets) override;
  void remove(std::string_view key) override;

  /// Everything up to here was delivered: the place of states put from now on.
  void at(PollingPlace place) { now_ = place; }
  /// Writes the newest states that are covered by `acked`. @throws Error{storeUnavailable}
  void flush(PollingPlace acked);
  /// Goes back to the states that belonged to `from`: the newest not after it, or else the oldest there is. Where
  /// something was delivered that such a state does not know of, `weaken` makes of it one that knows less.
  using Weaken = std::function<std::string(std::string_view key, std::string_view octets)>;
  void rewind(PollingPlace from, const std::function<bool(std::string_view key, PollingPlace since)>& deliveredSince,
              const Weaken& weaken);
  StateStore& store() const noexcept { return *store_; }
  std::string realKey(std::string_view key) const { return prefix_ + std::string(key); }

 private:
  struct Entry {
    PollingPlace place;
    std::string octets;
  };
  using Entries = std::deque<Entry>;
  static constexpr std::size_t kMostEntries = 16;

  Entries& entriesOf(std::string_view key);

  std::shared_ptr<StateStore> store_;
  std::string prefix_;
  PollingPlace now_;
  /// By key, in the order of their places; the first may be what the real store holds.
  std::map<std::string, Entries, std::less<>> entries_;
};

}  // namespace tidegate::detail
