#include "electric/detail/where_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "electric/detail/like_pattern.h"
#include "electric/detail/pg_text.h"
#include "electric/detail/table_name.h"
#include "electric/detail/where_types.h"

namespace tidegate::electric::detail {
namespace {

constexpr std::string_view kReserved[] = {
    "all",   "and", "any", "array", "as",  "between", "case", "cast",   "distinct", "exists", "false",     "from",
    "ilike", "in",  "is",  "like",  "not", "null",    "or",   "select", "similar",  "some",   "symmetric", "true"};

bool isReserved(const std::string& word) {
  return std::find(std::begin(kReserved), std::end(kReserved), word) != std::end(kReserved);
}

std::vector<WhereNode> listOf(WhereNode first) {
  std::vector<WhereNode> list;
  list.push_back(std::move(first));
  return list;
}

std::vector<WhereNode> listOf(WhereNode first, WhereNode second) {
  std::vector<WhereNode> list = listOf(std::move(first));
  list.push_back(std::move(second));
  return list;
}

}  // namespace

class WhereParser::Level {
 public:
  explicit Level(WhereParser& parser) : parser_(parser) {
    if (++parser_.depth_ > parser_.limits_.maxDepth) {
      refuseWhere(parser_.token_.at, fmt::format("nested deeper than {} levels", parser_.limits_.maxDepth));
    }
  }
  ~Level() { --parser_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  WhereParser& parser_;
};

WhereParser::WhereParser(std::string_view text, const TableSchema& schema, const WhereParams& params,
                         const WhereLimits& limits)
    : schema_(schema), params_(params), limits_(limits), lexer_(text) {
  std::size_t bytes = text.size();
  for (const auto& [number, value] : params) {
    bytes += value.size();
    if (!isUtf8(value) || value.find('\0') != value.npos) {
      refuseWhere(0, fmt::format("parameter ${} is not UTF-8 text without NUL", number));
    }
  }
  if (bytes > limits.maxBytes) {
    refuseWhere(0,
                fmt::format("the condition and its parameters have {} octets; {} are allowed", bytes, limits.maxBytes));
  }
  if (!isUtf8(text) || text.find('\0') != text.npos) refuseWhere(0, "the condition is not UTF-8 text without NUL");
}

WhereNode WhereParser::parse() {
  following_ = lexer_.next();
  advance();
  if (token_.kind == TokenKind::end) refuseWhere(0, "the condition is empty");
  WhereNode root = expression();
  if (token_.kind != TokenKind::end) unexpected("the end");
  needBoolean(root, "a where clause");
  for (const auto& [number, value] : params_) {
    if (!used_.contains(number))
      refuseWhere(0, fmt::format("parameter ${} is given but the condition has none", number));
  }
  return root;
}

void WhereParser::advance() {
  token_ = std::move(following_);
  following_ = token_.kind == TokenKind::end ? token_ : lexer_.next();
}

void WhereParser::unexpected(std::string_view wanted) const {
  const std::string_view text = token_.text;
  if (token_.kind == TokenKind::end)
    refuseWhere(token_.at, fmt::format("the condition ends where {} is expected", wanted));
  if (token_.kind == TokenKind::parameter)
    refuseWhere(token_.at, fmt::format("${} where {} is expected", token_.parameter, wanted));
  refuseWhere(token_.at,
              fmt::format("\"{}{}\" where {} is expected", text.substr(0, 60), text.size() > 60 ? "…" : "", wanted));
}

bool WhereParser::takeWord(std::string_view word) {
  if (!isWord(word)) return false;
  advance();
  return true;
}

bool WhereParser::takeSymbol(std::string_view symbol) {
  if (!isSymbol(symbol)) return false;
  advance();
  return true;
}

void WhereParser::expectWord(std::string_view word) {
  if (!takeWord(word)) unexpected(word);
}

void WhereParser::expectSymbol(std::string_view symbol) {
  if (!takeSymbol(symbol)) unexpected(fmt::format("\"{}\"", symbol));
}

WhereNode WhereParser::make(WhereOp op, std::size_t at, std::vector<WhereNode> children) {
  if (++nodes_ > limits_.maxNodes) {
    refuseWhere(at, fmt::format("more than {} operators, columns and literals", limits_.maxNodes));
  }
  WhereNode node{.op = op, .at = at};
  node.children = std::move(children);
  return node;
}

WhereNode WhereParser::literal(SqlType type, Value value, std::size_t at) {
  WhereNode node = make(WhereOp::literal, at);
  node.type = type;
  node.literal = std::move(value);
  return node;
}

WhereNode WhereParser::negated(bool really, WhereNode node) {
  if (!really) return node;
  const std::size_t at = node.at;
  return make(WhereOp::negation, at, listOf(std::move(node)));
}

WhereNode WhereParser::expression() {
  const Level level(*this);
  WhereNode left = conjunction();
  if (!isWord("or")) return left;
  needBoolean(left, "OR");
  const std::size_t at = token_.at;
  std::vector<WhereNode> parts = listOf(std::move(left));
  while (takeWord("or")) {
    parts.push_back(conjunction());
    needBoolean(parts.back(), "OR");
  }
  return make(WhereOp::anyOf, at, std::move(parts));
}

WhereNode WhereParser::conjunction() {
  WhereNode left = negation();
  if (!isWord("and")) return left;
  needBoolean(left, "AND");
  const std::size_t at = token_.at;
  std::vector<WhereNode> parts = listOf(std::move(left));
  while (takeWord("and")) {
    parts.push_back(negation());
    needBoolean(parts.back(), "AND");
  }
  return make(WhereOp::allOf, at, std::move(parts));
}

WhereNode WhereParser::negation() {
  if (!isWord("not")) return test();
  const Level level(*this);
  const std::size_t at = token_.at;
  advance();
  WhereNode inner = negation();
  needBoolean(inner, "NOT");
  return make(WhereOp::negation, at, listOf(std::move(inner)));
}

WhereNode WhereParser::test() {
  WhereNode left = comparison();
  std::size_t chain = 0;  // a chain of tests nests, though it is written flat
  while (isWord("is") || isWord("isnull") || isWord("notnull")) {
    const std::size_t at = token_.at;
    if (depth_ + ++chain > limits_.maxDepth) {
      refuseWhere(at, fmt::format("nested deeper than {} levels", limits_.maxDepth));
    }
    if (takeWord("is")) {
      left = isTest(std::move(left), at);
    } else {
      const bool no = isWord("notnull");
      advance();
      takeType(left, SqlType::text);
      left = negated(no, make(WhereOp::isNull, at, listOf(std::move(left))));
    }
  }
  return left;
}

WhereNode WhereParser::isTest(WhereNode left, std::size_t at) {
  const bool no = takeWord("not");
  if (takeWord("null")) {
    takeType(left, SqlType::text);
    return negated(no, make(WhereOp::isNull, at, listOf(std::move(left))));
  }
  if (takeWord("distinct")) {
    expectWord("from");
    std::vector<WhereNode> both = listOf(std::move(left), comparison());
    if (isWord("is") || isWord("isnull") || isWord("notnull")) {
      refuseWhere(token_.at, "no test follows IS DISTINCT FROM; write parentheses");
    }
    const SqlType as = commonOperands(both, at, "IS DISTINCT FROM");
    WhereNode node = make(WhereOp::distinct, at, std::move(both));
    node.operands = as;
    return negated(no, std::move(node));
  }
  const WhereOp op = isWord("true") ? WhereOp::isTrue : isWord("false") ? WhereOp::isFalse : WhereOp::isNull;
  if (op == WhereOp::isNull && !isWord("unknown")) unexpected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM");
  advance();
  needBoolean(left, "IS");
  return negated(no, make(op, at, listOf(std::move(left))));
}

WhereNode WhereParser::comparison() {
  static constexpr std::pair<std::string_view, WhereOp> kOps[] = {
      {"=", WhereOp::equal},      {"<>", WhereOp::notEqual}, {"<", WhereOp::less},
      {"<=", WhereOp::lessEqual}, {">", WhereOp::greater},   {">=", WhereOp::greaterEqual}};
  const auto opHere = [&] {
    return std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& op) { return isSymbol(op.first); });
  };
  WhereNode left = range();
  const auto op = opHere();
  if (op == std::end(kOps)) return left;
  const std::size_t at = token_.at;
  advance();
  if (isWord("any") || isWord("some") || isWord("all"))
    refuseWhere(token_.at, "ANY and ALL are not allowed; use IN (…)");
  std::vector<WhereNode> both = listOf(std::move(left), range());
  if (opHere() != std::end(kOps)) refuseWhere(token_.at, "comparisons do not chain; write parentheses");
  const SqlType as = commonOperands(both, at, op->first);
  WhereNode node = make(op->second, at, std::move(both));
  node.operands = as;
  return node;
}

