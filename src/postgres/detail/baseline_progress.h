/// The part of a position behind its place: how far a baseline is that is read beside the stream.
#pragma once

#include "source/detail/baseline_progress.h"

namespace tidegate::postgres::detail {

using tidegate::detail::BaselineProgress;
using tidegate::detail::decodeProgress;
using tidegate::detail::encodeProgress;
using tidegate::detail::meetProgress;
using tidegate::detail::PendingTable;
using tidegate::detail::putSteps;

}  // namespace tidegate::postgres::detail
