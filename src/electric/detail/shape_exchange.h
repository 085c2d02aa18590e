/// One request for a shape, from its reading to its answer, however long that waits.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "electric/detail/feed_impl.h"
#include "electric/detail/live_shape.h"
#include "electric/detail/shape_request.h"
#include "electric/detail/shape_response.h"

namespace tidegate::electric::detail {

class ShapeExchange;

/// What all requests of one server share.
struct ServerCore {
  explicit ServerCore(ShapeServerOptions o) : options(std::move(o)) {}

  const ShapeServerOptions options;
  std::atomic<bool> finishing{false};

  std::mutex mutex;
  /// Requests that wait, guarded by mutex.
  std::unordered_map<ShapeExchange*, std::weak_ptr<ShapeExchange>> waiting{};
};

/// @thread Its connection's, but for `wake`.
class ShapeExchange final : public ShapeWaiter, public std::enable_shared_from_this<ShapeExchange> {
 public:
  ShapeExchange(std::shared_ptr<ServerCore> core, std::shared_ptr<ShapeFeed::Impl> feed, ShapeRequest request,
                ShapeGrant grant, http::Responder responder);
  ~ShapeExchange() override;

  /// Answers, or begins to wait.
  void run();
  void wake() override;

 private:
  /// Finds the definition and the shape. @return false: it has been answered.
  bool resolve();
  /// Runs a part of it; what it throws is the answer.
  template <class Part>
  void guarded(Part&& part);
  void begin();
  void refuse(http::Response response);
  void answerBeginning();
  void answerSnapshot(std::shared_ptr<const TableSnapshot> snapshot, std::uint32_t row);
  void answerNow();
  void readOn();
  void answerFound(const ShapeReading& reading);
  void answerNoChanges();
  void mustRefetch(const std::string& handle);
  void answer(ShapeAnswer answer);

  /// Registers with the shape. @return false: there is something by now.
  bool await();
  void woken();
  void timedOut();
  void leave();

  void beginStream();
  void feedStream();
  /// Writes what there is. @return whether the stream is still to be fed.
  bool writeEvents();
  void keepAlive();
  void endStream();

  const std::shared_ptr<ServerCore> core_;
  const std::shared_ptr<ShapeFeed::Impl> feed_;
  const ShapeRequest request_;
  const ShapeGrant grant_;
  const ShapeFields fields_;
  http::Responder responder_;
  std::optional<http::BodyStream> stream_{};

  std::shared_ptr<LiveShape> shape_{};
  std::string handle_{};
  ShapeOffset offset_{};
  bool done_ = false;
  bool timed_ = false;  ///< the timer runs
  bool registered_ = false;
  std::int64_t wroteMicros_ = 0;
};

}  // namespace tidegate::electric::detail
