#include "mysql/detail/snapshot_baseline.h"

#include <fmt/format.h>
#include <poll.h>

#include <charconv>
#include <numeric>

#include "mysql/detail/binlog_delivery.h"
#include "mysql/detail/read_row.h"
#include "source/detail/baseline_progress.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::chrono::milliseconds kPictureBreath{1};
/// A server that sends no row for this long is gone.
constexpr std::chrono::milliseconds kReadPatience{600'000};
constexpr std::size_t kMaxPictureBytes = 4u << 20;
/// For which a snapshot may lack what the binlog has shown: a commit may wait so long for a replica.
constexpr std::chrono::seconds kUnseenMost{15};
constexpr std::chrono::milliseconds kUnseenBreath{5};

std::uint64_t wholeNumber(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// Collects rows and offers them.
class Picture {
 public:
  Picture(const SnapshotJob& job, const Position& at) : job_(job), at_(at) {}

  ChangeEvent& add(ChangeOp op, const Shape& shape) {
    if (batch_.size() >= job_.core.options.batchEvents || bytes_ >= kMaxPictureBytes) offer();
    ChangeEvent& event = batch_.addOver(op, shape);
    event.transactionBegin = event.transactionEnd = true;
    event.position.octets.assign(at_.octets);
    return event;
  }
  void addBytes(std::size_t bytes) { bytes_ += bytes; }
  void offer() {
    if (batch_.empty()) return;
    for (Taken answer = Taken::full; answer == Taken::full;) {
      waitWhilePaused();
      answer = job_.handler(batch_);
      if (answer == Taken::full) pause(kPictureBreath);
    }
    batch_.clear();
    bytes_ = 0;
  }

 private:
  void checkStopped() const {
    if (job_.stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped");
  }
  void pause(std::chrono::milliseconds wait) const {
    pollfd polled{job_.core.wake.descriptor(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(wait.count()));
    job_.core.wake.clear();
    checkStopped();
  }
  void waitWhilePaused() {
    checkStopped();
    if (!job_.core.paused) return;
    const SourceState back = job_.core.state.state();
    job_.core.state.to(SourceState::paused, "paused");
    while (job_.core.paused) pause(std::chrono::milliseconds(1'000));
    job_.core.state.to(back, "resumed");
  }

  const SnapshotJob& job_;
  const Position& at_;
  ChangeBatch batch_;
  std::size_t bytes_ = 0;
};

CatalogueTable requireTable(CLink& link, const TableName& name) {
  if (std::optional<CatalogueTable> table = readFollowedTable(link, name)) return std::move(*table);
  throw Error(
      ErrorCode::tableNotFound, Retry::afterOperator,
      fmt::format("table {} does not exist, or the account may not see it; make it, or: GRANT SELECT ON {} TO …",
                  name.full(), name.quoted()));
}

/// Whether it is left to be read beside the stream.
/// @param known how far a snapshot sees is known without a lock.
bool leftToStream(bool known, const SourceCore& core, const CatalogueTable& table) {
  return known && table.engine == "InnoDB" && table.type == "BASE TABLE" && !table.key.empty() &&
         table.rows >= core.options.baseline.chunkedFromRows;
}

void readIntoPicture(CLink& link, const SnapshotJob& job, const CatalogueTable& table, Picture& picture) {
  const Shape shape = shapeOf(table);
  picture.add(ChangeOp::baselineBegin, shape).after.clear();
  std::vector<Value> values;
  readWholeTable(link, table, values, [&](std::size_t octets) {
    if (job.stop.stop_requested()) return false;
    ChangeEvent& event = picture.add(ChangeOp::read, shape);
    event.after.swap(values);
    picture.addBytes(octets);
    return true;
  });
  picture.add(ChangeOp::baselineEnd, shape).after.clear();
  picture.offer();
  job.core.told[table.name] = {shape, table.columns};
}

/// Frees a result also where it is left before its end: without the connection, since else all the rest would be read.
struct LeftResult {
  CLink& link;
  MYSQL_RES* result;
  ~LeftResult() {
    if (!mysql_eof(result)) link.interrupt();
    mysql_free_result(result);
  }
};

/// Whether all that was handed over up to a place lies before a border, as far as the two can be compared.
bool sees(const Border& border, const Place& told) {
  Border need = told.before;
  if (told.ordinal != 0 && !need.byFile()) need.pass(told.current);
  const std::partial_ordering order = compareBorders(need, border);
  if (told.ordinal != 0 && need.byFile() && order == std::partial_ordering::equivalent) return false;
  return order != std::partial_ordering::greater;
}

/// A snapshot that sees at least what the streams before it have told: the binlog shows a commit before others see it,
/// and rows that are older than what a reader holds would not be mended by any event.
Border beginLaterSnapshot(CLink& link, const SnapshotJob& job) {
  const auto until = job.core.clock->steadyNow() + kUnseenMost;
  for (;;) {
    const Border border = beginSnapshot(link, job.core);
    if (!job.core.left || sees(border, *job.core.left)) return border;
    if (job.core.clock->steadyNow() >= until) {
      job.core.warn(
          "the server's tables lack what its binlog has shown before: a commit waits for a replica, or the server was "
          "restored from a backup. The baseline is read as it is");
      return border;
    }
    link.run("COMMIT");
    job.core.scheduler->waitFor(kUnseenBreath, job.stop);
  }
}

}  // namespace

Border beginSnapshot(CLink& link, const SourceCore& core) {
  const SnapshotPlace place = link.isMariaDb() ? beginNotedSnapshot(link) : beginExactSnapshot(link);
  Border border{.by = core.positionsOn(link)};
  switch (border.by) {
    case BorderBy::file:
      border.file = {static_cast<std::uint32_t>(wholeNumber(link.askText("SELECT @@server_id"))),
                     place.seen.name().high, place.seen.offset};
      break;
    case BorderBy::domains:
      border.gtids = gtidsAt(link, place.seen);
      break;
    case BorderBy::sources:
      border.set = gtidSetFromText(place.executed);
  }
  return border;
}

void readWholeTable(CLink& link, const CatalogueTable& table, std::vector<Value>& values,
                    const std::function<bool(std::size_t octets)>& row) {
  const std::string sql = fmt::format("SELECT {} FROM {}", selectList(table.columns), table.name.quoted());
  MYSQL* const handle = link.raw();
  if (mysql_real_query(handle, sql.data(), static_cast<unsigned long>(sql.size())) != 0) link.fail();
  MYSQL_RES* const result = mysql_use_result(handle);
  if (result == nullptr) link.fail();
  const LeftResult freed{link, result};
  const std::vector<TextForm> forms = textForms(table.columns);
  while (const MYSQL_ROW cells = mysql_fetch_row(result)) {
    const unsigned long* const lengths = mysql_fetch_lengths(result);
    readTextRow(forms, cells, lengths, values);
    if (row(std::accumulate(lengths, lengths + forms.size(), std::size_t{0}))) continue;
    link.interrupt();
    break;
  }
  if (mysql_errno(handle) != 0) link.fail();
}

Position runSnapshot(const SnapshotJob& job) {
  const std::unique_ptr<CLink> link = job.core.connect(kReadPatience, job.stop);
  const LinkGuard guard(job.stop, *link);
  prepareForSnapshots(*link);
  const Border border = beginLaterSnapshot(*link, job);
  const bool known = link->isMariaDb() || hasGtids(*link);
  std::vector<CatalogueTable> whole;
  tidegate::detail::BaselineProgress left;
  for (const TableName& name : job.tables) {
    CatalogueTable table = requireTable(*link, name);
    if (leftToStream(known, job.core, table))
      left.pending.push_back({.name = name.full()});
    else
      whole.push_back(std::move(table));
  }
  Place place;
  place.before = border;
  place.baseline = tidegate::detail::encodeProgress(left);
  const Position at = positionOf(place);
  Picture picture(job, at);
  for (const CatalogueTable& table : whole) readIntoPicture(*link, job, table, picture);
  return at;
}

}  // namespace tidegate::mysql::detail
