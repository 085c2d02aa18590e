#include "tidegate/electric/shape_server.h"

#include <gtest/gtest.h>

#include "electric/detail/shape_response.h"
#include "electric/served_shapes.h"
#include "tidegate/http/sse.h"

namespace tidegate::electric::test {
namespace {

using std::chrono::milliseconds;

TEST(ShapeServer, ATableThatIsStillBeingReadIsAskedForAgain) {
  ServedShapes served;
  served.write(Changes(served.table).whole(ChangeOp::baselineBegin).read({1, "a", "b", 1}));
  const auto early = served.get("&offset=-1");
  EXPECT_EQ(early.status, 503);
  EXPECT_EQ(early.headers.get("retry-after"), "1");
  served.write(Changes(served.table).whole(ChangeOp::baselineEnd));
  EXPECT_EQ(served.get("&offset=-1").status, 200);
}

TEST(ShapeServer, ALongPollIsAnsweredByTheNextChangeOfItsShape) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const std::string where = "&where=owner%20%3D%20%27ada%27";
  const Place place = served.now(where);
  std::jthread writer([&] {
    served.awaitWaiting(1);
    served.write(Changes(served.table).insert({2, "bob", "not this", 1}));
    EXPECT_EQ(served.sink->feed()->stats().waiting, 1u) << "another's row wakes nobody";
    served.write(Changes(served.table).insert({3, "ada", "this", 1}));
  });
  const auto answer = served.get("&live=true" + where + place.query());
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("\"this\""), std::string::npos) << answer.body;
  EXPECT_EQ(answer.body.find("not this"), std::string::npos);
  EXPECT_TRUE(answer.headers.has("electric-up-to-date"));
  EXPECT_TRUE(answer.headers.has("electric-cursor"));
}

TEST(ShapeServer, ASilentLongPollEndsUpToDate) {
  ServedShapes served({.longPoll = milliseconds(20)});
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  const auto answer = served.get("&live=true" + place.query());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get("electric-offset"), place.offset);
  EXPECT_EQ(answer.headers.get("electric-has-data"), "false");
  EXPECT_NE(answer.body.find("\"up-to-date\""), std::string::npos);
  EXPECT_EQ(served.sink->feed()->stats().waiting, 0u);
}

TEST(ShapeServer, AClientThatGoesAwayIsForgotten) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  {
    http::Client client;
    client.start(served.request("&live=true" + place.query()), {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (served.sink->feed()->stats().waiting == 0 && std::chrono::steady_clock::now() < deadline) {
      client.run(milliseconds(5));
    }
  }
  served.awaitWaiting(0);
}

TEST(ShapeServer, EndingTheShapesWakesWhoWaitsWithTheNewHandle) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  std::jthread host([&] {
    served.awaitWaiting(1);
    EXPECT_EQ(served.sink->feed()->rotate("notes"), 1u);
  });
  const auto answer = served.get("&live=true" + place.query());
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.body, detail::kMustRefetch);
  EXPECT_NE(answer.headers.get("electric-handle"), place.handle);
}

/// Reads an event stream until `enough` says so. @return the data of its events.
std::vector<std::string> readEvents(ServedShapes& served, const std::string& query, const std::function<void()>& begun,
                                    const std::function<bool(const std::vector<std::string>&)>& enough) {
  std::vector<std::string> events;
  http::SseParser parser([&](const http::SseEvent& e) { events.push_back(e.data); });
  http::Client client;
  const auto onHead = [&](const http::Response& head) {
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers.get("content-type"), "text/event-stream");
    EXPECT_FALSE(head.headers.has("etag"));
    begun();
    return true;
  };
  const auto onData = [&](std::string_view piece) {
    parser.feed(piece);
    return !enough(events);
  };
  try {
    client.stream(served.request(query), onHead, onData);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();  // ended by `enough`
  }
  return events;
}

