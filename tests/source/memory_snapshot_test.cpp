// The memory snapshot: the contract of all snapshot stores, and its bound of 1.3 x the values + 48 octets a row.
#include <set>

#include "contract/snapshot_store_contract.h"
#include "core/detail/packed.h"
#include "source/source_rig.h"
#include "support/property.h"

namespace tidegate::contract {

INSTANTIATE_TEST_SUITE_P(Memory, SnapshotStoreContract,
                         testing::Values(SnapshotStoreCase{.name = "memory",
                                                           .make = [] { return [] { return memorySnapshotStore(); }; },
                                                           .survivesRestart = false}),
                         snapshotStoreCaseName);

}  // namespace tidegate::contract

namespace tidegate::test {
namespace {

/// Keeps count of what a snapshot should hold while rows come, change and go.
class Filling {
 public:
  explicit Filling(std::uint64_t seed) : random_(seed) {}

  void put(std::size_t row, const std::vector<Value>& values) {
    const std::string id = std::to_string(row);
    std::string packed(1, 0);
    std::size_t bytes = id.size();
    for (const Value& v : values) {
      detail::packValue(v, packed);
      bytes += valueBytes(v);
    }
    held_ += bytes - sizes_[row];
    sizes_[row] = bytes;
    table_->put(id, packed);
  }
  void erase(std::size_t row) {
    held_ -= sizes_[row];
    sizes_.erase(row);
    table_->erase(std::to_string(row));
  }
  void expectBounded(const char* when) const {
    const double bound = 1.3 * static_cast<double>(held_) + 48.0 * static_cast<double>(sizes_.size()) + 64 * 1024;
    EXPECT_LE(static_cast<double>(table_->bytes()), bound) << when << ": " << sizes_.size() << " rows, " << held_;
    EXPECT_EQ(table_->rows(), sizes_.size());
  }
  Random& random() { return random_; }
  std::string text(std::size_t least, std::size_t most) {
    return std::string(
        static_cast<std::size_t>(random_.between(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most))),
        'x');
  }

 private:
  Random random_;
  std::shared_ptr<SnapshotStore> store_ = memorySnapshotStore();
  std::unique_ptr<TableSnapshot> table_ = store_->open("t");
  std::map<std::size_t, std::size_t> sizes_;
  std::size_t held_ = 0;
};

/// Grows to `rows`, then updates and deletes for a long time; `values` makes a row.
template <class Values>
void churn(std::size_t rows, Values&& values) {
  Filling filling(5);
  for (std::size_t i = 0; i < rows; ++i) {
    filling.put(i, values(filling));
    if (i % 997 == 0) filling.expectBounded("growing");
  }
  filling.expectBounded("grown");
  for (std::size_t i = 0; i < 3 * rows; ++i) {
    filling.put(filling.random().index(rows), values(filling));
    if (i % 997 == 0) filling.expectBounded("updating");
  }
  for (std::size_t i = 0; i < rows; i += 2) filling.erase(i);
  filling.expectBounded("half deleted");
}

TEST(MemorySnapshot, StaysWithinItsBoundForRowsOfNumbers) {
  churn(40'000, [](Filling& f) {
    return std::vector<Value>{f.random().between(0, 1'000'000), 1.5, Timestamp::utc(f.random().between(0, 1LL << 50)),
                              f.random().between(0, 100), nullptr};
  });
}

TEST(MemorySnapshot, StaysWithinItsBoundForTextsOfChangingLength) {
  churn(40'000, [](Filling& f) { return std::vector<Value>{f.text(0, 60), f.text(1, 30), 7, true, f.text(0, 10)}; });
}

TEST(MemorySnapshot, StaysWithinItsBoundForLongTexts) {
  churn(2'000, [](Filling& f) { return std::vector<Value>{f.text(500, 9'000), f.text(0, 3'000)}; });
}

TEST(MemorySnapshot, StaysWithinItsBoundForVeryLongTexts) {
  churn(60, [](Filling& f) { return std::vector<Value>{f.text(60'000, 400'000)}; });
}

TEST(MemorySnapshot, MarksOfLongPastPollsAreNotTakenForThisOnes) {
  const auto store = memorySnapshotStore();
  const auto table = store->open("t");
  table->put("kept", "a");
  table->put("gone", "b");
  for (int poll = 0; poll < 1'000; ++poll) {
    table->beginPoll();
    std::string before;
    EXPECT_EQ(table->mark("kept", "a", before), TableSnapshot::Found::same) << poll;
    std::set<std::string> unmarked;
    table->visitUnmarked([&](std::string_view id, std::string_view) { unmarked.emplace(id); });
    EXPECT_EQ(unmarked, std::set<std::string>{"gone"}) << poll;
  }
}

TEST(MemorySnapshot, OutlivesThePollerThatFilledIt) {
  const auto store = memorySnapshotStore();
  store->open("t")->put("1", "row");
  EXPECT_EQ(store->open("t")->rows(), 1u);
  EXPECT_EQ(store->open("other")->rows(), 0u);
}

}  // namespace
}  // namespace tidegate::test
