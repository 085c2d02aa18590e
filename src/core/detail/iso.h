/// `toIso` without a string of its own.
#pragma once

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// `Out` is std::string or TextOut.
template <class Out>
void appendIso(Date d, Out& out);
template <class Out>
void appendIso(Time t, Out& out);
template <class Out>
void appendIso(Timestamp t, Out& out);

}  // namespace tidegate::detail
