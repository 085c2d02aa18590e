#include "server/detail/blocking_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "http/raw_client.h"
#include "server/expect_error.h"

namespace tidegate::server::detail {
namespace {

using http::test::eventually;

/// Asks for another call when it goes, as what holds a stream may.
struct AsksAgain {
  AsksAgain(BlockingPool& of, std::atomic<int>& count) : pool(of), ran(count) {}
  ~AsksAgain() {
    pool.run([count = &ran] { ++*count; });
  }
  BlockingPool& pool;
  std::atomic<int>& ran;
};

TEST(BlockingPool, DestroysACallWhereItMayAskForAnother) {
  std::atomic<int> ran{0};
  BlockingPool pool(1, 100);
  for (int i = 0; i < 10; ++i) pool.run([owned = std::make_shared<AsksAgain>(pool, ran)] {});
  EXPECT_TRUE(eventually([&] { return ran == 10; }));
}

TEST(BlockingPool, RefusesWhatItHasNoRoomForAndRunsTheRestToItsEnd) {
  std::atomic<bool> go{false};
  std::atomic<int> ran{0};
  {
    BlockingPool pool(1, 3);
    std::atomic<bool> busy{false};
    pool.run([&] {
      busy = true;
      EXPECT_TRUE(eventually([&] { return go.load(); }));
    });
    ASSERT_TRUE(eventually([&] { return busy.load(); }));
    for (int i = 0; i < 3; ++i) pool.run([&] { ++ran; });
    EXPECT_ERROR(pool.run([&] { ++ran; }), ErrorCode::storeUnavailable, "too many calls wait");
    go = true;
  }
  EXPECT_EQ(ran, 3);
}

}  // namespace
}  // namespace tidegate::server::detail
