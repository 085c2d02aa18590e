/// Running one query so that its rows can be read without loss.
#pragma once

#include <memory>

#include "mysql/detail/decode.h"
#include "mysql/detail/session.h"

namespace sql {
class Statement;
class ResultSet;
}  // namespace sql

namespace tidegate::mysql::detail {

/// A result that is ready to be read. Members are destroyed in the reverse of their order.
struct OpenResult {
  OpenResult();
  OpenResult(OpenResult&&) noexcept;
  OpenResult& operator=(OpenResult&&) noexcept;
  ~OpenResult();

  std::shared_ptr<sql::Connection> connection{};
  std::unique_ptr<sql::Statement> statement{};
  std::unique_ptr<sql::ResultSet> rows{};  ///< null for a statement that returns none
  ResultShape shape{};
};

/// Executes `query` on the session's connection: streamed if it asks for the whole result, else buffered.
///
/// The text protocol is used, since Connector/C++ can stream nothing else: parameters are bound to user variables, and
/// a server-side statement is executed with them. It prints FLOAT with six digits only; so results with such a column
/// are read by a prepared statement if they are a page, else with the column multiplied by 1e0, which makes it a
/// double.
/// @throws sql::SQLException, Error
OpenResult execute(Session& session, const Query& query);

/// Connector/C++ 1.1 ends a stream silently on any error but a lost connection: asks the server what happened.
/// @throws Error if the last statement failed after its first row.
void checkStreamEnded(sql::Connection& connection);

}  // namespace tidegate::mysql::detail
