/// Statements on a libpq connection, one at a time: catalogue questions, snapshots, small commands.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

using OwnedResult = std::unique_ptr<PGresult, void (*)(PGresult*)>;
/// In text form; nullopt is NULL.
using SqlParams = std::vector<std::optional<std::string>>;

/// Why a statement failed. @param result may be null.
Error failureOf(const PGresult* result, const PGconn* connection);

/// Runs a statement to its end; its rows come in text form. @throws Error by SQLSTATE.
OwnedResult runSql(PGconn* connection, const std::string& sql, const SqlParams& params = {});

/// A cell's text; empty for null.
std::string_view cell(const PGresult* rows, int row, int column);
inline bool isTrue(const PGresult* rows, int row, int column) { return cell(rows, row, column) == "t"; }
/// @throws Error{parseError} if the cell is no such number.
std::int64_t integerCell(const PGresult* rows, int row, int column);

/// No setting of the server's, the database's or the role's ends a session that has to wait, or to take long. Of each
/// version only those that it has.
inline constexpr const char* kNoTimeouts =
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN ('statement_timeout', "
    "'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')";

/// "schema"."name", quoted.
std::string quotedName(std::string_view schema, std::string_view name);
/// 'text', quoted as a literal for places that take no parameter.
std::string quotedLiteral(std::string_view text);

}  // namespace tidegate::postgres::detail
