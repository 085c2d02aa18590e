#include "http/detail/server_context.h"

#include <spdlog/spdlog.h>

#include <exception>

#include "http/detail/text.h"
#include "tidegate/core/error.h"

namespace tidegate::http::detail {
namespace {

/// The host's logger of that name, or one that writes where the default logger writes.
std::shared_ptr<spdlog::logger> accessLogger() {
  if (auto own = spdlog::get("tidegate.http")) return own;
  return spdlog::default_logger()->clone("tidegate.http");
}

std::string serverFieldOf(const std::string& name) {
  if (name.empty()) return {};
  if (!isFieldValue(name)) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "ServerOptions::serverName holds a control character");
  }
  return "Server: " + name + "\r\n";
}

int statusFor(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalidArgument:
    case ErrorCode::parseError:
      return 400;
    case ErrorCode::authenticationFailed:
      return 401;
    case ErrorCode::permissionDenied:
      return 403;
    case ErrorCode::tableNotFound:
      return 404;
    case ErrorCode::backPressure:
      return 429;
    case ErrorCode::storeUnavailable:
    case ErrorCode::connectionFailed:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

ServerContext::ServerContext(ServerOptions given, Handler handle)
    : options(std::move(given)),
      handler(std::move(handle)),
      cors(options.cors),
      serverField(serverFieldOf(options.serverName)),
      accessLog(options.accessLog ? accessLogger() : nullptr) {}

Response responseForException() noexcept {
  try {
    throw;
  } catch (const Error& e) {
    const int status = statusFor(e.code());
    if (status != 500) return problem(status, e.message());
    spdlog::error("http: a handler failed: {}", redactSecrets(e.what()));
  } catch (const std::exception& e) {
    spdlog::error("http: a handler failed: {}", redactSecrets(e.what()));
  } catch (...) {
    spdlog::error("http: a handler threw what is no std::exception");
  }
  return problem(500, "the server failed; its log says why");
}

}  // namespace tidegate::http::detail

namespace tidegate::http {

Response problemFor(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (...) {
    return detail::responseForException();
  }
}

}  // namespace tidegate::http
