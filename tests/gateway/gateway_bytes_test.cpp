/// stats().bytes against what malloc really gave.
#include <gtest/gtest.h>
#include <malloc.h>

#include "contract/gateway_model.h"

// Sanitizers bring their own allocator, which mallinfo2 knows nothing of.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TIDEGATE_OWN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TIDEGATE_OWN_MALLOC 1
#endif
#endif

namespace tidegate {
namespace {

std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Shape {
  const char* name;
  std::size_t rows;
  std::size_t columns;
  std::size_t textBytes;
  int writes;  ///< times each row is written
  bool erase;
  bool ids;
};

class GatewayBytes : public ::testing::TestWithParam<Shape> {};

TEST_P(GatewayBytes, AreTrueToWithinAFifth) {
#ifdef TIDEGATE_OWN_MALLOC
  GTEST_SKIP() << "mallinfo2 does not see a sanitizer's allocator";
#endif
  const Shape& shape = GetParam();
  const std::size_t before = allocated();
  GatewayOptions options;
  options.retention.dedupeIds = 100'000;
  options.rules = SyncRules::of(1, {{"b", {}, {{"c0", RuleOp::eq, {Value("x")}, ""}}}});
  Gateway gateway(options);
  SyncPush push{"c", {}, {}};
  for (int write = 0; write < shape.writes; ++write) {
    for (std::size_t i = 0; i < shape.rows; ++i) {
      RowDelta delta{shape.erase && write > 0 ? DeltaOp::erase : DeltaOp::insert,
                     "table",
                     "row-" + std::to_string(i),
                     "c",
                     {},
                     gateway.clock().now(),
                     {}};
      for (std::size_t c = 0; c < shape.columns && delta.op != DeltaOp::erase; ++c) {
        delta.columns.push_back(
            {"c" + std::to_string(c), c % 2 == 0 ? Value(std::string(shape.textBytes, static_cast<char>('a' + write)))
                                                 : Value(static_cast<std::int64_t>(i))});
      }
      if (shape.ids) {
        for (std::size_t octet = 0; octet < 8; ++octet) {
          delta.deltaId.octets[octet] = static_cast<std::uint8_t>((delta.hlc.raw * 0x9E3779B97F4A7C15u) >> (8 * octet));
        }
        delta.deltaId.octets[31] = 1;
      }
      push.deltas.push_back(std::move(delta));
      if (push.deltas.size() < 1'000 && i + 1 < shape.rows) continue;
      ASSERT_EQ(gateway.handlePush(push, {.trusted = true}).status, PushStatus::accepted);
      push.deltas.clear();
    }
  }
  push = {};
  const double real = static_cast<double>(allocated() - before);
  const double said = static_cast<double>(gateway.stats().bytes);
  EXPECT_GT(said, 0.8 * real);
  EXPECT_LT(said, 1.2 * real);
}

INSTANTIATE_TEST_SUITE_P(Shapes, GatewayBytes,
                         ::testing::Values(Shape{"narrow", 200'000, 1, 8, 1, false, false},
                                           Shape{"typical", 200'000, 5, 20, 1, false, true},
                                           Shape{"wide", 20'000, 60, 12, 1, false, false},
                                           Shape{"large", 2'000, 2, 40'000, 1, false, false},
                                           Shape{"rewritten", 50'000, 5, 20, 4, false, true},
                                           Shape{"erased", 100'000, 3, 20, 2, true, false}),
                         [](const auto& shape) { return std::string(shape.param.name); });

}  // namespace
}  // namespace tidegate
