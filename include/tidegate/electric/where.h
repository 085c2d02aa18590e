/// A shape's condition: the part of SQL's WHERE that says something of one row, parsed, typed and evaluated here.
///
///     Where mine = Where::parse("owner = $1 AND (due < '2026-01-01' OR due IS NULL)", schema, {{1, "u7"}});
///     if (mine.matches(row)) …
///
/// Allowed: `= <> != < <= > >=`, AND, OR, NOT, IN, BETWEEN [SYMMETRIC], LIKE and ILIKE with ESCAPE, IS [NOT] NULL,
/// IS [NOT] TRUE, FALSE and UNKNOWN, IS [NOT] DISTINCT FROM, parentheses, literals, `$1` and the like, and casts that
/// lose nothing. Everything else is refused with its place in the text: there are no functions, no arithmetic, no
/// subqueries. Nothing of the text is ever pasted into SQL. How each part behaves is in docs/electric-shapes.md.
///
/// Origin: Electric's `where` and PostgreSQL's grammar and precedence; differs in that text is compared by its octets
/// (collation "C"), and that ILIKE folds ASCII letters only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/core/value.h"

namespace tidegate::electric {

/// Bounds on a condition from outside.
struct WhereLimits {
  std::size_t maxBytes = 16u << 10;  ///< of the text and its parameters together
  std::size_t maxDepth = 64;         ///< of nesting: parentheses, NOT, casts
  std::size_t maxNodes = 4'096;      ///< operators, columns and literals
};

/// Values of `$1`, `$2`, … as text, as they come in a URL. Each takes the type of what it is compared with.
using WhereParams = std::map<std::uint32_t, std::string>;

/// SQL's three truth values.
enum class Truth : std::uint8_t { no, yes, unknown };

/// A condition that rows must meet in one column: what an index of conditions goes by.
struct WhereEquality {
  std::uint32_t column = 0;  ///< index in the schema's columns
  Value value{};             ///< bool, int64, uint64, text or uuid
};

/// A condition on the rows of one table. Copies share one parsed tree.
/// @thread Immutable: any.
class Where {
 public:
  /// Every row.
  Where();
  /// @param params  one for each `$n` in the text, and no other.
  /// @throws Error{invalidArgument} "At location 17: …" (octets from 0): a word that is not allowed, an unknown column,
  ///         types that cannot be compared, a literal that is not of its type, a missing parameter, a bound exceeded.
  static Where parse(std::string_view text, const TableSchema& schema, const WhereParams& params = {},
                     const WhereLimits& limits = {});
  /// Rows that both take. Both must be of the same schema.
  static Where both(const Where& a, const Where& b);

  /// @param row  values in the order of the schema's columns. A value that is not of its column's kind is unknown.
  Truth evaluate(std::span<const Value> row) const;
  /// Whether `evaluate` says yes.
  bool matches(std::span<const Value> row) const { return evaluate(row) == Truth::yes; }

  /// Whether it takes every row because nothing was asked.
  bool empty() const noexcept { return root_ == nullptr; }
  /// The condition as PostgreSQL would take it: parameters filled in, literals with their types, every operator in
  /// parentheses. Equal texts mean equal conditions; `parse` takes it back. Empty where `empty()`.
  const std::string& text() const noexcept;
  /// Columns (indices, ascending) that it names.
  const std::vector<std::uint32_t>& columns() const noexcept;
  /// Comparisons of a column with a value that every row taken must meet: those among its outermost ANDs.
  const std::vector<WhereEquality>& equalities() const noexcept;

 private:
  struct Tree;
  std::shared_ptr<const Tree> root_;
};

}  // namespace tidegate::electric
