/// What the SQLite source reads back: positions as text, and shapes and their changes from tables that anybody may
/// write to. What is taken prints as text that is taken again and means the same.
#include "fuzz/check.h"
#include "sqlite/detail/source_position.h"
#include "sqlite/detail/source_shapes.h"

namespace tidegate::fuzz {
namespace {

using namespace sqlite::detail;

void position(std::string_view text) {
  takes(ErrorCode::parseError, [&] {
    const LogPlace place = placeFromText(text);
    FUZZ_CHECK(placeToText(place) == text);
    FUZZ_CHECK(placeOf(positionOf(place)) == place);
  });
  takes(ErrorCode::parseError, [&] {
    const Position octets{std::string(text)};
    FUZZ_CHECK(positionOf(placeOf(octets)) == octets);
  });
}

void shape(std::string_view text) {
  takes(ErrorCode::parseError, [&] {
    const Shape taken = shapeFromText(text, "t");
    FUZZ_CHECK(shapeFromText(shapeToText(*taken), "t")->schema == taken->schema);
  });
  takes(ErrorCode::parseError, [&] {
    const LoggedChange taken = changeFromText(text);
    const LoggedChange again = changeFromText(changeToText(taken));
    FUZZ_CHECK(again.before == taken.before && again.renamed == taken.renamed);
    FUZZ_CHECK(again.rowsChanged == taken.rowsChanged);
  });
}

}  // namespace
}  // namespace tidegate::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = tidegate::fuzz::textOf(data, size);
  tidegate::fuzz::position(text);
  tidegate::fuzz::shape(text);
  return 0;
}
