#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <unordered_set>

#include "engine/detail/row_digest.h"
#include "jobs/detail/run_writer.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace diff_detail {

/// Of a statement that reads a whole table.
constexpr std::chrono::hours kWholeTableTime{6};
/// Keys asked for in one statement: under every database's bound of parameters.
constexpr std::size_t kKeyValues = 1'000;

struct KeyHash {
  std::size_t operator()(const Hash128& key) const noexcept { return static_cast<std::size_t>(key.low); }
};

/// What the replica holds: a hash of each row by a hash of its key, some 70 octets a row.
struct Picture {
  struct Entry {
    std::uint64_t row = 0;
    bool seen = false;
  };
  std::unordered_map<Hash128, Entry, KeyHash> rows;
};

std::vector<std::uint32_t> allColumns(const TableShape& shape) {
  std::vector<std::uint32_t> columns;
  for (std::uint32_t i = 0; i < shape.columns->size(); ++i) columns.push_back(i);
  return columns;
}

Picture pictureOf(RunWriter& writer, RowDigest& digest) {
  Picture picture;
  const auto rows = writer.readRows();
  std::vector<Value> row;
  while (rows->next(row)) picture.rows[digest.key(row)] = {digest.row(row)};
  return picture;
}

void requireKey(const RunContext& context, const TableShape& shape, const std::vector<Value>& row) {
  for (const std::uint32_t column : shape.key) {
    if (!row[column].isNull()) continue;
    throw Error(ErrorCode::rowIdInvalid, Retry::afterOperator,
                fmt::format("job \"{}\": a row of \"{}\" has null in its key column \"{}\": name others in primary_key",
                            context.job.name, context.job.table, (*shape.columns)[column]));
  }
}

/// Keys of the replica that `gone` says are gone.
template <class Gone>
std::vector<std::vector<Value>> keysGone(RunWriter& writer, Gone&& gone) {
  std::vector<std::vector<Value>> out;
  const auto keys = writer.readKeys();
  std::vector<Value> key;
  while (keys->next(key)) {
    if (gone(key)) out.push_back(key);
  }
  return out;
}

std::string canonicalKey(const std::vector<Value>& key) {
  std::string text;
  for (const Value& value : key) {
    appendCanonical(value, text);
    text += '\0';
  }
  return text;
}

Query keysQuery(Dialect dialect, const JobPlan& plan, const std::vector<std::vector<Value>>& keys) {
  Query query;
  const auto bind = [&](const Value& value) {
    query.params.push_back(value);
    return placeholder(dialect, query.params.size());
  };
  std::string where;
  for (const std::vector<Value>& key : keys) {
    std::string one;
    for (std::size_t i = 0; i < key.size(); ++i) {
      one += fmt::format("{}{} = {}", i > 0 ? " AND " : "", plan.quotedKey[i], bind(key[i]));
    }
    where += where.empty() ? "(" + one + ")" : " OR (" + one + ")";
  }
  if (plan.quotedKey.size() == 1) {
    query.params.clear();
    std::vector<std::string> marks;
    for (const std::vector<Value>& key : keys) marks.push_back(bind(key[0]));
    where = fmt::format("{} IN ({})", plan.quotedKey[0], fmt::join(marks, ", "));
  }
  query.sql = fmt::format("SELECT {} FROM {} WHERE {}", fmt::join(plan.quotedKey, ", "), plan.from, where);
  return query;
}

/// Adds those of `keys` that the source does not have to `gone`.
void askSource(const RunContext& context, const JobPlan& plan, const QueryFn& query,
               std::vector<std::vector<Value>>& keys, std::vector<std::vector<Value>>& gone) {
  Query asked = keysQuery(query.dialect(), plan, keys);
  asked.stop = context.stop;
  ResultSet rows = query(asked);
  std::unordered_set<std::string> there;
  std::vector<Value> row;
  while (rows.next(row)) there.insert(canonicalKey(row));
  // A database may take more for equal than we do (letters' case, spaces): only the very key counts.
  for (std::vector<Value>& key : keys) {
    if (!there.contains(canonicalKey(key))) gone.push_back(std::move(key));
  }
  keys.clear();
}

}  // namespace diff_detail

void runDiff(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
             RunResult& result) {
  using namespace diff_detail;
  const TableShape& shape = *plan.shape;
  RowDigest digest(allColumns(shape), shape.key);
  Picture picture = pictureOf(writer, digest);
  const std::size_t before = picture.rows.size();
  std::size_t seen = 0, inPage = 0;
  {
    ResultSet rows = query({.sql = plan.select, .stop = context.stop, .timeout = kWholeTableTime, .wholeResult = true});
    std::vector<Value> row;
    while (rows.next(row)) {
      ++result.rowsRead;
      requireKey(context, shape, row);
      const std::uint64_t now = digest.row(row);
      const auto [at, fresh] = picture.rows.try_emplace(digest.key(row), Picture::Entry{now, false});
      if (at->second.seen) {
        throw Error(ErrorCode::rowIdInvalid, Retry::afterOperator,
                    fmt::format("job \"{}\": two rows of \"{}\" have the same key ({}): name more columns in "
                                "primary_key",
                                context.job.name, context.job.table, fmt::join(shape.schema.primaryKey, ", ")));
      }
      at->second.seen = true;
      seen += fresh ? 0 : 1;
      if (!fresh && at->second.row == now) continue;
      at->second.row = now;
      writer.row().swap(row);
      if (++inPage < context.job.batchSize) continue;
      inPage = 0;
      ++result.pages;
      writer.commit();
    }
  }
  if (inPage > 0) ++result.pages;
  const std::size_t missing = before - seen;
  if (missing == 0) return;
  if (writer.pending()) writer.commit();
  checkFraction(context.job, missing, before);
  std::vector<std::uint32_t> key;
  for (std::uint32_t i = 0; i < shape.key.size(); ++i) key.push_back(i);
  RowDigest keys(key, key);
  const auto gone = keysGone(writer, [&](const std::vector<Value>& row) {
    const auto at = picture.rows.find(keys.key(row));
    return at != picture.rows.end() && !at->second.seen;
  });
  eraseGone(context, gone, before, writer, result);
}

void runDeleteCheck(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
                    RunResult& result) {
  using namespace diff_detail;
  const std::size_t chunk = std::max<std::size_t>(1, kKeyValues / plan.quotedKey.size());
  std::uint64_t rows = 0;
  std::vector<std::vector<Value>> keys, gone;
  {
    const auto replica = writer.readKeys();
    std::vector<Value> key;
    while (replica->next(key)) {
      ++rows;
      keys.push_back(key);
      if (keys.size() == chunk) askSource(context, plan, query, keys, gone);
    }
  }
  if (!keys.empty()) askSource(context, plan, query, keys, gone);
  eraseGone(context, gone, rows, writer, result);
}

}  // namespace tidegate::detail
