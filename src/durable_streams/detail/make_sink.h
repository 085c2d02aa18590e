/// The sink over any StreamLog: for tests that put a model with faults under it.
#pragma once

#include <functional>
#include <memory>

#include "durable_streams/detail/stream_log.h"
#include "tidegate/durable_streams/sink.h"

namespace tidegate::durable_streams::detail {

using MakeLog = std::function<std::unique_ptr<StreamLog>()>;

/// @param makeLog called by each `open` and `readTable`.
std::shared_ptr<Sink> makeSink(SinkOptions options, MakeLog makeLog);

}  // namespace tidegate::durable_streams::detail
