/// Changes of tables as State Protocol messages in durable streams, each exactly once (docs/sync-layer.md).
///
///     PipelineSpec items{.name = "items", .source = "shop", .tables = {{.table = "public.items"}},
///                        .sink = durable_streams::sink({.server = {.url = "http://127.0.0.1:4437/v1/stream"}})};
///     // clients read http://127.0.0.1:4437/v1/stream/items
///
/// A unit of work is committed in one append to a stream of the pipeline's own; then its messages go to their streams,
/// stamped with the epoch and sequence that the commit names, so that repeating them after a crash appends nothing
/// twice (decision 16). A second writer of the pipeline takes a greater epoch and ends the first one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/durable_streams/client.h"
#include "tidegate/durable_streams/stream_store.h"
#include "tidegate/sink/sink.h"

namespace tidegate::durable_streams {

/// Which stream a change goes to.
enum class StreamLayout {
  perTable,     ///< the target table's name, below `prefix`
  perPipeline,  ///< one stream, `prefix` and the pipeline's name; messages differ in `type`
  byRow         ///< what `streamOf` says, below `prefix`
};

struct SinkOptions {
  DurableStreamClientOptions server{};  ///< of the streams
  /// Instead of `server`: a store of this process, e.g. the one that a DurableStreamServer serves.
  std::shared_ptr<StreamStore> store{};
  StreamLayout layout = StreamLayout::perTable;
  std::string prefix{};  ///< in front of every path, percent-encoded, e.g. "shop/"
  /// The path for a row, percent-encoded. Best a function of the key: an erase may have no other column (they are
  /// null), and only with the whole row before a change is a row that moves erased where it was.
  std::function<std::string(const TableShape& shape, const std::vector<Value>& row)> streamOf{};
  bool oldValues = true;  ///< writes `old_value` where the source gives the whole row before
  /// Written as `source` into each message's headers, for readers that must not hear their own changes again.
  std::string originMark{};
  std::size_t batchBytes = 1u << 20;     ///< of one append
  std::size_t pendingBytes = 4u << 20;   ///< of a unit of work held before it is written, over all streams
  std::size_t segmentBytes = 16u << 20;  ///< of the pipeline's own stream, before a new one takes its place
  /// Bound on what is read back of one stream, where that is needed: for the end of a baseline of a stream that had
  /// rows, and for updates whose source left columns out. Over it: Error{invalidConfig} with the remedy.
  std::size_t readBackBytes = 512u << 20;
};

/// A message's `type` is the target table's name, its `key` is `stateKey`. Every message holds its whole row: columns
/// that the source left out are taken from the row before, or from the stream itself.
///
/// Errors beyond those of `Sink`: Error{tableNotFound, permissionDenied, Retry::afterOperator} for a stream that was
/// deleted, or closed, by somebody else, with the remedy; Error{rowIdInvalid} for an update or erase of a table without
/// a key. Rows without a key can be inserted: they get one of their own.
/// @throws Error{invalidConfig} for options that contradict each other.
/// @thread One at a time.
std::shared_ptr<Sink> sink(SinkOptions options);

}  // namespace tidegate::durable_streams
