/// Making a libpq connection: stoppable, within a time, with the SQLSTATE of a refused login.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <stop_token>

#include "postgres/detail/options.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

using OwnedConnection = std::unique_ptr<PGconn, void (*)(PGconn*)>;

/// Connects without blocking for longer than 50 ms at a time, name resolution aside. Server notices are ignored.
/// @throws Error{connectionFailed, authenticationFailed, queryCancelled}
OwnedConnection connectTo(const Keywords& keywords, std::chrono::milliseconds timeout, const std::stop_token& stop);

/// That a stop was requested meanwhile.
Error cancelledWhileConnecting(const Keywords& keywords);

}  // namespace tidegate::postgres::detail