TEST(ShapeServer, AnEventStreamFollowsItsShape) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  bool second = false;
  const auto events = readEvents(
      served, "&live=true&live_sse=true" + place.query(),
      [&] {
        served.write(Changes(served.table).insert({2, "ada", "one", 1}).update({2, "ada", "two", 1}));
      },
      [&](const auto& seen) {
        if (seen.size() == 3 && !std::exchange(second, true)) served.write(Changes(served.table).erase(2));
        return seen.size() >= 5;
      });
  ASSERT_EQ(events.size(), 5u);
  EXPECT_NE(events[0].find("\"insert\""), std::string::npos);
  EXPECT_NE(events[1].find("\"last\":true"), std::string::npos);
  EXPECT_NE(events[2].find("up-to-date"), std::string::npos);
  EXPECT_NE(events[3].find("\"delete\""), std::string::npos);
  // A client makes "<lsn>_0" of it: nothing before it is told again.
  const auto control = nlohmann::json::parse(events[2]);
  const std::string lsn = control["headers"]["global_last_seen_lsn"];
  const auto next = served.get("&handle=" + place.handle + "&offset=" + lsn + "_0");
  EXPECT_EQ(next.body.find("\"insert\""), std::string::npos) << next.body;
  EXPECT_NE(next.body.find("\"delete\""), std::string::npos) << next.body;
}

TEST(ShapeServer, AnEventStreamSaysWhatWasMissedThenEndsByItself) {
  ServedShapes served({.eventStream = milliseconds(30), .keepAlive = milliseconds(5)});
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  served.write(Changes(served.table).erase(1));
  std::string text;
  http::Client client;
  client.stream(served.request("&live=true&experimental_live_sse=true" + place.query()), {},
                [&](std::string_view piece) {
                  text += piece;
                  return true;
                });
  EXPECT_NE(text.find("\"delete\""), std::string::npos);
  EXPECT_NE(text.find(": keep-alive"), std::string::npos);
  EXPECT_EQ(served.sink->feed()->stats().waiting, 0u);
}

TEST(ShapeServer, AnEventStreamEndsWithItsShape) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  const auto events = readEvents(
      served, "&live=true&live_sse=true" + place.query(), [&] { served.sink->feed()->rotate(); },
      [](const auto&) { return false; });
  EXPECT_TRUE(events.empty());
}

