#include "postgres/detail/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "postgres/detail/errors.h"
#include "postgres/detail/server_versions.h"
#include "postgres/detail/table_copy.h"
#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

/// Rows taken in one step, so that the stream is not kept waiting.
constexpr std::size_t kRowsPerStep = 5'000;

/// Changes with every alteration of the table's columns, of its place in publications, and with another table of its
/// name.
std::string fingerprintSql(const std::string& quotedTable, int serverVersion) {
  const std::string listed =
      serverVersion >= kColumnListsSince
          ? "(SELECT pg_catalog.string_agg(r.xmin::text, ',' ORDER BY r.oid) FROM pg_catalog.pg_publication_rel r "
            "WHERE r.prrelid = a.attrelid)"
          : "''";
  // Which columns are published is said there as well.
  const std::string publications =
      serverVersion >= kGeneratedSince
          ? "(SELECT pg_catalog.string_agg(p.xmin::text, ',' ORDER BY p.oid) FROM pg_catalog.pg_publication p)"
          : "''";
  return fmt::format(
      "(SELECT pg_catalog.concat(a.attrelid, '/', {}, '/', {}, '/', pg_catalog.string_agg(a.attnum || ':' || "
      "a.xmin::text, ',' "
      "ORDER BY a.attnum)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = {}::pg_catalog.regclass AND a.attnum > 0 "
      "GROUP BY a.attrelid)",
      listed, publications, quotedLiteral(quotedTable));
}

const ColumnFacts& keyColumn(const TableFacts& facts, const std::string& name) {
  return *std::find_if(facts.columns.begin(), facts.columns.end(),
                       [&](const ColumnFacts& c) { return c.name == name; });
}

/// "a", "b" of the key.
std::string keyList(const TableFacts& facts) {
  std::string list;
  for (const std::string& name : facts.key()) {
    list += (list.empty() ? "" : ", ") + quoteIdentifier(Dialect::postgres, name);
  }
  return list;
}

/// ("a", "b") > ('1'::integer, 'x'::text): the server compares, by the columns' own collations.
std::string keyCondition(const TableFacts& facts, std::string_view comparison, const std::vector<std::string>& key) {
  std::string values;
  const auto names = facts.key();
  for (std::size_t i = 0; i < names.size(); ++i) {
    values += fmt::format("{}{}::{}", values.empty() ? "" : ", ", quotedLiteral(key[i]),
                          keyColumn(facts, names[i]).type.name);
  }
  return fmt::format("({}) {} ({})", keyList(facts), comparison, values);
}

std::string rangeCondition(const TableFacts& facts, const Chunk& chunk) {
  std::string condition;
  if (!chunk.after.empty()) condition = keyCondition(facts, ">", chunk.after);
  if (chunk.upTo.empty()) return condition;
  return condition + (condition.empty() ? "" : " AND ") + keyCondition(facts, "<=", chunk.upTo);
}

/// The key of the chunk's last row; no row where fewer are left.
std::string boundSql(const TableFacts& facts, const Chunk& chunk, std::size_t chunkRows) {
  std::string texts;
  for (const std::string& name : facts.key()) {
    texts += fmt::format("{}pg_catalog.textin({}({}))", texts.empty() ? "" : ", ",
                         keyColumn(facts, name).type.outputFunction, quoteIdentifier(Dialect::postgres, name));
  }
  return fmt::format("SELECT {0} FROM (SELECT {1} FROM {2}{3} ORDER BY {1} OFFSET {4} LIMIT 1) AS last_of_chunk", texts,
                     keyList(facts), fromClause(facts), whereClause(facts, rangeCondition(facts, chunk)),
                     std::max<std::size_t>(chunkRows, 1) - 1);
}

std::string quotedTable(const std::string& fullName) {
  const TableName name = parseTableName(fullName);
  return quotedName(name.schema, name.name);
}

}  // namespace

void ChunkReader::start(Chunk& chunk) {
  chunk_ = &chunk;
  chunk.stage = Chunk::Stage::reading;
  if (link_.state() == AsyncLink::State::ready) return lock();
  stage_ = Stage::connect;
  link_.close();
  link_.open();
}

void ChunkReader::drop() noexcept {
  if (chunk_ != nullptr) chunk_->again();
  chunk_ = nullptr;
  link_.close();  // the server ends what it still does
}

void ChunkReader::step() {
  if (idle()) return;
  try {
    link_.step();
    advance();
  } catch (...) {
    const Error error = fromCurrentException();
    drop();
    throw error;
  }
}

