#include "tidegate/postgres/state_store.h"

#include <fmt/format.h>

#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "postgres/detail/sink_connection.h"

namespace tidegate::postgres {
namespace {

using detail::SqlResult;
using StateParams = std::vector<std::optional<std::string>>;

constexpr int kConnections = 3;  ///< tries of what may be done twice

std::string byteaOf(std::string_view octets) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  text.reserve(2 + octets.size() * 2);
  for (const char c : octets) {
    text.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return text;
}

int digitOf(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/// As `encode(…, 'hex')` writes it.
std::string octetsOf(std::string_view hex) {
  std::string octets;
  octets.reserve(hex.size() / 2);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    octets.push_back(static_cast<char>(digitOf(hex[i]) * 16 + digitOf(hex[i + 1])));
  }
  return octets;
}

class PostgresStateStore final : public StateStore {
 public:
  explicit PostgresStateStore(StateStoreOptions options)
      : schema_(quoteIdentifier(Dialect::postgres, options.schema)),
        table_(schema_ + "." + quoteIdentifier(Dialect::postgres, options.table)),
        options_(std::move(options)),
        connection_(options_.connect) {
    repeated([&] { makeTable(); });
  }

  std::optional<std::string> get(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    return repeated([&]() -> std::optional<std::string> {
      const SqlResult found =
          ask(fmt::format("SELECT encode(octets, 'hex') FROM {} WHERE key = $1::bytea", table_), {byteaOf(key)});
      if (PQntuples(found.get()) == 0) return std::nullopt;
      return octetsOf(detail::cell(found, 0, 0));
    });
  }

  void put(std::string_view key, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    repeated([&] {
      ask(fmt::format("INSERT INTO {} (key, octets) VALUES ($1::bytea, $2::bytea) ON CONFLICT (key) DO UPDATE SET "
                      "octets = EXCLUDED.octets",
                      table_),
          {byteaOf(key), byteaOf(octets)});
    });
  }

  void remove(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    repeated([&] { ask(fmt::format("DELETE FROM {} WHERE key = $1::bytea", table_), {byteaOf(key)}); });
  }

  bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    // Until the statement is on its way nothing can have happened.
    repeated([&] { ask("SELECT 1", {}); });
    try {
      const SqlResult written =
          expected ? ask(fmt::format("UPDATE {} SET octets = $2::bytea WHERE key = $1::bytea AND octets = $3::bytea",
                                     table_),
                         {byteaOf(key), byteaOf(octets), byteaOf(*expected)})
                   : ask(fmt::format("INSERT INTO {} (key, octets) VALUES ($1::bytea, $2::bytea) ON CONFLICT (key) DO "
                                     "NOTHING",
                                     table_),
                         {byteaOf(key), byteaOf(octets)});
      return detail::rowsWritten(written) == 1;
    } catch (const Error& e) {
      const bool lost = e.code() == ErrorCode::connectionFailed;
      if (lost) connection_.close();
      throw unavailable(e, lost ? Retry::outcomeUnknown : e.retry());
    }
  }

 private:
  SqlResult ask(const std::string& sql, const StateParams& params) {
    if (!connection_.isOpen()) {
      connection_.open({});
      // What `put` returned from is on disk, whatever the database's default says.
      connection_.run(
          "SELECT set_config('synchronous_commit', 'on', false) WHERE "
          "current_setting('synchronous_commit') = 'off'");
    }
    return connection_.ask(sql, params);
  }

  /// Does it again on a new connection where the old one broke: to say the same twice does no harm.
  template <class Work>
  std::invoke_result_t<const Work&> repeated(const Work& work) {
    for (int tries = 1;; ++tries) {
      try {
        return work();
      } catch (const Error& e) {
        const bool lost = e.code() == ErrorCode::connectionFailed;
        if (lost) connection_.close();
        if (!lost || tries == kConnections) throw unavailable(e, lost ? Retry::later : e.retry());
      }
    }
  }

  Error unavailable(const Error& e, Retry retry) const {
    if (e.code() == ErrorCode::invalidConfig) return e;
    return Error(ErrorCode::storeUnavailable, retry, fmt::format("state store {}: {}", table_, e.message()));
  }

  void makeTable() {
    try {
      const SqlResult there = ask("SELECT to_regclass($1) IS NOT NULL", {table_});
      if (detail::cellIsTrue(there, 0, 0)) return;
      connection_.begin();
      connection_.run("SELECT pg_advisory_xact_lock(7233942)");  // two stores that make it at once
      const SqlResult schema = connection_.ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", {options_.schema});
      if (PQntuples(schema.get()) == 0) connection_.run("CREATE SCHEMA " + schema_);
      connection_.run(
          fmt::format("CREATE TABLE IF NOT EXISTS {} (key bytea PRIMARY KEY, octets bytea NOT NULL)", table_));
      connection_.commit();
    } catch (const Error& e) {
      connection_.rollback();
      if (e.code() != ErrorCode::permissionDenied) throw;
      throw Error(
          e.code(), e.retry(),
          fmt::format("{}: GRANT USAGE, CREATE ON SCHEMA {} TO the role, or let an owner run CREATE TABLE {} (key "
                      "bytea PRIMARY KEY, octets bytea NOT NULL) and grant SELECT, INSERT, UPDATE, DELETE on it",
                      e.message(), schema_, table_));
    }
  }

  const std::string schema_;
  const std::string table_;
  const StateStoreOptions options_;
  std::mutex mutex_;
  detail::SinkConnection connection_;  ///< guarded by mutex_
};

}  // namespace

std::shared_ptr<StateStore> stateStore(StateStoreOptions options) {
  return std::make_shared<PostgresStateStore>(std::move(options));
}

}  // namespace tidegate::postgres
