/// Keeping page faults out of what is measured.
#pragma once

#include <malloc.h>

namespace tidegate::bench {

/// Freed memory stays the process's own while this lives. Else one side gets the pages of the one before back, and the
/// other's come from the kernel each time: that would compare page faults. On a virtual machine whose host takes free
/// pages back a fault takes up to 27 us, as chance has it.
class KeptMemory {
 public:
  KeptMemory() {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
  }
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;
  ~KeptMemory() {
    // Where malloc's own thresholds end up once large blocks were freed.
    constexpr int kLargest = 32 << 20;
    mallopt(M_MMAP_MAX, 65'536);
    mallopt(M_MMAP_THRESHOLD, kLargest);
    mallopt(M_TRIM_THRESHOLD, 2 * kLargest);
    malloc_trim(0);
  }
};

}  // namespace tidegate::bench
