/// A reader: a read session, and the requests that feed it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "durable_streams/detail/read_session.h"
#include "durable_streams/detail/retry_plan.h"
#include "tidegate/durable_streams/client.h"

namespace tidegate::durable_streams::detail {

class ReaderImpl {
 public:
  ReaderImpl(std::shared_ptr<const DurableStreamClientOptions> client, std::string url, ReadOptions options);

  std::optional<Chunk> next(std::chrono::milliseconds timeout, const std::stop_token& stop);
  bool ended() const noexcept { return session_.ended() && !session_.hasChunk(); }
  const ReadEnd& place() const noexcept { return place_; }
  ReaderStats stats() const noexcept { return stats_; }

 private:
  void begin();
  http::Callbacks wholeAnswer();
  http::Callbacks eventStream();
  void answered(http::Response response);
  void eventsEnded(const http::Outcome& outcome);
  void brokeOff(const StreamError& why, const http::Response* answer);
  void paceEmptyAnswers();
  template <class Call>
  bool guarded(Call&& call);
  Chunk told(Chunk chunk);
  void throwFailure();

  std::shared_ptr<const DurableStreamClientOptions> options_;
  const Clock& clock_;
  ReadSession session_;
  RetryPlan plan_;
  ReadEnd place_;
  ReaderStats stats_;
  http::SseParser parser_;
  http::Response head_;                 ///< of the event stream; with the body of a refusal
  std::optional<StreamError> failure_;  ///< for the next `next`
  Clock::Micros notBefore_{0};          ///< of the next request
  Clock::Micros begun_{0};              ///< when the last one was sent
  unsigned failures_ = 0;               ///< in a row
  unsigned emptyAnswers_ = 0;           ///< at once and in a row
  bool running_ = false;
  http::Client client_;  // last: its callbacks use what stands above
};

}  // namespace tidegate::durable_streams::detail
