#pragma once
namespace tidegate::detail {
class SegmentLog {};
}  // namespace tidegate::detail
