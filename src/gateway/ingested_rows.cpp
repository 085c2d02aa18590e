#include <algorithm>
#include <shared_mutex>

#include "gateway/detail/gateway_core.h"
#include "gateway/detail/gateway_parts.h"
#include "gateway/detail/row_codec.h"

namespace tidegate {

std::vector<std::string> detail::ingestedRowsOf(const GatewayCore& core, std::string_view table,
                                                std::string_view clientId) {
  constexpr std::uint32_t kSlotsPerLook = 512;
  std::vector<std::string> found;
  RowImage image;
  for (std::uint32_t slot = 0, end = 1; slot < end;) {
    const std::shared_lock lock(core.mutex);
    const BufferState& state = core.state;
    const auto tableName = state.names.find(table);
    const auto client = state.names.find(clientId);
    if (!tableName || !client) return found;
    end = state.slots.end();
    for (const std::uint32_t until = std::min(end, slot + kSlotsPerLook); slot < until; ++slot) {
      const RowBlock* block = state.slots[slot].committed;
      if (block == nullptr || block->visible == 0 || blockTable(*block) != *tableName) continue;
      readRow(block->octets(), image);
      const auto brought = [&](const ColumnImage& c) {
        return (c.hasMemory && c.memorySender == *client) || (c.hasRegister && c.ingest && c.stamp.client == *client);
      };
      if ((image.insertedByIngest && image.inserted.client == *client) ||
          std::any_of(image.columns.begin(), image.columns.end(), brought)) {
        found.emplace_back(image.rowId);
      }
    }
  }
  return found;
}

}  // namespace tidegate
