#include "mysql/detail/decode.h"

#include <cppconn/datatype.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <fmt/format.h>

#include <charconv>

#include "core/detail/assign_value.h"
#include "mysql/detail/plain_decimal.h"
#include "mysql/detail/text_times.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

using tidegate::detail::assignText;
using tidegate::detail::stringIn;

constexpr unsigned kMostVectorOctets = 4 * 16'383;

Reading readingOf(sql::ResultSetMetaData& metadata, unsigned column, bool binary) {
  using sql::DataType;
  switch (metadata.getColumnType(column)) {
    case DataType::BIT:
      return Reading::unsignedInteger;
    case DataType::YEAR:
    case DataType::TINYINT:
    case DataType::SMALLINT:
    case DataType::MEDIUMINT:
    case DataType::INTEGER:
    case DataType::BIGINT:
      return metadata.isSigned(column) ? Reading::signedInteger : Reading::unsignedInteger;
    case DataType::REAL:
    case DataType::DOUBLE:
      return binary ? Reading::binaryReal : Reading::real;
    case DataType::DECIMAL:
    case DataType::NUMERIC:
      return Reading::decimal;
    case DataType::DATE:
      return Reading::date;
    case DataType::TIME:
      return Reading::time;
    case DataType::TIMESTAMP:  // said of DATETIME too
      return metadata.getColumnTypeName(column).compare("DATETIME") == 0 ? Reading::dateTime : Reading::timestamp;
    case DataType::BINARY:
    case DataType::VARBINARY:
    case DataType::LONGVARBINARY:
    case DataType::GEOMETRY:
      return Reading::bytes;
    case DataType::UNKNOWN:  // the client library knows neither JSON nor VECTOR, which is never so long
      return metadata.getColumnDisplaySize(column) > kMostVectorOctets ? Reading::json : Reading::bytes;
    case DataType::JSON:
      return Reading::json;
    default:
      return Reading::text;
  }
}

/// The server prints a DOUBLE with the shortest digits that read back as the same number.
void decodeReal(std::string_view text, Value& out) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return assignText(out, text);
  out.variant() = number;
}

void decodeText(Reading reading, std::string_view text, Value& out) {
  switch (reading) {
    case Reading::real:
      return decodeReal(text, out);
    case Reading::date:
      return textDate(text, out);
    case Reading::dateTime:
      return textMoment(text, false, out);
    case Reading::timestamp:
      return textMoment(text, true, out);
    case Reading::time:
      return textTime(text, out);
    case Reading::decimal:
      return void(stringIn<Decimal>(out).assign(plainDecimal(text)));
    case Reading::bytes:
      return void(stringIn<Bytes>(out).assign(text));
    case Reading::json:
      return void(stringIn<Json>(out).assign(text));
    default:
      return assignText(out, text);
  }
}

/// A year under 1000 loses its leading zeros on the way through a prepared statement.
std::string paddedDate(const std::string& text) {
  const auto year = text.find('-');
  return year >= 4 || year == std::string::npos ? text : std::string(4 - year, '0') + text;
}

}  // namespace

ResultShape shapeOf(sql::ResultSetMetaData& metadata, bool binary) {
  ResultShape shape;
  std::vector<std::string> names;
  const unsigned count = metadata.getColumnCount();
  for (unsigned i = 1; i <= count; ++i) {
    const int type = metadata.getColumnType(i);
    names.push_back(metadata.getColumnLabel(i));
    shape.readings.push_back(readingOf(metadata, i, binary));
    shape.isFloat.push_back(type == sql::DataType::REAL);
    shape.hasGeometry = shape.hasGeometry || type == sql::DataType::GEOMETRY || type == sql::DataType::UNKNOWN;
  }
  try {
    shape.columns = makeColumns(std::move(names));
  } catch (const Error& e) {
    throw Error(ErrorCode::queryFailed, Retry::never,
                fmt::format("the query's columns need distinct names (SELECT … AS name): {}", e.message()));
  }
  return shape;
}

void readRow(const sql::ResultSet& rows, const ResultShape& shape, std::vector<Value>& values) {
  values.resize(shape.readings.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto column = static_cast<std::uint32_t>(i + 1);
    Value& out = values[i];
    // Null is asked for only where it can be meant: a cell that reads as zero or empty.
    switch (const Reading reading = shape.readings[i]) {
      case Reading::signedInteger: {
        const std::int64_t number = rows.getInt64(column);
        if (number == 0 && rows.isNull(column))
          out.variant() = Null{};
        else
          out.variant() = number;
        break;
      }
      case Reading::unsignedInteger: {
        const std::uint64_t number = rows.getUInt64(column);
        if (number == 0 && rows.isNull(column))
          out.variant() = Null{};
        else
          out = Value(number);
        break;
      }
      case Reading::binaryReal:
        if (rows.isNull(column))
          out.variant() = Null{};
        else
          out.variant() = static_cast<double>(rows.getDouble(column));
        break;
      default: {
        const sql::SQLString text = rows.getString(column);
        if (text.length() == 0 && rows.isNull(column))
          out.variant() = Null{};
        else if (reading == Reading::date)
          textDate(paddedDate(text), out);
        else
          decodeText(reading, text.asStdString(), out);
      }
    }
  }
}

}  // namespace tidegate::mysql::detail
