#include "mysql/detail/table_catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::uint32_t kBinaryCollation = 63;
constexpr int kMaxReadings = 10;

bool isOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string textOf(const Cell& cell) { return cell.value_or(std::string()); }

/// Whether a row that was there before the column shows something in it.
bool fillsRows(const Cell& fallback, bool nullable) {
  if (!nullable) return true;
  return fallback && *fallback != "NULL";  // MariaDB prints the keyword; a text stands in quotes there
}

CatalogueColumn columnOf(const std::vector<Cell>& cells) {
  CatalogueColumn column;
  column.name = textOf(cells[0]);
  column.dataType = textOf(cells[1]);
  column.columnType = textOf(cells[2]);
  column.charset = textOf(cells[3]);
  column.nullable = textOf(cells[4]) == "YES";
  const std::string extra = textOf(cells[6]);
  column.generated =
      extra.find("GENERATED") != std::string::npos && extra.find("DEFAULT_GENERATED") == std::string::npos;
  column.expression = textOf(cells[7]);
  column.filled = fillsRows(cells[5], column.nullable) || column.generated;
  return column;
}

/// What the server says in several answers; the table may be altered between two of them.
std::optional<CatalogueTable> readOnce(CLink& link, const TableName& name) {
  const std::string where =
      fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(name.database), literal(name.table));
  const Cells tables = link.ask("SELECT TABLE_TYPE, ENGINE, TABLE_ROWS FROM information_schema.TABLES WHERE " + where);
  if (tables.empty()) return std::nullopt;
  CatalogueTable table{.name = name, .type = textOf(tables[0][0]), .engine = textOf(tables[0][1])};
  const std::string rows = textOf(tables[0][2]);
  std::from_chars(rows.data(), rows.data() + rows.size(), table.rows);
  for (const auto& cells :
       link.ask("SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_SET_NAME, IS_NULLABLE, "
                "COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE " +
                where + " ORDER BY ORDINAL_POSITION")) {
    table.columns.push_back(columnOf(cells));
  }
  for (const auto& cells : link.ask("SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE " + where +
                                    " AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX")) {
    table.key.push_back(textOf(cells[0]));
  }
  return table;
}

}  // namespace

std::string TableName::quoted() const {
  return quoteIdentifier(Dialect::mysql, database) + "." + quoteIdentifier(Dialect::mysql, table);
}

TableName tableNameOf(std::string_view text, const std::string& database) {
  const auto dot = text.find('.');
  TableName name{dot == std::string_view::npos ? database : std::string(text.substr(0, dot)),
                 std::string(dot == std::string_view::npos ? text : text.substr(dot + 1))};
  if (!name.database.empty() && !name.table.empty()) return name;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              fmt::format("\"{}\" names no table: write database.table, or name a database in ConnectOptions", text));
}

std::string historyText(const TableName& name) {
  return fmt::format(
      "{} is system-versioned: the binlog has the rows that were as rows of their own, and those that were "
      "erased as changed ones. Mend it with: ALTER TABLE {} DROP SYSTEM VERSIONING",
      name.full(), name.quoted());
}

std::optional<CatalogueTable> readCatalogueTable(CLink& link, const TableName& name) {
  std::optional<CatalogueTable> table = readOnce(link, name);
  // Until two readings agree: none of one reading's answers is then of another time than the others.
  for (int tries = 1; table && tries < kMaxReadings; ++tries) {
    std::optional<CatalogueTable> again = readOnce(link, name);
    const bool same = again && again->columns == table->columns && again->key == table->key;
    table = std::move(again);
    if (same) break;
  }
  return table;
}

std::optional<CatalogueTable> readFollowedTable(CLink& link, const TableName& name) {
  std::optional<CatalogueTable> table = readCatalogueTable(link, name);
  if (!table || !table->keepsHistory()) return table;
  throw Error(ErrorCode::typeUnsupported, Retry::afterOperator, historyText(name));
}

