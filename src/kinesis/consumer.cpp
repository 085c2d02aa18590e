#include "kinesis/detail/consumer.h"

#include <fmt/format.h>

namespace tidegate::kinesis::detail {
namespace {

/// Registrations that AWS refuses as too many: five a second are allowed, and five at work at once.
constexpr int kMostRegistrations = 10;
/// Looks at a consumer that is being made or removed; AWS takes seconds.
constexpr int kMostConsumerLooks = 600;

bool mayRegister(const FanOutOptions& options) {
  return options.createMissing && !options.consumer.starts_with("arn:");
}

[[noreturn]] void refuseMissing(const KinesisApi& api, const FanOutOptions& options) {
  const bool arn = options.consumer.starts_with("arn:");
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              fmt::format("stream \"{}\" has no consumer \"{}\": {}", api.stream(), options.consumer,
                          arn ? "register it, or give its name as fanOut.consumer so that it is registered here"
                              : "register it, or set fanOut.createMissing"));
}

[[noreturn]] void refuseFull(const KinesisApi& api, const FanOutOptions& options, const Error& why) {
  throw Error(ErrorCode::backPressure, Retry::afterOperator,
              fmt::format("consumer \"{}\" cannot be registered: stream \"{}\" has as many consumers as it may (20). "
                          "Deregister one, or name one that nobody else reads with as fanOut.consumer ({})",
                          options.consumer, api.stream(), why.message()));
}

void waitForConsumer(const FanOutOptions& options, Scheduler& scheduler, const std::stop_token& stop) {
  if (scheduler.waitFor(options.retryInterval, stop)) return;
  throw Error(ErrorCode::queryCancelled, Retry::later,
              fmt::format("stopped while consumer \"{}\" was not ready", options.consumer));
}

std::string streamArnFor(KinesisApi& api, http::Client& client, const FanOutOptions& options,
                         const std::stop_token& stop) {
  if (options.consumer.starts_with("arn:")) return {};  // it says its stream itself
  if (api.stream().starts_with("arn:")) return api.stream();
  const std::string arn = api.summary(client, stop).arn;
  if (!arn.empty()) return arn;
  throw Error(ErrorCode::queryFailed, Retry::afterOperator,
              fmt::format("stream \"{}\" does not tell its ARN, which a consumer's name needs: give "
                          "SourceOptions::stream as an ARN, or fanOut.consumer",
                          api.stream()));
}

/// @return whether it was registered; false: somebody else was quicker, or it is to be tried again.
bool tryToRegister(KinesisApi& api, http::Client& client, const FanOutOptions& options, const std::string& streamArn,
                   bool last, const std::stop_token& stop) {
  try {
    api.registerConsumer(client, streamArn, options.consumer, stop);
    return true;
  } catch (const AwsError& e) {
    if (e.failure() == AwsFailure::denied) {
      throw Error(ErrorCode::permissionDenied, Retry::afterOperator,
                  fmt::format("{}. Allow kinesis:RegisterStreamConsumer, or register \"{}\" and allow "
                              "kinesis:DescribeStreamConsumer and kinesis:SubscribeToShard",
                              e.message(), options.consumer));
    }
    if (e.failure() == AwsFailure::throttled && last) refuseFull(api, options, e);
    if (e.failure() != AwsFailure::throttled && e.failure() != AwsFailure::busy) throw;
    return false;
  }
}

}  // namespace

void requireConsumer(KinesisApi& api, http::Client& client, const FanOutOptions& options, const std::stop_token& stop) {
  const std::string streamArn = streamArnFor(api, client, options, stop);
  const bool found = api.consumer(client, streamArn, options.consumer, stop).has_value();
  if (!found && !mayRegister(options)) refuseMissing(api, options);
}

ReadyConsumer readyConsumer(KinesisApi& api, http::Client& client, const FanOutOptions& options, Scheduler& scheduler,
                            const std::stop_token& stop) {
  const std::string streamArn = streamArnFor(api, client, options, stop);
  ReadyConsumer ready;
  int registrations = 0;
  for (int looks = 0; looks < kMostConsumerLooks; ++looks) {
    const auto found = api.consumer(client, streamArn, options.consumer, stop);
    if (found && found->status == "ACTIVE") {
      ready.arn = found->arn;
      return ready;
    }
    if (!found) {
      if (!mayRegister(options)) refuseMissing(api, options);
      const bool last = ++registrations >= kMostRegistrations;
      ready.registered = tryToRegister(api, client, options, streamArn, last, stop) || ready.registered;
    }
    waitForConsumer(options, scheduler, stop);
  }
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("consumer \"{}\" of stream \"{}\" did not become ACTIVE", options.consumer, api.stream()));
}

}  // namespace tidegate::kinesis::detail
