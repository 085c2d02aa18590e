// The part of the source that has a consumer of enhanced fan-out.
#include <fmt/format.h>

#include "kinesis/detail/source_core.h"

namespace tidegate::kinesis::detail {

/// @return nothing: stopped. Without fan-out one without an ARN.
std::optional<ReadyConsumer> SourceCore::awaitConsumer(Streaming& streaming) {
  if (options_.fanOut.consumer.empty()) return ReadyConsumer{};
  Backoff backoff(options_.backoff, context_.jitterSeed);
  for (;;) {
    try {
      ReadyConsumer ready = readyConsumer(*api_, streaming.client, options_.fanOut, *scheduler_, streaming.stop);
      if (ready.registered) ownConsumer_ = ready.arn;
      return ready;
    } catch (const Error& e) {
      if (streaming.stop.stop_requested()) return std::nullopt;
      if (!waitToRetry(e, backoff, state_, *scheduler_, streaming.stop)) return std::nullopt;
    }
  }
}

void SourceCore::removeConsumer() {
  if (ownConsumer_.empty() || !options_.fanOut.removeOnClose) return;
  try {
    http::Client client(clientOptions());
    api_->deregisterConsumer(client, ownConsumer_, {});
    ownConsumer_.clear();
  } catch (const Error& e) {
    if (context_.onWarning) {
      context_.onWarning(fmt::format("consumer \"{}\" could not be deregistered, and is still billed: {}",
                                     options_.fanOut.consumer, e.message()));
    }
  }
}

}  // namespace tidegate::kinesis::detail
