/// Reads one shape: says what to ask the server for, and makes rows with places of what it answers. Knows no transport
/// and no other shape.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "electric/detail/source_epochs.h"
#include "electric/detail/source_item.h"
#include "electric/detail/source_message.h"
#include "electric/detail/source_schema.h"
#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::electric::reading {

enum class RequestKind : std::uint8_t {
  page,    ///< what there is
  poll,    ///< waits for news
  events,  ///< news, as an event stream
  probe    ///< what there is, beside a request that waits: how far has the server come?
};

struct ReadRequest {
  RequestKind kind = RequestKind::page;
  std::uint64_t era = 0;  ///< of the reader; answers of an earlier one are nobody's
  LogOffset from{};
  std::string handle{};
  std::string cursor{};
  std::string expired{};        ///< a handle that caches may still answer with
  std::uint64_t cacheKey = 0;   ///< over 0: a number that no cache has seen
  std::int64_t lsnAtStart = 0;  ///< the newest transaction of any shape when it was sent
  Clock::Micros startedAt{0};

  bool waits() const noexcept { return kind == RequestKind::poll || kind == RequestKind::events; }
};

/// @thread The stream's.
class ShapeReader {
 public:
  struct Parts {
    const SourceShape& shape;
    const SourceOptions& options;
    const Clock& clock;
    Epochs& epochs;
    const std::int64_t& newestLsn;  ///< of any shape
    const std::int64_t& openLsn;    ///< of the transaction that is told in part; -1: none
    std::function<void(const std::string&)> warn;
    std::uint64_t seed = 0;
  };
  explicit ShapeReader(Parts parts);

  /// Where to go on, and the shape that its reader knows; null: none.
  /// @param mayRefetch  whoever reads has nothing of a later log, nor more of this one's baseline. Else a log that
  /// turns
  ///                    out to have ended, or a baseline that was under way, is a lost place.
  void start(const ShapePlace& from, Shape told, bool mayRefetch);
  /// Ends at the moment it is up to date: for a baseline.
  void stopAtLive() noexcept { stopAtLive_ = true; }

  std::optional<ReadRequest> nextRequest(Clock::Micros now);
  ReadRequest probe(Clock::Micros now);
  /// When `nextRequest` may say more than it does now; nullopt: not by waiting.
  std::optional<Clock::Micros> due() const;

  /// An answer, whole. Never throws: what is wrong with it is `fatal` or tried again.
  void onAnswer(const ReadRequest& request, int status, const http::Headers& headers, std::string_view body);
  /// The head of an answer to `events`. @return whether it is an event stream of the log that we read.
  bool onEventsBegin(const ReadRequest& request, const http::Headers& headers);
  void onEvent(const ReadRequest& request, std::string_view data);
  void onEventsEnd(const ReadRequest& request);
  void onFailure(const ReadRequest& request, const Error& error);
  /// The request was ended by us.
  void onCancelled(const ReadRequest& request);
  bool isCurrent(const ReadRequest& request) const noexcept { return request.era == era_; }

  std::deque<ReadItem>& items() noexcept { return items_; }
  const std::deque<ReadItem>& items() const noexcept { return items_; }
  void popped(const ReadItem& item) noexcept;
  /// No more is asked for until some of it was told.
  bool full() const noexcept { return items_.size() > 1 && bytes_ >= parts_.options.bufferBytes; }

  /// Whether more of transaction `lsn`, or of an earlier one, may come.
  bool mayBring(std::int64_t lsn) const noexcept;
  /// Whether it has the begin of the transaction, but not yet its end.
  bool hasPartOf(std::int64_t lsn) const noexcept;
  bool canProbe(Clock::Micros now) const noexcept;
  /// It is waited for no longer, until it answers.
  void excuse() noexcept { excused_ = true; }
  bool excused() const noexcept { return excused_; }

