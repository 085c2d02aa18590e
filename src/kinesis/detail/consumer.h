/// The consumer of enhanced fan-out: found, or registered, and waited for.
#pragma once

#include <stop_token>
#include <string>

#include "kinesis/detail/kinesis_api.h"
#include "tidegate/core/clock.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::detail {

struct ReadyConsumer {
  std::string arn{};
  bool registered = false;  ///< by this call
};

/// Checks what `readyConsumer` needs, and changes nothing. @throws as it, where the consumer is missing.
void requireConsumer(KinesisApi& api, http::Client& client, const FanOutOptions& options, const std::stop_token& stop);

/// Waits until the consumer is ACTIVE.
/// @throws Error{tableNotFound, Retry::afterOperator} where there is none and none is to be made;
///         Error{backPressure, Retry::afterOperator} where the stream has as many consumers as it may;
///         Error{permissionDenied, Retry::afterOperator}; Error{queryCancelled}; others as AwsService::call.
ReadyConsumer readyConsumer(KinesisApi& api, http::Client& client, const FanOutOptions& options, Scheduler& scheduler,
                            const std::stop_token& stop);

}  // namespace tidegate::kinesis::detail
