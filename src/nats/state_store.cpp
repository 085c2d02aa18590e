#include "tidegate/nats/state_store.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <mutex>
#include <random>
#include <utility>

#include "nats/detail/kv.h"

namespace tidegate::nats {
namespace {

using detail::Kv;
using detail::KvEntry;

constexpr const char* kChunksHeader = "Tidegate-Chunks";
constexpr int kMostTries = 20;

/// "<count>.<writing>": in how many messages the octets are, and under which name.
struct Chunks {
  std::size_t count = 0;
  std::string writing{};
};
Chunks chunksOf(std::string_view text) {
  Chunks chunks;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), chunks.count);
  if (read.ec == std::errc() && read.ptr != text.data() + text.size()) {
    chunks.writing = std::string(read.ptr + 1, text.data() + text.size());
  }
  return chunks;
}

Chunks chunksOf(const KvEntry& entry) { return chunksOf(entry.stored.header(kChunksHeader)); }

Chunks chunksOf(const Kv::Write& write) {
  for (const detail::Header& header : write.headers) {
    if (std::string_view(header.name) == kChunksHeader) return chunksOf(header.value);
  }
  return {};
}

class NatsStateStore final : public StateStore {
 public:
  explicit NatsStateStore(StateStoreOptions options)
      : options_(std::move(options)),
        connection_(options_.connect),
        js_(connection_),
        kv_(js_, options_.bucket, options_.stream) {}

  std::optional<std::string> get(std::string_view key) override {
    return guarded([&]() -> std::optional<std::string> {
      const std::string name = Kv::keyOf(key);
      // The chunks of a writing may go while they are read: then there is a newer one.
      for (int tries = 0; tries < kMostTries; ++tries) {
        const auto entry = options_.fence != 0 ? claim(name) : kv_.get("e." + name);
        if (!entry || entry->erased) return std::nullopt;
        if (auto octets = octetsOf(name, *entry)) return octets;
      }
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  fmt::format("bucket \"{}\": an entry lacks parts of it; remove it to begin anew", options_.bucket));
    });
  }

  void put(std::string_view key, std::string_view octets) override {
    guarded([&] {
      const std::string name = Kv::keyOf(key);
      const std::size_t most = kv_.mostValueBytes();
      if (octets.size() <= most) return write({.key = "e." + name, .headers = fences(), .value = octets}, name);
      const std::string writing = freshWriting();
      std::size_t count = 0;
      for (std::size_t at = 0; at < octets.size(); at += most) {
        kv_.put({.key = fmt::format("c.{}.{}.{}", name, writing, count++), .value = octets.substr(at, most)});
      }
      auto headers = fences();
      headers.push_back({kChunksHeader, fmt::format("{}.{}", count, writing)});
      try {
        write({.key = "e." + name, .headers = headers}, name);
      } catch (const Error& e) {
        if (e.code() == ErrorCode::fenced) dropChunks(name, {count, writing});  // nothing names them
        throw;
      }
    });
  }

  void remove(std::string_view key) override {
    guarded([&] {
      const std::string name = Kv::keyOf(key);
      if (options_.fence == 0 && !kv_.get("e." + name)) return;
      write({.key = "e." + name, .headers = fences(), .erase = true}, name);
    });
  }

 private:
  struct Known {
    std::uint64_t revision = 0;
    Chunks chunks{};
  };

  /// Failures as those of a store.
  template <class Work>
  auto guarded(const Work& work) -> decltype(work()) {
    const std::lock_guard lock(mutex_);
    try {
      return work();
    } catch (const Error& e) {
      if (e.code() == ErrorCode::fenced || e.code() == ErrorCode::storeCorrupt) throw;
      throw Error(ErrorCode::storeUnavailable, e.retry(), e.message());
    }
  }

  std::vector<detail::Header> fences() const {
    if (options_.fence == 0) return {};
    return {{detail::kFenceHeader, std::to_string(options_.fence)}};
  }

  static std::string freshWriting() {
    std::random_device device;
    return fmt::format("{:08x}{:08x}", device(), device());
  }

  std::optional<std::string> octetsOf(const std::string& name, const KvEntry& entry) {
    const Chunks chunks = chunksOf(entry);
    if (chunks.count == 0) return entry.value;
    std::string octets;
    for (std::size_t i = 0; i < chunks.count; ++i) {
      const auto chunk = kv_.get(fmt::format("c.{}.{}.{}", name, chunks.writing, i));
      if (!chunk) return std::nullopt;
      octets += chunk->value;
    }
    return octets;
  }

  [[noreturn]] void refuseFenced(std::uint64_t by) const {
    throw Error(ErrorCode::fenced, Retry::afterOperator,
                fmt::format("bucket \"{}\": a later owner (fence {}) took over from this one ({}): end this one",
                            options_.bucket, by, options_.fence));
  }

  /// Makes the entry this owner's: it is written again under its fence, so that nobody before can change it.
  std::optional<KvEntry> claim(const std::string& name) {
    for (int tries = 0; tries < kMostTries; ++tries) {
      auto entry = kv_.get("e." + name);
      if (entry && entry->fence > options_.fence) refuseFenced(entry->fence);
      if (entry && entry->fence == options_.fence) {
        known_[name] = {entry->revision, chunksOf(*entry)};
        return entry;
      }
      Kv::Write again{.key = "e." + name, .headers = fences(), .erase = !entry || entry->erased};
      if (entry) {
        again.value = entry->value;
        const std::string chunks(entry->stored.header(kChunksHeader));
        if (!chunks.empty()) again.headers.push_back({kChunksHeader, chunks});
      }
      const auto revision = kv_.putIf(again, entry ? entry->revision : 0);
      if (!revision) continue;
      known_[name] = {*revision, chunksOf(again)};
      return entry;
    }
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                fmt::format("bucket \"{}\": others write the same entry all the time", options_.bucket));
  }

  void write(const Kv::Write& what, const std::string& name) {
    if (options_.fence == 0) {
      const auto before = kv_.get(what.key);
      kv_.put(what);
      if (before) dropChunks(name, chunksOf(*before));
      return;
    }
    for (int tries = 0; tries < kMostTries; ++tries) {
      if (!known_.contains(name) || tries > 0) claim(name);
      Known& known = known_.at(name);
      const auto revision = kv_.putIf(what, known.revision);
      if (!revision) continue;  // claiming it again says who was first
      const Chunks before = std::exchange(known, {*revision, chunksOf(what)}).chunks;
      dropChunks(name, before);
      return;
    }
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                fmt::format("bucket \"{}\": others write the same entry all the time", options_.bucket));
  }

  void dropChunks(const std::string& name, const Chunks& chunks) {
    if (chunks.count > 0) kv_.drop(fmt::format("c.{}.{}.*", name, chunks.writing));
  }

  const StateStoreOptions options_;
  std::mutex mutex_;
  detail::Connection connection_;
  detail::JetStream js_;
  Kv kv_;
  std::map<std::string, Known> known_;  ///< guarded by mutex_: entries that are ours
};

}  // namespace

std::shared_ptr<StateStore> stateStore(StateStoreOptions options) {
  detail::checkBucket(options.bucket, "nats::stateStore");
  try {
    return std::make_shared<NatsStateStore>(std::move(options));
  } catch (const Error& e) {
    const bool later = e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::tableNotFound;
    if (!later) throw;
    throw Error(ErrorCode::storeUnavailable, e.retry(), e.message());
  }
}

}  // namespace tidegate::nats
