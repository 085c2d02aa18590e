#include "postgres/detail/baseline.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <deque>

#include "postgres/detail/baseline_progress.h"
#include "postgres/detail/catalogue.h"
#include "postgres/detail/copy_link.h"
#include "postgres/detail/position.h"
#include "postgres/detail/snapshot.h"
#include "postgres/detail/table_copy.h"

namespace tidegate::postgres::detail {
namespace {

/// Of a table that is read in parallel: about 32 MiB, so that every connection has work until the end.
constexpr std::int64_t kRangePages = 4'096;
/// Scans of a range of ctids read nothing but that range only from here on.
constexpr int kCtidRangesSince = 140'000;

/// A table that is read whole.
struct WholeTable {
  TableFacts facts;
  Shape shape;
  std::size_t rangesLeft = 0;
  bool begun = false;
};

/// What one COPY reads.
struct Range {
  WholeTable* table = nullptr;
  std::string where{};
};

struct Reader {
  std::unique_ptr<CopyLink> link;
  Range range{};
};

bool sameTable(const TableFacts& a, const TableFacts& b) {
  return a.oid == b.oid && a.file == b.file && shapeOf(a)->schema == shapeOf(b)->schema &&
         a.publication.rowFilter == b.publication.rowFilter;
}

class WholeBaseline {
 public:
  explicit WholeBaseline(const BaselineJob& job)
      : job_(job),
        control_(job.options.connect, job.stop),
        ctidRanges_(job.options.baseline.parallelConnections > 1 &&
                    PQserverVersion(control_.raw()) >= kCtidRangesSince) {}

  std::string run() {
    try {
      return read();
    } catch (const Error&) {
      if (job_.stop.stop_requested() && !inHandler_) throw control_.failure();
      throw;
    }
  }

 private:
  std::string read() {
    sortTables();
    position_ = positionOf({job_.consistentPoint, 0}, encodeProgress(progress_));
    if (!tables_.empty() || !progress_.pending.empty()) openReaders();
    for (WholeTable& table : tables_) addRanges(table);
    while (readRanges()) waitForRows();
    offer();
    if (!progress_.pending.empty()) waitUntilVisible();
    return encodeProgress(progress_);
  }

  /// Those to be read now, and those that are left to the stream.
  void sortTables() {
    for (const std::string& name : job_.tables) {
      TableFacts facts = requireTable(control_.raw(), name, job_.options.publication.name);
      const auto same = [&](const WholeTable& other) { return other.facts.oid == facts.oid; };
      const auto sameName = [&](const PendingTable& other) { return other.name == facts.fullName(); };
      if (std::any_of(tables_.begin(), tables_.end(), same) ||
          std::any_of(progress_.pending.begin(), progress_.pending.end(), sameName)) {
        continue;
      }
      if (leftToStream(facts))
        progress_.pending.push_back({.name = facts.fullName()});
      else
        tables_.push_back({.facts = std::move(facts), .shape = nullptr});
    }
  }

  bool leftToStream(const TableFacts& facts) const {
    return job_.options.mode == SlotMode::stateful && !facts.key().empty() &&
           facts.estimatedRows > static_cast<double>(job_.options.baseline.chunkedFromRows);
  }

  void openReaders() {
    const std::size_t wanted = std::max<std::size_t>(job_.options.baseline.parallelConnections, 1);
    for (std::size_t i = 0; i < wanted; ++i) {
      auto link = std::make_unique<CopyLink>(job_.options.connect, job_.stop);
      link->run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
      takeSnapshot(*link);
      readers_.push_back({std::move(link), {}});
      if (i == 0) settleTables();  // the locks of one connection hold for all
      if (totalRanges() <= i + 1) break;
    }
  }

  /// A snapshot lasts as long as the session that exported it: the server may have ended that meanwhile.
  void takeSnapshot(CopyLink& link) const {
    try {
      link.run("SET TRANSACTION SNAPSHOT " + quotedLiteral(job_.snapshot));
    } catch (const Error& e) {
      if (e.code() != ErrorCode::queryFailed || e.retry() == Retry::later) throw;
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  "the session that holds the baseline's snapshot was lost: " + e.message());
    }
  }

