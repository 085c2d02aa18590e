#include "sqlite/detail/source_shapes.h"

#include <nlohmann/json.hpp>

#include "tidegate/core/error.h"

namespace tidegate::sqlite::detail {

namespace {

using ShapeJson = nlohmann::json;

Error unreadableShape() {
  return {ErrorCode::parseError, Retry::afterOperator,
          "a shape in the source's own tables cannot be read; give the source up with reset() and begin anew"};
}

std::int64_t wholeNumber(const ShapeJson& json) {
  if (!json.is_number_integer()) throw unreadableShape();
  return json.get<std::int64_t>();
}

template <class Read>
auto parsedShapeText(std::string_view text, Read&& read) {
  try {
    return read(ShapeJson::parse(text));
  } catch (const nlohmann::json::exception&) {
    throw unreadableShape();
  } catch (const Error&) {  // a column twice, a key that is no column
    throw unreadableShape();
  }
}

}  // namespace

std::string shapeToText(const TableShape& shape) {
  ShapeJson columns = ShapeJson::array();
  for (const ColumnSchema& column : shape.schema.columns) {
    columns.push_back({{"name", column.name},
                       {"kind", static_cast<int>(column.kind)},
                       {"nullable", column.nullable},
                       {"type", column.sourceType}});
  }
  return ShapeJson{{"columns", columns}, {"key", shape.schema.primaryKey}}.dump();
}

Shape shapeFromText(std::string_view text, const std::string& table) {
  return parsedShapeText(text, [&](const ShapeJson& json) {
    TableSchema schema{.table = table};
    for (const ShapeJson& column : json.at("columns")) {
      const std::int64_t kind = wholeNumber(column.at("kind"));
      if (kind < 0 || kind > static_cast<std::int64_t>(ValueKind::json)) throw unreadableShape();
      schema.columns.push_back({.name = column.at("name").get<std::string>(),
                                .kind = static_cast<ValueKind>(kind),
                                .nullable = column.at("nullable").get<bool>(),
                                .sourceType = column.at("type").get<std::string>()});
    }
    schema.primaryKey = json.at("key").get<std::vector<std::string>>();
    return makeShape(std::move(schema));
  });
}

std::string changeToText(const LoggedChange& change) {
  return ShapeJson{{"before", change.before}, {"renamed", change.renamed}, {"rowsChanged", change.rowsChanged}}.dump();
}

LoggedChange changeFromText(std::string_view text) {
  return parsedShapeText(text, [](const ShapeJson& json) {
    LoggedChange change;
    change.before = wholeNumber(json.at("before"));
    change.renamed = json.at("renamed").get<std::vector<std::pair<std::string, std::string>>>();
    change.rowsChanged = json.at("rowsChanged").get<bool>();
    return change;
  });
}

}  // namespace tidegate::sqlite::detail
