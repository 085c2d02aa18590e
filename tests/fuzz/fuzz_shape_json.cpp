/// What a server of shapes may send, and what a checkpoint may hold of it: messages, columns, places; each by itself,
/// and as answers and events to a reader of a shape.
#include <string>

#include "electric/detail/source_reader.h"
#include "fuzz/check.h"

namespace tidegate::fuzz {
namespace {

using namespace tidegate::electric;
using namespace tidegate::electric::reading;

constexpr std::string_view kColumns =
    R"({"id":{"type":"int8","pk_index":0},"name":{"type":"text"},"at":{"type":"timestamptz"},"data":{"type":"bytea"}})";

/// Errors that input may cause: it is none, or it is of a kind that is refused in so many words.
template <class Body>
void mayFail(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    FUZZ_CHECK(e.code() == ErrorCode::parseError || e.code() == ErrorCode::typeUnsupported);
    FUZZ_CHECK(!e.message().empty());
  }
}

void messages(std::string_view text) {
  mayFail([&] {
    readMessages(text, [](WireMessage& message) {
      FUZZ_CHECK(markOf(message) != 0);
      FUZZ_CHECK(!message.lsn || *message.lsn >= 0);
      FUZZ_CHECK(message.isRow() || message.value.empty());
    });
  });
}

void columns(std::string_view text) {
  mayFail([&] {
    const RowReader reader({.table = "items"}, text);
    FUZZ_CHECK(reader.shape()->columns->size() > 0);
    for (const std::uint32_t key : reader.shape()->key) FUZZ_CHECK(!reader.shape()->schema.columns[key].nullable);
  });
}

void places(std::string_view text) {
  if (const auto offset = offsetFromText(text)) FUZZ_CHECK(offsetFromText(toText(*offset)) == offset);
  takes(ErrorCode::parseError, [&] {
    const SourcePlaces read = placesFromText(text);
    FUZZ_CHECK(placesFromText(placesToText(read)) == read);
    FUZZ_CHECK(compareSourcePlaces(read, read) == 0);
    FUZZ_CHECK(meetPlaces(read, read) == read);
  });
  takes(ErrorCode::invalidArgument, [&] {
    const Position position{std::string(text)};
    const SourcePlaces read = decodePlaces(position);
    FUZZ_CHECK(encodePlaces(read) == position);
    FUZZ_CHECK(placesFromText(placesToText(read)) == read);
  });
}

/// Whatever an answer holds, the reader goes on: it takes it whole, or says what is wrong and takes nothing of it.
void answers(std::string_view text) {
  const SourceShape shape{.table = "items"};
  const SourceOptions options{.live = LiveMode::events};
  Epochs epochs(systemClock());
  const std::int64_t newest = 100, open = -1;
  ShapeReader reader({.shape = shape,
                      .options = options,
                      .clock = systemClock(),
                      .epochs = epochs,
                      .newestLsn = newest,
                      .openLsn = open,
                      .warn = [](const std::string&) {},
                      .seed = 1});
  const http::Headers headers{{"electric-handle", "h"},
                              {"electric-schema", std::string(kColumns)},
                              {"electric-offset", "50_0"},
                              {"content-type", "text/event-stream"}};
  const auto page = reader.nextRequest(Clock::Micros(1));
  FUZZ_CHECK(page.has_value());
  reader.onAnswer(*page, 200, headers, text);
  const bool wrong = reader.failing() != nullptr || reader.fatal() != nullptr;
  for (const ReadItem& item : reader.items()) {
    FUZZ_CHECK(item.shape != nullptr);
    FUZZ_CHECK(!wrong || item.after.empty());
    FUZZ_CHECK(item.after.empty() || item.after.size() == 4);
    FUZZ_CHECK(item.place.known());
  }
  if (wrong || reader.inBaseline()) return;
  const auto live = reader.nextRequest(Clock::Micros(1));
  if (!live || !reader.onEventsBegin(*live, headers)) return;
  reader.onEvent(*live, text);
  reader.onEvent(*live, text);
  reader.onEventsEnd(*live);
}

}  // namespace
}  // namespace tidegate::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate::fuzz;
  const std::string_view text = textOf(data, size);
  messages(text);
  columns(text);
  places(text);
  answers(text);
  return 0;
}
