#include <future>

#include "core/detail/json_tree.h"
#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/stream_log.h"
#include "tidegate/http/message.h"

namespace tidegate::durable_streams::detail {
namespace {

constexpr std::size_t kStoreReadBytes = std::size_t{4} << 20;

/// Calls an operation of the store and waits for its result.
template <class Call>
StreamResult resultOf(Call&& call) {
  auto promised = std::make_shared<std::promise<StreamResult>>();
  auto future = promised->get_future();
  call([promised](const StreamResult& result) { promised->set_value(result); });
  return future.get();
}

[[noreturn]] void refuseInStore(const std::string& path, const StreamResult& result) {
  const bool later = result.verdict == Verdict::unavailable || result.verdict == Verdict::tooMany;
  throw Error(later ? ErrorCode::storeUnavailable : ErrorCode::queryFailed, later ? Retry::later : Retry::afterOperator,
              "stream \"" + path + "\": " + std::string(toString(result.verdict)) +
                  (result.message.empty() ? "" : ": " + result.message));
}

LogVerdict verdictOf(const std::string& path, const StreamResult& result) {
  switch (result.verdict) {
    case Verdict::done:
      return LogVerdict::done;
    case Verdict::duplicate:
      return LogVerdict::duplicate;
    case Verdict::staleEpoch:
      return LogVerdict::stale;
    case Verdict::producerGap:
    case Verdict::epochNotFromZero:
      return LogVerdict::gap;
    case Verdict::notFound:
    case Verdict::gone:
      return LogVerdict::missing;
    case Verdict::closed:
      return LogVerdict::closed;
    default:
      refuseInStore(path, result);
  }
}

class StoreLog final : public StreamLog {
 public:
  explicit StoreLog(std::shared_ptr<StreamStore> store) : store_(std::move(store)) {}

  bool create(const std::string& path, std::stop_token) override {
    const StreamResult result = resultOf(
        [&](StreamDone done) { store_->create(decoded(path), {.contentType = "application/json"}, std::move(done)); });
    if (result.verdict != Verdict::done && result.verdict != Verdict::unchanged) refuseInStore(path, result);
    return result.verdict == Verdict::done;
  }

  LogAppended append(const std::string& path, const std::vector<std::string>& messages, const WriteStamp& stamp,
                     std::stop_token) override {
    std::string body = "[";
    for (const std::string& message : messages) body.append(body.size() > 1 ? "," : "").append(message);
    body.push_back(']');
    const StreamResult result = resultOf([&](StreamDone done) {
      AppendToStream request{.contentType = "application/json", .body = std::move(body)};
      request.producer = ProducerStamp{stamp.producerId, stamp.epoch, stamp.seq};
      store_->append(decoded(path), std::move(request), std::move(done));
    });
    return {verdictOf(path, result), formatPosition(result.stream.tail)};
  }

  std::string read(const std::string& path, const std::string& from,
                   const std::function<void(std::string_view message)>& onMessage, std::stop_token stop) override {
    std::uint64_t at = 0;
    if (!from.empty() && from != kStreamStart) at = parsePosition(from).value_or(0);
    for (;;) {
      if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "reading a stream was stopped");
      StreamRead part = store_->read(decoded(path), at, kStoreReadBytes);
      if (part.verdict != ReadVerdict::data) {
        throw Error(ErrorCode::tableNotFound, Retry::afterOperator, "stream \"" + path + "\" is not there");
      }
      at = part.next;
      const bool upToDate = part.upToDate;
      const std::string array = jsonArray(std::move(part.octets));
      const tidegate::detail::JsonTree tree(array, kMaxJsonDepth + 16);
      for (const auto& item : tree.root().items()) onMessage(item.source());
      if (upToDate) return formatPosition(at);
    }
  }

  void remove(const std::string& path, std::stop_token) override {
    resultOf([&](StreamDone done) { store_->remove(decoded(path), std::move(done)); });
  }

 private:
  static std::string decoded(const std::string& path) { return http::percentDecode(path).value_or(path); }
  std::shared_ptr<StreamStore> store_;
};

}  // namespace

std::unique_ptr<StreamLog> storeLog(std::shared_ptr<StreamStore> store) {
  return std::make_unique<StoreLog>(std::move(store));
}

}  // namespace tidegate::durable_streams::detail
