#include "engine/detail/table_verifier.h"

#include <algorithm>
#include <set>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

/// Keys that are held in memory at a time, of both sides together.
constexpr std::uint64_t kMostEntries = 500'000;
constexpr std::size_t kLeastCandidates = 10'000;
constexpr std::size_t kRepairBatch = 500;
const std::vector<std::uint32_t> kNothingMissing;

RowDigest digestOf(const TablePlan& plan) {
  const auto times = plan.transform.timestampColumns();
  std::vector<std::uint32_t> columns;
  for (std::uint32_t i = 0; i < plan.target->columns->size(); ++i) {
    // The time of applying has no counterpart in the source.
    if (std::find(times.begin(), times.end(), (*plan.target->columns)[i]) == times.end()) columns.push_back(i);
  }
  return {std::move(columns), plan.target->key};
}

/// Where each column of a shape stands in a result.
std::vector<std::optional<std::size_t>> places(const TableShape& shape, const Columns& columns) {
  std::vector<std::optional<std::size_t>> all;
  for (const std::string& name : shape.columns->names()) all.push_back(columns->find(name));
  return all;
}

void arrange(const std::vector<std::optional<std::size_t>>& from, std::vector<Value>& read, std::vector<Value>& row) {
  row.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) row[i] = from[i] ? read[*from[i]] : Value();
}

}  // namespace

TableVerifier::TableVerifier(Parts parts, const VerifyOptions& options)
    : parts_(std::move(parts)), options_(options), digest_(digestOf(*parts_.plan)) {
  if (parts_.plan->ttlColumn) ttlColumn_ = parts_.plan->target->columns->find(parts_.plan->ttlTarget);
}

void TableVerifier::readSource(const Visitor& visit) {
  const TablePlan& plan = *parts_.plan;
  const auto stream = parts_.source.readTable(plan.source->schema.table, {});
  const auto from = places(*plan.source, stream->columns());
  const std::int64_t now = parts_.clock.wallNow().count();
  Values read, row, made;
  std::vector<std::uint32_t> missing;
  while (stream->next(read)) {
    arrange(from, read, row);
    if (plan.wants({row, kNothingMissing}, now) == Verdict::no) continue;
    const Values* target = &row;
    if (plan.transforms) {
      plan.transform.apply({row, kNothingMissing}, now, made, missing);
      target = &made;
    }
    const Hash128 key = digest_.key(*target);
    visit({key.low, key.high}, digest_.row(*target), *target);
  }
}

void TableVerifier::readSink(const Visitor& visit) {
  const TablePlan& plan = *parts_.plan;
  const std::int64_t now = parts_.clock.wallNow().count();
  parts_.withSink([&] {
    const auto stream = parts_.sink.readTable(plan.target, {});
    const auto from = places(*plan.target, stream->columns());
    Values read, row;
    while (stream->next(read)) {
      arrange(from, read, row);
      if (ttlColumn_) {
        const Value& time = row[*ttlColumn_];
        // Too old, and not swept yet.
        if (compareValues(time, ttlCutoff(time.kind(), time, now, plan.ttlAge)) < 0) continue;
      }
      const Hash128 key = digest_.key(row);
      visit({key.low, key.high}, digest_.row(row), row);
    }
  });
}

std::vector<TableVerifier::Chunk> TableVerifier::sums(const std::function<void(const Visitor&)>& read,
                                                      std::uint64_t& rows) {
  std::vector<Chunk> chunks(options_.chunks);
  read([&](const Key& key, std::uint64_t hash, const Values&) {
    Chunk& chunk = chunks[chunkOf(key)];
    ++chunk.rows;
    chunk.sum += hash;
    ++rows;
  });
  return chunks;
}

TableVerification TableVerifier::run() {
  result_.table = parts_.plan->source->schema.table;
  result_.target = parts_.plan->target->schema.table;
  const auto source = sums([this](const Visitor& visit) { readSource(visit); }, result_.sourceRows);
  const auto sink = sums([this](const Visitor& visit) { readSink(visit); }, result_.sinkRows);
  result_.chunksCompared = options_.chunks;
  // As many chunks at a time as fit into memory.
  std::vector<bool> differing(options_.chunks);
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < options_.chunks; ++i) {
    if (source[i] == sink[i]) continue;
    ++result_.chunksDiffering;
    if (held > 0 && held + source[i].rows + sink[i].rows > kMostEntries) {
      compareChunks(differing);
      differing.assign(options_.chunks, false);
      held = 0;
    }
    differing[i] = true;
    held += source[i].rows + sink[i].rows;
  }
  if (held > 0) compareChunks(differing);
  for (std::uint32_t i = 0; i < options_.rechecks && !candidates_.empty(); ++i) {
    parts_.scheduler.waitFor(options_.recheckDelay, {});
    look();
  }
  if (options_.rechecks == 0 && !candidates_.empty()) look();
  if (options_.repair) repair();
  report();
  return std::move(result_);
}

