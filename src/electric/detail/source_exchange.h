/// One request on its way, and what comes of it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "electric/detail/source_reader.h"
#include "tidegate/http/client.h"
#include "tidegate/http/sse.h"

namespace tidegate::electric::reading {

/// @thread The stream's.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(ShapeReader& reader, ReadRequest request) : reader_(&reader), request_(std::move(request)) {}

  void start(http::Client& client, const SourceOptions& options, http::Headers headers);
  /// Nothing of it is heard of any more.
  void forget(http::Client& client);
  /// It waits for news and its reader has no room, or its reader reads another log by now.
  bool isUnwanted() const;
  bool done() const noexcept { return done_; }

 private:
  bool onHead(const http::Response& head);
  bool onData(std::string_view piece);
  void onDone(const http::Outcome& outcome);

  ShapeReader* reader_;  ///< null: forgotten
  http::Client* client_ = nullptr;
  const ReadRequest request_;
  http::Client::Id id_ = 0;
  http::Response head_{};
  std::string body_{};
  std::size_t maxBodyBytes_ = 0;
  bool tooLarge_ = false;
  std::optional<http::SseParser> events_{};
  bool done_ = false;
};

}  // namespace tidegate::electric::reading
