/// Changes of tables in a JetStream stream, each once, for any number of readers (docs/nats.md).
///
///     PipelineSpec items{.name = "items", .source = "shop", .tables = {{.table = "public.items"}},
///                        .sink = nats::sink({.connect = {.servers = {"nats://n1:4222"}}, .stream = {.replicas = 3}})};
///     // readers: nats::source({.connect = …, .stream = "TIDEGATE_items"}), or any client of NATS on
///     "tidegate.items.>"
///
/// A pipeline has a stream of its own. Every append expects the stream's last message to be its own, so a second writer
/// of the pipeline ends the first (Error{fenced}). A unit of work counts once its commit record is in the stream;
/// `nats::source` tells it then and not before. Origin: the issue "Past one machine"; the record that decides is
/// decision 30's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tidegate/nats/connect_options.h"
#include "tidegate/sink/sink.h"

namespace tidegate::nats {

/// How rows are written. Readers tell them apart by the first octet.
enum class Body {
  json,   ///< readable by anybody
  packed  ///< Tidegate's packed values: smaller and quicker
};

struct SinkOptions {
  ConnectOptions connect{};
  StreamOptions stream{};       ///< how a missing stream is made
  std::string streamName{};     ///< empty: "TIDEGATE_" and the pipeline's name
  std::string subjectPrefix{};  ///< empty: "tidegate." and the pipeline's name; no other stream may have its subjects
  Body body = Body::json;
  /// Over 0: a table's subject is followed by the row's bucket, "00" and on, by a hash of its key: so that a reader may
  /// take a part of a table, and a row's changes stay in one.
  std::uint32_t buckets = 0;
  /// Of a unit of work, held before any of it is written. Of a larger one the messages are sent before its commit, and
  /// without ids.
  std::size_t pendingBytes = 16u << 20;
  std::size_t readBackBytes = 512u << 20;  ///< of rows held by `readTable` and `expire`
};

/// Errors beyond those of `Sink`: Error{tableNotFound} for a stream that is not there and is not to be made;
/// Error{rowIdInvalid} for an update or erase of a table without a key; Error{queryFailed, Retry::afterOperator} where
/// the servers refuse, e.g. for a full account.
/// @throws Error{invalidConfig} for options that contradict each other.
/// @thread One at a time.
std::shared_ptr<Sink> sink(SinkOptions options);

}  // namespace tidegate::nats
