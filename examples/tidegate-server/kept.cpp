#include "kept.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "tidegate/core/error.h"

using namespace tidegate;

namespace {

using nlohmann::json;

std::optional<std::string> contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Error notWritten(const std::string& path) {
  return {ErrorCode::storeUnavailable, Retry::later,
          path + " cannot be written: is there room, and may the folder be written?"};
}

/// The new file is on the disk before it takes the old one's name, and the name is before this returns.
void replaceFile(const std::string& path, const std::string& text) {
  const std::string made = path + ".new";
  const auto write = [&](const std::string& name, int flags, std::string_view octets) {
    const int file = ::open(name.c_str(), flags, 0600);
    bool good = file >= 0;
    while (good && !octets.empty()) {
      const ssize_t written = ::write(file, octets.data(), octets.size());
      good = written > 0;
      if (good) octets.remove_prefix(static_cast<std::size_t>(written));
    }
    good = good && ::fsync(file) == 0;
    if (file >= 0) ::close(file);
    return good;
  };
  if (!write(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, text)) throw notWritten(path);
  if (std::rename(made.c_str(), path.c_str()) != 0) throw notWritten(path);
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (!write(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, "")) throw notWritten(path);
}

json toJson(const TableSchema& schema) {
  json columns = json::array();
  for (const ColumnSchema& column : schema.columns) {
    columns.push_back(
        {{"name", column.name}, {"kind", std::string(toString(column.kind))}, {"nullable", column.nullable}});
  }
  return {{"columns", std::move(columns)}, {"primaryKey", schema.primaryKey}};
}

ValueKind kindNamed(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ValueKind::json); ++i) {
    if (toString(static_cast<ValueKind>(i)) == name) return static_cast<ValueKind>(i);
  }
  throw std::invalid_argument("no kind is called " + name);
}

TableSchema schemaOf(const std::string& table, const json& node) {
  TableSchema schema{.table = table};
  for (const json& column : node.at("columns")) {
    schema.columns.push_back({.name = column.at("name").get<std::string>(),
                              .kind = kindNamed(column.at("kind").get<std::string>()),
                              .nullable = column.at("nullable").get<bool>()});
  }
  schema.primaryKey = node.at("primaryKey").get<std::vector<std::string>>();
  return schema;
}

}  // namespace

SyncRules KeptGateway::rules() const {
  const auto text = contents(rulesFile());
  if (!text) return {};
  try {
    return SyncRules::parse(*text);
  } catch (const Error& e) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                fmt::format("{} holds no sync rules ({}): mend it, or take it away and post the rules again",
                            rulesFile(), e.message()));
  }
}

std::vector<TableSchema> KeptGateway::schemas() const {
  std::vector<TableSchema> schemas;
  const auto text = contents(schemasFile());
  if (!text) return schemas;
  try {
    const json tables = json::parse(*text);
    for (const auto& [table, node] : tables.items()) schemas.push_back(schemaOf(table, node));
  } catch (const std::exception& e) {
    throw Error(
        ErrorCode::storeCorrupt, Retry::afterOperator,
        fmt::format("{} holds no schemas ({}): mend it, or take it away and post them again", schemasFile(), e.what()));
  }
  return schemas;
}

void KeptGateway::keepRulesOf(const Gateway& gateway) {
  const std::lock_guard lock(mutex_);
  replaceFile(rulesFile(), gateway.syncRules().toJson());
}

void KeptGateway::keepSchemasOf(const Gateway& gateway) {
  const std::lock_guard lock(mutex_);
  json tables = json::object();
  for (const TableSchema& schema : gateway.schemas()) tables[schema.table] = toJson(schema);
  replaceFile(schemasFile(), tables.dump());
}
