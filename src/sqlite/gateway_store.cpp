#include "tidegate/sqlite/gateway_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <climits>

#include "sqlite/detail/store_file.h"

namespace tidegate::sqlite {

namespace {

using detail::StoreFile;

constexpr detail::StoreFormat kGatewayFormat{
    "gateway store", 0x54644773 /* "TdGs" */, 1,
    "CREATE TABLE segments(seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id INTEGER NOT NULL, "
    "checksum INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE(kind, id))"};

/// Large pages: segments are tens of kilobytes and more, written once and read in a row.
constexpr int kGatewayPageSize = 16'384;

/// SQLite's integers are signed; flipping the top bit keeps the order of ids.
constexpr std::uint64_t kTopBit = std::uint64_t{1} << 63;
std::int64_t storedId(std::uint64_t id) { return static_cast<std::int64_t>(id ^ kTopBit); }
std::uint64_t idFrom(std::int64_t stored) { return static_cast<std::uint64_t>(stored) ^ kTopBit; }

std::string_view kindName(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::log:
      return "log";
    case SegmentKind::rows:
      return "rows";
    case SegmentKind::seen:
      return "seen";
    case SegmentKind::meta:
      return "meta";
  }
  return "unknown";
}

std::string nameOf(SegmentRef ref) { return fmt::format("{} {}", kindName(ref.kind), ref.id); }

std::int64_t checksumOf(SegmentRef ref, std::string_view octets) {
  std::array<char, 9> name{static_cast<char>(ref.kind)};
  for (std::size_t i = 0; i < 8; ++i) name[i + 1] = static_cast<char>(ref.id >> (8 * i));
  return detail::storeChecksum({name.data(), name.size()}, octets);
}

detail::StoreFileOptions fileOptions(const GatewayStoreOptions& options) {
  return {.path = options.path,
          .oneOwner = true,
          .syncCommits = options.synchronous == Synchronous::full,
          .lockTimeout = options.lockTimeout,
          .pageSize = kGatewayPageSize};
}

class SqliteGatewayStore final : public GatewayStore {
 public:
  explicit SqliteGatewayStore(const GatewayStoreOptions& options)
      : walBytes_(options.walBytes),
        file_(kGatewayFormat, fileOptions(options)),
        put_(statement("INSERT INTO segments(kind, id, checksum, body) VALUES (?, ?, ?, ?) ON CONFLICT(kind, id) "
                       "DO UPDATE SET checksum = excluded.checksum, body = excluded.body")),
        drop_(statement("DELETE FROM segments WHERE kind = ? AND id = ?")) {
    // Instead of SQLite's own checkpoints: theirs come every thousand pages, and so twice a second under load.
    sqlite3_wal_hook(file_.database().getHandle(), &SqliteGatewayStore::onWal, this);
  }

  void load(const Visitor& visit) override {
    auto rows = statement("SELECT kind, id, checksum, body FROM segments ORDER BY kind, id");
    while (file_.run([&] { return rows.executeStep(); })) {
      const SegmentRef ref{static_cast<SegmentKind>(rows.getColumn(0).getInt()), idFrom(rows.getColumn(1).getInt64())};
      const SQLite::Column body = rows.getColumn(3);
      const auto* data = static_cast<const char*>(body.getBlob());
      const std::string_view octets(data != nullptr ? data : "", static_cast<std::size_t>(body.getBytes()));
      if (checksumOf(ref, octets) != rows.getColumn(2).getInt64()) {
        throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                    fmt::format("gateway store {}: segment '{}' fails its checksum; restore the file from a backup, or "
                                "move it away to start anew",
                                file_.path(), nameOf(ref)));
      }
      visit(ref, octets);
    }
  }

  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override {
    for (const Segment& segment : puts) checkSize(segment);
    file_.write([&] {
      for (const Segment& segment : puts) put(segment);
      for (const SegmentRef& ref : drops) drop(ref);
    });
    boundWal();
  }

 private:
  SQLite::Statement statement(const char* sql) {
    return file_.run([&] { return SQLite::Statement(file_.database(), sql); });
  }

  void checkSize(const Segment& segment) {
    const int limit = sqlite3_limit(file_.database().getHandle(), SQLITE_LIMIT_LENGTH, -1);
    if (segment.octets.size() < static_cast<std::size_t>(limit) - 100) return;
    throw Error(
        ErrorCode::storeUnavailable, Retry::never,
        fmt::format("gateway store {}: segment '{}' of {} octets is over SQLite's limit of {}; push less at once",
                    file_.path(), nameOf(segment.ref), segment.octets.size(), limit));
  }

  void put(const Segment& segment) {
    put_.tryReset();
    put_.bind(1, static_cast<int>(segment.ref.kind));
    put_.bind(2, storedId(segment.ref.id));
    put_.bind(3, checksumOf(segment.ref, segment.octets));
    const char* data = segment.octets.empty() ? "" : segment.octets.data();
    put_.bindNoCopy(4, data, static_cast<int>(segment.octets.size()));
    put_.exec();
  }

  void drop(const SegmentRef& ref) {
    drop_.tryReset();
    drop_.bind(1, static_cast<int>(ref.kind));
    drop_.bind(2, storedId(ref.id));
    drop_.exec();
  }

  static int onWal(void* self, sqlite3*, const char*, int pages) noexcept {
    static_cast<SqliteGatewayStore*>(self)->walPages_ = static_cast<std::size_t>(pages);
    return SQLITE_OK;
  }

  /// The commit is durable whatever becomes of this: what fails here is tried again after the next one.
  void boundWal() noexcept {
    if (walPages_ * kGatewayPageSize < walBytes_) return;
    sqlite3_wal_checkpoint_v2(file_.database().getHandle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }

  const std::size_t walBytes_;
  StoreFile file_;
  SQLite::Statement put_;
  SQLite::Statement drop_;
  std::size_t walPages_ = 0;
};

}  // namespace

std::shared_ptr<GatewayStore> gatewayStore(GatewayStoreOptions options) {
  return std::make_shared<SqliteGatewayStore>(options);
}

}  // namespace tidegate::sqlite
