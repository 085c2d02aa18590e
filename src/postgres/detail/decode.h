/// From Postgres's text form to Values, by type OID (docs/types.md).
#pragma once

#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::postgres::detail {

/// Reads one cell that is not null. Text that is not in its type's usual form is kept as Text.
using Decoder = void (*)(std::string_view text, Value& out);

/// @param trustedEncoding whether the server vouches for UTF-8; false for an SQL_ASCII database, whose texts become
/// Bytes
///                        where they are not UTF-8.
Decoder decoderFor(unsigned typeOid, bool trustedEncoding);

}  // namespace tidegate::postgres::detail
