/// Polls all tables of a source once: each on its own, so that one that fails leaves the others' work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "source/detail/poll_context.h"

namespace tidegate::detail {

/// @thread One poll at a time.
class PollRunner {
 public:
  struct Options {
    IngestSourceConfig config;  ///< validated
    HlcClock& stamps;
    PushFunction push;
    const Clock& clock;
    std::shared_ptr<StateStore> state;
    std::shared_ptr<SnapshotStore> snapshots;
    std::shared_ptr<PollObserver> observer;  ///< null: spdlog
    SeenRows images{};
    std::function<void()> before{};  ///< called before each table; what it throws fails that table's poll
  };
  explicit PollRunner(Options options);
  PollRunner(const PollRunner&) = delete;
  PollRunner& operator=(const PollRunner&) = delete;

  /// @param silenced once true no callback is made.
  /// @throws PollAbandoned
  PollReport poll(const PollRun::Control& control, const std::atomic<bool>& silenced);
  /// How long to wait after the last poll: the interval, or with jitter a time that doubles with each poll in a row in
  /// which no table succeeded.
  std::chrono::milliseconds delay(std::mt19937_64& jitter) const;
  const IngestSourceConfig& config() const noexcept { return options_.config; }

 private:
  TableReport pollTable(std::size_t table, PollRun& run);
  void count(PollReport& report);
  void log(const PollReport& report) const;
  template <class Call>
  void tell(Call&& call) const;

  Options options_;
  PollContext context_;
  std::vector<std::unique_ptr<TablePoller>> pollers_;
  const std::atomic<bool>* silenced_ = nullptr;
  std::uint32_t failures_ = 0;  ///< polls in a row with an error
  std::uint32_t outages_ = 0;   ///< polls in a row in which no table succeeded
};

}  // namespace tidegate::detail