TEST(ShapeServer, AReaderThatIsSlowerThanTheWriterCostsBoundedMemory) {
  ServedShapes served({.maxStreamBytes = 20'000}, {.maxShapeLogBytes = 200'000});
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  // Its socket is never read: what it does not take stays in the log, and is dropped there.
  http::Client client;
  bool begun = false;
  client.start(served.request("&live=true&live_sse=true" + place.query()), {.onHead = [&](const http::Response&) {
                 begun = true;
                 return true;
               }});
  while (!begun) client.run(milliseconds(5));
  const std::string text(2'000, 'x');
  for (int i = 0; i < 5'000; ++i) served.write(Changes(served.table).update({1, "ada", text + std::to_string(i), 1}));
  EXPECT_LE(served.sink->feed()->stats().logBytes, 200'000u);
  std::size_t ended = 0;
  while (client.running() > 0 && ++ended < 10'000) client.run(milliseconds(50));
  EXPECT_EQ(client.running(), 0u) << "once it reads, it learns that it has to fetch again";
}

TEST(ShapeServer, WaitingRequestsAreBounded) {
  ServedShapes served({.maxWaiting = 1});
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  const Place place = served.now();
  std::jthread first([&] { EXPECT_EQ(served.get("&live=true" + place.query()).status, 200); });
  served.awaitWaiting(1);
  const auto second = served.get("&live=true" + place.query());
  EXPECT_EQ(second.status, 503);
  EXPECT_EQ(second.headers.get("retry-after"), "1");
  served.shapes.finish();
  first.join();
  EXPECT_EQ(served.sink->feed()->stats().waiting, 0u) << "who was answered is forgotten";
}

TEST(ShapeServer, TheHostSaysWhoMayReadWhat) {
  ShapeServerOptions options;
  options.authorise = [](const http::Request& request, const ShapeQuery& query) -> ShapeGrant {
    EXPECT_EQ(query.table, "notes");
    const std::string_view who = request.headers.get("authorization");
    if (who.empty()) return {.status = 401, .message = "sign in"};
    if (who == "nobody") return {.status = 200, .columns = {"title"}};
    if (who == "broken") return {.where = "nothing = 1"};
    return {.where = "owner = $1", .params = {{1, std::string(who)}}, .columns = {"id", "title"}};
  };
  ServedShapes served(options);
  served.write(Changes(served.table).insert({1, "ada", "hers", 7}).insert({2, "bob", "his", 8}));
  const auto as = [&](const std::string& who, const std::string& query) {
    http::Headers headers;
    if (!who.empty()) headers.set("authorization", who);
    return served.get(query, headers);
  };
  EXPECT_EQ(as("", "&offset=-1").status, 401);
  EXPECT_EQ(as("", "&offset=-1").body, R"({"message":"sign in"})");
  const auto ada = as("ada", "&offset=-1");
  EXPECT_NE(ada.body.find(R"("value":{"id":"1","title":"hers"})"), std::string::npos) << ada.body;
  EXPECT_EQ(ada.body.find("his"), std::string::npos) << ada.body;
  EXPECT_EQ(ada.headers.get("cache-control").find("private, "), 0u);
  EXPECT_EQ(ada.body.find("rank"), std::string::npos);
  EXPECT_EQ(ada.headers.get("electric-schema").find("rank"), std::string::npos);
  EXPECT_EQ(as("ada", "&offset=-1&columns=id,rank").status, 403);
  EXPECT_EQ(as("ada", "&offset=-1&where=rank%20%3E%207").status, 403) << "a condition tells of what it names";
  EXPECT_NE(as("bob", "&offset=-1&where=id%20%3D%201%20OR%20true").body.find("his"), std::string::npos);
  EXPECT_EQ(as("bob", "&offset=-1&where=id%20%3D%201%20OR%20true").body.find("hers"), std::string::npos);
  EXPECT_EQ(as("nobody", "&offset=-1").status, 403) << "a key that may not be read";
  const auto broken = as("broken", "&offset=-1");
  EXPECT_EQ(broken.status, 500);
  EXPECT_EQ(broken.body.find("nothing"), std::string::npos) << "the host's condition is no client's business";
  const Place place = ServedShapes::placeOf(ada);
  EXPECT_EQ(as("bob", place.query()).status, 409) << "a handle of another's shape";
}

TEST(ShapeServer, DeletionIsNotAllowedUnlessTheHostSaysSo) {
  ServedShapes served;
  served.write(Changes(served.table).insert({1, "ada", "a", 1}));
  http::Client client;
  auto request = served.request("");
  request.method = "DELETE";
  EXPECT_EQ(client.perform(request).status, 404);
  request.method = "POST";
  EXPECT_EQ(client.perform(request).status, 405);
  request.method = "OPTIONS";
  EXPECT_EQ(client.perform(request).status, 204);
}

TEST(ShapeServer, OptionsThatCannotWorkAreRefused) {
  EXPECT_THROW(ShapeServer(nullptr), Error);
  EXPECT_THROW(ShapeServer(ShapeSink().feed(), {.longPoll = milliseconds(0)}), Error);
  EXPECT_THROW(ShapeServer(ShapeSink().feed(), {.keepAlive = milliseconds(-1)}), Error);
}

TEST(ShapeCursor, IsTheEndOfTheIntervalAndMovesPastAClientsOwn) {
  constexpr std::int64_t kEpoch = 1'728'432'000'000'000;  // microseconds
  using detail::nextCursor;
  EXPECT_EQ(nextCursor(kEpoch + 1'000'000, milliseconds(20'000), ""), 20u);
  EXPECT_EQ(nextCursor(kEpoch + 20'000'000, milliseconds(20'000), ""), 20u);
  EXPECT_EQ(nextCursor(kEpoch + 21'000'000, milliseconds(20'000), "20"), 40u);
  const auto later = nextCursor(kEpoch + 21'000'000, milliseconds(20'000), "40");
  EXPECT_GT(later, 40u);
  EXPECT_LE(later, 40u + 3'600u);
  EXPECT_EQ(nextCursor(kEpoch + 1, milliseconds(500), "7"), 0u);
  EXPECT_EQ(nextCursor(kEpoch + 1'000'000, milliseconds(20'000), "what"), 20u);
}

}  // namespace
}  // namespace tidegate::electric::test
