#include "mysql/detail/errors.h"

#include <cppconn/exception.h>
#include <fmt/format.h>

#include <array>
#include <new>

namespace tidegate::mysql::detail {
namespace {

struct Meaning {
  int number;
  ErrorCode code;
  Retry retry;
  std::string_view remedy;
};

constexpr std::string_view kCheckLogin = "Check user, password and the account's host";
constexpr std::string_view kGrant = "GRANT what the message names to the connecting account";
constexpr std::string_view kTooSlow = "If it ran out of time, raise the statement timeout or add an index";
constexpr std::string_view kCheckTls =
    "Check ConnectOptions::tls, caFile and that the host is named as in the server's certificate";

/// Numbers of mysqld_error.h and errmsg.h; the same in MySQL and MariaDB where both have them.
constexpr std::array kMeanings = {
    Meaning{1040, ErrorCode::connectionFailed, Retry::later, "The server has no connection left; see max_connections"},
    Meaning{1044, ErrorCode::permissionDenied, Retry::afterOperator, kGrant},
    Meaning{1045, ErrorCode::authenticationFailed, Retry::afterOperator, kCheckLogin},
    Meaning{1049, ErrorCode::connectionFailed, Retry::afterOperator, "Check the database's name"},
    Meaning{1053, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1054, ErrorCode::columnNotFound, Retry::afterOperator,
            "Check the column's name in the query and configuration"},
    Meaning{1021, ErrorCode::queryFailed, Retry::later, "The server is short of disk"},
    Meaning{1114, ErrorCode::queryFailed, Retry::later, "The server is short of disk, or a table at its limit"},
    Meaning{1142, ErrorCode::permissionDenied, Retry::afterOperator, kGrant},
    Meaning{1143, ErrorCode::permissionDenied, Retry::afterOperator, kGrant},
    Meaning{1146, ErrorCode::tableNotFound, Retry::afterOperator, "Check the name and its database"},
    Meaning{1158, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1159, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1203, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1205, ErrorCode::queryFailed, Retry::later, ""},
    Meaning{1213, ErrorCode::queryFailed, Retry::later, ""},
    Meaning{1226, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1227, ErrorCode::permissionDenied, Retry::afterOperator, kGrant},
    Meaning{1251, ErrorCode::authenticationFailed, Retry::afterOperator, kCheckLogin},
    Meaning{1317, ErrorCode::queryCancelled, Retry::later, kTooSlow},
    Meaning{1370, ErrorCode::permissionDenied, Retry::afterOperator, kGrant},
    Meaning{1412, ErrorCode::queryFailed, Retry::later, ""},
    Meaning{1698, ErrorCode::authenticationFailed, Retry::afterOperator, kCheckLogin},
    Meaning{1792, ErrorCode::permissionDenied, Retry::never,
            "The session is read-only; ConnectOptions::readOnly = false allows writing"},
    Meaning{1927, ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{1969, ErrorCode::queryCancelled, Retry::later, kTooSlow},
    Meaning{2026, ErrorCode::connectionFailed, Retry::afterOperator, kCheckTls},
    Meaning{2061, ErrorCode::authenticationFailed, Retry::afterOperator, kCheckLogin},
    Meaning{3024, ErrorCode::queryCancelled, Retry::later, kTooSlow},
    Meaning{3159, ErrorCode::connectionFailed, Retry::afterOperator,
            "The server demands TLS: set tls = TlsMode::verifyFull"},
};

Meaning meaningOf(int number, std::string_view sqlState) {
  for (const Meaning& m : kMeanings) {
    if (m.number == number) return m;
  }
  // 2000 to 2999 are the client library's own: all of them end the connection.
  if ((number >= 2000 && number < 3000) || sqlState.starts_with("08")) {
    return {number, ErrorCode::connectionFailed, Retry::later, ""};
  }
  return {number, ErrorCode::queryFailed, Retry::never, ""};
}

Error describe(std::string_view context, int number, std::string_view sqlState, std::string_view text) {
  const Meaning meaning = meaningOf(number, sqlState);
  std::string message = context.empty() ? std::string(text) : fmt::format("{}: {}", context, text);
  if (number != 0) message += fmt::format(" (error {}, SQLSTATE {})", number, sqlState);
  if (!meaning.remedy.empty()) message += fmt::format(". {}", meaning.remedy);
  return Error(meaning.code, meaning.retry, redactSecrets(message));
}

}  // namespace

Error fromNumber(int number, std::string_view sqlState, std::string_view text) {
  return describe({}, number, sqlState, text);
}

Error fromCurrentException(std::string_view context) {
  try {
    throw;
  } catch (const Error& e) {
    return e;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const sql::SQLException& e) {
    return describe(context, e.getErrorCode(), e.getSQLState(), e.what());
  } catch (const std::exception& e) {
    return describe(context, 0, {}, e.what());
  }
}

}  // namespace tidegate::mysql::detail
