/// From Values to the text forms that Postgres reads as parameters.
#pragma once

#include <string>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate::postgres::detail {

/// Parameters in text form; the server infers their types from where they stand.
struct EncodedParams {
  std::vector<std::string> texts;     ///< empty text for null
  std::vector<const char*> pointers;  ///< into `texts`; null for null
};

/// @throws Error{invalidArgument} for a text that holds NUL, which no Postgres text can, naming the parameter.
EncodedParams encodeParams(const std::vector<Value>& params);

}  // namespace tidegate::postgres::detail
