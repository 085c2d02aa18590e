#include "gateway/detail/row_block.h"

#include <cstdlib>
#include <new>

namespace tidegate::detail {

RowBlock* allocateBlock(std::size_t octets) {
  void* memory = std::malloc(sizeof(RowBlock) + octets);
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) RowBlock{0, static_cast<std::uint32_t>(octets), 0};
}

void freeBlock(RowBlock* block) noexcept { std::free(block); }

}  // namespace tidegate::detail
