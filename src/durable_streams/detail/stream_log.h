/// What the sink asks of a durable streams server: five operations, so that tests can stand a model with faults in its
/// place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/durable_streams/client.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::detail {

enum class LogVerdict {
  done,
  duplicate,  ///< the stamp was accepted before
  stale,      ///< a greater epoch of the producer was there
  gap,        ///< the stamp is not the next one
  missing,    ///< 404, 410
  closed
};

struct LogAppended {
  LogVerdict verdict = LogVerdict::done;
  std::string offset{};  ///< the stream's end afterwards, where the verdict is `done`
};

/// Streams of JSON messages. Every path is below the server's base, percent-encoded.
/// @throws Error{connectionFailed, ...} for whatever is no verdict. A stamped append is repeated until its outcome is
///         known, or Retry::outcomeUnknown is said.
/// @thread One at a time.
class StreamLog {
 public:
  virtual ~StreamLog() = default;
  /// Makes the stream where there is none. @return whether it was made now.
  virtual bool create(const std::string& path, std::stop_token stop) = 0;
  virtual LogAppended append(const std::string& path, const std::vector<std::string>& messages, const WriteStamp& stamp,
                             std::stop_token stop) = 0;
  /// Every message from `from` to the end. @return the end. @throws Error{tableNotFound} for 404 and 410.
  virtual std::string read(const std::string& path, const std::string& from,
                           const std::function<void(std::string_view message)>& onMessage, std::stop_token stop) = 0;
  /// No error where there is none.
  virtual void remove(const std::string& path, std::stop_token stop) = 0;
};

std::unique_ptr<StreamLog> httpLog(const DurableStreamClientOptions& options);
/// Straight into a store of this process. The store outlives the log.
std::unique_ptr<StreamLog> storeLog(std::shared_ptr<StreamStore> store);

}  // namespace tidegate::durable_streams::detail