  const SourceShape& shape() const noexcept { return parts_.shape; }
  const std::string& name() const noexcept { return nameOf(parts_.shape); }
  bool live() const noexcept { return live_; }
  bool inBaseline() const noexcept { return baseline_; }
  std::int64_t seenLsn() const noexcept { return seen_; }
  Shape rowShape() const noexcept { return rows_ ? rows_->shape() : nullptr; }
  /// Why it is not read now; null: it is.
  const Error* failing() const noexcept { return failing_ ? &*failing_ : nullptr; }
  /// Why it cannot be read; null: it can.
  const Error* fatal() const noexcept { return fatal_ ? &*fatal_ : nullptr; }

 private:
  struct Page {
    std::vector<WireMessage> rows{};
    std::optional<LogOffset> end{};  ///< where the server says that it ends
    std::optional<std::int64_t> seenLsn{};
    bool upToDate = false;
    bool refetch = false;
    bool placesTold = false;  ///< each row says where it stands
  };

  // source_reader.cpp
  ReadRequest makeRequest(RequestKind kind, Clock::Micros now);
  void ended(const ReadRequest& request) noexcept;
  void fail(Error error, std::chrono::milliseconds atLeast = {});
  void refused(const ReadRequest& request, int status, const http::Headers& headers, std::string_view body);
  void probeFailed();
  void rotate(const std::string& next);
  void loseLog();
  void stale();
  void succeeded();
  void calm(const ReadRequest& request, bool news);
  Error named(ErrorCode code, Retry retry, const std::string& what) const;

  // source_reader_page.cpp
  bool acceptHandle(const http::Headers& headers);
  void adoptSchema(const http::Headers& headers);
  void begin();
  void takePage(const ReadRequest& request, const http::Headers& headers, std::string_view body);
  Page readPage(const ReadRequest& request, const http::Headers& headers, std::string_view body);
  void note(WireMessage& message, Page& page);
  void needMark(const WireMessage& message) const;
  void needProgress(const ReadRequest& request, const Page& page) const;
  void takeRows(const ReadRequest& request, const Page& page);
  void takeRow(const WireMessage& message, ShapePlace place, std::vector<ReadItem>& out);
  void advance(const Page& page);
  void finishPage(const ReadRequest& request, const http::Headers& headers, const Page& page);
  void push(ReadItem item);
  ShapePlace placeAt(LogOffset at, std::uint32_t index = 0, std::uint32_t mark = 0) const;

  Parts parts_;
  std::optional<RowReader> rows_{};
  std::string schemaText_{};
  Shape told_{};  ///< the shape that the last events had

  std::string handle_{};  ///< of the log that is read; empty until one was accepted
  std::string hint_{};    ///< the handle that a 409 named
  std::string expired_{};
  std::uint64_t epoch_ = 0;
  std::uint64_t reading_ = 0;
  LogOffset received_{};
  std::string cursor_{};
  bool mayRefetch_ = true;
  bool baseline_ = true;
  bool begun_ = false;  ///< its `baselineBegin` was made
  bool live_ = false;
  bool stopAtLive_ = false;
  std::uint32_t skip_ = 0;  ///< rows behind `received_` that were told before
  std::uint32_t skipMark_ = 0;
  std::uint32_t skipped_ = 0;
  bool placesTold_ = true;

  std::deque<ReadItem> items_{};
  std::size_t bytes_ = 0;
  std::int64_t seen_ = -1;  ///< everything up to this transaction is here
  bool excused_ = false;

  std::uint64_t era_ = 1;
  bool running_ = false;
  bool probing_ = false;
  bool bypassCache_ = false;
  LogOffset eventsAt_{};  ///< of the last row that the event stream brought
  bool eventsNews_ = false;
  bool pollsOnly_ = false;
  unsigned shortStreams_ = 0;
  unsigned rotations_ = 0;
  unsigned stales_ = 0;
  unsigned quickAnswers_ = 0;
  unsigned probes_ = 0;
  Clock::Micros notBefore_{0};
  Clock::Micros probeNotBefore_{0};
  Backoff backoff_;
  std::optional<Error> failing_{};
  std::optional<Error> fatal_{};
};

}  // namespace tidegate::electric::reading
