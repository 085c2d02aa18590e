/// Where changes go that a sink refuses again and again, so that they are neither lost nor in the way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/core/position.h"

namespace tidegate {

/// One change that could not be applied.
struct DeadLetter {
  std::uint64_t id = 0;  ///< given by the store, ascending
  std::string pipeline{};
  std::string table{};            ///< the source's name
  std::string key{};              ///< the row's key, for people
  std::string positionText{};     ///< `SyncSource::positionToText`
  std::string event{};            ///< the change in JSON, before filter and transforms: enough to replay it
  std::string error{};            ///< redacted
  std::int64_t failedMicros = 0;  ///< Unix microseconds
  std::uint32_t attempts = 0;
};

/// A durable list of them.
/// @thread Any.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  /// Durable when it returns; `letter.id` is not looked at. The same (pipeline, positionText) twice is once: the first
  /// stays.
  /// @throws Error{storeUnavailable}; the engine then does not go past the change.
  virtual void add(const DeadLetter& letter) = 0;
  /// Up to `limit` letters of a pipeline with ids greater than `afterId`, oldest first. Empty pipeline: of all.
  virtual std::vector<DeadLetter> read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const = 0;
  virtual std::uint64_t count(std::string_view pipeline) const = 0;
  /// @return whether it was there.
  virtual bool remove(std::uint64_t id) = 0;
  /// Removes all of a pipeline (empty: all). @return how many.
  virtual std::uint64_t purge(std::string_view pipeline) = 0;
};

/// Forgets everything with the process. `sqlite::deadLetters` keeps it.
std::shared_ptr<DeadLetters> memoryDeadLetters();

}  // namespace tidegate
