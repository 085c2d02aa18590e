/// What ingest senders keep in the gateway: with their pushes or not at all, and only for the last who took it.
#include <gtest/gtest.h>

#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

using Notes = std::map<std::string, std::string, std::less<>>;

/// Refuses commits while told to.
class RefusingStore final : public GatewayStore {
 public:
  void load(const Visitor& visit) override { held_.load(visit); }
  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override {
    if (refuses) throw Error(ErrorCode::storeUnavailable, Retry::later, "full");
    held_.commit(puts, drops);
  }
  std::size_t segments() {
    std::size_t count = 0;
    held_.load([&](SegmentRef, std::string_view) { ++count; });
    return count;
  }
  bool refuses = false;

 private:
  MemoryGatewayStore held_;
};

class IngestNotesTest : public ::testing::Test {
 protected:
  void reopen() {
    gateway.reset();
    gateway = std::make_unique<Gateway>(GatewayOptions{.store = store});
  }
  PushResult push(std::uint64_t epoch, std::vector<IngestNote> notes, std::vector<std::string> rows = {}) {
    SyncPush out{.clientId = "ingest:shop"};
    for (const std::string& id : rows) {
      out.deltas.push_back({.op = DeltaOp::insert,
                            .table = "t",
                            .rowId = id,
                            .clientId = out.clientId,
                            .columns = {{"a", 1}},
                            .hlc = gateway->clock().now()});
    }
    const IngestNotes kept{epoch, std::move(notes)};
    return gateway->handlePush(out, {.trusted = true, .ingest = true, .notes = &kept});
  }
  Notes notes() const { return gateway->ingestState("ingest:shop").notes; }

  std::shared_ptr<RefusingStore> store = std::make_shared<RefusingStore>();
  std::unique_ptr<Gateway> gateway = std::make_unique<Gateway>(GatewayOptions{.store = store});
};

TEST_F(IngestNotesTest, AreThereAfterARestartTogetherWithTheirPush) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  EXPECT_EQ(taken.notes, Notes{});
  push(taken.epoch, {{"place", "17"}, {"other", std::string("a\0b", 3)}}, {"1"});
  push(taken.epoch, {{"place", "18"}});
  reopen();
  EXPECT_EQ(notes(), (Notes{{"place", "18"}, {"other", std::string("a\0b", 3)}}));
  EXPECT_TRUE(gateway->row("t", "1"));
  EXPECT_EQ(gateway->ingestState("ingest:shop").epoch, taken.epoch);
}

TEST_F(IngestNotesTest, AFailedCommitKeepsNeitherPushNorNotes) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  push(taken.epoch, {{"place", "17"}});
  store->refuses = true;
  EXPECT_THROW(push(taken.epoch, {{"place", "18"}}, {"1"}), Error);
  EXPECT_THROW(gateway->takeIngest("ingest:shop"), Error);
  store->refuses = false;
  EXPECT_EQ(notes(), (Notes{{"place", "17"}}));
  EXPECT_FALSE(gateway->row("t", "1"));
  push(taken.epoch, {{"place", "19"}});
  reopen();
  EXPECT_EQ(notes(), (Notes{{"place", "19"}}));
}

TEST_F(IngestNotesTest, ARefusedPushLeavesTheNotes) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  EXPECT_EQ(push(taken.epoch, {{"place", "17"}}, {""}).status, PushStatus::rejected);
  EXPECT_EQ(notes(), Notes{});
}

TEST_F(IngestNotesTest, OnlyTheLastTakerIsHeard) {
  const IngestState first = gateway->takeIngest("ingest:shop");
  reopen();  // the first still lives, somewhere
  const IngestState second = gateway->takeIngest("ingest:shop");
  EXPECT_GT(second.epoch, first.epoch);
  try {
    push(first.epoch, {{"place", "of the first"}}, {"1"});
    FAIL() << "it was not fenced off";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::fenced);
  }
  EXPECT_FALSE(gateway->row("t", "1"));
  EXPECT_EQ(push(second.epoch, {{"place", "of the second"}}).status, PushStatus::accepted);
  EXPECT_EQ(notes(), (Notes{{"place", "of the second"}}));
}

TEST_F(IngestNotesTest, AnEntryThatGoesLeavesNoSegmentBehind) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  push(taken.epoch, {{"a", "1"}});
  const std::size_t before = store->segments();
  push(taken.epoch, {{"b", "1"}, {"b", "2"}, {"c", "1"}});
  push(taken.epoch, {{"b", std::nullopt}, {"c", std::nullopt}, {"never there", std::nullopt}});
  EXPECT_EQ(store->segments(), before);
  push(taken.epoch, {{"a", std::nullopt}, {"a", "2"}});
  reopen();
  EXPECT_EQ(notes(), (Notes{{"a", "2"}}));
}

TEST_F(IngestNotesTest, ReadersSeeNothingOfThem) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  push(taken.epoch, {{"place", "17"}});
  EXPECT_TRUE(gateway->handlePull({.clientId = "reader"}).deltas.empty());
  EXPECT_EQ(gateway->stats().rows, 0u);
}

TEST_F(IngestNotesTest, ANoteWithoutAKeyIsRefused) {
  const IngestState taken = gateway->takeIngest("ingest:shop");
  EXPECT_THROW(push(taken.epoch, {{"", "x"}}), Error);
}

}  // namespace
}  // namespace tidegate