void ChunkReader::advance() {
  if (link_.state() == AsyncLink::State::copying) takeRows();
  if (stage_ == Stage::connect && link_.state() == AsyncLink::State::ready) return lock();
  if (link_.state() != AsyncLink::State::done) return;
  switch (stage_) {
    case Stage::lock:
      return locked();
    case Stage::bound:
      return bounded();
    case Stage::copy:
      link_.takeResults();
      decoder_->finish();
      chunk_->stage = Chunk::Stage::read;
      chunk_->readAt = std::chrono::steady_clock::now();
      chunk_ = nullptr;
      return;
    case Stage::connect:
      link_.takeResults();
      return;
  }
}

void ChunkReader::lock() {
  const std::string table = quotedTable(chunk_->table);
  // The insert place is asked for within the statement that takes the snapshot, and so after it.
  link_.send(
      fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {}LOCK TABLE {} IN ACCESS SHARE MODE; "
                  "SELECT pg_catalog.pg_current_snapshot(), pg_catalog.pg_current_wal_insert_lsn(), {}",
                  PQserverVersion(link_.raw()) >= kTransactionTimeoutSince ? "SET LOCAL transaction_timeout = 0; " : "",
                  table, fingerprintSql(table, PQserverVersion(link_.raw()))));
  stage_ = Stage::lock;
}

void ChunkReader::locked() {
  const std::vector<OwnedResult> results = link_.takeResults();
  const PGresult* facts = results.back().get();
  chunk_->snapshot = parseSnapshot(cell(facts, 0, 0));
  const auto highWater = lsnFromText(cell(facts, 0, 1));
  if (!highWater) throw Error(ErrorCode::parseError, Retry::later, "the server's place in its log is none");
  chunk_->highWater = *highWater;
  const std::string fingerprint{cell(facts, 0, 2)};
  const auto same = std::find_if(known_.begin(), known_.end(), [&](const auto& k) {
    return k->fingerprint == fingerprint && k->facts.fullName() == chunk_->table;
  });
  chunk_->known = same != known_.end() ? *same : learn(fingerprint);
  if (chunk_->known->facts.key().empty()) {
    throw Error(
        ErrorCode::noReplicaIdentity, Retry::afterOperator,
        fmt::format("\"{}\" has lost its key while it was read; give it one again, or reload it", chunk_->table));
  }
  if (chunk_->bounded) return copy();
  link_.send(boundSql(chunk_->known->facts, *chunk_, options_.baseline.chunkRows));
  stage_ = Stage::bound;
}

/// Asks for the facts in the chunk's own transaction. Some short questions that are waited for: once for each shape.
std::shared_ptr<const KnownTable> ChunkReader::learn(const std::string& fingerprint) {
  auto learnt = std::make_shared<KnownTable>();
  learnt->facts = requireTable(link_.raw(), chunk_->table, options_.publication.name);
  learnt->shape = shapeOf(learnt->facts);
  learnt->fingerprint = fingerprint;
  known_.erase(
      std::remove_if(known_.begin(), known_.end(), [&](const auto& k) { return k->facts.fullName() == chunk_->table; }),
      known_.end());
  known_.push_back(learnt);
  return learnt;
}

void ChunkReader::bounded() {
  const std::vector<OwnedResult> results = link_.takeResults();
  const PGresult* bound = results.back().get();
  chunk_->upTo.clear();
  if (PQntuples(bound) > 0) {
    for (int i = 0; i < PQnfields(bound); ++i) chunk_->upTo.emplace_back(cell(bound, 0, i));
  }
  chunk_->bounded = true;
  copy();
}

void ChunkReader::copy() {
  const TableFacts& facts = chunk_->known->facts;
  decoder_.emplace(copyDecoderOf(facts, link_.trustedEncoding()));
  // The lock and the snapshot go with the last row: nobody should wait for us to come back.
  link_.send(copySql(facts, {.where = rangeCondition(facts, *chunk_), .orderBy = keyList(facts)}) + "; COMMIT");
  stage_ = Stage::copy;
}

void ChunkReader::takeRows() {
  for (std::size_t taken = 0; taken < kRowsPerStep; ++taken) {
    auto message = link_.nextMessage();
    if (!message) return;
    while (decoder_->next(*message, spare_)) chunk_->rows.push_back(std::exchange(spare_, {}));
  }
}

}  // namespace tidegate::postgres::detail
