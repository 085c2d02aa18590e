/// What a pipeline may ask of its source's runner.
#pragma once

#include "tidegate/core/error.h"

namespace tidegate::detail {

/// @thread Any.
class SourceControl {
 public:
  virtual ~SourceControl() = default;
  /// The stream or baseline under way shall end and begin anew, because a pipeline joined or tables are missing.
  virtual void restart() = 0;
  /// A pipeline has room again.
  virtual void roomMade() = 0;
  /// A pipeline's failure policy stops the source, or everything.
  virtual void halt(const Error& error, bool everything) = 0;
  /// An isolated pipeline comes back: what its failure stopped goes on.
  virtual void goOn() = 0;
};

}  // namespace tidegate::detail
