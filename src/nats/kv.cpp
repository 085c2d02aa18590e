#include "nats/detail/kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "core/detail/octet_text.h"
#include "nats/detail/event_codec.h"
#include "nats/detail/fenced_log.h"
#include "tidegate/core/delta.h"

namespace tidegate::nats::detail {
namespace {

constexpr const char* kOperationHeader = "KV-Operation";
constexpr std::size_t kMostKeyBytes = 1'000;
constexpr std::size_t kMostValueBytes = 512u << 10;

std::string freshMark() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", random(), random());
}

bool plainInKeys(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

void checkBucket(const std::string& bucket, const char* what) {
  if (!bucket.empty() && std::all_of(bucket.begin(), bucket.end(), plainInKeys)) return;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              fmt::format("{}: bucket \"{}\": letters, digits, '-' and '_' make its name", what, bucket));
}

Kv::Kv(JetStream& js, const std::string& bucket, const StreamOptions& options)
    : js_(js), bucket_(bucket), stream_("KV_" + bucket), conditional_(js, stream_) {
  js_.ensure({.name = stream_,
              .subjects = {"$KV." + bucket + ".>"},
              .options = options,
              .perSubject = 1,
              .denyDelete = true,
              .allowRollup = true,
              .discardNew = true});
}

std::string Kv::keyOf(std::string_view anything) {
  std::string key;
  for (const char c : anything) {
    if (plainInKeys(c))
      key.push_back(c);
    else
      key += fmt::format("={:02X}", static_cast<unsigned char>(c));
  }
  if (key.empty()) return "=";
  if (key.size() <= kMostKeyBytes) return key;
  const auto digest = sha256(anything);
  return "=" + tidegate::detail::hexOf(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::size_t Kv::mostValueBytes() const {
  return std::min(kMostValueBytes,
                  js_.connection().maxPayload() - std::min(js_.connection().maxPayload() / 2, std::size_t{4'096}));
}

std::optional<KvEntry> Kv::get(const std::string& key) {
  auto stored = js_.last(stream_, "$KV." + bucket_ + "." + key);
  if (!stored) return std::nullopt;
  KvEntry entry{.revision = stored->sequence, .erased = !stored->header(kOperationHeader).empty()};
  const std::string_view fence = stored->header(kFenceHeader);
  std::from_chars(fence.data(), fence.data() + fence.size(), entry.fence);
  entry.value = std::move(stored->body);
  entry.stored = *std::move(stored);
  return entry;
}

PublishAck Kv::send(const Write& write, const std::string& mark, std::optional<std::uint64_t> revision) {
  ConditionalWrites::Message message{
      .subject = "$KV." + bucket_ + "." + write.key, .headers = write.headers, .body = write.value};
  message.headers.push_back({kMarkHeader, mark});
  if (write.erase) message.headers.push_back({kOperationHeader, "DEL"});
  const std::string what = fmt::format("writing to bucket \"{}\"", bucket_);
  PublishAck ack;
  if (revision) {
    ack = conditional_.write(message, *revision, what);
  } else {
    const Msg msg = makeMsg(message.subject, nullptr, message.headers, message.body);
    ack = parseAck(bodyOf(js_.connection().request(msg.get(), Effect::possible, what).get()));
  }
  if (ack.sequence == 0 && !(revision && ack.error.errorCode == kWrongLastSequence)) throwApiError(ack.error, what);
  return ack;
}

std::uint64_t Kv::put(const Write& write) {
  Connection& connection = js_.connection();
  const auto since = connection.clock().steadyNow();
  const std::string mark = freshMark();
  for (unsigned tries = 0;; ++tries) {
    try {
      return send(write, mark, std::nullopt).sequence;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::connectionFailed || !connection.waitForRetry(since, tries, {})) throw;
    }
  }
}

std::optional<std::uint64_t> Kv::putIf(const Write& write, std::uint64_t revision) {
  Connection& connection = js_.connection();
  const auto since = connection.clock().steadyNow();
  const std::string mark = freshMark();
  bool unknown = false;
  for (unsigned tries = 0;; ++tries) {
    try {
      const PublishAck ack = send(write, mark, revision);
      if (ack.sequence != 0) return ack.sequence;
      // Refused; but the one that is there may be ours, sent before and not answered.
      if (!unknown) return std::nullopt;
      const auto entry = get(write.key);
      if (entry && entry->stored.header(kMarkHeader) == mark) return entry->revision;
      return std::nullopt;
    } catch (const Error& e) {
      unknown = unknown || e.retry() == Retry::outcomeUnknown;
      if (e.code() != ErrorCode::connectionFailed) throw;
      if (connection.waitForRetry(since, tries, {})) continue;
      throw Error(e.code(), unknown ? Retry::outcomeUnknown : Retry::later, e.message());
    }
  }
}

void Kv::drop(const std::string& keys) {
  const StreamInfo info = js_.info(stream_);
  js_.purge(stream_, info.lastSequence + 1, "$KV." + bucket_ + "." + keys);
}

}  // namespace tidegate::nats::detail
