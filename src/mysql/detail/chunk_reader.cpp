#include "mysql/detail/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <string_view>
#include <utility>

#include "mysql/detail/key_range.h"
#include "mysql/detail/read_row.h"

namespace tidegate::mysql::detail {
namespace {

/// Rows taken in one step, so that the stream is not kept waiting.
constexpr std::size_t kRowsPerStep = 5'000;
/// A server that has not answered for this long is gone.
constexpr std::chrono::minutes kChunkPatience{10};

/// Whether rows of the table can be so large that a range has to end before its last row.
bool mayBeLarge(const CatalogueTable& table, const BaselineOptions& options) {
  std::size_t most = 0;
  for (const CatalogueColumn& column : table.columns) {
    constexpr std::array<std::string_view, 4> kShort{"char", "varchar", "binary", "varbinary"};
    const bool isText =
        kindOf(column) == ValueKind::text || kindOf(column) == ValueKind::bytes || kindOf(column) == ValueKind::json;
    std::size_t length = 66;  // the longest number
    if (std::find(kShort.begin(), kShort.end(), column.dataType) != kShort.end()) {
      const auto open = column.columnType.find('(') + 1;
      std::from_chars(column.columnType.data() + open, column.columnType.data() + column.columnType.size(), length);
      length *= 4;
    } else if (isText && column.dataType != "uuid" && !column.dataType.starts_with("inet")) {
      return true;
    }
    most += length;
  }
  return most > options.chunkBytes / options.chunkRows;
}

std::string whereOf(const std::string& condition) { return condition.empty() ? "" : " WHERE " + condition; }

}  // namespace

void ChunkReader::connect() {
  link_ = core_.connect(core_.silence(), stop_);
  guard_.emplace(stop_, *link_);
  prepareForSnapshots(*link_);
  const std::string server = link_->askText("SELECT @@server_id");
  if (server == std::to_string(core_.streamServer)) return;
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("the binlog comes from server {}, and rows would be read from server {}: both must be one",
                          core_.streamServer, server));
}

bool ChunkReader::start(Chunk& chunk) {
  chunk_ = &chunk;
  chunk.stage = Chunk::Stage::reading;
  try {
    if (!link_) connect();
    if (begin()) return true;
    link_->run("COMMIT");
    chunk_ = nullptr;
    return false;
  } catch (...) {
    drop();
    throw;
  }
}

void ChunkReader::drop() noexcept {
  chunk_ = nullptr;
  asked_ = Asked::nothing;
  // Neither the rest of a result nor an answer is waited for.
  if (link_) link_->interrupt();
  if (result_ != nullptr) mysql_free_result(std::exchange(result_, nullptr));
  guard_.reset();
  link_.reset();
  bracket_.forget();
}

int ChunkReader::socket() const noexcept { return asked_ == Asked::nothing || !link_ ? -1 : link_->socket(); }

bool ChunkReader::hasMore() const noexcept { return asked_ != Asked::nothing && link_ && link_->cached(); }

bool ChunkReader::begin() {
  const std::optional<SnapshotPlace> place =
      link_->isMariaDb() ? std::optional(beginNotedSnapshot(*link_)) : bracket_.begin(*link_);
  if (!place || !admit_(*link_, *place)) return false;
  chunk_->seen = place->seen.name();
  chunk_->most = place->most.name();
  // Until the transaction ends, nobody alters it. One that was altered since the snapshot is refused by the server.
  link_->run(fmt::format("SELECT 1 FROM {} LIMIT 0", chunk_->name.quoted()));
  std::optional<CatalogueTable> table = readFollowedTable(*link_, chunk_->name);
  if (!table) {
    throw Error(ErrorCode::tableNotFound, Retry::later, fmt::format("table {} is gone", chunk_->name.full()));
  }
  if (table->key.empty()) {
    throw Error(ErrorCode::noReplicaIdentity, Retry::afterOperator,
                fmt::format("table {0} has lost its primary key while it was read; give it one again with: ALTER TABLE "
                            "{1} ADD PRIMARY KEY (…), or reload it",
                            chunk_->name.full(), chunk_->name.quoted()));
  }
  chunk_->table = std::move(*table);
  chunk_->shape = shapeOf(chunk_->table);
  chunk_->bounded ? askRows() : askBound();
  return true;
}

