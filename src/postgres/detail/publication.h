/// Publications: made and kept in step, or only looked at.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>
#include <vector>

#include "postgres/detail/lsn.h"
#include "tidegate/postgres/source.h"

namespace tidegate::postgres::detail {

/// What `keepPublication` does with tables that are published and were not asked for.
enum class OtherTables { keep, drop };

/// Makes the publication, or brings it in step, as `options.manage` says. Nothing for `leaveAlone`.
/// @param tables as they were asked for.
/// @throws Error{permissionDenied, tableNotFound, invalidConfig} with the statement that an operator may run instead.
void keepPublication(PGconn* connection, const PublicationOptions& options, const std::vector<std::string>& tables,
                     OtherTables others);

/// Whether there is one. @throws Error
bool publicationExists(PGconn* connection, const std::string& name);

/// Notes in the publication's comment where a new slot begins, so that a position from before it is recognised later.
/// Does nothing for a publication that is left alone.
void noteSlotBegin(PGconn* connection, const PublicationOptions& options, const std::string& slot, Lsn begin);
/// What was noted; nullopt: nothing. @throws Error
std::optional<Lsn> notedSlotBegin(PGconn* connection, const std::string& publication, const std::string& slot);

/// The comment with the slot's line set (or taken away, for 0); what others wrote there stays.
std::string withSlotBegin(const std::string& comment, const std::string& slot, Lsn begin);
std::optional<Lsn> slotBeginIn(const std::string& comment, const std::string& slot);

/// Drops a managed publication if there is one.
void dropPublication(PGconn* connection, const PublicationOptions& options);

}  // namespace tidegate::postgres::detail
