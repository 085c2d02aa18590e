#include "mysql/detail/table_map.h"

#include <fmt/format.h>

#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

/// The servers' limit is 4,096.
constexpr std::uint64_t kMaxColumns = 4'096;

enum class Field : std::uint8_t {
  signedness = 1,
  defaultCharset = 2,
  columnCharset = 3,
  columnName = 4,
  setLabels = 5,
  enumLabels = 6,
  simpleKey = 8,
  prefixedKey = 9,
  labelsDefaultCharset = 10,
  labelsColumnCharset = 11
};

/// CHAR, BINARY, ENUM and SET share a type on the wire; two octets hold the real one and the length.
void readStringMeta(OctetCursor& in, WireColumn& column) {
  const std::uint32_t first = in.octet(), second = in.octet();
  if ((first & 0x30) != 0x30) {  // lengths over 255 take two bits of the type, inverted
    column.type = static_cast<WireType>(first | 0x30);
    column.meta = second | (((first & 0x30) ^ 0x30) << 4);
  } else {
    column.type = static_cast<WireType>(first);
    column.meta = second;
  }
  const bool known =
      column.type == WireType::string || column.type == WireType::enumeration || column.type == WireType::set;
  if (!known) refuseOctets(fmt::format("a column has the unknown type {}", static_cast<int>(column.type)));
  if (column.type == WireType::enumeration && (column.meta < 1 || column.meta > 2)) refuseOctets("an ENUM has no size");
  if (column.type == WireType::set && (column.meta < 1 || column.meta > 8)) refuseOctets("a SET has no size");
}

void readMeta(OctetCursor& in, WireColumn& column) {
  switch (column.type) {
    case WireType::string:
    case WireType::enumeration:
    case WireType::set:
      return readStringMeta(in, column);
    case WireType::varchar:
    case WireType::varString:
    case WireType::varcharCompressed:
      column.meta = static_cast<std::uint32_t>(in.little(2));
      return;
    case WireType::bit: {
      const std::uint32_t bits = in.octet(), octets = in.octet();
      column.meta = octets + (bits != 0 ? 1 : 0);
      if (column.meta < 1 || column.meta > 8 || bits > 7) refuseOctets("a BIT column has an impossible length");
      return;
    }
    case WireType::decimal: {
      const std::uint32_t precision = in.octet(), scale = in.octet();
      if (precision < 1 || precision > 65 || scale > precision) refuseOctets("a DECIMAL has impossible digits");
      column.meta = precision * 256 + scale;
      return;
    }
    case WireType::blob:
    case WireType::tinyBlob:
    case WireType::mediumBlob:
    case WireType::longBlob:
    case WireType::geometry:
    case WireType::json:
    case WireType::blobCompressed:
    case WireType::vector:
      column.meta = in.octet();
      if (column.meta < 1 || column.meta > 4) refuseOctets("a BLOB has an impossible length");
      return;
    case WireType::floating:
    case WireType::doubling:
      column.meta = in.octet();
      if (column.meta != (column.type == WireType::floating ? 4U : 8U)) refuseOctets("a FLOAT has another size");
      return;
    case WireType::timestamp2:
    case WireType::dateTime2:
    case WireType::time2:
      column.meta = in.octet();
      if (column.meta > 6) refuseOctets("a time has more than six digits of fraction");
      return;
    default:
      return;
  }
}

bool isNumber(WireType type) {
  switch (type) {
    case WireType::tiny:
    case WireType::shortInteger:
    case WireType::int24:
    case WireType::longInteger:
    case WireType::longLong:
    case WireType::floating:
    case WireType::doubling:
    case WireType::decimal:
      return true;
    default:
      return false;
  }
}

bool isNumberOrYear(WireType type) { return isNumber(type) || type == WireType::year; }

bool isLabelled(WireType type) { return type == WireType::enumeration || type == WireType::set; }

/// Applies `take` to each column that `belongs`, in order.
template <class Belongs, class Take>
void forEachColumn(TableMap& map, const Belongs& belongs, const Take& take) {
  for (WireColumn& column : map.columns) {
    if (belongs(column.type)) take(column);
  }
}

/// Whether the signs are those of years too, which are never negative: then each of theirs is set. MariaDB and
/// MySQL 9.7 tell them.
bool tellsYears(std::string_view octets, TableMap& map) {
  std::size_t number = 0;
  bool each = true;
  const auto isSet = [&](std::size_t at) {
    return (static_cast<std::uint8_t>(octets[at / 8]) & (0x80U >> (at % 8))) != 0;
  };
  forEachColumn(map, isNumberOrYear, [&](const WireColumn& column) {
    each = each && number / 8 < octets.size() && (column.type != WireType::year || isSet(number));
    ++number;
  });
  return each && octets.size() == (number + 7) / 8;
}

void readSigns(std::string_view octets, TableMap& map) {
  std::size_t number = 0;
  forEachColumn(map, tellsYears(octets, map) ? isNumberOrYear : isNumber, [&](WireColumn& column) {
    if (number / 8 >= octets.size()) refuseOctets("the signs of a table's columns end too early");
    const auto bits = static_cast<std::uint8_t>(octets[number / 8]);
    column.isUnsigned = (bits & (0x80U >> (number % 8))) != 0;
    ++number;
  });
  map.saysSigns = true;
}

