/// A log that tells two gateways two histories (decision 35): whoever meets the other one stops, and says so.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/detail/shared_journal.h"
#include "support/entry_rewriting.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

using test::SwitchedLog;

std::unique_ptr<Gateway> openOn(std::shared_ptr<SharedLog> log) {
  return std::make_unique<Gateway>(GatewayOptions{.sharedLog = std::move(log)});
}

void pushRow(Gateway& gateway, const std::string& row) {
  const PushResult result = gateway.handlePush(
      {"c", {{DeltaOp::insert, "users", row, "c", {{"a", row}}, gateway.clock().now(), {}}}, {}}, {.trusted = true});
  EXPECT_EQ(result.status, PushStatus::accepted) << result.message;
}

using Change = std::function<std::string(std::uint64_t sequence, std::string_view octets)>;

/// Another log with the same entries, changed on the way.
std::unique_ptr<MemorySharedLog> copied(MemorySharedLog& from, const Change& change) {
  auto copy = std::make_unique<MemorySharedLog>();
  from.read(0, [&](std::uint64_t sequence, std::string_view octets) {
    EXPECT_TRUE(copy->append(sequence - 1, change(sequence, octets)).has_value());
  });
  return copy;
}

void copySnapshot(MemorySharedLog& from, MemorySharedLog& to,
                  const std::function<std::string(std::string_view)>& change) {
  std::vector<std::string> chunks;
  const auto sequence = from.readSnapshot([&](std::string_view octets) { chunks.push_back(change(octets)); });
  ASSERT_TRUE(sequence);
  std::size_t at = 0;
  to.putSnapshot(*sequence, [&](std::string& chunk) {
    if (at == chunks.size()) return false;
    chunk = chunks[at++];
    return true;
  });
}

std::uint64_t lastOf(MemorySharedLog& log) {
  return log.read(0, [](std::uint64_t, std::string_view) {});
}

void expectDiverged(const std::function<void()>& call, const std::string& entry) {
  try {
    call();
    ADD_FAILURE() << "it went on with another history";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::logDiverged) << error.what();
    EXPECT_EQ(error.retry(), Retry::afterOperator);
    EXPECT_NE(error.message().find(entry), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("open it again"), std::string::npos) << error.message();
  }
}

/// A log of three entries (begin, a, b), and another one whose third is not the same, though it holds the same rows.
struct TwoHistories : ::testing::Test {
  void SetUp() override {
    north = openOn(one.another());
    pushRow(*north, "a");
    pushRow(*north, "b");
    ASSERT_EQ(lastOf(one), 3u);
    other = copied(one, [](std::uint64_t sequence, std::string_view octets) {
      return sequence == 3 ? test::ofAnotherWriter(octets) : std::string(octets);
    });
    end = std::make_shared<SwitchedLog>(other->another());
  }
  MemorySharedLog one;
  std::unique_ptr<MemorySharedLog> other;
  std::unique_ptr<Gateway> north;
  std::shared_ptr<SwitchedLog> end;
};

TEST_F(TwoHistories, AGatewayThatAppliedAnotherEntryStopsAtTheNextOne) {
  const auto south = openOn(end);
  ASSERT_TRUE(south->row("users", "b"));
  pushRow(*north, "c");
  end->switchTo(one.another());
  expectDiverged([&] { south->catchUp(); }, "entry 4");
  EXPECT_FALSE(south->row("users", "c")) << "nothing of it is applied";
}

TEST_F(TwoHistories, AGatewayThatStoppedServesNothingWhateverTheLogSaysLater) {
  const auto south = openOn(end);
  pushRow(*north, "c");
  end->switchTo(one.another());
  expectDiverged([&] { south->catchUp(); }, "entry 4");
  end->switchTo(other->another());
  expectDiverged([&] { south->catchUp(); }, "entry 4");
  expectDiverged([&] { pushRow(*south, "d"); }, "entry 4");
  expectDiverged([&] { (void)south->handlePull({"phone", {}, 10}); }, "entry 4");
  expectDiverged([&] { (void)south->snapshot(); }, "entry 4");
  expectDiverged([&] { south->saveSnapshot(); }, "entry 4");
  expectDiverged([&] { (void)south->subscribe({.clientId = "s"}); }, "entry 4");
  EXPECT_EQ(lastOf(*other), 3u) << "it wrote nothing";
}

