/// The durable streams client behind the line protocol of the client conformance suite: one JSON command a line in, one
/// JSON result a line out.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/durable_streams/client.h"

namespace tidegate::conformance {

using Json = nlohmann::ordered_json;

/// A header or parameter that is computed for each request, and what was computed last.
struct DynamicValue {
  std::string kind{};   ///< counter, timestamp or token
  std::string token{};  ///< of the last kind
  std::uint64_t counter = 0;
  std::string sent{};
};

/// @thread One at a time.
class Adapter {
 public:
  /// @return the result's line, without its end; never throws.
  std::string handle(std::string_view line);
  bool finished() const noexcept { return finished_; }

 private:
  using Command = Json;
  using Handler = Json (Adapter::*)(const Command&);

  Json init(const Command& command);
  Json shutdown(const Command& command);
  Json create(const Command& command);
  Json connect(const Command& command);
  Json head(const Command& command);
  Json remove(const Command& command);
  Json append(const Command& command);
  Json close(const Command& command);
  Json read(const Command& command);
  Json idempotentAppend(const Command& command);
  Json idempotentAppendBatch(const Command& command);
  Json idempotentClose(const Command& command);
  Json idempotentDetach(const Command& command);
  Json setDynamicHeader(const Command& command);
  Json setDynamicParam(const Command& command);
  Json clearDynamic(const Command& command);
  Json validate(const Command& command);
  Json benchmark(const Command& command);

  static const std::map<std::string, Handler, std::less<>>& handlers();
  durable_streams::DurableStreamClient clientFor(const Command& command, bool dynamic);
  durable_streams::DurableStream streamFor(const Command& command, bool dynamic = false);
  durable_streams::Producer& producerFor(const Command& command);
  std::string typeOf(const std::string& path) const;
  void reportSent(Json& result) const;
  void measure(const Json& operation, Json& metrics);
  void measureRoundtrip(const Json& operation, Json& metrics);
  void measureAppends(const Json& operation, Json& metrics);
  void measureRead(const Json& operation, Json& metrics);

  std::string server_;
  std::map<std::string, std::string> types_;  ///< content type by path, as far as it was seen
  std::map<std::string, durable_streams::Producer> producers_;
  std::map<std::string, DynamicValue> dynamicHeaders_;
  std::map<std::string, DynamicValue> dynamicParams_;
  std::optional<durable_streams::DurableStreamClient> plain_;  ///< for commands without headers of their own
  bool finished_ = false;
};

/// What the suite calls a failure.
Json failureOf(std::string_view commandType, const std::exception& failure);
/// Retries that give up in good time, so that the suite's own deadline never cuts a command.
durable_streams::RetryOptions adapterRetries();

}  // namespace tidegate::conformance
