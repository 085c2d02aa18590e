/// Ends another thread's wait in poll().
#pragma once

#include "core/detail/wake_up.h"

namespace tidegate::postgres::detail {

using tidegate::detail::WakeUp;

}  // namespace tidegate::postgres::detail
