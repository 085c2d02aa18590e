/// A condition's text to its typed tree, by recursive descent with PostgreSQL's precedence.
#pragma once

#include <set>
#include <string_view>

#include "electric/detail/where_lexer.h"
#include "electric/detail/where_node.h"
#include "tidegate/electric/where.h"

namespace tidegate::electric::detail {

/// @thread One at a time; used once.
class WhereParser {
 public:
  WhereParser(std::string_view text, const TableSchema& schema, const WhereParams& params, const WhereLimits& limits);
  /// @throws Error{invalidArgument} "At location …".
  WhereNode parse();

 private:
  class Level;  ///< counts nesting while it lives
  WhereNode expression();
  WhereNode conjunction();
  WhereNode negation();
  WhereNode test();        ///< IS …
  WhereNode comparison();  ///< = < and so on; they do not chain
  WhereNode range();       ///< BETWEEN, IN, LIKE; they do not chain
  WhereNode operand();     ///< an atom and its casts
  WhereNode atom();
  WhereNode number(bool negative, std::size_t at);
  WhereNode parameterValue();
  WhereNode castCall();
  WhereNode column();
  WhereNode membership(WhereNode left, std::size_t at);
  WhereNode between(WhereNode left, std::size_t at);
  WhereNode like(WhereNode left, WhereOp op, std::size_t at);
  WhereNode isTest(WhereNode left, std::size_t at);
  std::string typeName();
  std::string name();

  WhereNode make(WhereOp op, std::size_t at, std::vector<WhereNode> children = {});
  WhereNode literal(SqlType type, Value value, std::size_t at);
  WhereNode negated(bool really, WhereNode node);
  void advance();
  bool isWord(std::string_view word) const { return token_.kind == TokenKind::word && token_.text == word; }
  bool isSymbol(std::string_view symbol) const { return token_.kind == TokenKind::symbol && token_.text == symbol; }
  bool takeWord(std::string_view word);
  bool takeSymbol(std::string_view symbol);
  void expectWord(std::string_view word);
  void expectSymbol(std::string_view symbol);
  [[noreturn]] void unexpected(std::string_view wanted) const;

  const TableSchema& schema_;
  const WhereParams& params_;
  const WhereLimits& limits_;
  WhereLexer lexer_;
  Token token_{}, following_{};
  std::size_t depth_ = 0, nodes_ = 0;
  std::set<std::uint32_t> used_{};
};

}  // namespace tidegate::electric::detail
