#include "postgres/detail/decode.h"

#include "core/detail/assign_value.h"
#include "core/detail/pg_read.h"
#include "postgres/detail/oids.h"

namespace tidegate::postgres::detail {

using tidegate::detail::assignText;
using tidegate::detail::stringIn;

namespace {

void decodeText(std::string_view text, Value& out) { assignText(out, text); }

void decodeUncheckedText(std::string_view text, Value& out) {
  if (isUtf8(text)) return assignText(out, text);
  stringIn<Bytes>(out).assign(text);
}

void decodeBool(std::string_view text, Value& out) { out.variant() = text == "t"; }

void decodeNumeric(std::string_view text, Value& out) { stringIn<Decimal>(out).assign(text); }
void decodeJson(std::string_view text, Value& out) { stringIn<Json>(out).assign(text); }

}  // namespace

Decoder decoderFor(unsigned typeOid, bool trustedEncoding) {
  switch (typeOid) {
    case kBool:
      return decodeBool;
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid:
      return tidegate::detail::readPgInteger;
    case kFloat4:
    case kFloat8:
      return tidegate::detail::readPgReal;
    case kNumeric:
      return decodeNumeric;
    case kBytea:
      return tidegate::detail::readPgBytea;
    case kDate:
      return tidegate::detail::readPgDate;
    case kTime:
      return tidegate::detail::readPgTime;
    case kTimestamp:
      return tidegate::detail::readPgTimestamp;
    case kTimestamptz:
      return tidegate::detail::readPgTimestamptz;
    case kUuid:
      return tidegate::detail::readPgUuid;
    case kJson:
    case kJsonb:
      return decodeJson;
    default:
      return trustedEncoding ? decodeText : decodeUncheckedText;
  }
}

}  // namespace tidegate::postgres::detail
