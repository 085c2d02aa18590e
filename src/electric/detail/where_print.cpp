#include "electric/detail/where_print.h"

#include "electric/detail/pg_text.h"

namespace tidegate::electric::detail {
namespace {

void printQuoted(std::string_view text, char quote, std::string& out) {
  out += quote;
  for (const char c : text) {
    if (c == quote) out += c;
    out += c;
  }
  out += quote;
}

void printLiteral(const WhereNode& node, std::string& out) {
  const Value& value = node.literal;
  if (value.isNull()) {
    out += "NULL";
  } else if (const auto* yes = value.getIf<bool>()) {
    out += *yes ? "true" : "false";
    return;
  } else if (isNumber(node.type) && node.type != SqlType::real) {
    const std::string text = pgText(value);
    const bool plain = text.find_first_not_of("-.0123456789") == text.npos;
    if (plain) {
      out += text.front() == '-' ? "(" + text + ")" : text;
      return;
    }
    printQuoted(text, '\'', out);
  } else {
    printQuoted(pgText(value), '\'', out);
  }
  if (node.type != SqlType::unknown) out.append("::").append(sqlName(node.type));
}

std::string_view infix(WhereOp op) {
  switch (op) {
    case WhereOp::allOf:
      return " AND ";
    case WhereOp::anyOf:
      return " OR ";
    case WhereOp::equal:
      return " = ";
    case WhereOp::notEqual:
      return " <> ";
    case WhereOp::less:
      return " < ";
    case WhereOp::lessEqual:
      return " <= ";
    case WhereOp::greater:
      return " > ";
    case WhereOp::greaterEqual:
      return " >= ";
    case WhereOp::distinct:
      return " IS DISTINCT FROM ";
    default:
      return {};
  }
}

void printJoined(const WhereNode& node, std::size_t from, std::string_view between, const TableSchema& schema,
                 std::string& out) {
  for (std::size_t i = from; i < node.children.size(); ++i) {
    if (i > from) out += between;
    printWhere(node.children[i], schema, out);
  }
}

void printOperator(const WhereNode& node, const TableSchema& schema, std::string& out) {
  const auto first = [&] { printWhere(node.children[0], schema, out); };
  switch (node.op) {
    case WhereOp::negation:
      out += "NOT ";
      return first();
    case WhereOp::isNull:
      first();
      out += " IS NULL";
      return;
    case WhereOp::isTrue:
    case WhereOp::isFalse:
      first();
      out += node.op == WhereOp::isTrue ? " IS TRUE" : " IS FALSE";
      return;
    case WhereOp::in:
      first();
      out += " IN (";
      printJoined(node, 1, ", ", schema, out);
      out += ')';
      return;
    case WhereOp::between:
    case WhereOp::betweenSymmetric:
      first();
      out += node.op == WhereOp::between ? " BETWEEN " : " BETWEEN SYMMETRIC ";
      return printJoined(node, 1, " AND ", schema, out);
    case WhereOp::like:
    case WhereOp::ilike:
      first();
      out += node.op == WhereOp::like ? " LIKE " : " ILIKE ";
      printQuoted(node.patternText, '\'', out);
      out += " ESCAPE ";
      return printQuoted(node.escape, '\'', out);
    default:
      return printJoined(node, 0, infix(node.op), schema, out);
  }
}

}  // namespace

void printWhere(const WhereNode& node, const TableSchema& schema, std::string& out) {
  switch (node.op) {
    case WhereOp::literal:
      return printLiteral(node, out);
    case WhereOp::column:
      return printQuoted(schema.columns[node.column].name, '"', out);
    case WhereOp::cast:
      printWhere(node.children[0], schema, out);
      out.append("::").append(sqlName(node.type));
      return;
    default:
      out += '(';
      printOperator(node, schema, out);
      out += ')';
  }
}

}  // namespace tidegate::electric::detail
