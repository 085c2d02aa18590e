/// The files of src/server/admin/page, which the build puts into the library.
#pragma once

#include <string_view>

namespace tidegate::server::detail {

extern const std::string_view kStatusHtml, kStatusScript, kStatusStyle;

}  // namespace tidegate::server::detail
