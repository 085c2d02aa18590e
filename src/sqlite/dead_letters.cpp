#include "tidegate/sqlite/dead_letters.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <mutex>

#include "sqlite/detail/store_file.h"

namespace tidegate::sqlite {

namespace {

constexpr detail::StoreFormat kLettersFormat{
    "dead-letter store", 0x5464446C /* "TdDl" */, 1,
    "CREATE TABLE letters(id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline TEXT NOT NULL, position TEXT NOT NULL, "
    "target TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL, error TEXT NOT NULL, failed_micros INTEGER NOT "
    "NULL, "
    "attempts INTEGER NOT NULL, UNIQUE(pipeline, position))"};

class SqliteDeadLetters final : public DeadLetters {
 public:
  explicit SqliteDeadLetters(const std::string& path)
      : file_(kLettersFormat, {.path = path}),
        add_(statement("INSERT INTO letters(pipeline, position, target, key, event, error, failed_micros, attempts) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(pipeline, position) DO NOTHING")),
        read_(
            statement("SELECT id, pipeline, position, target, key, event, error, failed_micros, attempts FROM letters "
                      "WHERE (?1 = '' OR pipeline = ?1) AND id > ?2 ORDER BY id LIMIT ?3")),
        count_(statement("SELECT count(*) FROM letters WHERE ?1 = '' OR pipeline = ?1")),
        remove_(statement("DELETE FROM letters WHERE id = ?")),
        purge_(statement("DELETE FROM letters WHERE ?1 = '' OR pipeline = ?1")) {}

  void add(const DeadLetter& letter) override {
    const std::lock_guard lock(mutex_);
    file_.write([&] {
      add_.tryReset();
      add_.bind(1, letter.pipeline);
      add_.bind(2, letter.positionText);
      add_.bind(3, letter.table);
      add_.bind(4, letter.key);
      add_.bind(5, letter.event);
      add_.bind(6, letter.error);
      add_.bind(7, letter.failedMicros);
      add_.bind(8, static_cast<std::int64_t>(letter.attempts));
      add_.exec();
    });
  }

  std::vector<DeadLetter> read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const override {
    const std::lock_guard lock(mutex_);
    return file_.run([&] {
      read_.tryReset();
      read_.bind(1, std::string(pipeline));
      read_.bind(2, clamped(afterId));
      read_.bind(3, clamped(limit));
      std::vector<DeadLetter> found;
      while (read_.executeStep()) {
        found.push_back({.id = static_cast<std::uint64_t>(read_.getColumn(0).getInt64()),
                         .pipeline = read_.getColumn(1).getString(),
                         .table = read_.getColumn(3).getString(),
                         .key = read_.getColumn(4).getString(),
                         .positionText = read_.getColumn(2).getString(),
                         .event = read_.getColumn(5).getString(),
                         .error = read_.getColumn(6).getString(),
                         .failedMicros = read_.getColumn(7).getInt64(),
                         .attempts = static_cast<std::uint32_t>(read_.getColumn(8).getInt64())});
      }
      read_.tryReset();  // an unfinished read would keep the WAL from being reused
      return found;
    });
  }

  std::uint64_t count(std::string_view pipeline) const override {
    const std::lock_guard lock(mutex_);
    return file_.run([&] {
      count_.tryReset();
      count_.bind(1, std::string(pipeline));
      count_.executeStep();
      const auto count = static_cast<std::uint64_t>(count_.getColumn(0).getInt64());
      count_.tryReset();
      return count;
    });
  }

  bool remove(std::uint64_t id) override {
    const std::lock_guard lock(mutex_);
    return changed(remove_, [&] { remove_.bind(1, clamped(id)); }) > 0;
  }

  std::uint64_t purge(std::string_view pipeline) override {
    const std::lock_guard lock(mutex_);
    return changed(purge_, [&] { purge_.bind(1, std::string(pipeline)); });
  }

 private:
  static std::int64_t clamped(std::uint64_t number) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(number, INT64_MAX));
  }
  SQLite::Statement statement(const char* sql) {
    return file_.run([&] { return SQLite::Statement(file_.database(), sql); });
  }
  template <class Bind>
  std::uint64_t changed(SQLite::Statement& statement, Bind&& bind) {
    int rows = 0;
    file_.write([&] {
      statement.tryReset();
      bind();
      rows = statement.exec();
    });
    return static_cast<std::uint64_t>(rows);
  }

  mutable std::mutex mutex_;  ///< guards everything below
  mutable detail::StoreFile file_;
  SQLite::Statement add_;
  mutable SQLite::Statement read_, count_;
  SQLite::Statement remove_, purge_;
};

}  // namespace

std::shared_ptr<DeadLetters> deadLetters(const std::string& path) { return std::make_shared<SqliteDeadLetters>(path); }

}  // namespace tidegate::sqlite
