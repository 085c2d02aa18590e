/// Values and other small texts from outside: JSON values, dates, times, uuids, decimals, packed octets, SQL to wrap.
#include <string>
#include <vector>

#include "core/detail/packed.h"
#include "fuzz/check.h"
#include "tidegate/core/delta.h"
#include "tidegate/core/json.h"
#include "tidegate/core/query.h"

namespace tidegate::fuzz {
namespace {

void jsonValue(std::string_view text) {
  takes(ErrorCode::parseError, [&] {
    const Value value = valueFromJson(text);
    FUZZ_CHECK(sameValue(value, value));
    const std::string once = toJson(value);
    bool taken = takes(ErrorCode::parseError, [&] { FUZZ_CHECK(toJson(valueFromJson(once)) == once); });
    FUZZ_CHECK(taken);
    const std::string canonical = canonicalJson(text);
    FUZZ_CHECK(canonicalJson(canonical) == canonical);
    FUZZ_CHECK(sameValue(Json{std::string(text)}, Json{" " + std::string(text)}));
  });
}

/// Any octets make a valid JSON string, and UTF-8 survives it.
void jsonString(std::string_view text) {
  std::string literal;
  appendJsonString(text, literal);
  bool taken = takes(ErrorCode::parseError, [&] {
    const Value back = valueFromJson(literal);
    FUZZ_CHECK(isUtf8(back.as<std::string>()));
    FUZZ_CHECK(!isUtf8(text) || back.as<std::string>() == text);
  });
  FUZZ_CHECK(taken);
}

template <class T>
void isoForm(std::string_view text, bool (*parse)(std::string_view, T&) noexcept) {
  T value;
  if (!parse(text, value)) return;
  const std::string iso = toIso(value);
  T again;
  FUZZ_CHECK(parse(iso, again) && again == value && toIso(again) == iso);
}

void decimals(std::string_view a, std::string_view b) {
  if (!isDecimal(a) || !isDecimal(b)) return;
  const Value x = Decimal{std::string(a)}, y = Decimal{std::string(b)};
  FUZZ_CHECK(sameValue(x, x) && sameValue(y, y));
  const auto order = compareValues(x, y);
  FUZZ_CHECK((0 <=> order) == compareValues(y, x));
  FUZZ_CHECK((order == 0) == sameValue(x, y) || order == std::partial_ordering::unordered);
}

void packed(std::string_view octets) {
  detail::PackedReader values(octets), skipping(octets);
  takes(ErrorCode::storeCorrupt, [&] {
    while (!values.done()) {
      const Value value = values.value();
      const std::string_view skipped = skipping.packedValue();
      FUZZ_CHECK(skipping.left() == values.left());
      std::string again;
      detail::packValue(value, again);
      FUZZ_CHECK(detail::PackedReader(again).value() == value);
      FUZZ_CHECK(detail::samePacked(skipped, again));
      FUZZ_CHECK(describe(value).size() <= 400);
      FUZZ_CHECK(sameValue(value, value));
      jsonString(toJson(value));
    }
  });
}

void sql(std::string_view text) {
  for (const Dialect dialect : {Dialect::sqlite, Dialect::postgres, Dialect::mysql}) {
    takes(ErrorCode::invalidConfig, [&] {
      const std::string query = wrappableQuery(dialect, text);
      FUZZ_CHECK(!query.empty() && query.size() <= text.size());
      // MySQL reads "--" as two minus signs or, at the very end, as a comment: what is left may end in another.
      if (!query.ends_with("--")) FUZZ_CHECK(wrappableQuery(dialect, query) == query);
    });
    takes(ErrorCode::invalidArgument, [&] {
      const std::string quoted = quoteIdentifier(dialect, text);
      FUZZ_CHECK(quoted.size() >= text.size() + 2 && quoted.front() == quoted.back());
    });
  }
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  const std::string_view text = fuzz::textOf(data, size);
  fuzz::jsonValue(text);
  fuzz::jsonString(text);
  fuzz::isoForm<Date>(text, parseDate);
  fuzz::isoForm<Time>(text, parseTime);
  fuzz::isoForm<Timestamp>(text, parseTimestamp);
  fuzz::isoForm<Uuid>(text, parseUuid);
  const std::size_t space = text.find(' ');
  fuzz::decimals(text.substr(0, space), space == text.npos ? text : text.substr(space + 1));
  fuzz::packed(text);
  fuzz::sql(text);
  if (const auto hlc = Hlc::parse(text)) FUZZ_CHECK(Hlc::parse(hlc->text()) == hlc);
  // A known secret in front of anything at all stays hidden.
  const std::string redacted = redactSecrets("postgres://app:s3cr3t-7Q@db/shop " + std::string(text));
  FUZZ_CHECK(redacted.substr(0, 20).find("s3cr3t") == std::string::npos);
  return 0;
}
