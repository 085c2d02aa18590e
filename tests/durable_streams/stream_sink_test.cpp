#include <gtest/gtest.h>

#include "durable_streams/detail/stream_log.h"
#include "tidegate/durable_streams/sink.h"
#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams {
namespace {

Shape items() {
  static const Shape shape = makeShape({.table = "items",
                                        .columns = {{.name = "id", .kind = ValueKind::int64},
                                                    {.name = "title", .kind = ValueKind::text},
                                                    {.name = "room", .kind = ValueKind::text}},
                                        .primaryKey = {"id"}});
  return shape;
}

class DurableStreamSinkMessages : public ::testing::Test {
 protected:
  std::shared_ptr<Sink> make(SinkOptions options = {}) {
    options.store = store;
    auto made = sink(std::move(options));
    made->open({.pipeline = "p"});
    made->prepareTable(items());
    return made;
  }
  ChangeEvent& event(ChangeOp op) {
    ChangeEvent& e = batch.add(op, items());
    e.transactionBegin = e.transactionEnd = true;
    e.position.octets = std::to_string(++place);
    return e;
  }
  void commit(Sink& to) {
    to.apply(batch);
    batch.clear();
    to.commit("x");
  }
  std::vector<std::string> messages(const std::string& path) {
    std::vector<std::string> all;
    detail::storeLog(store)->read(path, {}, [&](std::string_view m) { all.emplace_back(m); }, {});
    return all;
  }
  static Error errorOf(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {ErrorCode::internal, Retry::never, ""};
  }

