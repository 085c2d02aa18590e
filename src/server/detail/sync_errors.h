/// Refusals as LakeSync's clients read them, `{"error", "code"}`, inside a problem of RFC 9457.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "tidegate/gateway/messages.h"
#include "tidegate/http/message.h"

namespace tidegate::server::detail {

/// Why a call is not served. `code` is one of LakeSync's.
struct SyncRefusal {
  int status = 400;
  std::string_view code = "VALIDATION_ERROR";
  std::string message{};
};

/// A refusal on its way out of a handler.
struct SyncRefused {
  SyncRefusal refusal{};
};

[[noreturn]] void refuseSync(int status, std::string_view code, std::string message);

/// What a failure says to a client. What is no Error says nothing of the inside; the log has it.
SyncRefusal syncRefusalFor(const std::exception_ptr& failure) noexcept;
/// A push that was not taken. @pre result.status is not accepted.
SyncRefusal syncRefusalFor(const PushResult& result);

/// `extra`: further members, as ",\"name\":value…"; or empty.
http::Response syncAnswer(const SyncRefusal& refusal, std::string_view extra = {});
/// Which deltas were refused, and why: the first hundred, as `extra` of `syncAnswer`.
std::string refusedDeltas(const PushResult& result);

}  // namespace tidegate::server::detail
