/// A server of shapes as Electric is one, in this process: tables in memory, logs for each shape, and faults on demand.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "electric/detail/source_offset.h"
#include "support/property.h"
#include "tidegate/http/server.h"

namespace tidegate::electric::test {

using reading::LogOffset;

/// A row as PostgreSQL prints it; nullopt: null.
using TextRow = std::map<std::string, std::optional<std::string>>;

struct ServedTable {
  std::string name{};
  std::string schema{};  ///< the field `electric-schema`
  std::vector<std::string> key{};
};

struct TableChange {
  enum class Op { insert, update, erase } op = Op::insert;
  std::string table{};
  TextRow row{};     ///< of an erase its key is enough
  TextRow before{};  ///< of an update whose key changes: the old key
};

struct FakeOptions {
  std::size_t snapshotChunk = 100;  ///< rows in one answer
  std::size_t logChunk = 50;        ///< messages in one answer
  std::chrono::milliseconds longPoll{20'000};
  bool tellPlaces = true;    ///< messages carry lsn and op_position
  bool tellLast = true;      ///< and `last`
  bool tellSeen = true;      ///< up-to-date says how far the server has come
  bool splitEvents = false;  ///< events are written in pieces of random size
  std::uint64_t seed = 1;
};

/// @thread Any.
class FakeElectric {
 public:
  explicit FakeElectric(std::vector<ServedTable> tables, FakeOptions options = {});
  ~FakeElectric();

  std::string url() const { return server_->url() + "/v1/shape"; }
  /// One transaction. @return its place.
  std::int64_t commit(const std::vector<TableChange>& changes);
  /// Ends the logs of a table's shapes. Those that wait are told so.
  void rotate(const std::string& table);
  /// Empties a table, which ends its logs.
  void truncate(const std::string& table);
  /// Cuts what waits. @return whether anything did.
  bool cut();
  /// Forgets the messages of a table's logs after a place, as a server restored from a backup.
  void forgetAfter(const std::string& table, LogOffset place);
  /// A condition that requests may name.
  void addCondition(const std::string& where, std::function<bool(const TextRow&)> holds);
  /// Sees each request first, and may answer it. Set before it is needed, or with what it captures safe for any thread.
  void setScript(std::function<std::optional<http::Response>(const http::Request&)> script);
  /// Every column of each table as it is now, by key.
  std::map<std::string, TextRow> rows(const std::string& table) const;

  std::vector<std::string> queries() const;  ///< of all requests so far
  std::size_t waiting() const;
  std::string handleOf(const std::string& table) const;  ///< of its first shape; empty where there is none
  std::int64_t lastLsn() const;
  FakeOptions& options() { return options_; }

 private:
  struct LogEntry {
    LogOffset at;
    std::string message;
  };
  struct ShapeLog {
    std::string table, where, columns, handle;
    bool full = false;
    std::vector<std::string> snapshot;
    std::vector<LogEntry> log;
  };
  struct Waiter {
    ShapeLog* shape;
    LogOffset at;
    bool events;
    std::optional<http::Responder> responder{};
    std::optional<http::BodyStream> body{};
  };
  struct Table {
    ServedTable served;
    std::map<std::string, TextRow> rows{};
  };
  using Query = std::vector<std::pair<std::string, std::string>>;

  void handle(http::Request&& request, http::Responder answer);
  void serve(const Query& query, http::Responder answer);
  ShapeLog* shapeFor(const Query& query);
  ShapeLog& makeShape(const std::string& table, const std::string& where, const std::string& columns, bool full);
  void answerSnapshot(ShapeLog& shape, std::size_t chunk, http::Responder& answer);
  http::Response logAnswer(ShapeLog& shape, LogOffset from, bool live);
  void wait(ShapeLog& shape, LogOffset from, bool events, http::Responder answer);
  void feed(Waiter& waiter);
  void wake(const std::string& table, bool rotated);
  void timedOut(std::uint64_t number);
  void append(ShapeLog& shape, const TableChange& change, const std::optional<TextRow>& old, LogOffset at, bool last);
  std::string message(const ShapeLog& shape, const std::string& operation, const TextRow& row, const TextRow* old,
                      const TextRow* changedFrom, std::optional<LogOffset> at, bool last,
                      const std::string& more) const;
  std::string keyText(const std::string& table, const TextRow& row) const;
  bool matches(const ShapeLog& shape, const TextRow& row) const;
  bool sends(const ShapeLog& shape, const std::string& column) const;
  std::string upToDate() const;
  http::Headers fields(const ShapeLog& shape, LogOffset end, bool live) const;
  std::string schemaOf(const ShapeLog& shape) const;
  void writeEvents(const http::BodyStream& body, const std::string& text);
  LogOffset endOf(const ShapeLog& shape) const;

  FakeOptions options_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::map<std::string, Table> tables_;
  std::list<ShapeLog> shapes_;
  std::map<std::uint64_t, Waiter> waiters_;
  std::map<std::string, std::function<bool(const TextRow&)>> conditions_;
  std::function<std::optional<http::Response>(const http::Request&)> script_;
  std::vector<std::string> queries_;
  std::int64_t lsn_ = 1'000;
  std::uint64_t next_ = 1;
  tidegate::test::Random random_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace tidegate::electric::test