/// One for all, then those that have another: {index among the text columns, collation}.
void readDefaultCharset(OctetCursor in, bool (*belongs)(WireType), TableMap& map) {
  const auto most = static_cast<std::uint32_t>(in.packed());
  std::vector<WireColumn*> columns;
  forEachColumn(map, belongs, [&](WireColumn& column) {
    column.collation = most;
    columns.push_back(&column);
  });
  while (!in.done()) {
    const std::uint64_t index = in.packed(), collation = in.packed();
    if (index >= columns.size()) refuseOctets("a collation is that of no column");
    columns[static_cast<std::size_t>(index)]->collation = static_cast<std::uint32_t>(collation);
  }
}

void readCharsets(OctetCursor in, bool (*belongs)(WireType), TableMap& map) {
  forEachColumn(map, belongs, [&](WireColumn& column) {
    if (!in.done()) column.collation = static_cast<std::uint32_t>(in.packed());
  });
}

void readLabels(OctetCursor in, WireType type, TableMap& map) {
  forEachColumn(
      map, [type](WireType other) { return other == type; },
      [&](WireColumn& column) {
        const std::uint64_t count = in.packed();
        if (count > in.left()) refuseOctets("an ENUM or SET has more labels than octets");
        column.labels.clear();
        for (std::uint64_t i = 0; i < count; ++i) column.labels.emplace_back(in.packedText());
      });
}

void readKey(OctetCursor in, bool withPrefixes, TableMap& map) {
  map.key.clear();
  while (!in.done()) {
    const std::uint64_t index = in.packed();
    if (withPrefixes) in.packed();
    if (index >= map.columns.size() || map.key.size() >= map.columns.size()) refuseOctets("a key has no such column");
    map.key.push_back(static_cast<std::uint32_t>(index));
  }
}

/// Those that a server names a character set of.
bool isTextOrGeometry(WireType type) { return isText(type) || type == WireType::geometry; }
bool isTextOrVector(WireType type) { return isText(type) || type == WireType::vector; }

void readField(Field field, std::string_view octets, bool mariaDb, TableMap& map) {
  OctetCursor in(octets, "the description of a table");
  switch (field) {
    case Field::signedness:
      return readSigns(octets, map);
    case Field::defaultCharset:
      return readDefaultCharset(in, mariaDb ? isTextOrGeometry : isTextOrVector, map);
    case Field::columnCharset:
      return readCharsets(in, mariaDb ? isTextOrGeometry : isTextOrVector, map);
    case Field::columnName:
      for (WireColumn& column : map.columns) column.name = in.packedText();
      map.saysNames = true;
      return;
    case Field::setLabels:
      return readLabels(in, WireType::set, map);
    case Field::enumLabels:
      return readLabels(in, WireType::enumeration, map);
    case Field::simpleKey:
      return readKey(in, false, map);
    case Field::prefixedKey:
      return readKey(in, true, map);
    case Field::labelsDefaultCharset:
      return readDefaultCharset(in, isLabelled, map);
    case Field::labelsColumnCharset:
      return readCharsets(in, isLabelled, map);
    default:
      return;
  }
}

}  // namespace

bool isText(WireType type) noexcept {
  switch (type) {
    case WireType::varchar:
    case WireType::varString:
    case WireType::varcharCompressed:
    case WireType::string:
    case WireType::blob:
    case WireType::tinyBlob:
    case WireType::mediumBlob:
    case WireType::longBlob:
    case WireType::blobCompressed:
      return true;
    default:
      return false;
  }
}

TableMapHead readTableMapHead(const BinlogEvent& event) {
  OctetCursor in(event.body, "a table's description");
  TableMapHead head;
  head.id = in.little(6);
  in.take(2);  // flags
  head.database = in.take(in.octet());
  in.take(1);
  head.table = in.take(in.octet());
  in.take(1);
  head.rest = in.rest();
  return head;
}

TableMap readTableMap(const TableMapHead& head, bool mariaDb) {
  OctetCursor in(head.rest, "a table's description");
  TableMap map;
  map.id = head.id;
  map.database = head.database;
  map.table = head.table;
  const std::uint64_t count = in.packed();
  if (count > kMaxColumns) refuseOctets(fmt::format("a table has {} columns", count));
  map.columns.resize(static_cast<std::size_t>(count));
  const std::string_view types = in.take(map.columns.size());
  for (std::size_t i = 0; i < map.columns.size(); ++i) map.columns[i].type = static_cast<WireType>(types[i]);
  OctetCursor meta(in.packedText(), "the types of a table's columns");
  for (WireColumn& column : map.columns) readMeta(meta, column);
  const std::string_view nullable = in.take((map.columns.size() + 7) / 8);
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    map.columns[i].nullable = (static_cast<std::uint8_t>(nullable[i / 8]) & (1U << (i % 8))) != 0;
  }
  while (!in.done()) {
    const auto field = static_cast<Field>(in.octet());
    readField(field, in.packedText(), mariaDb, map);
  }
  return map;
}

}  // namespace tidegate::mysql::detail
