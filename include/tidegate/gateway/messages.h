/// What clients and gateway say to each other, and its JSON: the wire form of LakeSync's sync API.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/delta.h"
#include "tidegate/gateway/ingest_notes.h"

namespace tidegate {

/// Deltas of one sender.
struct SyncPush {
  std::string clientId{};
  std::vector<RowDelta> deltas{};
  Hlc lastSeenHlc{};  ///< the sender's last `serverHlc`; informational
};

/// How far the host trusts a push. The default is a stranger's.
struct PushContext {
  /// Ids are not recomputed (a null id is computed when read) and a delta's clientId may differ from the sender's.
  bool trusted = false;
  /// The deltas were read from a source database: a column whose value equals what this sender last brought (or, if
  /// it never brought any, the winning value) is no change (law 4.7), and an insert of a visible row is an update.
  /// Deltas of one ingest sender must arrive in the order of their hlc.
  bool ingest = false;
  /// Kept in the commit of the push, or neither is: for a sender in this process that took `Gateway::takeIngest`. Its
  /// push is one unit of work however large it is: maxDeltasPerPush and maxPushBytes do not apply. Null: nothing.
  const IngestNotes* notes = nullptr;
};

enum class PushStatus {
  accepted,     ///< all deltas were taken (duplicates included)
  rejected,     ///< at least one delta is invalid; nothing was applied
  backPressure  ///< the buffer is full; nothing was applied; try again later
};

/// What became of one delta. In a rejected push, deltas without fault carry `notApplied`.
enum class Verdict : std::uint8_t {
  applied,      ///< it changed what readers see
  duplicate,    ///< its (deltaId, op) was seen before
  noEffect,     ///< every column lost or was equal; remembered, nothing appended
  notApplied,   ///< valid, but the push was refused as a whole
  clockDrift,   ///< stamped over `maxDrift` ahead of the gateway's wall clock
  badId,        ///< the deltaId is not that of the content
  wrongClient,  ///< the delta's clientId is not its sender's
  invalidName,  ///< table, column, rowId or client id is empty, too long, or not UTF-8 without NUL
  tooManyColumns,
  duplicateColumn,
  eraseWithColumns,
  schemaMismatch,  ///< the gateway has a schema for the table, and the column or its kind is not in it
  tooLarge,        ///< over the bytes allowed for one delta or push
  tooOld           ///< older than tombstones already purged: the sender must resync and stamp anew
};

std::string_view toString(PushStatus status) noexcept;
std::string_view toString(Verdict verdict) noexcept;

struct DeltaVerdict {
  Verdict verdict = Verdict::applied;
  std::string message;  ///< empty unless refused; names the delta's table, row and what to do
};

/// The answer to a push.
struct PushResult {
  PushStatus status = PushStatus::accepted;
  std::string message;                 ///< empty if accepted; else the first fault, with its index and remedy
  std::vector<DeltaVerdict> verdicts;  ///< one per delta, in order; empty for a push refused before looking at any
  Hlc serverHlc;                       ///< the last log entry's stamp after this push
  std::size_t applied = 0;             ///< deltas that changed what readers see
  std::size_t duplicates = 0;          ///< seen before by id
  std::size_t noEffect = 0;
  /// The log's last stamp before this push: `(previousHlc, serverHlc]` is its own. Not part of the wire form.
  Hlc previousHlc{};
  std::size_t accepted() const noexcept { return status == PushStatus::accepted ? verdicts.size() : 0; }
};

/// A request for the log after `sinceHlc`.
struct SyncPull {
  std::string clientId{};
  Hlc sinceHlc{};               ///< the `serverHlc` of the last page or snapshot; 0 from the beginning
  std::size_t maxDeltas = 100;  ///< 1..10,000; a row's erase + insert pair may exceed it by one
  bool stamps = false;          ///< in process only: fill `PullResult::stamps`
};

/// One page of the log, filtered by the client's view.
struct PullResult {
  std::vector<RowDelta> deltas;
  Hlc serverHlc;         ///< pull from here next; covers filtered entries too, so a page never repeats
  bool hasMore = false;  ///< whether the log goes on past `serverHlc` now
  bool mustResync =
      false;           ///< the log no longer reaches back to `sinceHlc`, or the client's view changed: take `snapshot`
  std::string reason;  ///< why, where `mustResync`
  /// The log's stamp of each delta, where asked for: one may go on after any of them. Not part of the wire form.
  std::vector<Hlc> stamps{};
};

/// Claim values as text, as LakeSync's resolved JWT claims: one or several per name.
using Claims = std::map<std::string, std::vector<std::string>, std::less<>>;

/// @throws Error{parseError} naming the member, e.g. "deltas[3].hlc: expected a decimal string".
SyncPush pushFromJson(std::string_view json);
SyncPull pullFromJson(std::string_view json);
PushResult pushResultFromJson(std::string_view json);
PullResult pullResultFromJson(std::string_view json);
/// {"clientId", "deltas", "lastSeenHlc"}
std::string toJson(const SyncPush& push);
/// {"clientId", "sinceHlc", "maxDeltas"}
std::string toJson(const SyncPull& pull);
/// LakeSync's {"serverHlc", "accepted", "deltas"?} plus {"status", "applied", "duplicates", "noEffect", "verdicts"?}.
std::string toJson(const PushResult& result);
/// {"deltas", "serverHlc", "hasMore"} plus {"mustResync", "reason"} where it must.
std::string toJson(const PullResult& result);

}  // namespace tidegate
