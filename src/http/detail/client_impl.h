/// What is behind `http::Client`: libcurl's multi handle and the requests in it.
#pragma once

#include <atomic>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "http/detail/transfer.h"
#include "tidegate/http/client.h"

namespace tidegate::http {

struct Client::Impl {
  explicit Impl(ClientOptions given);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Id start(ClientRequest request, Callbacks callbacks);
  void cancel(Id id);
  void hold(Id id, bool held);
  void run(std::chrono::milliseconds wait, const std::stop_token& stop);
  void wake() noexcept;
  /// One attempt.
  Outcome once(const ClientRequest& request, const Callbacks& callbacks, const std::stop_token& stop);
  Outcome withRetries(const ClientRequest& request, const Callbacks& callbacks, const std::stop_token& stop);

  const ClientOptions options;
  std::unordered_map<Id, std::unique_ptr<detail::Transfer>> transfers{};

 private:
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  bool step();
  void admit();
  void letGo();
  bool endSilent();
  bool endCancelled();
  bool collect();
  void finish(Id id, CURLcode result);
  void forget(Id id) noexcept;
  detail::Easy freshEasy();
  std::chrono::milliseconds untilSilence(std::chrono::milliseconds wait) const;

  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::vector<detail::Easy> idle_{};  ///< used again: they keep their buffers
  std::vector<Id> starting_{};        ///< begun since libcurl was last asked, which takes none while it calls back
  std::vector<Id> lettingGo_{};       ///< held until libcurl is asked the next time
  Id next_ = 1;
  std::mt19937_64 jitter_;
  std::atomic<bool> woken_{false};
};

}  // namespace tidegate::http
