#include "sqlite/detail/connection.h"

#include <SQLiteCpp/Exception.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "sqlite/detail/errors.h"

namespace tidegate::sqlite::detail {

namespace {

/// VM instructions between two looks at the stop token and the clock: some tens of microseconds.
constexpr int kProgressInstructions = 2'000;

int openFlags(const QueryOptions& options) {
  // NOMUTEX: the contract is one call at a time, and a lock per column read costs as much as the read.
  const int access = options.readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  return access | SQLITE_OPEN_NOMUTEX | (options.create ? SQLITE_OPEN_CREATE : 0);
}

std::unique_ptr<SQLite::Database> open(const QueryOptions& options) {
  try {
    auto database = std::make_unique<SQLite::Database>(options.path, openFlags(options));
    sqlite3_extended_result_codes(database->getHandle(), 1);
    return database;
  } catch (const SQLite::Exception& e) {
    throw openError(e.getErrorCode(), e.what(), options.path, options.readOnly);
  }
}

/// Sleeps, unless stopped first.
void pause(std::chrono::milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
}

}  // namespace

Connection::Connection(const QueryOptions& options)
    : options_(options), database_(open(options)), file_(fileAt(options.path)) {
  sqlite3_progress_handler(database_->getHandle(), kProgressInstructions, &Connection::onProgress, this);
  sqlite3_busy_handler(database_->getHandle(), &Connection::onBusy, this);
}

std::optional<Connection::FileId> Connection::fileAt(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

bool Connection::stale() const { return broken_ || (file_ && fileAt(options_.path) != file_); }

int Connection::onProgress(void* self) noexcept {
  const Interrupt* running = static_cast<Connection*>(self)->running_;
  return running != nullptr && (running->stopped() || running->expired()) ? 1 : 0;
}

int Connection::onBusy(void* self, int attempts) noexcept {
  auto& connection = *static_cast<Connection*>(self);
  const Interrupt* running = connection.running_;
  const auto now = std::chrono::steady_clock::now();
  if (attempts == 0) connection.busySince_ = now;
  if (running != nullptr && (running->stopped() || running->expired())) return 0;
  if (now - connection.busySince_ >= connection.options_.busyTimeout) return 0;
  try {
    pause(std::chrono::milliseconds(std::min(1 + attempts, 20)),
          running != nullptr ? running->stop : std::stop_token{});
  } catch (...) {
    return 0;
  }
  return 1;
}

StatementPtr Connection::take(const std::string& sql, const Interrupt& interrupt) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& entry) { return entry.first == sql; });
  if (found == kept_.end()) return prepare(sql, interrupt);
  StatementPtr statement = std::move(found->second);
  kept_.erase(found);
  return statement;
}

void Connection::giveBack(const std::string& sql, StatementPtr statement) noexcept {
  sqlite3_reset(statement.get());
  sqlite3_clear_bindings(statement.get());
  const auto same = [&](const auto& entry) { return entry.first == sql; };
  if (options_.cachedStatements == 0 || std::any_of(kept_.begin(), kept_.end(), same)) return;
  try {
    if (kept_.size() >= options_.cachedStatements) kept_.erase(kept_.begin());
    kept_.emplace_back(sql, std::move(statement));
  } catch (const std::bad_alloc&) {
    return;  // then it is prepared again
  }
}

StatementPtr Connection::prepare(const std::string& sql, const Interrupt& interrupt) {
  const auto refuse = [](const char* why) { return Error(ErrorCode::invalidArgument, Retry::never, why); };
  if (sql.find('\0') != std::string::npos)
    throw refuse("the SQL text holds a NUL; bind values instead of pasting them");
  const auto prepareAt = [&](const char*& at) {
    sqlite3_stmt* raw = nullptr;
    const auto left = static_cast<int>(sql.data() + sql.size() - at) + 1;
    running_ = &interrupt;  // the schema may be locked
    const int code = sqlite3_prepare_v3(database_->getHandle(), at, left, SQLITE_PREPARE_PERSISTENT, &raw, &at);
    running_ = nullptr;
    if (code != SQLITE_OK) throw error(code, interrupt);
    return StatementPtr(raw);
  };
  const char* at = sql.c_str();
  StatementPtr statement = prepareAt(at);
  if (!statement) throw refuse("the SQL text holds no statement");
  while (*at != '\0') {
    if (prepareAt(at)) throw refuse("the SQL text holds more than one statement; ask one at a time");
  }
  return statement;
}

int Connection::step(sqlite3_stmt* statement, const Interrupt& interrupt) {
  running_ = &interrupt;
  const int code = sqlite3_step(statement);
  running_ = nullptr;
  return code;
}

Error Connection::error(int code, const Interrupt& interrupt) {
  if (breaksConnection(code)) broken_ = true;
  const int basic = code & 0xFF;
  if (basic == SQLITE_INTERRUPT || basic == SQLITE_BUSY) {
    if (interrupt.stopped()) {
      return {ErrorCode::queryCancelled, Retry::later, options_.path + ": the query was stopped by its caller"};
    }
    if (interrupt.expired()) {
      return {
          ErrorCode::queryCancelled, Retry::later,
          options_.path + ": the query ran into its statement timeout; add an index, read less, or allow more time"};
    }
  }
  const std::string message = sqlite3_errmsg(database_->getHandle());
  if (basic == SQLITE_CANTOPEN) return openError(code, message, options_.path, options_.readOnly);
  return queryError(code, message, options_.path);
}

}  // namespace tidegate::sqlite::detail
