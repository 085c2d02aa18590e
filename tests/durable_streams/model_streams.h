/// Durable streams in a few maps: what a server must answer, without HTTP, for tests of the client.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/http/message.h"

namespace tidegate::durable_streams::test {

/// One append's place and content. JSON streams: one message each.
struct ModelStream {
  std::string contentType{};
  std::vector<std::string> messages{};
  bool closed = false;
  std::string lastSeq{};
  struct Writer {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    bool operator==(const Writer&) const = default;
  };
  std::map<std::string, Writer> writers{};
  std::optional<std::pair<std::string, Writer>> closedBy{};

  bool json() const { return contentType.starts_with("application/json"); }
};

/// @thread One at a time.
class ModelStreams {
 public:
  /// PUT, POST, GET without waiting, HEAD and DELETE (PROTOCOL.md, section 5).
  http::Response handle(const http::Request& request);
  /// Null where there is none.
  ModelStream* find(std::string_view path);
  /// The offset behind the first `messages` messages.
  static std::string offsetAt(std::size_t messages);
  /// Index of the first message at an offset; nullopt for one that was never given out.
  static std::optional<std::size_t> indexOf(const ModelStream& stream, std::string_view offset);
  /// What an answer to GET carries: messages from there on.
  static std::string bodyFrom(const ModelStream& stream, std::size_t index);

 private:
  http::Response put(const http::Request& request);
  http::Response post(const http::Request& request, ModelStream& stream);
  http::Response get(const http::Request& request, const ModelStream& stream);
  /// What the writer's headers come to; nullopt: the append is new.
  std::optional<http::Response> judgeWriter(const http::Request& request, ModelStream& stream);

  std::map<std::string, ModelStream, std::less<>> streams_;
};

}  // namespace tidegate::durable_streams::test
