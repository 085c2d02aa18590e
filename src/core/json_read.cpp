#include "core/detail/json_tree.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate {

RowDelta detail::readDelta(const JsonRef& node) {
  RowDelta delta;
  const JsonRef op = node.member("op");
  const auto parsedOp = parseDeltaOp(op.string());
  if (!parsedOp) op.fail("expected \"INSERT\", \"UPDATE\" or \"DELETE\"");
  delta.op = *parsedOp;
  delta.table = node.member("table").string();
  delta.rowId = node.member("rowId").string();
  delta.clientId = node.member("clientId").string();
  delta.hlc = node.member("hlc").hlc();
  const auto columns = node.member("columns").items();
  delta.columns.reserve(columns.size());
  for (const JsonRef& column : columns) {
    delta.columns.push_back({column.member("column").string(), column.member("value").value()});
  }
  if (const auto id = node.find("deltaId"); id && !id->isNull()) {
    const auto parsedId = DeltaId::parse(id->string());
    if (!parsedId) id->fail("expected 64 lower-case hex digits");
    delta.deltaId = *parsedId;
  }
  return delta;
}

Value valueFromJson(std::string_view json) { return detail::JsonTree(json).root().value(); }

RowDelta deltaFromJson(std::string_view json) {
  const detail::JsonTree tree(json, detail::JsonTree::kMessageDepth);
  return detail::readDelta(tree.root());
}

}  // namespace tidegate
