/// One request of the client: what libcurl is told, what it gives, and what became of it.
#pragma once

#include <curl/curl.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/http/client.h"

namespace tidegate::http::detail {

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;

/// Whether a method changes nothing, so that it may be sent again (RFC 9110, section 9.2.1).
bool isSafe(std::string_view method) noexcept;

/// @thread The client's.
class Transfer {
 public:
  /// @throws Error{invalidArgument} for a URL that is none, or a field that would break out of its line.
  Transfer(const ClientOptions& options, ClientRequest request, Callbacks callbacks);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Tells libcurl everything, for the first time or for a redirect.
  void prepare(Easy easy);
  std::uint64_t id = 0;  ///< the client's
  CURL* easy() const noexcept { return easy_.get(); }
  Easy release() { return std::move(easy_); }
  const Callbacks& callbacks() const noexcept { return callbacks_; }

  /// The transfer must end with this, whatever libcurl says next.
  void endWith(Error error);
  bool ending() const noexcept { return error_.has_value(); }
  /// @return whether `letGo` is to be called.
  bool hold(bool held);
  void letGo();
  std::exception_ptr thrown() const noexcept { return thrown_; }
  /// When the silence becomes too long; nullopt: never.
  std::optional<std::chrono::steady_clock::time_point> silentUntil() const;
  void silent();

  /// Whether the answer is a redirect that is to be followed; then the URL is the new one already.
  bool redirects();
  /// What to tell at the end.
  Outcome outcome(CURLcode result);

 private:
  static std::size_t onHeader(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t onBody(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int onSend(void* self, char*, char*, int, int) noexcept;
  static curl_socket_t onSocket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  template <class Call>
  bool guarded(Call&& call) noexcept;

  void setMethod();
  void setFields();
  void setTls();
  void setAddresses();
  bool header(std::string_view line);
  bool headDone();
  bool body(std::string_view piece);
  std::string name() const;
  Error failure(CURLcode result) const;
  std::optional<std::string> redirectTarget() const;

  const ClientOptions& options_;
  ClientRequest request_;
  Callbacks callbacks_;
  Easy easy_{};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> fields_{nullptr, curl_slist_free_all};
  Response response_{};
  std::optional<Error> error_{};
  std::exception_ptr thrown_{};
  std::chrono::steady_clock::time_point heard_{};
  unsigned sent_ = 0;  ///< how often libcurl began to send the request
  unsigned redirects_ = 0;
  bool headWhole_ = false;
  bool redirecting_ = false;
  bool addressRefused_ = false;
  bool held_ = false;
  char message_[CURL_ERROR_SIZE] = {};
};

}  // namespace tidegate::http::detail
