#include "server/detail/sync_errors.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::server::detail {
namespace {

constexpr std::size_t kDeltasTold = 100;

SyncRefusal syncRefusalForError(const Error& error) {
  switch (error.code()) {
    case ErrorCode::invalidArgument:
    case ErrorCode::invalidConfig:
    case ErrorCode::parseError:
      return {400, "VALIDATION_ERROR", error.message()};
    case ErrorCode::permissionDenied:
      return {403, "FORBIDDEN", error.message()};
    case ErrorCode::tableNotFound:
      return {404, "NOT_FOUND", error.message()};
    case ErrorCode::clockDrift:
      return {409, "CLOCK_DRIFT", error.message()};
    case ErrorCode::backPressure:
      return {429, "RATE_LIMITED", error.message()};
    case ErrorCode::logDiverged:  // another gateway serves meanwhile
      spdlog::error("sync: {}", redactSecrets(error.what()));
      return {503, "ADAPTER_ERROR", "this gateway was stopped; its server's log says why"};
    case ErrorCode::storeUnavailable:
    case ErrorCode::stopped:
      return {503, "ADAPTER_ERROR", error.message()};
    default:
      spdlog::error("sync: a call failed: {}", redactSecrets(error.what()));
      return {500, "INTERNAL_ERROR", "the server failed; its log says why"};
  }
}

SyncRefusal syncRefusalForVerdict(Verdict verdict, const std::string& message) {
  switch (verdict) {
    case Verdict::clockDrift:
      return {409, "CLOCK_DRIFT", message};
    case Verdict::schemaMismatch:
      return {422, "SCHEMA_ERROR", message};
    case Verdict::wrongClient:
      return {403, "FORBIDDEN", message};
    case Verdict::tooLarge:
      return {413, "VALIDATION_ERROR", message};
    case Verdict::tooOld:
      return {409, "VALIDATION_ERROR", message};
    default:
      return {400, "VALIDATION_ERROR", message};
  }
}

bool isFault(const DeltaVerdict& verdict) { return !verdict.message.empty(); }

}  // namespace

void refuseSync(int status, std::string_view code, std::string message) {
  throw SyncRefused{{status, code, std::move(message)}};
}

SyncRefusal syncRefusalFor(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const SyncRefused& refused) {
    return refused.refusal;
  } catch (const Error& error) {
    return syncRefusalForError(error);
  } catch (const std::exception& error) {
    spdlog::error("sync: a call failed: {}", redactSecrets(error.what()));
  } catch (...) {
    spdlog::error("sync: a call threw what is no std::exception");
  }
  return {500, "INTERNAL_ERROR", "the server failed; its log says why"};
}

SyncRefusal syncRefusalFor(const PushResult& result) {
  if (result.status == PushStatus::backPressure) return {503, "BACKPRESSURE_ERROR", result.message};
  const auto fault = std::find_if(result.verdicts.begin(), result.verdicts.end(), isFault);
  if (fault == result.verdicts.end()) return {400, "VALIDATION_ERROR", result.message};
  return syncRefusalForVerdict(fault->verdict, result.message);
}

http::Response syncAnswer(const SyncRefusal& refusal, std::string_view extra) {
  http::Response response{.status = refusal.status, .headers = {{"content-type", "application/problem+json"}}};
  if (refusal.status == 429 || refusal.status == 503) response.headers.add("retry-after", "1");
  std::string text;
  appendJsonString(redactSecrets(refusal.message), text);
  response.body =
      fmt::format(R"({{"error":{0},"code":"{1}","type":"about:blank","title":"{2}","status":{3},"detail":{0})", text,
                  refusal.code, http::reasonPhrase(refusal.status), refusal.status);
  response.body += extra;
  response.body += '}';
  return response;
}

std::string refusedDeltas(const PushResult& result) {
  std::string out = ",\"refused\":[";
  std::size_t told = 0;
  for (std::size_t i = 0; i < result.verdicts.size() && told < kDeltasTold; ++i) {
    if (!isFault(result.verdicts[i])) continue;
    fmt::format_to(std::back_inserter(out), "{}{{\"index\":{},\"verdict\":\"{}\",\"message\":", told++ > 0 ? "," : "",
                   i, toString(result.verdicts[i].verdict));
    appendJsonString(result.verdicts[i].message, out);
    out += '}';
  }
  return told > 0 ? out + "]" : std::string();
}

}  // namespace tidegate::server::detail
