#include "durable_streams/detail/stream_log.h"

namespace tidegate::durable_streams::detail {
namespace {

bool isAbsent(const StreamError& e) {
  return e.failure() == StreamFailure::notFound || e.failure() == StreamFailure::gone;
}

class HttpLog final : public StreamLog {
 public:
  explicit HttpLog(const DurableStreamClientOptions& options) : client_(options) {}

  bool create(const std::string& path, std::stop_token stop) override {
    return client_.stream(path).create({.contentType = "application/json"}, std::move(stop)).created;
  }

  LogAppended append(const std::string& path, const std::vector<std::string>& messages, const WriteStamp& stamp,
                     std::stop_token stop) override {
    try {
      const Appended done = client_.stream(path).append(
          std::span<const std::string>(messages), {.contentType = "application/json", .stamp = stamp}, std::move(stop));
      return {done.duplicate ? LogVerdict::duplicate : LogVerdict::done, done.offset};
    } catch (const StreamError& e) {
      if (isAbsent(e)) return {LogVerdict::missing, {}};
      if (e.failure() == StreamFailure::staleEpoch) return {LogVerdict::stale, {}};
      if (e.failure() == StreamFailure::producerGap) return {LogVerdict::gap, {}};
      if (e.failure() == StreamFailure::closed) return {LogVerdict::closed, {}};
      throw;
    }
  }

  std::string read(const std::string& path, const std::string& from,
                   const std::function<void(std::string_view message)>& onMessage, std::stop_token stop) override {
    try {
      const ReadEnd end = client_.stream(path).read(
          {.offset = from.empty() ? std::string(kStreamStart) : from},
          [&](Chunk&& chunk) {
            for (const std::string_view message : chunk.messages()) onMessage(message);
            return true;
          },
          std::move(stop));
      return end.offset;
    } catch (const StreamError& e) {
      if (!isAbsent(e)) throw;
      throw Error(ErrorCode::tableNotFound, Retry::afterOperator, e.message());
    }
  }

  void remove(const std::string& path, std::stop_token stop) override {
    try {
      client_.stream(path).remove(std::move(stop));
    } catch (const StreamError& e) {
      if (!isAbsent(e)) throw;
    }
  }

 private:
  DurableStreamClient client_;
};

}  // namespace

std::unique_ptr<StreamLog> httpLog(const DurableStreamClientOptions& options) {
  return std::make_unique<HttpLog>(options);
}

}  // namespace tidegate::durable_streams::detail