/// The key of the chunk's last row; no row where fewer are left.
void ChunkReader::askBound() {
  const std::vector<CatalogueColumn> key = keyColumns(chunk_->table);
  link_->send(fmt::format("SELECT {} FROM {}{} ORDER BY {} LIMIT 1 OFFSET {}", keyTexts(key), chunk_->name.quoted(),
                          whereOf(rangeCondition(key, chunk_->after, {})), keyList(key), rowsWanted_ - 1));
  asked_ = Asked::bound;
  askedAt_ = core_.clock->steadyNow();
}

void ChunkReader::bounded() {
  MYSQL_RES* const result = link_->readResult();
  const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> freed(result, &mysql_free_result);
  chunk_->upTo.clear();
  while (const MYSQL_ROW cells = mysql_fetch_row(result)) {
    const unsigned long* const lengths = mysql_fetch_lengths(result);
    for (unsigned i = 0; i < mysql_num_fields(result); ++i) chunk_->upTo.emplace_back(cells[i], lengths[i]);
  }
  if (mysql_errno(link_->raw()) != 0) link_->fail();
  chunk_->bounded = true;
}

void ChunkReader::askRows() {
  const std::vector<CatalogueColumn> key = keyColumns(chunk_->table);
  forms_ = textForms(chunk_->table.columns);
  octets_ = 0;
  saysKeys_ = mayBeLarge(chunk_->table, core_.options.baseline);
  const std::string keys = saysKeys_ ? ", " + keyTexts(key) : std::string();
  link_->send(fmt::format("SELECT {}{} FROM {}{} ORDER BY {}", selectList(chunk_->table.columns), keys,
                          chunk_->name.quoted(), whereOf(rangeCondition(key, chunk_->after, chunk_->upTo)),
                          keyList(key)));
  asked_ = Asked::rows;
  askedAt_ = core_.clock->steadyNow();
}

void ChunkReader::step() {
  if (asked_ == Asked::nothing) return;
  try {
    if (!link_->readable() && !link_->encrypted()) {
      if (core_.clock->steadyNow() - askedAt_ < kChunkPatience) return;
      throw Error(ErrorCode::connectionFailed, Retry::later, "the server does not answer where rows are read");
    }
    if (asked_ == Asked::rows) return takeRows();
    bounded();
    askRows();
  } catch (...) {
    drop();
    throw;
  }
}

void ChunkReader::takeRows() {
  if (result_ == nullptr) result_ = link_->readResult();
  for (std::size_t taken = 0; taken < kRowsPerStep; ++taken) {
    const MYSQL_ROW cells = mysql_fetch_row(result_);
    if (cells == nullptr) return finish();
    const unsigned long* const lengths = mysql_fetch_lengths(result_);
    readTextRow(forms_, cells, lengths, spare_);
    chunk_->rows.push_back(std::exchange(spare_, {}));
    octets_ += std::accumulate(lengths, lengths + forms_.size(), std::size_t{0});
    if (saysKeys_ && octets_ >= core_.options.baseline.chunkBytes) return cut(cells, lengths);
    if (!link_->encrypted() && !link_->readable()) break;
  }
  askedAt_ = core_.clock->steadyNow();
}

/// The range ends at the row in hand. What the server would send of the rest is not waited for, and the next range asks
/// for as many rows as fitted.
void ChunkReader::cut(MYSQL_ROW cells, const unsigned long* lengths) {
  chunk_->upTo.clear();
  for (std::size_t i = forms_.size(); i < mysql_num_fields(result_); ++i)
    chunk_->upTo.emplace_back(cells[i], lengths[i]);
  rowsWanted_ = chunk_->rows.size();
  Chunk* const chunk = chunk_;
  drop();
  chunk->stage = Chunk::Stage::read;
}

void ChunkReader::finish() {
  if (octets_ < core_.options.baseline.chunkBytes / 2) {
    rowsWanted_ = std::min(rowsWanted_ * 2, core_.options.baseline.chunkRows);
  }
  if (mysql_errno(link_->raw()) != 0) link_->fail();
  mysql_free_result(std::exchange(result_, nullptr));
  link_->run("COMMIT");  // nobody should wait for us to come back
  asked_ = Asked::nothing;
  std::exchange(chunk_, nullptr)->stage = Chunk::Stage::read;
}

}  // namespace tidegate::mysql::detail
