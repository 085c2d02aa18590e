/// The interface of everything that changes go to.
///
/// The engine calls, from one thread at a time:
///
///     auto checkpoint = sink.open(context);     // takes the fence; what `commit` last wrote, or nothing
///     sink.prepareTable(shape);                 // for each table, and again when its shape changes
///     sink.apply(batch); sink.apply(batch);     // a unit of work, in pieces
///     sink.commit(checkpoint);                  // data and checkpoint become durable together, or neither
///
/// What was applied since the last `commit` is undone by `rollback`, by a failed `commit`, and by a crash: the engine
/// then applies it again from the last checkpoint. So in a sink that keeps both in one transaction each change counts
/// exactly once (law 6.1).
///
/// Every implementation must pass `tests/contract/sink_contract.h` (installed as tidegate::contract).
/// Origin: the destination trait of Supabase etl; differs in that accepted and durable are two calls.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/core/query.h"
#include "tidegate/source/change_event.h"

namespace tidegate {

/// What the engine needs to know to serve a sink well.
struct SinkTraits {
  /// Whether `commit` may only come at a transaction's end, so that its readers never see half a transaction.
  bool wholeTransactions = true;
  /// Whether a checkpoint outlives the process. If not, a restart begins with a new baseline.
  bool keepsCheckpoints = true;
  /// Whether a change applied twice does no harm (needed for sources without a total order, and without
  /// `keepsCheckpoints`).
  bool idempotent = true;
  /// Whether rows without a key can be applied (an append-only stream can).
  bool keyless = false;
  /// Whether `apply`, and `prepareTable` before it, wait for nothing, no disk, no network and no host: they only work
  /// in memory. Then the thread that reads the source may call them too, and `tryCommit`, and where they fail
  /// `rollback` and `close`, one call at a time as ever, which saves handing each batch to another core. Everything
  /// else stays with the pipeline's thread.
  bool applyNeverWaits = false;
};

/// What a sink is told once.
struct SinkContext {
  std::string pipeline{};  ///< its name: the key of the checkpoint, and of the fence
  std::stop_token stop{};  ///< requested when the engine's stop deadline is over: give up what can be given up
};

/// @thread One at a time, unless a sink says more.
class Sink {
 public:
  virtual ~Sink() = default;

  virtual SinkTraits traits() const = 0;

  /// Connects, fences off any other writer of the same pipeline, and gives back the checkpoint of the last `commit`.
  /// Called again after a failure: it then connects anew.
  /// @throws Error{connectionFailed, authenticationFailed, permissionDenied, storeCorrupt}
  virtual std::optional<std::string> open(const SinkContext& context) = 0;

  /// Makes the target fit: creates it from the shape, or adds the columns that an existing one lacks and checks that
  /// the others match. `shape->schema.table` is the target's name. Part of the unit of work where the database can do
  /// that. The shape may be newer than the next events': they come in the old one until their `schemaChange`.
  /// @throws Error{invalidConfig, Retry::afterOperator} naming the column that does not fit, with the remedy.
  virtual void prepareTable(const Shape& shape) = 0;

  /// Applies events in order, after filters and transforms; keys are `shape->key`. Nothing is visible or durable before
  /// `commit`. `progress` never comes; `schemaChange`, `truncate`, `baselineBegin` and `baselineEnd` do.
  ///
  /// A key that changed comes as erase and insert. An erase of a row that is not there is no error; an update of a row
  /// that is not there inserts it, unless columns are `unchanged`, then it is left out (only a baseline under way can
  /// cause that, and it brings the row).
  ///
  /// A second `baselineBegin` of a table begins its baseline anew. Where a filter took a transaction's first or last
  /// change away, its marks may be missing: what ends a unit is `commit`.
  /// @throws Error; the unit of work is then over, as after `rollback`. What a batch of a single event fails for, its
  /// own
  ///         call throws: so the engine finds the change that cannot be applied.
  virtual void apply(const ChangeBatch& batch) = 0;

  /// Makes the unit and the checkpoint durable together.
  /// @param checkpoint octets of the engine's; UTF-8 text without NUL, up to 1 MiB.
  /// @throws Error{fenced, Retry::afterOperator} if another writer took over; Error{…, Retry::outcomeUnknown} if the
  ///         connection was lost meanwhile: `open` then tells which it was.
  virtual void commit(std::string_view checkpoint) = 0;
  /// `commit`, where it need wait for nobody just now and calls no function of the host's; else it does nothing. Only
  /// asked of sinks whose `apply` never waits, and may then come on the thread that reads the source.
  /// @return whether it did (the default: never). @throws Error as `commit`.
  virtual bool tryCommit(std::string_view checkpoint);
  /// Undoes what was applied since the last `commit`.
  virtual void rollback() noexcept = 0;
  /// Rolls back and disconnects. Idempotent.
  virtual void close() noexcept = 0;

  /// Reads a target table as it is now, in any order, values in the kinds of `shape` (so that a timestamp kept as text
  /// comes back as a timestamp); for `verify`. Soft-deleted rows are left out.
  /// @throws Error{invalidArgument} where the sink cannot be read (the default).
  virtual std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop);
  /// Erases rows whose `column` is before `cutoff` (both of the column's kind); part of the unit of work.
  /// @return rows erased. @throws Error{invalidArgument} where the sink cannot (the default).
  virtual std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff);
};

}  // namespace tidegate