std::vector<TableVerifier::Entry> TableVerifier::entries(const std::function<void(const Visitor&)>& read,
                                                         const std::vector<bool>& chunks) {
  std::vector<Entry> all;
  read([&](const Key& key, std::uint64_t hash, const Values&) {
    if (chunks[chunkOf(key)]) all.push_back({key, 1, hash});
  });
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  std::size_t kept = 0;
  for (const Entry& entry : all) {
    if (kept > 0 && all[kept - 1].key == entry.key) {
      all[kept - 1].rows += entry.rows;
      all[kept - 1].sum += entry.sum;
    } else {
      all[kept++] = entry;
    }
  }
  all.resize(kept);
  return all;
}

void TableVerifier::compareChunks(const std::vector<bool>& chunks) {
  const auto source = entries([this](const Visitor& visit) { readSource(visit); }, chunks);
  const auto sink = entries([this](const Visitor& visit) { readSink(visit); }, chunks);
  const std::size_t most = std::max(options_.maxDifferences, kLeastCandidates);
  const auto differs = [&](const Key& key) {
    if (candidates_.size() < most)
      candidates_.try_emplace(key);
    else
      ++unlisted_;
  };
  auto a = source.begin();
  auto b = sink.begin();
  while (a != source.end() || b != sink.end()) {
    if (b == sink.end() || (a != source.end() && a->key < b->key)) {
      differs((a++)->key);
    } else if (a == source.end() || b->key < a->key) {
      differs((b++)->key);
    } else {
      if (a->rows != b->rows || a->sum != b->sum) differs(a->key);
      ++a;
      ++b;
    }
  }
}

/// Reads the candidates again and forgets those that are the same now.
void TableVerifier::look() {
  for (auto& [key, pair] : candidates_) pair = {};
  const auto fill = [this](Side Pair::*side) {
    return [this, side](const Key& key, std::uint64_t hash, const Values& row) {
      const auto at = candidates_.find(key);
      if (at == candidates_.end()) return;
      Side& found = at->second.*side;
      ++found.rows;
      found.sum += hash;
      found.row = row;
    };
  };
  readSource(fill(&Pair::source));
  readSink(fill(&Pair::sink));
  std::erase_if(candidates_, [](const auto& entry) { return entry.second.source == entry.second.sink; });
}

/// Writes what the source holds. Rows without a key cannot be named, and so not mended.
void TableVerifier::repair() {
  if (candidates_.empty() || parts_.plan->target->key.empty()) return;
  const Candidates before = candidates_;
  ChangeBatch batch;
  const auto flush = [&] {
    if (batch.empty()) return;
    parts_.withSink([&] { parts_.apply(batch); });
    batch.clear();
  };
  for (const auto& [key, pair] : candidates_) {
    const bool erases = pair.source.rows == 0;
    const ChangeOp op = erases ? ChangeOp::erase : pair.sink.rows == 0 ? ChangeOp::insert : ChangeOp::update;
    ChangeEvent& event = batch.add(op, parts_.plan->target);
    (erases ? event.before : event.after) = erases ? pair.sink.row : pair.source.row;
    event.position = parts_.position;
    event.transactionBegin = event.transactionEnd = true;
    if (batch.size() == kRepairBatch) flush();
  }
  flush();
  look();
  for (const auto& [key, pair] : before) repaired_[key] = !candidates_.contains(key);
  candidates_ = before;
}

Difference TableVerifier::differenceOf(const Pair& pair) const {
  Difference difference;
  const TableShape& shape = *parts_.plan->target;
  const Values& row = pair.source.rows > 0 ? pair.source.row : pair.sink.row;
  const auto columns = shape.key.empty() ? digest_.columns() : shape.key;
  for (const std::uint32_t column : columns) {
    difference.key += (difference.key.empty() ? "" : ", ") + (*shape.columns)[column] + "=" + describe(row[column]);
  }
  if (pair.source.rows == 0 || pair.sink.rows == 0) {
    difference.kind = pair.sink.rows == 0 ? DifferenceKind::missingInSink : DifferenceKind::extraInSink;
    return difference;
  }
  for (const std::uint32_t column : digest_.columns()) {
    std::string source, sink;
    appendCanonical(pair.source.row[column], source);
    appendCanonical(pair.sink.row[column], sink);
    if (source == sink) continue;
    difference.detail = "column \"" + (*shape.columns)[column] + "\": source " + describe(pair.source.row[column]) +
                        ", sink " + describe(pair.sink.row[column]);
    return difference;
  }
  difference.detail =
      std::to_string(pair.source.rows) + " such rows in the source, " + std::to_string(pair.sink.rows) + " in the sink";
  return difference;
}

void TableVerifier::report() {
  result_.differenceCount = candidates_.size() + unlisted_;
  for (const auto& [key, pair] : candidates_) {
    if (result_.differences.size() >= options_.maxDifferences) break;
    result_.differences.push_back(differenceOf(pair));
    const auto repaired = repaired_.find(key);
    result_.differences.back().repaired = repaired != repaired_.end() && repaired->second;
  }
}

}  // namespace tidegate::detail
