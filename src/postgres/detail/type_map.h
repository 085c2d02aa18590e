/// One map from Postgres's types to kinds and decoders, for baselines (COPY) and streams alike, so that both give the
/// same Values (docs/types.md).
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>
#include <vector>

#include "postgres/detail/decode.h"
#include "tidegate/core/value.h"

namespace tidegate::postgres::detail {

/// How a type's cells are read.
struct TypeMapping {
  ValueKind kind = ValueKind::text;
  Decoder text = nullptr;    ///< of the type's output function, under the settings of Session
  Decoder binary = nullptr;  ///< of its send function; null: only the text form is read
};

/// @param baseOid of a domain: its base type's, down to the bottom. Whatever is not known by OID (arrays, enums,
/// ranges,
///                composites, network, geometry, types of extensions) reads as the text of its output function.
TypeMapping mappingOf(unsigned baseOid, bool trustedEncoding);

/// What the catalogue says of a type.
struct TypeFacts {
  unsigned oid = 0;
  std::int32_t modifier = -1;
  unsigned baseOid = 0;          ///< itself unless it is a domain
  std::string name{};            ///< "numeric(10,2)"
  std::string outputFunction{};  ///< "pg_catalog"."numeric_out"
};

/// A type and its modifier, e.g. from a Relation message.
struct TypeAsked {
  unsigned oid = 0;
  std::int32_t modifier = -1;
};

/// Describes types, in the order asked for. One that no longer exists is described as text, named "type <oid>".
/// @throws Error{connectionFailed, queryFailed}
std::vector<TypeFacts> describeTypes(PGconn* connection, const std::vector<TypeAsked>& asked);

}  // namespace tidegate::postgres::detail