WhereNode WhereParser::range() {
  WhereNode left = operand();
  const std::size_t at = token_.at;
  const bool no = isWord("not");
  if (no) advance();
  WhereNode node;
  if (takeWord("in")) {
    node = membership(std::move(left), at);
  } else if (takeWord("between")) {
    node = between(std::move(left), at);
  } else if (isWord("like") || isWord("ilike")) {
    const WhereOp op = isWord("like") ? WhereOp::like : WhereOp::ilike;
    advance();
    node = like(std::move(left), op, at);
  } else if (no) {
    unexpected("IN, BETWEEN, LIKE or ILIKE");
  } else {
    return left;
  }
  return negated(no, std::move(node));
}

WhereNode WhereParser::membership(WhereNode left, std::size_t at) {
  expectSymbol("(");
  std::vector<WhereNode> list = listOf(std::move(left));
  do {
    if (isWord("select")) refuseWhere(token_.at, "subqueries are not allowed");
    list.push_back(expression());
  } while (takeSymbol(","));
  expectSymbol(")");
  const SqlType as = commonOperands(list, at, "IN");
  WhereNode node = make(WhereOp::in, at, std::move(list));
  node.operands = as;
  return node;
}

WhereNode WhereParser::between(WhereNode left, std::size_t at) {
  const bool symmetric = takeWord("symmetric");
  std::vector<WhereNode> three = listOf(std::move(left), operand());
  expectWord("and");
  three.push_back(operand());
  const SqlType as = commonOperands(three, at, "BETWEEN");
  WhereNode node = make(symmetric ? WhereOp::betweenSymmetric : WhereOp::between, at, std::move(three));
  node.operands = as;
  return node;
}

