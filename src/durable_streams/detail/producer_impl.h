/// A producer: its machine, and the requests that the machine asks for.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "durable_streams/detail/client_session.h"
#include "durable_streams/detail/producer_core.h"

namespace tidegate::durable_streams::detail {

class ProducerImpl {
 public:
  ProducerImpl(const DurableStreamClientOptions& client, std::string url, ProducerOptions options);

  std::uint64_t append(std::string_view message, const std::stop_token& stop);
  std::optional<std::uint64_t> tryAppend(std::string_view message);
  void poll(std::chrono::milliseconds wait, const std::stop_token& stop);
  void flush(const std::stop_token& stop);
  Receipt close(std::optional<std::string_view> last, const std::stop_token& stop);
  void detach(const std::stop_token& stop);
  const ProducerCore& core() const noexcept { return core_; }

 private:
  enum class Phase { open, closing, closed, detached };

  void check(std::string_view message, const std::stop_token& stop);
  void learnType(const std::stop_token& stop);
  void step(std::chrono::milliseconds wait, const std::stop_token& stop);
  void sendDue();
  void send(ProducerSend what);
  void tellReceipts();
  void throwFailure();
  void drain(const std::stop_token& stop);

  std::string url_;
  std::string contentType_;
  Session session_;
  const Clock& clock_;
  ProducerCore core_;
  Phase phase_ = Phase::open;
  unsigned sinceAnswers_ = 0;  ///< messages taken since answers were looked for
  Receipt last_;               ///< told last; after closing: the stream's end
};

}  // namespace tidegate::durable_streams::detail
