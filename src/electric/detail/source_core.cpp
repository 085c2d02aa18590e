#include "electric/detail/source_core.h"

#include <fmt/format.h>

#include "electric/detail/source_refusal.h"
#include "electric/detail/source_url.h"

namespace tidegate::electric::reading {
namespace {

SourceOptions checkedSource(SourceOptions options) {
  checkSourceOptions(options);
  return options;
}

}  // namespace

ElectricCore::ElectricCore(SourceOptions given)
    : options(checkedSource(std::move(given))),
      clock(&systemClock()),
      scheduler(&systemScheduler()),
      epochs(systemClock()),
      client(clientOptions()) {}

http::ClientOptions ElectricCore::clientOptions() const {
  // Each shape has a request that waits, and perhaps one beside it.
  return {.authorityFile = options.authorityFile,
          .verifyTls = options.verifyTls,
          .connections = options.shapes.size() * 2 + 2};
}

const SourceShape& ElectricCore::shapeOf(const std::string& table) const {
  for (const SourceShape& shape : options.shapes) {
    if (nameOf(shape) == table) return shape;
  }
  throw Error(ErrorCode::tableNotFound, Retry::never,
              fmt::format("no shape is called \"{}\": add it to the source's shapes", table));
}

void ElectricCore::warn(const std::string& message) const {
  if (context.onWarning) context.onWarning(message);
}

void ElectricCore::connect(const std::string& reason) {
  if (state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed; make a new one");
  }
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  if (state.state() != SourceState::connected) state.to(SourceState::connected, reason);
}

RunParts ElectricCore::runParts() {
  return {.options = options,
          .clock = *clock,
          .scheduler = *scheduler,
          .client = client,
          .epochs = epochs,
          .warn = [this](const std::string& message) { warn(message); },
          .seed = context.jitterSeed,
          .paused = &paused,
          .state = &state,
          .onLag =
              [this](const RunLag& now) {
                const std::lock_guard lock(mutex);
                lag = now;
              }};
}

/// Asks for the log's begin and hears no more than the head of the answer.
Shape ElectricCore::describe(const SourceShape& shape) {
  http::Headers headers = options.headers;
  if (options.auth) {
    for (const auto& [name, value] : options.auth()) headers.set(name, value);
  }
  ReadRequest request;
  for (bool again = true;; again = false) {
    http::Response answer;
    bool described = false;
    const auto onHead = [&](const http::Response& head) {
      answer = head;
      described = head.status == 200 && head.headers.has("electric-schema");
      return !described;
    };
    const auto onData = [&](std::string_view piece) {
      answer.body.append(piece.substr(0, 4'096 - std::min<std::size_t>(answer.body.size(), 4'096)));
      return true;
    };
    try {
      client.stream({.url = urlOf(options, shape, request), .headers = headers, .timeout = options.pageTimeout}, onHead,
                    onData, {});
    } catch (const Error& e) {
      if (!described) throw Error(e.code(), e.retry(), fmt::format("shape \"{}\": {}", nameOf(shape), e.message()));
    }
    if (described) {
      try {
        return RowReader(shape, answer.headers.get("electric-schema")).shape();
      } catch (const Error& e) {
        throw Error(e.code(), e.retry(), fmt::format("shape \"{}\": {}", nameOf(shape), e.message()));
      }
    }
    if (answer.status != 409 || !again) throw refusal(shape, {.status = answer.status, .body = answer.body});
    request.handle = answer.headers.get("electric-handle");
    request.cacheKey = epochs.next();
  }
}

}  // namespace tidegate::electric::reading
