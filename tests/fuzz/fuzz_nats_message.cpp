/// What comes from NATS: headers and bodies of changes, control records, parts, answers, places. Nothing but a
/// parseError for bad input, and what is read is written the same again.
#include "core/detail/octet_text.h"
#include "fuzz/check.h"
#include "nats/detail/control_record.h"
#include "nats/detail/log_reader.h"
#include "nats/detail/snapshots.h"
#include "nats/detail/source_core.h"

namespace tidegate::fuzz {
namespace {

using namespace nats::detail;

const Shape& messageShape() {
  static const Shape shape = makeShape({.table = "t",
                                        .columns = {{.name = "id", .kind = ValueKind::int64},
                                                    {.name = "a", .kind = ValueKind::null},
                                                    {.name = "b", .kind = ValueKind::json}},
                                        .primaryKey = {"id"}});
  return shape;
}

/// The input's lines up to an empty one are the headers op, time and transaction; the rest is the body.
std::string_view lineOf(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

void readsAnEvent(std::string_view text) {
  EventHeaders headers;
  headers.op = lineOf(text);
  headers.hlc = lineOf(text);
  headers.transaction = lineOf(text);
  headers.shape = "s";
  const auto shapeOf = [](std::string_view) { return messageShape(); };
  ChangeEvent event;
  if (!takes(ErrorCode::parseError, [&] { event = eventFrom(headers, text, shapeOf); })) return;
  // Packed values may be texts that no value of their kind has ("a" as a decimal); JSON refuses those.
  const bool packed = text.starts_with('\1');
  for (const auto form : {nats::Body::json, nats::Body::packed}) {
    if (packed && form == nats::Body::json) continue;
    std::string body;
    appendEventBody(event, form, event.schemaChange && event.schemaChange->before ? "s" : "", body);
    const std::string transaction = transactionText(event);
    const ChangeEvent again =
        eventFrom({.op = headers.op, .hlc = headers.hlc, .shape = "s", .transaction = transaction}, body, shapeOf);
    FUZZ_CHECK(again.before == event.before && again.after == event.after);
    FUZZ_CHECK(again.unchanged == event.unchanged && again.beforeAbsent == event.beforeAbsent);
    FUZZ_CHECK(again.transactionId == event.transactionId && again.commitMicros == event.commitMicros);
  }
}

void readsRecords(std::string_view text) {
  takes(ErrorCode::parseError, [&] {
    const ControlRecord record = controlFrom(text);
    FUZZ_CHECK(controlJson(controlFrom(controlJson(record))) == controlJson(record));
    for (const Run& run : record.runs) FUZZ_CHECK(run.first <= run.second && inRuns(record.runs, run.first));
  });
  takes(ErrorCode::parseError, [&] {
    const Shape shape = shapeFromJson(text);
    FUZZ_CHECK(shapeFromJson(shapeJson(*shape))->schema == shape->schema);
  });
  takes(ErrorCode::parseError, [&] {
    const SnapshotManifest manifest = manifestFrom(text);
    FUZZ_CHECK(manifestJson(manifestFrom(manifestJson(manifest))) == manifestJson(manifest));
  });
  takes(ErrorCode::parseError, [&] { parseAck(text); });
}

void readsSmallThings(std::string_view text) {
  PartOf part;
  if (partFrom(text, part)) FUZZ_CHECK(part.number >= 1 && part.number <= part.count);
  nats::detail::Delivery delivery;
  if (deliveryFrom(text, delivery)) FUZZ_CHECK(delivery.sequence > 0);
  if (const auto place = placeFromText(text)) FUZZ_CHECK(placeFromText(placeText(*place)) == place);
  if (const auto place = placeOf({std::string(text)})) FUZZ_CHECK(positionOf(*place).octets == text);
  const std::string token = subjectToken(text);
  FUZZ_CHECK(token.find_first_of(" .*>\t\r\n") == std::string::npos);
  std::string octets;
  tidegate::detail::appendFromBase64(text, octets);
  Stored stored;
  stored.headers = std::string(text);
  FUZZ_CHECK(stored.header("Tidegate-Op").size() <= text.size());
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  const std::string_view text = fuzz::textOf(data, size);
  fuzz::readsAnEvent(text);
  fuzz::readsRecords(text);
  fuzz::readsSmallThings(text);
  return 0;
}