WhereNode WhereParser::like(WhereNode left, WhereOp op, std::size_t at) {
  takeType(left, SqlType::text);
  if (left.type != SqlType::text) {
    refuseWhere(left.at, fmt::format("LIKE needs text, and this is {}; cast it with ::text", sqlName(left.type)));
  }
  WhereNode pattern = operand();
  takeType(pattern, SqlType::text);
  if (pattern.op != WhereOp::literal || pattern.type != SqlType::text) {
    refuseWhere(pattern.at, "a pattern must be a literal or a parameter");
  }
  std::string escape = "\\";
  if (takeWord("escape")) {
    WhereNode with = operand();
    takeType(with, SqlType::text);
    const auto* text = with.literal.getIf<std::string>();
    if (with.op != WhereOp::literal || text == nullptr) refuseWhere(with.at, "ESCAPE needs a literal of text");
    if (characters(*text) > 1) refuseWhere(with.at, "ESCAPE takes one character, or none");
    escape = *text;
  }
  const auto* text = pattern.literal.getIf<std::string>();
  if (text == nullptr) return literal(SqlType::boolean, Value(), at);  // the pattern is NULL, and so is the answer
  auto pieces = likePattern(*text, escape, op == WhereOp::ilike);
  if (!pieces) refuseWhere(pattern.at, "a pattern must not end with its escape character");
  WhereNode node = make(op, at, listOf(std::move(left)));
  node.escape = escape;
  node.pattern = std::move(*pieces);
  node.patternText = *text;
  return node;
}

WhereNode WhereParser::operand() {
  WhereNode node = atom();
  while (isSymbol("::")) {
    const Level level(*this);
    const std::size_t at = token_.at;
    advance();
    const std::string type = typeName();
    if (++nodes_ > limits_.maxNodes) refuseWhere(at, "too many casts");
    node = castTo(std::move(node), type, at);
  }
  return node;
}

std::string WhereParser::typeName() {
  if (token_.kind != TokenKind::word) unexpected("a type");
  std::string type = token_.text;
  const bool timed = type == "timestamp" || type == "time";
  advance();
  const auto more = [&](std::string_view word) {
    if (!takeWord(word)) return false;
    type += fmt::format(" {}", word);
    return true;
  };
  if (type == "double") more("precision");
  if (type == "character") more("varying");
  if (timed && (more("with") || more("without"))) {
    if (!more("time") || !more("zone")) unexpected("TIME ZONE");
  }
  if (isSymbol("(")) refuseWhere(token_.at, "a type's length or precision is not allowed");
  return type;
}

