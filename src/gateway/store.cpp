#include "tidegate/gateway/store.h"

namespace tidegate {

void MemoryGatewayStore::load(const Visitor& visit) {
  for (const auto& [ref, octets] : segments_) visit(ref, octets);
}

void MemoryGatewayStore::commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) {
  std::map<SegmentRef, std::string> fresh;
  for (const Segment& segment : puts) fresh.insert_or_assign(segment.ref, std::string(segment.octets));
  // From here on nothing allocates, so nothing can fail half-way.
  for (const auto& [ref, octets] : fresh) segments_.erase(ref);
  segments_.merge(fresh);
  for (const SegmentRef& ref : drops) segments_.erase(ref);
}

std::size_t MemoryGatewayStore::bytes() const {
  std::size_t bytes = 0;
  for (const auto& [ref, octets] : segments_) bytes += octets.size();
  return bytes;
}

}  // namespace tidegate