  /// Locks the tables against alteration. A table that was rewritten between the snapshot and the lock looks empty to
  /// the snapshot, and one that was altered has no rows of its old shape: what the snapshot says of the tables must be
  /// what is true now.
  void settleTables() {
    CopyLink& link = *readers_.front().link;
    for (WholeTable& table : tables_) {
      link.run(fmt::format("LOCK TABLE {} IN ACCESS SHARE MODE", table.facts.quoted()));
      const std::string name = table.facts.fullName();
      const TableFacts now = requireTable(control_.raw(), name, job_.options.publication.name);
      const auto then = readTableFacts(link.raw(), name, job_.options.publication.name);
      if (!then || !sameTable(now, *then)) {
        throw Error(
            ErrorCode::queryFailed, Retry::later,
            fmt::format("table \"{}\" was altered or truncated while its baseline began; a new snapshot is needed",
                        name));
      }
      table.facts = now;
      table.shape = shapeOf(now);
    }
  }

  std::int64_t pagesOf(const WholeTable& table) const { return table.facts.bytes / 8'192; }
  bool inRanges(const WholeTable& table) const { return ctidRanges_ && table.facts.kind == 'r'; }
  std::size_t rangesOf(const WholeTable& table) const {
    return inRanges(table) ? static_cast<std::size_t>(std::max<std::int64_t>(1, pagesOf(table) / kRangePages)) : 1;
  }
  std::size_t totalRanges() const {
    std::size_t sum = 0;
    for (const WholeTable& table : tables_) sum += rangesOf(table);
    return sum;
  }

  /// The last range has no end: the table may have grown, and what it grew by is not seen by the snapshot.
  void addRanges(WholeTable& table) {
    const std::size_t count = rangesOf(table);
    table.rangesLeft = count;
    for (std::size_t i = 0; i < count; ++i) {
      std::string where;
      const auto begin = static_cast<std::int64_t>(i) * kRangePages;
      if (i > 0) where = fmt::format("ctid >= '({},0)'", begin);
      if (i + 1 < count) where += fmt::format("{}ctid < '({},0)'", where.empty() ? "" : " AND ", begin + kRangePages);
      ranges_.push_back({&table, std::move(where)});
    }
  }

  /// Reads what has arrived and gives work to who has none. @return whether there is anything left to wait for.
  bool readRanges() {
    bool working = false;
    for (Reader& reader : readers_) {
      if (!reader.link->copying()) beginRange(reader);
      if (reader.range.table != nullptr) readRows(reader);
      working = working || reader.range.table != nullptr || !ranges_.empty();
    }
    return working;
  }

  /// Rows in the order that they lie in are often in the order of their keys, which a target's tree takes much better
  /// than two interleaved runs. So a second connection helps with a table only where the reader is quicker than one.
  bool helps() const {
    const auto now = std::chrono::steady_clock::now();
    return offered_ >= job_.rowsAlone && inHandlerFor_ * 4 < now - begunAt_;
  }

  void beginRange(Reader& reader) {
    const auto inHand = [&](const Range& range) {
      return std::any_of(readers_.begin(), readers_.end(),
                         [&](const Reader& r) { return r.range.table == range.table; });
    };
    const auto next =
        std::find_if(ranges_.begin(), ranges_.end(), [&](const Range& range) { return !inHand(range) || helps(); });
    if (next == ranges_.end()) return;
    reader.range = std::move(*next);
    ranges_.erase(next);
    WholeTable& table = *reader.range.table;
    if (!table.begun) add(ChangeOp::baselineBegin, table);
    table.begun = true;
    reader.link->start(copySql(table.facts, {.where = reader.range.where}),
                       copyDecoderOf(table.facts, reader.link->trustedEncoding()));
  }

  void readRows(Reader& reader) {
    WholeTable& table = *reader.range.table;
    const std::size_t most = std::max<std::size_t>(job_.options.batchEvents, 1);
    for (;;) {
      if (!reader.link->next(addOver(ChangeOp::read, table).after)) break;
      if (batch_.size() >= most) offer();
    }
    batch_.dropLast();
    if (reader.link->copying()) return;
    reader.range.table = nullptr;
    if (--table.rangesLeft == 0) add(ChangeOp::baselineEnd, table);
  }

  void waitForRows() {
    if (job_.stop.stop_requested()) throw control_.failure();
    std::vector<pollfd> watched;
    for (Reader& reader : readers_) {
      if (reader.link->copying()) watched.push_back({reader.link->socket(), POLLIN, 0});
    }
    if (watched.empty()) return;  // a reader has just become free
    poll(watched.data(), static_cast<nfds_t>(watched.size()), 50);
    std::size_t i = 0;
    for (Reader& reader : readers_) {
      if (reader.link->copying() && watched[i++].revents != 0) reader.link->receive();
    }
  }

  ChangeEvent& addOver(ChangeOp op, const WholeTable& table) {
    ChangeEvent& event = batch_.addOver(op, table.shape);
    event.transactionBegin = event.transactionEnd = true;
    event.position.octets = position_.octets;
    return event;
  }
  void add(ChangeOp op, const WholeTable& table) { addOver(op, table).after.clear(); }

  void offer() {
    while (!batch_.empty() && ask() == Taken::full) {
      if (job_.stop.stop_requested()) throw control_.failure();
      poll(nullptr, 0, 1);
    }
    batch_.clear();
  }
  Taken ask() {
    const auto since = std::chrono::steady_clock::now();
    const std::size_t rows = batch_.size();
    inHandler_ = true;  // what it throws comes out as it is
    const Taken taken = job_.handler(batch_);
    inHandler_ = false;
    inHandlerFor_ += std::chrono::steady_clock::now() - since;
    if (taken == Taken::yes) offered_ += rows;
    return taken;
  }

  /// Later snapshots must see all that this one does: they are those the stream continues from. The log says that a
  /// transaction has committed before other sessions see it, much before where it waits for a synchronous standby.
  void waitUntilVisible() {
    const auto snapshotOf = [](CopyLink& link) {
      return parseSnapshot(cell(link.run("SELECT pg_catalog.pg_current_snapshot()").get(), 0, 0));
    };
    const Snapshot exported = snapshotOf(*readers_.front().link);
    while (!snapshotOf(control_).covers(exported)) {
      if (job_.stop.stop_requested()) throw control_.failure();
      poll(nullptr, 0, 5);
    }
  }

  const BaselineJob& job_;
  CopyLink control_;
  bool ctidRanges_;
  bool inHandler_ = false;
  std::deque<WholeTable> tables_;
  BaselineProgress progress_;
  Position position_;
  std::vector<Reader> readers_;
  std::deque<Range> ranges_;
  ChangeBatch batch_;
  std::uint64_t offered_ = 0;
  const std::chrono::steady_clock::time_point begunAt_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration inHandlerFor_{0};
};

/// `readTable`'s rows: one COPY under a lock that keeps the table's shape.
class TableStream final : public RowStream {
 public:
  TableStream(const SourceOptions& options, const std::string& table, std::stop_token stop)
      : link_(options.connect, stop) {
    link_.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    const TableFacts named = requireTable(link_.raw(), table);
    link_.run("COMMIT");
    link_.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    link_.run(fmt::format("LOCK TABLE {} IN ACCESS SHARE MODE", named.quoted()));
    const TableFacts facts = requireTable(link_.raw(), named.fullName(), options.publication.name);
    columns_ = shapeOf(facts)->columns;
    link_.start(copySql(facts), copyDecoderOf(facts, link_.trustedEncoding()));
  }

  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override { return link_.nextWaiting(values); }

 private:
  CopyLink link_;
  Columns columns_;
};

}  // namespace

std::string runBaseline(const BaselineJob& job) { return WholeBaseline(job).run(); }

std::unique_ptr<RowStream> readTable(const SourceOptions& options, const std::string& table, std::stop_token stop) {
  return std::make_unique<TableStream>(options, table, std::move(stop));
}

}  // namespace tidegate::postgres::detail
