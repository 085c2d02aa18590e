/// Marks what a session writes as coming from elsewhere (PostgreSQL documentation, "Replication Progress Tracking").
#pragma once

#include <string>

#include "postgres/detail/sink_connection.h"

namespace tidegate::postgres::detail {

/// From now on the session's transactions carry the origin, which is made where there is none.
/// @throws Error{permissionDenied} with the grants that are missing; Error{connectionFailed, Retry::later} while
/// another
///         session has it.
void setUpOrigin(SinkConnection& connection, const std::string& origin);

}  // namespace tidegate::postgres::detail
