/// What one run is made of, drawn from its seed: swarm testing (Groce et al., 2012) turns each feature on or off per
/// run, so that rare combinations are met and features that mask others are sometimes absent.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/sim_random.h"

namespace tidegate::sim {

/// How a simulated table tells that a row changed.
enum class CursorForm { none, isoMillis, isoSeconds, sqliteMillis, sqliteSeconds, integer };

struct TablePlan {
  std::string name;
  std::vector<std::string> keys;         ///< one or two key columns
  CursorForm cursor = CursorForm::none;  ///< none: polled by diff
  bool hardDeletes = false;              ///< diff tables only: a cursor cannot see them
  bool nullCursors = false;
  std::size_t pageRows = 5;
  bool timeCursor() const { return cursor != CursorForm::none && cursor != CursorForm::integer; }
};

/// Faults that a check must catch: proof that the simulator can fail. They live in the test's wrappers only.
enum class Mutation {
  none,
  dropDelta,     ///< the push wrapper silently drops one delta
  corruptValue,  ///< the push wrapper changes one value
  loseCommit,    ///< the store forgets an acknowledged commit at a crash
  hideRow,       ///< the query function leaves out a row
  forgetDelta,   ///< a client leaves out one pulled delta
  hideEntry,     ///< one gateway of several never sees one entry of the log
  otherEntry     ///< one gateway of several is given an entry of the same content in one's place
};
std::string_view toString(Mutation mutation);
/// @throws std::invalid_argument listing the names.
Mutation parseMutation(std::string_view name);

struct Plan {
  std::size_t rounds = 1;  ///< chaos, then quiet and the oracle; again
  std::size_t stepsPerRound = 100;
  std::vector<TablePlan> tables;
  std::size_t clients = 2;
  std::size_t gateways = 1;  ///< more: they share a replicated log instead of a store
  std::chrono::milliseconds lookback{4000};
  std::size_t lookbackRows = 40;
  std::size_t pushDeltas = 10;
  double maxDeleteFraction = 1.0;
  bool streamed = false;  ///< the query function streams, so that catch-ups are read in one answer

  bool clientEdits = false;
  bool clientErases = false;
  bool badPushes = false;  ///< forged, mis-sent and malformed deltas: refused, and nothing of them applied
  bool clockJumps = false;
  bool rules = false;
  bool ruleChanges = false;
  bool claimChanges = false;
  bool retention = false;  ///< a log so short that clients fall off it
  bool tombstonePurge = false;
  bool purgeTables = false;
  bool subscribers = false;
  bool queryFaults = false;
  bool emptyResults = false;  ///< now and then a diff query answers with no rows at all
  bool pushFaults = false;
  bool durable = true;       ///< false: a gateway without a store, which therefore never restarts
  bool storeFaults = false;  ///< commits that fail cleanly
  bool gatewayCrashes = false;
  bool pollerCrashes = false;
  bool stateFaults = false;
  bool amnesia = false;          ///< a restarted poller has lost its state (only where no row is ever hard-deleted)
  bool packedSnapshots = false;  ///< the library's snapshot store instead of the simulated durable one
  bool strict = false;           ///< the replica is checked at every pull, not at some

  /// Whether a client may ever be told to resync.
  bool resyncAllowed() const;
  /// Whether the gateway's rows can be computed exactly from the deltas it accepted. Purging a tombstone also forgets
  /// what the source last brought for it (docs/decisions/0004) and when the row was erased, and a purged table's deltas
  /// may still be in the dedupe window; no model of deltas alone can see either.
  bool exactModel() const { return !(tombstonePurge && clientEdits) && !purgeTables; }
  /// The features that are on, for the trace's first line.
  std::string describe() const;
};

Plan makePlan(SimRandom& random);
/// The same world with several gateways over one log.
void shareLog(Plan& plan, SimRandom& random);

}  // namespace tidegate::sim
