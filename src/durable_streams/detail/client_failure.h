/// What an answer that is no success means, and what may be done about it.
#pragma once

#include <string>
#include <string_view>

#include "tidegate/durable_streams/stream_error.h"
#include "tidegate/http/client.h"

namespace tidegate::durable_streams::detail {

/// What was asked, as far as errors need it.
struct Asked {
  std::string method{};
  std::string url{};
  bool hasSeq = false;      ///< it carried Stream-Seq
  bool changes = false;     ///< it may have changed something
  bool repeatable = false;  ///< doing it twice does it once
};

/// @param head the answer; its body may hold what the server says, and is quoted shortened and redacted.
StreamError refusal(const Asked& asked, const http::Response& answer);
/// No answer came.
StreamError unreachable(const Asked& asked, const Error& why);
/// An answer that the protocol does not know.
StreamError badAnswer(const Asked& asked, std::string_view why, int status = 200);

/// The same with "after 9 attempts" in its message.
StreamError afterAttempts(const StreamError& error, unsigned attempts);

}  // namespace tidegate::durable_streams::detail
