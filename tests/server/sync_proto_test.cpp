#include "server/detail/sync_proto.h"

#include <gtest/gtest.h>

#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::server::detail {
namespace {

std::string octets(std::initializer_list<int> list) {
  std::string out;
  for (const int octet : list) out.push_back(static_cast<char>(octet));
  return out;
}

SyncPush example() {
  RowDelta delta{DeltaOp::update,         "todos", "7", "phone", {{"title", "Milk"}, {"n", 1.5}, {"gone", {}}},
                 Hlc{0x0102030405060708}, {}};
  delta.deltaId = computeDeltaId(delta);
  return {"phone", {delta, {DeltaOp::erase, "todos", "8", "phone", {}, Hlc{9}, {}}}, Hlc{5}};
}

TEST(SyncProto, ReadsTheOctetsThatProtobufWritesForAPull) {
  // SyncPull{client_id: "ab", since_hlc: 258, max_deltas: 300}, as any encoder of the schema writes it.
  const SyncPull pull = pullFromProto(octets({0x0A, 2, 'a', 'b', 0x11, 2, 1, 0, 0, 0, 0, 0, 0, 0x18, 0xAC, 2}));
  EXPECT_EQ(pull.clientId, "ab");
  EXPECT_EQ(pull.sinceHlc, Hlc{258});
  EXPECT_EQ(pull.maxDeltas, 300u);
}

TEST(SyncProto, ReadsTheOctetsThatProtobufWritesForAPush) {
  const SyncPush push =
      pushFromProto(octets({0x0A, 1,  'c',                                               // client_id
                            0x12, 30,                                                    // deltas
                            0x08, 1,  0x12, 1, 't', 0x1A, 1, 'r',                        // INSERT, table, row_id
                            0x22, 8,  0x0A, 1, 'n', 0x12, 3, '"', 'v', '"',              // n = "v"
                            0x29, 1,  0,    0, 0,   0,    0, 0,   0,   0x32, 1, 'c'}));  // hlc, client_id
  ASSERT_EQ(push.deltas.size(), 1u);
  const RowDelta expected{DeltaOp::insert, "t", "r", "c", {{"n", "v"}}, Hlc{1}, {}};
  EXPECT_TRUE(push.deltas[0] == expected);
}

TEST(SyncProto, WritesWhatItReads) {
  const SyncPush push = example();
  std::string out;
  appendProto(push, out);
  const SyncPush again = pushFromProto(out);
  EXPECT_EQ(again.clientId, push.clientId);
  EXPECT_TRUE(again.deltas == push.deltas);
  EXPECT_EQ(again.lastSeenHlc, push.lastSeenHlc);

  const PullResult page{
      .deltas = push.deltas, .serverHlc = Hlc{77}, .hasMore = true, .mustResync = true, .reason = "why"};
  out.clear();
  appendProto(page, out);
  const PullResult read = pullResultFromProto(out);
  EXPECT_TRUE(read.deltas == page.deltas);
  EXPECT_EQ(read.serverHlc, page.serverHlc);
  EXPECT_TRUE(read.hasMore);
  EXPECT_TRUE(read.mustResync);
  EXPECT_EQ(read.reason, "why");
}

TEST(SyncProto, SkipsFieldsThatItDoesNotKnow) {
  std::string out;
  appendProto(SyncPull{"a", Hlc{1}, 5}, out);
  out += octets({0x78, 1, 0x7D, 1, 2, 3, 4, 0x7A, 2, 'x', 'y', 0x79, 1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(pullFromProto(out).maxDeltas, 5u);
}

TEST(SyncProto, RefusesWhatIsMalformed) {
  for (const std::string& bad :
       {octets({0x0A}), octets({0x0A, 5, 'a'}), octets({0x11, 1, 2}), octets({0x18}), octets({0x18, 0x80}),
        octets({0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}), octets({0x00}), octets({0x0B}),
        octets({0x08, 1}), octets({0x0A, 1, 0xFF})}) {
    EXPECT_THROW(pullFromProto(bad), Error) << ::testing::PrintToString(bad);
  }
  EXPECT_THROW(pushFromProto(octets({0x12, 0})), Error) << "a delta without an op";
  EXPECT_THROW(pushFromProto(octets({0x12, 2, 0x08, 9})), Error) << "an op of no name";
  EXPECT_THROW(pushFromProto(octets({0x12, 8, 0x08, 1, 0x22, 4, 0x12, 2, '{', 'x'})), Error)
      << "a value that is no JSON";
}

TEST(SyncProto, NeverReadsBeyondWhatItHas) {
  std::string whole;
  appendProto(example(), whole);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    try {
      pushFromProto(std::string(whole, 0, length));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::parseError);
    }
  }
}

}  // namespace
}  // namespace tidegate::server::detail
