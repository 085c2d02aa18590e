#include "mysql/detail/c_link.h"

#include <fmt/format.h>
// Needs mysql.h before it.
#include <ma_pvio.h>
#include <poll.h>
#include <sys/socket.h>

#include "mysql/detail/errors.h"
#include "mysql/detail/options.h"

namespace tidegate::mysql::detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What the servers allow for an event or a row.
constexpr unsigned long kMaxPacket = 1UL << 30;

unsigned secondsRoundedUp(milliseconds time) { return static_cast<unsigned>(std::chrono::ceil<seconds>(time).count()); }

/// The library's own start is not safe for two threads at once.
bool libraryReady() {
  static const bool ready = mysql_server_init(0, nullptr, nullptr) == 0;
  return ready;
}

void setTimeouts(MYSQL* handle, const ConnectOptions& options, milliseconds silence) {
  const unsigned connect = secondsRoundedUp(options.connectTimeout);
  mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
  if (silence.count() == 0) return;
  const unsigned wait = secondsRoundedUp(silence);
  mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &wait);
  mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &wait);
}

void setTls(MYSQL* handle, const ConnectOptions& options) {
  my_bool enforce = *options.tls != TlsMode::off, verify = *options.tls == TlsMode::verifyFull;
  if (enforce == 0) return;
  mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &enforce);
  mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (!options.caFile.empty()) mysql_options(handle, MYSQL_OPT_SSL_CA, options.caFile.c_str());
  if (!options.certFile.empty()) mysql_options(handle, MYSQL_OPT_SSL_CERT, options.certFile.c_str());
  if (!options.keyFile.empty()) mysql_options(handle, MYSQL_OPT_SSL_KEY, options.keyFile.c_str());
}

}  // namespace

CLink::CLink(const ConnectOptions& options, milliseconds silence, const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "stopped before it connected");
  if (!libraryReady()) throw Error(ErrorCode::internal, Retry::never, "libmariadb does not start");
  handle_.reset(mysql_init(nullptr));
  if (!handle_) throw std::bad_alloc();
  MYSQL* const handle = handle_.get();
  setTimeouts(handle, options, silence);
  setTls(handle, options);
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_options(handle, MYSQL_OPT_MAX_ALLOWED_PACKET, &kMaxPacket);
  const unsigned noFiles = 0;  // a hostile server could ask for any file of this machine
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &noFiles);
  const bool bySocket = !options.unixSocket.empty();
  const unsigned protocol = bySocket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
  const MYSQL* const connected =
      mysql_real_connect(handle, bySocket ? nullptr : options.host.c_str(), options.user.c_str(),
                         options.password.c_str(), options.database.empty() ? nullptr : options.database.c_str(),
                         bySocket ? 0 : options.port, bySocket ? options.unixSocket.c_str() : nullptr, 0);
  if (connected == nullptr) {
    const Error why = fromNumber(static_cast<int>(mysql_errno(handle)), mysql_sqlstate(handle), mysql_error(handle));
    throw Error(why.code(), why.retry(), fmt::format("cannot connect to {}: {}", whereOf(options), why.message()));
  }
  encrypted_ = mysql_get_ssl_cipher(handle) != nullptr;
  if (*options.tls != TlsMode::off && !encrypted_) {
    throw Error(ErrorCode::connectionFailed, Retry::afterOperator,
                fmt::format("{} does not speak TLS: enable it there, or set tls = TlsMode::off", whereOf(options)));
  }
  id_ = mysql_thread_id(handle);
  mariaDb_ = std::string_view(mysql_get_server_info(handle)).find("MariaDB") != std::string_view::npos;
  run("SET SESSION time_zone = '+00:00', sql_mode = "
      "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'");
}

CLink::~CLink() = default;

int CLink::socket() noexcept { return static_cast<int>(mysql_get_socket(handle_.get())); }

void CLink::interrupt() noexcept { ::shutdown(socket(), SHUT_RDWR); }

void CLink::fail() {
  MYSQL* const handle = handle_.get();
  throw fromNumber(static_cast<int>(mysql_errno(handle)), mysql_sqlstate(handle), mysql_error(handle));
}

Cells CLink::ask(const std::string& sql) {
  if (mysql_real_query(handle_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0) fail();
  const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result(mysql_store_result(handle_.get()),
                                                                        &mysql_free_result);
  if (!result) {
    if (mysql_errno(handle_.get()) != 0) fail();
    return {};
  }
  Cells cells;
  const unsigned columns = mysql_num_fields(result.get());
  while (const MYSQL_ROW row = mysql_fetch_row(result.get())) {
    const unsigned long* const lengths = mysql_fetch_lengths(result.get());
    std::vector<Cell>& out = cells.emplace_back();
    for (unsigned i = 0; i < columns; ++i) {
      out.push_back(row[i] == nullptr ? Cell() : Cell(std::in_place, row[i], lengths[i]));
    }
  }
  return cells;
}

void CLink::send(const std::string& sql) {
  if (mysql_send_query(handle_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0) fail();
}

MYSQL_RES* CLink::readResult() {
  if (mysql_read_query_result(handle_.get()) != 0) fail();
  MYSQL_RES* const result = mysql_use_result(handle_.get());
  if (result == nullptr && mysql_errno(handle_.get()) != 0) fail();
  return result;
}

bool CLink::cached() const noexcept {
  const MARIADB_PVIO* const io = handle_->net.pvio;
  return io != nullptr && io->cache != nullptr && io->cache_pos < io->cache + io->cache_size;
}

bool CLink::readable() noexcept {
  if (cached()) return true;
  pollfd polled{socket(), POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

std::string CLink::askText(const std::string& sql) {
  const Cells cells = ask(sql);
  return cells.empty() || cells[0].empty() ? std::string() : cells[0][0].value_or("");
}

std::string literal(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace tidegate::mysql::detail
