/// Tables whose baseline is in S3 and whose changes come through Kinesis Data Streams, as a SyncSource
/// (docs/kinesis-source.md).
///
///     auto changes = kinesis::source({.stream = "changes", .bucket = "snapshots", .prefix = "nightly/"});
///     Engine engine({.sources = {{.name = "lake", .source = changes}},
///                    .pipelines = {{.name = "lake to sqlite", .source = "lake",
///                                   .tables = {{.table = "public.users"}}, .sink = sqlite::sink(…)}}});
///
/// A baseline is an object of JSON lines for each table, `{prefix}{table}.jsonl` (also .gz and .zst), or the parts that
/// a manifest names. A change is a record `{"table","action","row","identity"}`. Records of one shard come in their
/// order, and a shard after its parents; shards stand beside each other. So order is `perPartition`, and a position
/// says for each shard how far it was read.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/core/state_store.h"
#include "tidegate/kinesis/credentials.h"
#include "tidegate/sink/dead_letters.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::kinesis {

/// Workers that share a stream's shards: sources with the same store and key, in one process or in many, each of which
/// reads some of the shards and goes on where the last one was acknowledged (docs/kinesis-source.md, "Several
/// workers").
struct LeaseOptions {
  std::shared_ptr<StateStore> store{};  ///< one that has `putIf`. Null: this source reads all shards alone
  std::string key{};                    ///< the group's; empty: "kinesis-leases/" and the stream's name
  std::string worker{};                 ///< another for each worker; empty: a random one
  /// A worker that did not renew for so long is taken to be dead. At least 100 ms.
  std::chrono::milliseconds duration{10'000};
  /// Between signs of life, which also note what was acknowledged; at most a quarter of `duration` counts.
  std::chrono::milliseconds interval{1'000};
};

struct SourceOptions {
  std::string stream{};  ///< its name, or its ARN
  std::string bucket{};
  std::string prefix{};                    ///< of every key, e.g. "nightly/"
  std::string manifest = "manifest.json";  ///< its key below `prefix`. Where there is none, `tables` says what there is
  std::vector<TableSchema> tables{};       ///< tables that no manifest describes; the manifest's own win

  std::string region{};                                ///< empty: `defaultRegion`
  std::string kinesisEndpoint{};                       ///< e.g. "http://127.0.0.1:4567"; empty: the region's
  std::string s3Endpoint{};                            ///< empty: the region's
  bool pathStyle = false;                              ///< bucket in the path instead of the host's name
  std::shared_ptr<CredentialsProvider> credentials{};  ///< null: `defaultCredentials`

  /// Where a manifest names no place in the stream, changes are read from this long before the objects' last change.
  /// It must be longer than writing the snapshot takes; what comes twice is harmless.
  std::chrono::minutes snapshotMargin{15};
  /// Takes records that cannot be read as changes, under the pipeline "kinesis:" and the stream's name. Without one
  /// such a record ends the stream: Error{parseError, Retry::afterOperator}.
  std::shared_ptr<DeadLetters> deadLetters{};
  /// Keeps what was acknowledged, so that `lastAckedPosition` outlives the process. The engine needs none.
  std::shared_ptr<StateStore> checkpoints{};
  std::string checkpointKey{};  ///< empty: "kinesis/" and the stream's name

  LeaseOptions leases{};

  std::chrono::milliseconds readInterval{
      200};                               ///< between reads of one shard; AWS allows five a second, for all readers
  std::uint32_t recordsPerRead = 10'000;  ///< 1 to 10,000
  std::size_t batchEvents = 1'000;        ///< events in one call of the handler, at most
  std::size_t maxLineBytes = 64u << 20;   ///< of one row in a baseline
  /// Failures in a row, of a shard or of a download. While one shard fails the others go on.
  BackoffOptions backoff{};
};

/// @throws Error{invalidConfig} for no stream, no bucket, no region, a malformed endpoint, a table named twice.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::kinesis