WhereNode WhereParser::atom() {
  const Level level(*this);
  const std::size_t at = token_.at;
  switch (token_.kind) {
    case TokenKind::number:
      return number(false, at);
    case TokenKind::text: {
      Value text(std::move(token_.text));
      advance();
      return literal(SqlType::unknown, std::move(text), at);
    }
    case TokenKind::parameter:
      return parameterValue();
    case TokenKind::symbol:
      if (takeSymbol("(")) {
        WhereNode inner = expression();
        if (isSymbol(",")) refuseWhere(token_.at, "rows of several values are not allowed");
        expectSymbol(")");
        return inner;
      }
      if (isSymbol("-") || isSymbol("+")) {
        const bool negative = isSymbol("-");
        advance();
        if (token_.kind != TokenKind::number) refuseWhere(at, "arithmetic is not allowed");
        return number(negative, at);
      }
      unexpected("a value");
    case TokenKind::word:
      if (takeWord("null")) return literal(SqlType::unknown, Value(), at);
      if (takeWord("true")) return literal(SqlType::boolean, Value(true), at);
      if (takeWord("false")) return literal(SqlType::boolean, Value(false), at);
      if (isWord("cast") && following_.kind == TokenKind::symbol && following_.text == "(") return castCall();
      if (isReserved(token_.text)) unexpected("a value");
      [[fallthrough]];
    case TokenKind::quotedName:
      return column();
    case TokenKind::end:
      break;
  }
  unexpected("a value");
}

WhereNode WhereParser::number(bool negative, std::size_t at) {
  const std::string text = (negative ? "-" : "") + token_.text;
  advance();
  // As in SQL: whole numbers are integers where they fit, everything else is exact.
  if (text.find_first_of(".eE") == text.npos) {
    if (const auto whole = readPgLiteral(SqlType::integer, text)) {
      if (whole->kind() == ValueKind::int64) return literal(SqlType::integer, *whole, at);
    }
  }
  const auto exact = readPgLiteral(SqlType::decimal, text);
  if (!exact) refuseWhere(at, fmt::format("\"{}\" is no number that can be kept exactly", text.substr(0, 60)));
  return literal(SqlType::decimal, *exact, at);
}

WhereNode WhereParser::parameterValue() {
  const std::size_t at = token_.at;
  const std::uint32_t number = token_.parameter;
  advance();
  const auto found = params_.find(number);
  if (found == params_.end()) refuseWhere(at, fmt::format("parameter ${} was not given", number));
  used_.insert(number);
  return literal(SqlType::unknown, Value(found->second), at);
}

WhereNode WhereParser::castCall() {
  const std::size_t at = token_.at;
  advance();
  expectSymbol("(");
  WhereNode inner = expression();
  expectWord("as");
  const std::string type = typeName();
  expectSymbol(")");
  return castTo(std::move(inner), type, at);
}

std::string WhereParser::name() {
  if (token_.kind != TokenKind::word && token_.kind != TokenKind::quotedName) unexpected("a name");
  std::string text = std::move(token_.text);
  advance();
  return text;
}

WhereNode WhereParser::column() {
  const std::size_t at = token_.at;
  const bool bare = token_.kind == TokenKind::word;
  std::vector<std::string> parts{name()};
  if (bare && token_.kind == TokenKind::text) {  // date '2026-01-01'
    Value text(std::move(token_.text));
    const std::size_t place = token_.at;
    advance();
    return castTo(literal(SqlType::unknown, std::move(text), place), parts.front(), at);
  }
  if (bare && isSymbol("("))
    refuseWhere(at, fmt::format("the function \"{}\" is not allowed", parts.front().substr(0, 60)));
  while (parts.size() < 3 && takeSymbol(".")) parts.push_back(name());
  const std::string wanted = parts.back();
  parts.pop_back();
  if (!parts.empty() && !namesTable(schema_.table, parts)) {
    refuseWhere(at, fmt::format("the condition may name columns of table \"{}\" only", schema_.table));
  }
  for (std::uint32_t i = 0; i < schema_.columns.size(); ++i) {
    if (schema_.columns[i].name != wanted) continue;
    WhereNode node = make(WhereOp::column, at);
    node.column = i;
    node.type = sqlTypeOf(schema_.columns[i]);
    return node;
  }
  refuseWhere(at, fmt::format("unknown column \"{}\" of table \"{}\"{}", wanted.substr(0, 60), schema_.table,
                              bare ? "; names with upper-case letters need double quotes" : ""));
}

}  // namespace tidegate::electric::detail
