/// A stream that `nats::sink` writes, as a SyncSource: one pipeline's changes for any number of engines (docs/nats.md).
///
///     auto source = nats::source({.connect = {.servers = {"nats://n1:4222"}}, .stream = "TIDEGATE_items"});
///     Engine engine({.sources = {{.name = "items", .source = source}}, .pipelines = {…}});
///
/// Order is total: a position is a sequence of the stream. A unit of work is told once its commit record is there, so
/// what a writer left behind half-done never is. The database is the stream: a baseline is what its changes come to.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/nats/connect_options.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::nats {

struct SourceOptions {
  ConnectOptions connect{};
  std::string stream{};                    ///< its name, e.g. "TIDEGATE_items"
  std::size_t batchEvents = 1'000;         ///< events in one call of the handler, at most
  std::size_t bufferBytes = 64u << 20;     ///< of a unit held until its commit; a larger one is read twice
  std::size_t readBackBytes = 512u << 20;  ///< of rows held while a baseline is read
  BackoffOptions backoff{};                ///< of new connections
};

/// Errors beyond those of SyncSource: Error{positionLost} also where the stream was deleted and made anew, and where it
/// no longer has what a baseline begins with (then the pipeline that writes it has to read its tables anew).
/// @throws Error{invalidConfig} for no stream, or bounds of 0.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::nats
