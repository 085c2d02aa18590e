/// What the parts of a Postgres source share: options, state, connections, and what is known of its slot.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "postgres/detail/feedback.h"
#include "postgres/detail/pgoutput_relations.h"
#include "postgres/detail/replication_connection.h"
#include "postgres/detail/session.h"
#include "postgres/detail/slot.h"
#include "postgres/detail/stream_interleave.h"
#include "postgres/detail/wake_up.h"
#include "tidegate/postgres/source.h"
#include "tidegate/source/source_state.h"

namespace tidegate::postgres::detail {

/// @throws Error{invalidConfig} naming the option.
void checkOptions(const SourceOptions& options);

/// A slot's name that no other process uses.
std::string ephemeralName(const std::string& slot);

struct SourceCore {
  explicit SourceCore(SourceOptions given);

  /// Runs statements on the side connection, which is made if need be. A stop ends them.
  /// @throws Error; a connection that broke is made anew next time.
  template <class Work>
  auto ask(const std::stop_token& stop, Work&& work) {
    try {
      session.prepare(std::chrono::milliseconds(0), stop);
      const StopGuard guard(stop, session.socket());
      return work(session.connection().raw());
    } catch (...) {
      session.dropIfBroken();
      throw askFailure(stop);
    }
  }
  /// Goes to CONNECTED, from wherever that makes sense.
  void connected(const std::string& reason);
  void warn(const std::string& message) const;
  /// Notes tables that were asked for.
  void remember(const std::vector<std::string>& tables);
  /// As far as it was forgotten or lost: the next baseline makes a slot anew.
  Error positionLost(const Error& why);

  SourceOptions options;
  std::string slot;  ///< in ephemeral mode a name of this object's own
  SourceContext context{};
  const Clock* clock;
  Scheduler* scheduler;
  SourceStateMachine state{};
  Feedback feedback{};
  WakeUp wake{};
  std::atomic<bool> paused{false};

  Session session;  ///< the side connection: catalogue, publication, slots
  std::unique_ptr<ReplicationConnection> replication{};
  std::unique_ptr<StreamInterleave> interleave{};
  ToldTables known{};             ///< what readers were told of tables' shapes
  std::set<std::string> asked{};  ///< every table this process was asked for
  bool renewSlot = false;         ///< the slot there is cannot be streamed from any more
  Lsn slotBegin = 0;              ///< of a slot made by this process

  std::atomic<Lsn> confirmedBefore{0};  ///< what the slot had confirmed when we came; 0: unknown
  std::atomic<Lsn> logEnd{0};           ///< of the server, when last asked; 0: never
  std::atomic<std::uint64_t> retained{0};
  std::atomic<bool> retainedKnown{false};

 private:
  /// What is being handled, as an Error.
  Error askFailure(const std::stop_token& stop) const;
};

}  // namespace tidegate::postgres::detail
