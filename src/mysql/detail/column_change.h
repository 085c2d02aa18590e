/// Whether a column's values stay the same when its type changes.
#pragma once

#include "mysql/detail/table_catalogue.h"

namespace tidegate::mysql::detail {

/// Whether every value of `before` reads the same in `after`.
bool keepsValues(const CatalogueColumn& before, const CatalogueColumn& after);

}  // namespace tidegate::mysql::detail
