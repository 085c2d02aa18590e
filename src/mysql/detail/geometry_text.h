/// Geometry as text.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::mysql::detail {

/// Appends "POINT(1 2)", or "SRID=4326;POINT(1 2)" where there is one, for the servers' own form: four octets of SRID,
/// then WKB. @throws Error{parseError}
void geometryToText(std::string_view octets, std::string& out);

}  // namespace tidegate::mysql::detail
