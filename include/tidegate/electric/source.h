/// Electric's Shape API as a SyncSource: tables of a PostgreSQL database through Electric, or whatever else serves
/// shapes (docs/electric-source.md).
///
///     auto source = electric::source({.url = "http://127.0.0.1:3000/v1/shape",
///                                     .shapes = {{.table = "items"},
///                                                {.table = "orders", .where = "region = $1", .params = {"eu"}}}});
///     Engine engine({.sources = {{.name = "shop", .source = source}}, .pipelines = {…}});
///
/// One shape is one table of the source. What is read of it is the server's log for that shape: a snapshot, and then
/// each change with its place. A log that the server has ended (409, `must-refetch`) is followed by the next one: the
/// table is then read anew within the stream, and what vanished is erased at its end.
///
/// Order: total with one shape. With several, each table's changes are in their order, and transactions are told in the
/// order of their commits as far as the server says how far it has come (`MergeOrder`); a restart may tell changes of
/// different tables in another order than before, so the guarantee is `perTable`.
///
/// Origin: Electric's TypeScript client (ShapeStream, MultiShapeStream); differs in that a position of several shapes
/// can be kept and gone on from, in transactions across shapes, and in that nothing is repeated after a lost
/// connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/http/message.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::electric {

/// What the server sends of updates and deletes. Part of what the shape is: another mode is another log.
enum class ReplicaMode {
  changed,  ///< `replica=default`: the columns that changed; the others are `unchanged`, erases name the key alone
  full      ///< `replica=full`: whole rows, and what an update's columns were before
};

/// How news of a shape that is up to date comes.
enum class LiveMode {
  longPoll,  ///< a request that waits for news
  events     ///< server-sent events; falls back to long polls where something between buffers or breaks them
};

/// In which order transactions of several shapes are told.
enum class MergeOrder {
  /// By their commits: a transaction waits until every other shape is known to have come as far. A quiet shape is asked
  /// how far it is, so that costs one short request; never more than `mergeWait`.
  commit,
  arrival  ///< as they come; parts of one transaction in different tables come apart
};

/// A shape: some columns of the rows of a table that meet a condition.
struct SourceShape {
  std::string table{};                 ///< as the server is asked, e.g. "items" or "shop.items"
  std::string name{};                  ///< as the source calls the table; empty: `table`. No two shapes share one
  std::string where{};                 ///< a condition in SQL; values that come from outside belong in `params`
  std::vector<std::string> params{};   ///< $1, $2, … of `where`
  std::vector<std::string> columns{};  ///< only these, as they are called, the key's among them; empty: all
  ReplicaMode replica = ReplicaMode::changed;
  /// The columns that name a row, where the server does not say (`pk_index`). Empty: what it says.
  std::vector<std::string> key{};
};

struct SourceOptions {
  std::string url{};  ///< of the Shape API, e.g. "https://api.electric-sql.cloud/v1/shape"
  std::vector<SourceShape> shapes{};
  http::Headers headers{};  ///< sent with each request, e.g. {"authorization", "Bearer …"}
  /// Fields that change, e.g. tokens that expire: called before each request, on the thread that drives the source.
  /// With it, 401 and 403 are tried again. What it throws counts as a failed request.
  std::function<http::Headers()> auth{};
  /// More parameters of each request, e.g. {"source_id", "…"}, {"secret", "…"}.
  std::vector<std::pair<std::string, std::string>> parameters{};

  LiveMode live = LiveMode::longPoll;
  MergeOrder order = MergeOrder::commit;
  /// How long a transaction waits for a shape that says nothing; then it is told without. Over 0.
  std::chrono::milliseconds mergeWait{2'000};

  std::size_t batchEvents = 1'000;                ///< events in one call of the handler, at most; over 0
  std::size_t bufferBytes = 32u << 20;            ///< read ahead of each shape; no request is sent beyond it
  std::size_t maxBodyBytes = 128u << 20;          ///< of one answer; more is an error that says so
  std::chrono::milliseconds pageTimeout{60'000};  ///< of a request that need not wait for news
  std::chrono::milliseconds liveTimeout{45'000};  ///< silence that is believed of one that waits
  std::size_t maxReadRows = 1'000'000;            ///< rows that `readTable` holds in memory; beyond: an error
  BackoffOptions backoff{};                       ///< of failed requests, for each shape
  std::string authorityFile{};                    ///< PEM; empty: the system's authorities
  bool verifyTls = true;
};

/// @throws Error{invalidConfig} naming the option. Connects to nothing.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::electric