TEST_F(TwoHistories, AnEntryThatRestsOnAnotherHistoryThanTheLogsIsTakenByNobody) {
  const auto south = openOn(end);
  end->switchTo(one.another());
  pushRow(*south, "strange");  // the log takes it: its last entry has the number that south knows
  expectDiverged([&] { north->catchUp(); }, "entry 4");
  EXPECT_FALSE(north->row("users", "strange"));
  expectDiverged([&] { openOn(one.another()); }, "entry 4");
}

TEST_F(TwoHistories, APushThatMeetsTheOtherHistoryIsNotAcknowledged) {
  const auto south = openOn(end);
  pushRow(*north, "c");
  end->switchTo(one.another());
  expectDiverged([&] { pushRow(*south, "d"); }, "entry 4");
  EXPECT_EQ(lastOf(one), 4u);
}

TEST_F(TwoHistories, ASnapshotOfOneIsNotContinuedWithTheOther) {
  openOn(end)->saveSnapshot();
  pushRow(*north, "c");
  copySnapshot(*other, one, [](std::string_view octets) { return std::string(octets); });
  expectDiverged([&] { openOn(one.another()); }, "entry 4");
  north->saveSnapshot();
  EXPECT_TRUE(openOn(one.another())->row("users", "c")) << "from its own snapshot it goes on";
}

TEST_F(TwoHistories, AGatewayThatBeginsAtAnEntryThatWasNotTheFirstStops) {
  MemorySharedLog late;
  one.read(1, [&](std::uint64_t sequence, std::string_view octets) {
    ASSERT_TRUE(late.append(sequence - 2, octets).has_value());
  });
  expectDiverged([&] { openOn(late.another()); }, "entry 1");
}

TEST(SharedHistory, EachEntryNamesTheOneBeforeIt) {
  MemorySharedLog log;
  const auto north = openOn(log.another()), south = openOn(log.another());
  pushRow(*north, "a");
  pushRow(*south, "b");
  pushRow(*north, "c");
  std::uint64_t before = 0, entries = 0;
  log.read(0, [&](std::uint64_t, std::string_view octets) {
    const detail::EntryView view = test::viewOf(octets);
    EXPECT_EQ(view.after(), before);
    before = view.checksum;
    ++entries;
  });
  EXPECT_EQ(entries, 4u);
}

TEST(SharedHistory, EntriesAndSnapshotsOfBeforeAreReadAndThoseAfterThemNameThem) {
  for (const bool fromSnapshot : {false, true}) {
    MemorySharedLog now;
    const auto north = openOn(now.another());
    pushRow(*north, "a");
    if (fromSnapshot) north->saveSnapshot();
    pushRow(*north, "b");
    const auto before = copied(now, [](std::uint64_t, std::string_view octets) { return test::unchained(octets); });
    if (fromSnapshot) {
      copySnapshot(now, *before, test::unchained);
      before->trim(2);
    }
    const auto south = openOn(before->another());
    EXPECT_TRUE(south->row("users", "a"));
    pushRow(*south, "c");
    std::uint64_t last = 0;
    before->read(2, [&](std::uint64_t sequence, std::string_view octets) {
      const detail::EntryView view = test::viewOf(octets);
      EXPECT_EQ(view.after(), sequence == 3 ? std::nullopt : std::optional(last));
      last = view.checksum;
    });
    EXPECT_TRUE(openOn(before->another())->row("users", "c"));
  }
}

TEST(SharedHistory, ALogThatBeginsAfterItsNewestSnapshotSaysWhatIsGoneAndWhatHelps) {
  MemorySharedLog log;
  const auto north = openOn(log.another());
  pushRow(*north, "a");
  const auto refusal = [&] {
    try {
      openOn(log.another());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::positionLost);
      EXPECT_EQ(error.retry(), Retry::afterOperator);
      return error.message();
    }
    return std::string("it opened");
  };
  log.trim(1);
  EXPECT_NE(refusal().find("without a snapshot"), std::string::npos) << refusal();
  north->saveSnapshot();
  pushRow(*north, "b");
  pushRow(*north, "c");
  log.trim(3);
  EXPECT_NE(refusal().find("after entry 2"), std::string::npos) << refusal();
  EXPECT_NE(refusal().find("saveSnapshot()"), std::string::npos) << refusal();
  north->saveSnapshot();
  EXPECT_TRUE(openOn(log.another())->row("users", "c"));
}

}  // namespace
}  // namespace tidegate
