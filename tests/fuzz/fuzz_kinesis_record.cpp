/// Records of Kinesis, aggregated or not, and lines of a baseline: nothing but a parseError for bad input; a row that
/// is taken is JSON for the strict parser too; and positions and leases that are read are written the same
/// again.
#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "fuzz/check.h"
#include "kinesis/detail/inflater.h"
#include "kinesis/detail/kpl.h"
#include "kinesis/detail/lease_table.h"
#include "kinesis/detail/manifest.h"
#include "kinesis/detail/place.h"
#include "kinesis/detail/record_mapper.h"

namespace tidegate::fuzz {
namespace {

using namespace kinesis::detail;

const Shape& itemShape() {
  static const Shape shape = makeShape({.table = "t",
                                        .columns = {{.name = "id", .kind = ValueKind::int64},
                                                    {.name = "at", .kind = ValueKind::timestamp},
                                                    {.name = "data", .kind = ValueKind::bytes},
                                                    {.name = "n", .kind = ValueKind::decimal},
                                                    {.name = "name"},
                                                    {.name = "doc", .kind = ValueKind::json},
                                                    {.name = "any", .kind = ValueKind::null}},
                                        .primaryKey = {"id"}});
  return shape;
}

void mapsOrRefuses(RecordMapper& mapper, std::string_view record) {
  ChangeBatch batch;
  const bool taken = takes(ErrorCode::parseError, [&] { mapper.map(record, batch); });
  FUZZ_CHECK(taken || batch.empty());
  for (const ChangeEvent& event : batch) {
    if (event.op == ChangeOp::truncate) continue;
    const std::vector<Value>& row = event.op == ChangeOp::erase ? event.before : event.after;
    FUZZ_CHECK(row.size() == event.shape->columns->size() && !row[0].isNull());
  }
}

void decodesOnlyJson(std::string_view line) {
  RowDecoder decoder;
  std::vector<Value> values;
  std::vector<std::uint32_t> missing;
  const bool taken = takes(ErrorCode::parseError, [&] { decoder.decode(line, *itemShape(), values, missing); });
  // Deeper than the strict parser goes only where its own bound says so.
  if (taken) FUZZ_CHECK(tidegate::detail::JsonTree::tryParse(line, kMaxJsonDepth + 1).has_value());
  // What the first time was learned of days and keys changes nothing.
  std::vector<Value> again;
  if (taken) decoder.decode(line, *itemShape(), again, missing);
  FUZZ_CHECK(!taken || again == values);
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  using namespace kinesis::detail;
  const std::string_view text = fuzz::textOf(data, size);
  RecordMapper mapper({{"t", fuzz::itemShape()}});
  fuzz::mapsOrRefuses(mapper, text);
  fuzz::decodesOnlyJson(text);
  // The checksum is no obstacle to whoever writes records: the parts are read whether it holds or not.
  if (text.starts_with("\xF3\x89\x9A\xC2") && size >= 20) {
    fuzz::takes(ErrorCode::parseError, [&] {
      for (const KplPart& part : partsOf(text)) fuzz::mapsOrRefuses(mapper, part.data);
    });
  }
  if (const auto place = parsePlace(text)) {
    const auto again = parsePlace(placeText(*place));
    FUZZ_CHECK(again && comparePlaces(*place, *again) == std::partial_ordering::equivalent);
  }
  if (const auto leases = parseLeases(text)) FUZZ_CHECK(parseLeases(leaseText(*leases)) == leases);
  std::string octets;
  if (tidegate::detail::appendFromBase64(text, octets)) FUZZ_CHECK(tidegate::detail::base64Of(octets) == text);
  fuzz::takes(ErrorCode::parseError, [&] { parseManifest(text); });
  fuzz::takes(ErrorCode::parseError, [&] {
    Inflater inflater;
    std::size_t made = 0;
    const auto take = [&](std::string_view piece) { made += piece.size(); };
    inflater.push(text.substr(0, size / 2), take);
    inflater.push(text.substr(size / 2), take);
    inflater.finish(take);
  });
  return 0;
}
