/// From the binary form of Postgres's send functions to the Values that the text form gives (docs/types.md).
#pragma once

#include "postgres/detail/decode.h"

namespace tidegate::postgres::detail {

/// The decoder, or null where only the text form is read: types whose text cannot be made from the octets alone, and
/// float4, whose shortest digits are the server's own choice.
///
/// A decoder throws Error{parseError} for octets that are not a cell of the type.
Decoder binaryDecoderFor(unsigned baseOid, bool trustedEncoding);

}  // namespace tidegate::postgres::detail
