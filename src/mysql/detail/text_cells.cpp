#include "mysql/detail/text_cells.h"

#include <algorithm>
#include <charconv>

#include "core/detail/assign_value.h"
#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/geometry_text.h"
#include "mysql/detail/octet_cursor.h"
#include "mysql/detail/plain_decimal.h"
#include "mysql/detail/text_times.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::stringIn;

template <class Number>
void textNumber(std::string_view text, Value& out) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) refuseOctets("a number that is none");
  out = Value(number);
}

TextForm formOf(const CatalogueColumn& column) {
  if (column.dataType == "bit") return TextForm::bits;
  if (column.dataType == "datetime") return TextForm::dateTime;
  switch (kindOf(column)) {
    case ValueKind::uint64:
      return TextForm::unsignedInteger;
    case ValueKind::int64:
      return TextForm::signedInteger;
    case ValueKind::decimal:
      return TextForm::decimal;
    case ValueKind::real:
      return TextForm::real;
    case ValueKind::bytes:
      return TextForm::bytes;
    case ValueKind::date:
      return TextForm::date;
    case ValueKind::time:
      return TextForm::time;
    case ValueKind::timestamp:
      return TextForm::timestamp;
    case ValueKind::json:
      return TextForm::json;
    default:
      break;
  }
  const WireColumn geometry{.type = WireType::geometry};
  return suits(geometry, column) ? TextForm::geometry : TextForm::text;
}

}  // namespace

std::vector<TextForm> textForms(const std::vector<CatalogueColumn>& columns) {
  std::vector<TextForm> forms;
  for (const CatalogueColumn& column : columns) forms.push_back(formOf(column));
  return forms;
}

void readTextCell(TextForm form, std::string_view text, Value& out) {
  switch (form) {
    case TextForm::signedInteger:
      return textNumber<std::int64_t>(text, out);
    case TextForm::unsignedInteger:
      return textNumber<std::uint64_t>(text, out);
    case TextForm::bits:
      out = Value(OctetCursor(text, "a BIT").big(std::min<std::size_t>(text.size(), 8)));
      return;
    case TextForm::real:
      return textNumber<double>(text, out);
    case TextForm::decimal:
      return void(stringIn<Decimal>(out).assign(plainDecimal(text)));
    case TextForm::text:
      return utf8Charset()->decode(text, out);
    case TextForm::bytes:
      return void(stringIn<Bytes>(out).assign(text));
    case TextForm::date:
      return textDate(text, out);
    case TextForm::dateTime:
      return textMoment(text, false, out);
    case TextForm::timestamp:
      return textMoment(text, true, out);
    case TextForm::time:
      return textTime(text, out);
    case TextForm::json:
      return void(stringIn<Json>(out).assign(text));
    case TextForm::geometry: {
      std::string& wkt = stringIn<std::string>(out);
      wkt.clear();
      return geometryToText(text, wkt);
    }
  }
}

void readTextRow(const std::vector<TextForm>& forms, MYSQL_ROW cells, const unsigned long* lengths,
                 std::vector<Value>& values) {
  values.resize(forms.size());
  for (std::size_t i = 0; i < forms.size(); ++i) {
    if (cells[i] == nullptr)
      values[i].variant() = Null{};
    else
      readTextCell(forms[i], {cells[i], lengths[i]}, values[i]);
  }
}

}  // namespace tidegate::mysql::detail
