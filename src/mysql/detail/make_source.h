#pragma once

#include <memory>

#include "tidegate/mysql/source.h"

namespace tidegate::mysql::detail {

/// `mysql::source` for whoever wants to own it alone.
std::unique_ptr<SyncSource> makeSource(SourceOptions options);

}  // namespace tidegate::mysql::detail