  std::shared_ptr<StreamStore> store = memoryStreamStore();
  ChangeBatch batch;
  std::uint64_t place = 0;
};

TEST_F(DurableStreamSinkMessages, AreThoseOfTheStateProtocol) {
  const auto s = make({.originMark = "shop-db"});
  ChangeEvent& inserted = event(ChangeOp::insert);
  inserted.after = {1, "pen", nullptr};
  inserted.transactionId = 700;
  inserted.commitMicros = 1'700'000'000'000'001;
  ChangeEvent& updated = event(ChangeOp::update);
  updated.before = {1, "pen", nullptr};
  updated.after = {1, "pencil", "a"};
  ChangeEvent& erased = event(ChangeOp::erase);
  erased.before = {1, nullptr, nullptr};
  erased.beforeAbsent = {1, 2};
  event(ChangeOp::truncate);
  commit(*s);
  EXPECT_EQ(
      messages("items"),
      (std::vector<std::string>{
          R"({"type":"items","key":"1","value":{"id":1,"title":"pen","room":null},"headers":{"operation":"insert","txid":"700","timestamp":"2023-11-14T22:13:20.000001Z","source":"shop-db"}})",
          R"({"type":"items","key":"1","value":{"id":1,"title":"pencil","room":"a"},"old_value":{"id":1,"title":"pen","room":null},"headers":{"operation":"update","source":"shop-db"}})",
          R"({"type":"items","key":"1","headers":{"operation":"delete","source":"shop-db"}})",
          R"({"headers":{"control":"reset","type":"items"}})"}));
}

TEST_F(DurableStreamSinkMessages, HoldWholeRowsThoughTheSourceLeftColumnsOut) {
  const auto s = make();
  event(ChangeOp::insert).after = {1, "a large text", "a"};
  commit(*s);
  ChangeEvent& updated = event(ChangeOp::update);
  updated.after = {1, nullptr, "b"};
  updated.unchanged = {1};
  commit(*s);
  EXPECT_EQ(
      messages("items").back(),
      R"({"type":"items","key":"1","value":{"id":1,"title":"a large text","room":"b"},"headers":{"operation":"update"}})");
}

TEST_F(DurableStreamSinkMessages, ATransactionsLastChangeSaysSo) {
  const auto s = make();
  for (int i = 1; i <= 3; ++i) {
    ChangeEvent& e = event(ChangeOp::insert);
    e.after = {i, "x", "a"};
    e.transactionBegin = i == 1;
    e.transactionEnd = i == 3;
  }
  commit(*s);
  std::vector<std::optional<bool>> marks;
  for (const std::string& text : messages("items")) {
    const StateMessage message = parseStateMessage(text);
    marks.push_back(std::get<ChangeMessage>(message).last);
  }
  EXPECT_EQ(marks, (std::vector<std::optional<bool>>{false, false, true}));
}

TEST_F(DurableStreamSinkMessages, ABaselineStandsBetweenItsBordersAndErasesWhatIsGone) {
  const auto s = make();
  event(ChangeOp::baselineBegin);
  event(ChangeOp::read).after = {1, "a", "a"};
  event(ChangeOp::read).after = {2, "b", "a"};
  event(ChangeOp::baselineEnd);
  commit(*s);
  event(ChangeOp::baselineBegin);
  event(ChangeOp::read).after = {2, "b", "a"};
  event(ChangeOp::baselineEnd);
  commit(*s);
  EXPECT_EQ(
      messages("items"),
      (std::vector<std::string>{
          R"({"headers":{"control":"snapshot-start","type":"items"}})",
          R"({"type":"items","key":"1","value":{"id":1,"title":"a","room":"a"},"headers":{"operation":"insert"}})",
          R"({"type":"items","key":"2","value":{"id":2,"title":"b","room":"a"},"headers":{"operation":"insert"}})",
          R"({"headers":{"control":"snapshot-end","type":"items"}})",
          R"({"headers":{"control":"snapshot-start","type":"items"}})",
          R"({"type":"items","key":"2","value":{"id":2,"title":"b","room":"a"},"headers":{"operation":"update"}})",
          R"({"type":"items","key":"1","headers":{"operation":"delete"}})",
          R"({"headers":{"control":"snapshot-end","type":"items"}})"}));
}

TEST_F(DurableStreamSinkMessages, GoToTheStreamThatTheRowChooses) {
  SinkOptions options{.layout = StreamLayout::byRow, .prefix = "rooms/"};
  options.streamOf = [](const TableShape&, const std::vector<Value>& row) { return row[2].as<std::string>(); };
  const auto s = make(options);
  event(ChangeOp::insert).after = {1, "x", "a"};
  event(ChangeOp::insert).after = {2, "y", "b"};
  ChangeEvent& moved = event(ChangeOp::update);
  moved.before = {1, "x", "a"};
  moved.after = {1, "x", "b"};
  commit(*s);
  EXPECT_EQ(messages("rooms/a").size(), 2u);
  EXPECT_EQ(messages("rooms/b").size(), 2u);
  EXPECT_NE(messages("rooms/a").back().find(R"("operation":"delete")"), std::string::npos);
  // A later process knows all streams of the table.
  const auto later = make(options);
  event(ChangeOp::truncate);
  commit(*later);
  EXPECT_EQ(messages("rooms/b").size(), 4u) << "both rows of it are erased";
  std::vector<Value> row;
  EXPECT_FALSE(later->readTable(items(), {})->next(row));
}

TEST_F(DurableStreamSinkMessages, StopWithARemedyWhereTheStreamWasDeletedOrClosed) {
  const auto s = make();
  event(ChangeOp::insert).after = {1, "x", "a"};
  commit(*s);
  store->append("items", {.close = true}, [](const StreamResult&) {});
  event(ChangeOp::insert).after = {2, "x", "a"};
  const Error closed = errorOf([&] { commit(*s); });
  EXPECT_EQ(closed.code(), ErrorCode::permissionDenied);
  EXPECT_EQ(closed.retry(), Retry::afterOperator);
  EXPECT_NE(closed.message().find("stream \"items\""), std::string::npos);
  EXPECT_NE(closed.message().find("_tidegate/p"), std::string::npos) << closed.what();
  // The remedy that the message names.
  for (const char* path : {"items", "_tidegate/p"}) store->remove(path, [](const StreamResult&) {});
  batch.clear();
  const auto again = sink({.store = store});
  EXPECT_EQ(again->open({.pipeline = "p"}), std::nullopt) << "a new baseline follows";
  again->prepareTable(items());
  event(ChangeOp::insert).after = {1, "x", "a"};
  commit(*again);
  EXPECT_EQ(messages("items").size(), 1u);

  store->remove("items", [](const StreamResult&) {});
  event(ChangeOp::insert).after = {2, "x", "a"};
  EXPECT_EQ(errorOf([&] { commit(*again); }).code(), ErrorCode::tableNotFound);
  // Made anew by somebody: its producer has no place there.
  batch.clear();
  store->create("items", {.contentType = "application/json"}, [](const StreamResult&) {});
  const Error anew = errorOf([&] { sink({.store = store})->open({.pipeline = "p"}); });
  EXPECT_EQ(anew.code(), ErrorCode::tableNotFound);
  EXPECT_NE(anew.message().find("made anew"), std::string::npos) << anew.what();
}

TEST_F(DurableStreamSinkMessages, RefuseAChangeOfARowWithoutAKey) {
  const auto s = make();
  const Shape log = makeShape({.table = "log", .columns = {{.name = "line"}}, .primaryKey = {}});
  ChangeEvent& e = batch.add(ChangeOp::erase, log);
  e.before = {"x"};
  EXPECT_EQ(errorOf([&] { s->apply(batch); }).code(), ErrorCode::rowIdInvalid);
}

TEST_F(DurableStreamSinkMessages, BoundWhatIsReadBack) {
  const auto s = make({.readBackBytes = 1'000});
  for (int i = 0; i < 40; ++i) event(ChangeOp::insert).after = {i, "x", "a"};
  commit(*s);
  ChangeEvent& e = event(ChangeOp::update);
  e.after = {1, nullptr, "b"};
  e.unchanged = {1};
  const Error error = errorOf([&] { s->apply(batch); });
  EXPECT_EQ(error.code(), ErrorCode::invalidConfig);
  EXPECT_NE(error.message().find("REPLICA IDENTITY FULL"), std::string::npos);
}

TEST_F(DurableStreamSinkMessages, OldSegmentsOfTheJournalGo) {
  const auto s = make({.segmentBytes = 2'000});
  for (int i = 0; i < 200; ++i) {
    event(ChangeOp::insert).after = {i, "x", "a"};
    commit(*s);
  }
  EXPECT_EQ(messages("items").size(), 200u);
  EXPECT_EQ(store->size(), 3u) << "the items, the head, and one segment";
}

TEST(DurableStreamSinkOptions, ThatContradictEachOtherAreRefused) {
  EXPECT_THROW(sink({}), Error);
  EXPECT_THROW(sink({.server = {.url = "http://127.0.0.1:1"}, .layout = StreamLayout::byRow}), Error);
  EXPECT_THROW(sink({.server = {.url = "http://127.0.0.1:1"}, .store = memoryStreamStore()}), Error);
  EXPECT_THROW(sink({.store = memoryStreamStore(), .batchBytes = 0}), Error);
}

}  // namespace
}  // namespace tidegate::durable_streams
