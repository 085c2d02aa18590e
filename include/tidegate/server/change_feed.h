/// The last changes and events of engines and jobs, live: what a status page shows as it happens.
///
///     auto feed = std::make_shared<ChangeFeed>();
///     Engine engine({.sources = {…}, .pipelines = {{.sink = feed->watched(sqlite::sink({…}))}},
///                    .observer = observers({logObserver(), feed->engineObserver("shop")})});
///     addChangeFeed(api, feed);   // GET /admin/changes, server-sent events
///
/// Everything is bounded: so many entries are kept, so many clients listen, and however fast the changes, a client is
/// sent no more than what is kept, four times a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/engine/observer.h"
#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/server/api.h"
#include "tidegate/sink/sink.h"

namespace tidegate::server {

/// A change of a row that was committed, or an event: a run, a state, a warning.
struct FeedEntry {
  std::uint64_t id = 0;     ///< ascending over both kinds
  std::int64_t micros = 0;  ///< Unix microseconds
  bool isChange = false;    ///< a row's; else an event
  std::string where{};      ///< the pipeline, job, source or engine
  std::string what{};       ///< of a change its op: insert, update, erase, read, truncate; of an event its kind
  std::string table{};      ///< of a change
  std::string key{};        ///< of a change: the row's key, for people
  std::string text{};       ///< of an event, redacted
};

struct ChangeFeedOptions {
  std::size_t keep = 100;        ///< entries of each kind; 1..10,000
  std::size_t listeners = 32;    ///< at the same time; over it: 503
  const Clock* clock = nullptr;  ///< null: the system's
};

/// @thread Any.
class ChangeFeed {
 public:
  /// @throws Error{invalidConfig}
  explicit ChangeFeed(ChangeFeedOptions options = {});
  ~ChangeFeed();

  /// An event of the host's own. Its text passes through `redactSecrets`.
  void note(std::string_view where, std::string_view what, std::string_view text);
  /// Tells states, warnings, retries, isolation, dead letters, baselines and schema changes. Commits are told by
  /// `watched`. What is made here may outlive the feed.
  std::shared_ptr<EngineObserver> engineObserver(std::string engine);
  /// Tells runs and warnings, and passes everything on to `next`, which may be null.
  std::shared_ptr<JobObserver> jobObserver(std::shared_ptr<JobObserver> next = nullptr);
  /// A sink that tells each row's change once it is committed, and leaves everything else to `sink`.
  std::shared_ptr<Sink> watched(std::shared_ptr<Sink> sink);

  /// Kept entries of both kinds with an id over `after`, by id.
  std::vector<FeedEntry> since(std::uint64_t after) const;
  /// Entries so far, kept or not: the last one's id.
  std::uint64_t told() const;

  struct Impl;

 private:
  friend void addChangeFeed(Api& api, std::shared_ptr<ChangeFeed> feed);
  std::shared_ptr<Impl> impl_;
};

/// Adds `GET /admin/changes`, for admins: server-sent events `change` and `event`, those that are kept first, then as
/// they come. An entry's id is the event's, so that a client that comes back with `Last-Event-ID` gets what it missed
/// as far as it is kept.
void addChangeFeed(Api& api, std::shared_ptr<ChangeFeed> feed);

}  // namespace tidegate::server
