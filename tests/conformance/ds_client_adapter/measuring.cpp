/// The commands that check options, and that measure.
#include "conformance/ds_client_adapter/adapter.h"

namespace tidegate::conformance {

using namespace durable_streams;
using std::chrono::milliseconds;

namespace {

/// Negative numbers become very large ones, which the client refuses by their upper bound.
template <class Number>
void setNumber(const Json& from, const char* name, Number& to) {
  if (from.contains(name)) to = static_cast<Number>(from[name].get<std::int64_t>());
}

void setMillis(const Json& from, const char* name, milliseconds& to) {
  if (from.contains(name)) to = milliseconds(from[name].get<std::int64_t>());
}

}  // namespace

Json Adapter::validate(const Command& command) {
  const Json& target = command.at("target");
  const std::string what = target.at("target").get<std::string>();
  if (what == "retry-options") {
    RetryOptions options;
    setNumber(target, "maxRetries", options.maxRetries);
    setMillis(target, "initialDelayMs", options.initialDelay);
    setMillis(target, "maxDelayMs", options.maxDelay);
    if (target.contains("multiplier")) options.multiplier = target["multiplier"].get<double>();
    options.validate();
  } else if (what == "idempotent-producer") {
    ProducerOptions options{.id = target.value("producerId", std::string())};
    setNumber(target, "epoch", options.epoch);
    setNumber(target, "maxBatchBytes", options.maxBatchBytes);
    setNumber(target, "maxBatchItems", options.maxBatchMessages);
    try {
      options.validate();
    } catch (const Error& e) {  // the suite's name for it
      if (e.message().find("maxBatchMessages") == std::string::npos) throw;
      throw Error(e.code(), e.retry(), "maxBatchItems: " + e.message());
    }
  } else {
    throw Error(ErrorCode::invalidArgument, Retry::never, "unknown validation target: " + what);
  }
  return {{"type", "validate"}, {"success", true}};
}

Json Adapter::benchmark(const Command& command) {
  Json metrics = Json::object();
  const auto begin = std::chrono::steady_clock::now();
  measure(command.at("operation"), metrics);
  const auto took = std::chrono::steady_clock::now() - begin;
  return {{"type", "benchmark"},
          {"success", true},
          {"iterationId", command.at("iterationId")},
          {"durationNs", std::to_string(std::chrono::nanoseconds(took).count())},
          {"metrics", std::move(metrics)}};
}

void Adapter::measure(const Json& operation, Json& metrics) {
  const std::string op = operation.at("op").get<std::string>();
  const std::string path = operation.at("path").get<std::string>();
  if (op == "append") {
    const auto size = operation.at("size").get<std::size_t>();
    streamFor(operation).append(std::string(size, '*'), {.contentType = typeOf(path)});
    metrics["bytesTransferred"] = size;
  } else if (op == "read") {
    measureRead(operation, metrics);
  } else if (op == "roundtrip") {
    measureRoundtrip(operation, metrics);
  } else if (op == "create") {
    streamFor(operation).create({.contentType = operation.value("contentType", "application/octet-stream")});
  } else if (op == "throughput_append") {
    measureAppends(operation, metrics);
  } else if (op == "throughput_read") {
    measureRead(operation, metrics);
  } else {
    throw Error(ErrorCode::invalidArgument, Retry::never, "unknown benchmark operation: " + op);
  }
}

void Adapter::measureRead(const Json& operation, Json& metrics) {
  std::size_t bytes = 0;
  std::size_t messages = 0;
  const ReadOptions options{.offset = operation.value("offset", std::string(kStreamStart))};
  streamFor(operation).read(options, [&](Chunk&& chunk) {
    bytes += chunk.data.size();
    messages += chunk.messages().size();
    return true;
  });
  metrics["bytesTransferred"] = bytes;
  metrics["messagesProcessed"] = messages;
}

void Adapter::measureRoundtrip(const Json& operation, Json& metrics) {
  const auto size = operation.at("size").get<std::size_t>();
  DurableStream stream = streamFor(operation);
  stream.create({.contentType = operation.value("contentType", "application/octet-stream")});
  Reader reader = stream.reader({.live = operation.value("live", "long-poll") == "sse" ? Live::sse : Live::longPoll});
  reader.next(milliseconds(1000));  // up to date, on the empty stream
  reader.next(milliseconds(0));     // waiting
  const std::string message = stream.head().contentType.starts_with("application/json")
                                  ? '"' + std::string(size, '*') + '"'
                                  : std::string(size, '*');
  stream.append(message);
  const auto chunk = reader.next(std::chrono::seconds(10));
  if (!chunk) throw Error(ErrorCode::connectionFailed, Retry::later, "nothing came back");
  metrics["bytesTransferred"] = size + chunk->data.size();
}

void Adapter::measureAppends(const Json& operation, Json& metrics) {
  const auto count = operation.at("count").get<std::size_t>();
  const auto size = operation.at("size").get<std::size_t>();
  const std::string path = operation.at("path").get<std::string>();
  const std::string type = typeOf(path).empty() ? "application/octet-stream" : typeOf(path);
  DurableStream stream = streamFor(operation);
  stream.create({.contentType = type});
  Producer producer =
      stream.producer({.id = "bench-producer", .claim = Claim::first, .contentType = type, .linger = milliseconds(0)});
  const std::string message =
      type.starts_with("application/json") ? '"' + std::string(size, '*') + '"' : std::string(size, '*');
  for (std::size_t i = 0; i < count; ++i) producer.append(message);
  producer.flush();
  metrics["bytesTransferred"] = count * size;
  metrics["messagesProcessed"] = count;
}

}  // namespace tidegate::conformance
