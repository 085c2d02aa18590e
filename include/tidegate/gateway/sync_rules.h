/// Which rows a client may see: LakeSync's sync rules, typed, compiled once per client.
///
///     auto rules = SyncRules::parse(R"({"version": 1, "buckets": [
///       {"name": "mine", "tables": ["orders"], "filters": [{"column": "owner", "op": "eq", "value": "jwt:sub"}]}]})");
///     ClientView view = rules.compile({{"sub", {"u7"}}});
///     bool mine = view.matches("orders", [&](std::string_view column) { return row.find(column); });
///
/// A row is in a view if any bucket takes it. A bucket takes a row if its `tables` is empty or names the table, and all
/// its filters hold. No buckets at all: every row. A filter on a column that the row lacks or that is null does not
/// hold, whatever its op; a missing claim matches nothing, whatever the op (law 4.9).
///
/// Values are compared by the type of the row's value: int64, uint64 and Decimal as exact numbers ("10" > "9"), a
/// double with the literal as a double, a timestamp or date as a point in time (without a zone: UTC), a time as such, a
/// bool with "true"/"false" (no order), a uuid by its octets, bytes with base64, text by its bytes (as time where text
/// and literal are both dates or timestamps), Json deeply (no order). A literal that cannot be read as the row value's
/// type does not match: for `neq` one such literal is enough. In JSON a filter's value may be a string, number or bool,
/// or for `eq`, `neq` and `in` an array of them; the string "5" and the number 5 mean the same. See docs/sync-rules.md.
///
/// Origin: LakeSync `sync-rules`; differs in typed comparison (there "2024-05-01" > "2024-01-01" is false).
/// @thread SyncRules and ClientView are immutable: any.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/value.h"
#include "tidegate/gateway/messages.h"

namespace tidegate {

/// Comparison of a filter. Wire: "eq", "neq", "in", "gt", "gte", "lt", "lte".
enum class RuleOp { eq, neq, in, gt, gte, lt, lte };

/// One condition on one column.
struct RuleFilter {
  std::string column{};
  RuleOp op = RuleOp::eq;
  std::vector<Value> literals{};  ///< one, or several for eq/neq/in; unused where `claim` is set
  std::string claim{};            ///< "sub" for "jwt:sub"; empty for a literal
};

/// A named set of rows: all filters must hold.
struct RuleBucket {
  std::string name{};
  std::vector<std::string> tables{};  ///< empty: every table
  std::vector<RuleFilter> filters{};  ///< empty: every row of those tables
};

class ClientView;
namespace detail {
struct ViewTerms;
ViewTerms termsOf(const ClientView& view);
std::size_t ruleTableOf(const ClientView& view, std::string_view table);
}  // namespace detail

/// Rules compiled for one client's claims.
class ClientView {
 public:
  /// Finds a column's value in the row being judged; nullptr where absent.
  using Lookup = std::function<const Value*(std::string_view column)>;

  ClientView();  ///< sees everything
  /// Whether the row is in the view.
  bool matches(std::string_view table, const Lookup& column) const;
  /// As `matches`, for rows whose values stand in the order of `SyncRules::columnsOf(table)`; nullptr = absent. Hot
  /// path.
  bool matchesRuleColumns(std::string_view table, const Value* const* values, std::size_t count) const;
  /// Whether no row of the table can match (missing claims, table not named).
  bool excludesTable(std::string_view table) const;
  bool seesEverything() const noexcept;
  /// Names rules and claims: equal views have equal fingerprints, on every machine and after a restart.
  const std::string& fingerprint() const noexcept;

  struct Compiled;  ///< opaque
  explicit ClientView(std::shared_ptr<const Compiled> compiled);

 private:
  friend detail::ViewTerms detail::termsOf(const ClientView& view);
  friend std::size_t detail::ruleTableOf(const ClientView& view, std::string_view table);

  std::shared_ptr<const Compiled> compiled_;
};

/// A validated set of rules.
class SyncRules {
 public:
  SyncRules();  ///< no buckets: everybody sees everything
  /// @throws Error{invalidConfig} with the path of what is wrong, e.g. `buckets[1].filters[0].op: "like" is not one of
  /// …`.
  static SyncRules parse(std::string_view json);
  /// Builds rules in code; the same checks. @throws Error{invalidConfig}
  static SyncRules of(int version, std::vector<RuleBucket> buckets);

  int version() const noexcept;
  const std::vector<RuleBucket>& buckets() const noexcept;
  /// Columns that any filter applying to the table names, sorted; what a verdict on a row of it depends on.
  const std::vector<std::string>& columnsOf(std::string_view table) const;
  ClientView compile(const Claims& claims) const;
  /// Equal rules have equal fingerprints.
  const std::string& fingerprint() const noexcept;
  /// LakeSync's JSON.
  std::string toJson() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

}  // namespace tidegate
