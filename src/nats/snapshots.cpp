#include "nats/detail/snapshots.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "core/detail/json_tree.h"
#include "nats/detail/control_record.h"
#include "nats/detail/log_reader.h"
#include "nats/detail/unit_reader.h"
#include "tidegate/core/json.h"

namespace tidegate::nats::detail {
namespace {

using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::size_t kMostChunkPart = 512u << 10;
constexpr std::chrono::milliseconds kChunkLook{1'000};
constexpr int kMostNamings = 20;
constexpr int kMostChunkLooks = 5;  ///< in a row, of which none brought anything
/// What a writer that died left behind is dropped by the next one after that time.
constexpr std::chrono::hours kLeftBehind{1};

/// Begins with the time, so that what was left behind can be told.
std::string freshWriting(const Clock& clock) {
  std::random_device device;
  return fmt::format("{}-{:08x}{:08x}", clock.wallNow().count() / 1'000, device(), device());
}

std::int64_t millisOf(std::string_view writing) {
  std::int64_t millis = 0;
  std::from_chars(writing.data(), writing.data() + writing.size(), millis);
  return millis;
}

}  // namespace

std::string manifestJson(const SnapshotManifest& manifest) {
  std::string out = fmt::format(R"({{"v":1,"sequence":{},"messages":{},"first":{},"writing":)", manifest.sequence,
                                manifest.messages, manifest.first);
  appendJsonString(manifest.writing, out);
  return out + "}";
}

SnapshotManifest manifestFrom(std::string_view json) {
  const JsonTree tree(json);
  const JsonRef root = tree.root();
  if (root.member("v").uint64() != 1) root.member("v").fail("written by a later version");
  return {.sequence = root.member("sequence").uint64(),
          .writing = root.member("writing").string(),
          .messages = root.member("messages").uint64(),
          .first = root.member("first").uint64()};
}

Snapshots::Snapshots(JetStream& js, std::string stream, std::string prefix)
    : js_(js), stream_(std::move(stream)), prefix_(std::move(prefix)), conditional_(js, stream_) {}

std::optional<Snapshots::Found> Snapshots::newest() {
  const auto stored = js_.last(stream_, prefix_ + ".m");
  if (!stored) return std::nullopt;
  return Found{manifestFrom(stored->body), stored->sequence};
}

std::uint64_t Snapshots::putMessage(const SnapshotManifest& manifest, std::string_view octets,
                                    const std::string& part) {
  std::vector<Header> headers{{kIdHeader, fmt::format("{}.{}", manifest.writing, manifest.messages + 1)}};
  if (!part.empty()) headers.push_back({kPartHeader, part});
  const Msg msg = makeMsg(chunkSubject(manifest.writing), nullptr, headers, octets);
  Connection& connection = js_.connection();
  const auto since = connection.clock().steadyNow();
  for (unsigned tries = 0;; ++tries) {
    try {
      const Msg answer = connection.request(msg.get(), Effect::possible, "writing a snapshot");
      const PublishAck ack = parseAck(bodyOf(answer.get()));
      if (ack.sequence == 0) throwApiError(ack.error, "writing a snapshot");
      return ack.sequence;
    } catch (const Error& e) {
      // Its id keeps a repetition from being a second message.
      if (e.code() != ErrorCode::connectionFailed || !connection.waitForRetry(since, tries, {})) throw;
    }
  }
}

void Snapshots::put(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) {
  SnapshotManifest manifest{.sequence = sequence, .writing = freshWriting(js_.connection().clock())};
  try {
    const std::size_t most = std::min(kMostChunkPart, js_.connection().maxPayload() * 3 / 4);
    for (std::string chunk; next(chunk); chunk.clear()) {
      const std::size_t parts = std::max<std::size_t>((chunk.size() + most - 1) / most, 1);
      for (std::size_t i = 0; i < parts; ++i) {
        const std::string part = parts == 1 ? "" : fmt::format("{}/{}", i + 1, parts);
        const std::uint64_t at = putMessage(manifest, std::string_view(chunk).substr(i * most, most), part);
        if (manifest.messages++ == 0) manifest.first = at;
      }
    }
    if (name(manifest, manifest.writing)) return dropOthers(manifest.writing);
  } catch (...) {
    try {
      js_.purge(stream_, 0, chunkSubject(manifest.writing));
    } catch (const Error&) {  // the next snapshot's writer does it
    }
    throw;
  }
  js_.purge(stream_, 0, chunkSubject(manifest.writing));
}

bool Snapshots::name(const SnapshotManifest& manifest, const std::string& mark) {
  Connection& connection = js_.connection();
  const auto since = connection.clock().steadyNow();
  for (unsigned tries = 0;; ++tries) {
    const auto before = newest();
    if (before && before->manifest.writing == mark) return true;  // an answer was lost
    if (before && before->manifest.sequence > manifest.sequence) return false;
    previous_ = before ? before->manifest.writing : "";
    const std::string body = manifestJson(manifest);
    try {
      const PublishAck ack = conditional_.write({.subject = prefix_ + ".m", .body = body},
                                                before ? before->revision : 0, "naming a snapshot");
      if (ack.sequence != 0) return true;
      if (ack.error.errorCode != kWrongLastSequence || tries > kMostNamings) {
        throwApiError(ack.error, "naming a snapshot");
      }
    } catch (const Error& e) {
      if (e.code() != ErrorCode::connectionFailed || !connection.waitForRetry(since, tries, {})) throw;
    }
  }
}

/// Chunks of the snapshot before, and of writers that died long ago. Another writer's, under way now, stay.
void Snapshots::dropOthers(const std::string& kept) {
  const auto subjects = js_.subjects(stream_, prefix_ + ".s.*");
  const std::string begin = prefix_ + ".s.";
  const std::int64_t old = millisOf(kept) - std::chrono::milliseconds(kLeftBehind).count();
  for (const std::string& subject : subjects) {
    const std::string writing = subject.substr(begin.size());
    if (writing != kept && (writing == previous_ || millisOf(writing) < old)) js_.purge(stream_, 0, subject);
  }
}

std::optional<std::uint64_t> Snapshots::read(const std::function<void(std::string_view chunk)>& chunk) {
  const auto found = newest();
  if (!found) return std::nullopt;
  if (readChunks(found->manifest, chunk)) return found->manifest.sequence;
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("snapshot of stream \"{}\" was replaced while it was read: read it anew", stream_));
}

bool Snapshots::readChunks(const SnapshotManifest& manifest, const std::function<void(std::string_view chunk)>& chunk) {
  if (manifest.messages == 0) return true;
  LogReader reader(js_, stream_, manifest.first - 1, {.batch = 8, .subject = chunkSubject(manifest.writing)});
  PartJoiner joiner;
  int looks = 0;
  for (std::uint64_t left = manifest.messages; left > 0;) {
    const Msg msg = reader.next(kChunkLook);
    if (!msg) {
      // Either its server is slow, or the chunks are gone.
      const auto now = newest();
      if (!now || now->manifest.writing != manifest.writing) return false;
      if (++looks < kMostChunkLooks) continue;
      throw Error(
          ErrorCode::connectionFailed, Retry::later,
          fmt::format("nats: the consumer of stream \"{}\" does not bring the snapshot: read it anew", stream_));
    }
    looks = 0;
    --left;
    if (const auto whole = joiner.take(msg.get(), stream_)) chunk(*whole);
  }
  return true;
}

}  // namespace tidegate::nats::detail