ValueKind kindOf(const CatalogueColumn& column) {
  const std::string& type = column.dataType;
  if (type == "bigint") return column.isUnsigned() ? ValueKind::uint64 : ValueKind::int64;
  if (type == "bit") return column.columnType == "bit(64)" ? ValueKind::uint64 : ValueKind::int64;
  if (isOneOf(type, {"tinyint", "smallint", "mediumint", "int", "year"})) return ValueKind::int64;
  if (type == "decimal") return ValueKind::decimal;
  if (isOneOf(type, {"float", "double"})) return ValueKind::real;
  if (isOneOf(type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"})) {
    return ValueKind::bytes;
  }
  if (type == "date") return ValueKind::date;
  if (type == "time") return ValueKind::time;
  if (isOneOf(type, {"datetime", "timestamp"})) return ValueKind::timestamp;
  return type == "json" ? ValueKind::json : ValueKind::text;
}

Shape shapeOf(const CatalogueTable& table) {
  TableSchema schema{.table = table.name.full(), .primaryKey = table.key};
  for (const CatalogueColumn& column : table.columns) {
    schema.columns.push_back(
        {.name = column.name, .kind = kindOf(column), .nullable = column.nullable, .sourceType = column.columnType});
  }
  return makeShape(std::move(schema));
}

std::shared_ptr<const Charset> Charsets::named(const std::string& name) {
  std::shared_ptr<const Charset>& known = byName_[name];
  if (!known) {
    known = charsetNamed(name,
                         {.octets = [this](const std::string& set) { return tableOf(set); },
                          .letters = [this](const std::string& set,
                                            const std::vector<std::string>& codes) { return lettersOf(set, codes); }});
  }
  return known;
}

const std::string& Charsets::nameOf(std::uint32_t collation) {
  static const std::string kBinary = "binary";
  if (collation == kBinaryCollation) return kBinary;
  std::string& known = names_[collation];
  if (!known.empty()) return known;
  // MariaDB keeps collations that suit several sets in a table of their own.
  const Cells found =
      ask_(fmt::format("SELECT CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID = {0} AND "
                       "CHARACTER_SET_NAME IS NOT NULL",
                       collation));
  if (!found.empty()) known = textOf(found[0][0]);
  if (known.empty()) {
    try {
      const Cells more = ask_(fmt::format(
          "SELECT CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID = {}",
          collation));
      if (!more.empty()) known = textOf(more[0][0]);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::columnNotFound) throw;
    }
  }
  if (known.empty()) {
    throw Error(ErrorCode::typeUnsupported, Retry::afterOperator,
                fmt::format("a column has collation {}, which the server does not know", collation));
  }
  return known;
}

OctetTable Charsets::tableOf(const std::string& name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!plain) throw Error(ErrorCode::typeUnsupported, Retry::never, fmt::format("\"{}\" is no character set", name));
  std::string sql = "SELECT";
  for (int i = 0; i < 256; ++i) {
    sql += fmt::format("{} CONVERT(_{} x'{:02x}' USING utf8mb4)", i == 0 ? "" : ",", name, i);
  }
  OctetTable table;
  const Cells cells = ask_(sql);
  for (std::size_t i = 0; i < table.size() && !cells.empty(); ++i) table[i] = textOf(cells[0].at(i));
  return table;
}

/// All in one question, a line for each: no code has the octet of a line's end in it.
LetterTable Charsets::lettersOf(const std::string& name, const std::vector<std::string>& codes) {
  std::string hex;
  LetterTable table;
  for (const std::string& code : codes) {
    if (code == "\n") continue;
    for (const char c : code) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    hex += "0a";
    table.emplace_back(code, std::string());
  }
  const Cells cells = ask_(fmt::format("SELECT CONVERT(CONVERT(x'{}' USING {}) USING utf8mb4)", hex, name));
  const std::string letters = cells.empty() ? std::string() : textOf(cells[0].at(0));
  std::size_t at = 0;
  for (auto& [code, letter] : table) {
    const std::size_t end = std::min(letters.find('\n', at), letters.size());
    letter = letters.substr(at, end - at);
    at = std::min(end + 1, letters.size());
    if (!letter.empty()) continue;
    throw Error(
        ErrorCode::typeUnsupported, Retry::afterOperator,
        fmt::format("the server does not say how it reads the character set {}: convert the column to utf8mb4", name));
  }
  table.emplace_back("\n", "\n");
  return table;
}

std::vector<std::string> labelsOf(std::string_view columnType) {
  std::vector<std::string> labels;
  for (std::size_t at = columnType.find('\''); at < columnType.size(); at = columnType.find('\'', at + 1)) {
    std::string& label = labels.emplace_back();
    for (++at; at < columnType.size(); ++at) {
      if (columnType[at] == '\'') {
        if (at + 1 >= columnType.size() || columnType[at + 1] != '\'') break;
        ++at;
      }
      label += columnType[at];
    }
  }
  return labels;
}

}  // namespace tidegate::mysql::detail
