/// The source as an object of one owner.
#pragma once

#include <memory>

#include "tidegate/postgres/source.h"

namespace tidegate::postgres::detail {

/// As `postgres::source`.
std::unique_ptr<SyncSource> makeSource(SourceOptions options);

}  // namespace tidegate::postgres::detail
