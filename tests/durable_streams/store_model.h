/// What a stream store must do, written down as simply as can be: every stream whole in one text.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::testing {

struct ModelStream {
  std::uint64_t made = 0;  ///< tells streams of one path apart
  std::string content{};   ///< inherited octets included
  std::set<Position> ends{0};
  bool closed = false;
  bool deleted = false;
  std::optional<ProducerStamp> closedBy{};
  std::optional<std::string> seq{};
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> producers{};
  std::optional<ForkPoint> fork{};
  int forks = 0;
  bool operator==(const ModelStream&) const = default;
};

/// One change that a client asks for. Content types are text, so that bodies are kept as they are.
struct ModelChange {
  enum class Kind { create, append, remove, note } kind = Kind::append;
  std::string path{};
  CreateStream create{};
  AppendToStream append{};
  std::string note{};
};

class Model {
 public:
  /// Applies a change. @return what the store must say.
  Verdict apply(const ModelChange& change);
  const std::map<std::string, ModelStream>& streams() const { return streams_; }
  const std::map<std::string, std::string>& notes() const { return notes_; }
  /// Why the store, all of it visible, is not this model; empty where it is.
  std::string difference(StreamStore& store) const;
  /// Why readers do not see exactly this model, whatever is under way; empty where they do.
  std::string readersDifference(StreamStore& store, const std::string& path) const;

 private:
  Verdict create(const std::string& path, const CreateStream& request);
  Verdict append(const std::string& path, const AppendToStream& request);
  Verdict remove(const std::string& path);

  std::map<std::string, ModelStream> streams_;
  std::map<std::string, std::string> notes_;
  std::uint64_t made_ = 0;
};

}  // namespace tidegate::durable_streams::testing
