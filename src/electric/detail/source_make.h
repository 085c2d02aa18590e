/// The source itself, for tests that own it alone.
#pragma once

#include <memory>

#include "tidegate/electric/source.h"

namespace tidegate::electric::reading {

std::unique_ptr<SyncSource> makeSource(SourceOptions options);

}  // namespace tidegate::electric::reading
