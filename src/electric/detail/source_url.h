/// Requests of a Shape API as URLs, and whether options can make any.
#pragma once

#include <string>

#include "electric/detail/source_reader.h"

namespace tidegate::electric::reading {

/// @throws Error{invalidConfig} naming the option.
void checkSourceOptions(const SourceOptions& options);

/// Parameters stand in the order of their names, so that caches see one URL for one request.
std::string urlOf(const SourceOptions& options, const SourceShape& shape, const ReadRequest& request);

/// A name as `columns` lists it: quoted where it is not a plain lower-case one.
std::string quotedColumn(std::string_view name);

}  // namespace tidegate::electric::reading
