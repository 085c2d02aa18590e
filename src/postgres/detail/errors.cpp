#include "postgres/detail/errors.h"

#include <fmt/format.h>

#include <array>
#include <new>
#include <pqxx/except>

namespace tidegate::postgres::detail {
namespace {

struct Meaning {
  std::string_view state;  ///< a whole SQLSTATE, or a class of two characters
  ErrorCode code;
  Retry retry;
  std::string_view remedy;
};

/// First match wins: whole states stand before their classes.
constexpr std::array kMeanings = {
    Meaning{"42P01", ErrorCode::tableNotFound, Retry::afterOperator, "Check the name, its schema and search_path"},
    Meaning{"3F000", ErrorCode::tableNotFound, Retry::afterOperator, "Check the schema's name and search_path"},
    Meaning{"42703", ErrorCode::columnNotFound, Retry::afterOperator,
            "Check the column's name in the query and configuration"},
    Meaning{"42501", ErrorCode::permissionDenied, Retry::afterOperator,
            "GRANT what the message names to the connecting role"},
    Meaning{"25006", ErrorCode::permissionDenied, Retry::never,
            "The session is read-only; ConnectOptions::readOnly = false allows writing"},
    Meaning{"25P03", ErrorCode::connectionFailed, Retry::later,
            "The server ended a transaction that waited; see idle_in_transaction_session_timeout"},
    Meaning{"25P04", ErrorCode::connectionFailed, Retry::later,
            "The server ended a transaction that took too long; see transaction_timeout"},
    Meaning{"57014", ErrorCode::queryCancelled, Retry::later,
            "If it ran out of time, raise the statement timeout or add an index"},
    Meaning{"57P", ErrorCode::connectionFailed, Retry::later, "The server is stopping or starting"},
    Meaning{"53300", ErrorCode::connectionFailed, Retry::later,
            "The server has no connection left; see max_connections"},
    Meaning{"3D000", ErrorCode::connectionFailed, Retry::afterOperator, "Check the database's name"},
    Meaning{"08", ErrorCode::connectionFailed, Retry::later, ""},
    Meaning{"28", ErrorCode::authenticationFailed, Retry::afterOperator, "Check user, password and pg_hba.conf"},
    Meaning{"40", ErrorCode::queryFailed, Retry::later, ""},
    Meaning{"55", ErrorCode::queryFailed, Retry::later, ""},
    Meaning{"53", ErrorCode::queryFailed, Retry::later, "The server is short of memory, disk or another resource"},
    Meaning{"58", ErrorCode::queryFailed, Retry::later, ""},
    Meaning{"XX", ErrorCode::queryFailed, Retry::later, ""},
};

Meaning meaningOf(std::string_view state) {
  for (const Meaning& m : kMeanings) {
    if (!state.empty() && state.substr(0, m.state.size()) == m.state) return m;
  }
  return {"", ErrorCode::queryFailed, Retry::never, ""};
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \r\n\t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \r\n\t") - first + 1);
}

/// "ERROR:  relation … " without the severity, which the server prints in its own language.
std::string_view withoutSeverity(std::string_view text) {
  const auto colon = text.find(":  ");
  return trimmed(colon != std::string_view::npos && colon < 20 ? text.substr(colon + 3) : text);
}

Error make(const Meaning& meaning, std::string_view sqlState, std::string_view text) {
  std::string message{text.empty() ? "the server gave no reason" : text};
  if (!sqlState.empty()) message += fmt::format(" (SQLSTATE {})", sqlState);
  if (!meaning.remedy.empty()) message += fmt::format(". {}", meaning.remedy);
  return Error(meaning.code, meaning.retry, redactSecrets(message));
}

bool isSqlState(std::string_view text) {
  if (text.size() != 5) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return false;
  }
  return true;
}

/// The state in "FATAL:  28P01: password authentication failed …", and the text after it.
std::string_view stateOf(std::string_view& text) {
  const auto begin = text.find(":  ");
  if (begin == std::string_view::npos || text.size() < begin + 9 || text[begin + 8] != ':') return {};
  const std::string_view state = text.substr(begin + 3, 5);
  if (!isSqlState(state)) return {};
  text = trimmed(text.substr(begin + 9));
  return state;
}

}  // namespace

Error fromSqlState(std::string_view sqlState, std::string_view serverText) {
  return make(meaningOf(sqlState), sqlState, withoutSeverity(serverText));
}

Error fromConnectFailure(std::string_view verboseText, std::string_view where) {
  std::string_view text = verboseText;
  const std::string_view state = stateOf(text);
  text = trimmed(text.substr(0, text.find("\nLOCATION:")));
  const std::string described = fmt::format("cannot connect to {}: {}", where, text);
  if (!state.empty()) return make(meaningOf(state), state, described);
  for (const std::string_view word : {"certificate", "SSL", "root.crt"}) {
    if (text.find(word) != std::string_view::npos) {
      return make({"", ErrorCode::connectionFailed, Retry::afterOperator,
                   "Check ConnectOptions::tls, caFile and that the host is named as in the server's certificate"},
                  {}, described);
    }
  }
  return make({"", ErrorCode::connectionFailed, Retry::later, ""}, {}, described);
}

Error fromCurrentException() {
  try {
    throw;
  } catch (const Error& e) {
    return e;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const pqxx::failure& e) {  // sql_error, broken_connection and their kin
    // The state is read from the text: several of libpqxx's exceptions are thrown without it.
    std::string_view text = e.what();
    const std::string_view state = stateOf(text);
    text = text.substr(0, text.find('\n'));  // what follows (DETAIL, QUERY) quotes rows and statements
    const bool lost = dynamic_cast<const pqxx::broken_connection*>(&e) != nullptr;
    if (state.empty() && lost)
      return make({"", ErrorCode::connectionFailed, Retry::later, ""}, {}, withoutSeverity(text));
    return fromSqlState(state, text);
  } catch (const std::exception& e) {
    return make({"", ErrorCode::queryFailed, Retry::never, ""}, {}, trimmed(e.what()));
  }
}

}  // namespace tidegate::postgres::detail
