#include "postgres/detail/bookkeeping.h"

#include <fmt/format.h>

#include <charconv>

namespace tidegate::postgres::detail {
namespace {

using BookParams = std::vector<std::optional<std::string>>;

std::int64_t number(std::string_view text) {
  std::int64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

}  // namespace

Bookkeeping::Bookkeeping(SinkConnection& connection, std::string schema, std::string pipeline)
    : connection_(connection), schema_(std::move(schema)), pipeline_(std::move(pipeline)) {}

std::optional<std::string> Bookkeeping::takeOver(std::int64_t heldEpoch) {
  makeTables();
  epoch_ = heldEpoch;
  if (heldEpoch != 0 && storedEpoch() != heldEpoch) refuseFenced();
  endWriterBefore();
  connection_.begin();
  // Waits for a commit of the writer before that is still under way, and then sees it.
  const SqlResult before = connection_.ask(
      fmt::format("SELECT epoch FROM {} WHERE pipeline = $1 FOR UPDATE", table("checkpoints")), BookParams{pipeline_});
  if (heldEpoch != 0 && (PQntuples(before.get()) == 0 || number(cell(before, 0, 0)) != heldEpoch)) refuseFenced();
  const SqlResult taken = connection_.ask(
      fmt::format("INSERT INTO {} AS c (pipeline, epoch, writer_pid, writer_start) SELECT $1, 1, pg_backend_pid(), "
                  "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) ON CONFLICT (pipeline) DO "
                  "UPDATE SET epoch = c.epoch + 1, writer_pid = EXCLUDED.writer_pid, writer_start = "
                  "EXCLUDED.writer_start RETURNING epoch, checkpoint",
                  table("checkpoints")),
      BookParams{pipeline_});
  epoch_ = number(cell(taken, 0, 0));
  std::optional<std::string> checkpoint;
  if (PQgetisnull(taken.get(), 0, 1) == 0) checkpoint = cell(taken, 0, 1);
  connection_.commit();
  return checkpoint;
}

std::int64_t Bookkeeping::storedEpoch() {
  const SqlResult found = connection_.ask(fmt::format("SELECT epoch FROM {} WHERE pipeline = $1", table("checkpoints")),
                                          BookParams{pipeline_});
  return PQntuples(found.get()) == 0 ? 0 : number(cell(found, 0, 0));
}

void Bookkeeping::write(std::string_view checkpoint) {
  if (checkpoint.find('\0') != std::string_view::npos) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "a checkpoint holds a NUL octet, which no Postgres text can");
  }
  const SqlResult written = connection_.ask(
      fmt::format("UPDATE {} SET checkpoint = $1, committed_at = now() WHERE pipeline = $2 AND epoch = $3",
                  table("checkpoints")),
      BookParams{std::string(checkpoint), pipeline_, std::to_string(epoch_)});
  if (rowsWritten(written) != 1) refuseFenced();
}

BaselineState Bookkeeping::baselineOf(const TargetName& target) {
  const SqlResult found = connection_.ask(
      fmt::format("SELECT id, tracked, pristine FROM {} WHERE pipeline = $1 AND target = $2", table("baselines")),
      BookParams{pipeline_, target.text});
  BaselineState state;
  if (PQntuples(found.get()) == 0) return state;
  state.active = true;
  if (cellIsTrue(found, 0, 1)) state.seenTable = table(fmt::format("named_{}", cell(found, 0, 0)));
  state.pristine = cellIsTrue(found, 0, 2);
  return state;
}

BaselineState Bookkeeping::beginBaseline(const SinkTable& target, bool targetIsEmpty) {
  endBaseline(target.name(), baselineOf(target.name()));
  const SqlResult made = connection_.ask(
      fmt::format("INSERT INTO {} (pipeline, target, tracked, pristine) VALUES ($1, $2, $3, $4) RETURNING id",
                  table("baselines")),
      BookParams{pipeline_, target.name().text, targetIsEmpty ? "f" : "t", targetIsEmpty ? "t" : "f"});
  BaselineState state{.active = true, .pristine = targetIsEmpty};
  if (targetIsEmpty) return state;
  state.seenTable = table(fmt::format("named_{}", cell(made, 0, 0)));
  std::string columns, keys;
  for (std::size_t i = 0; i < target.shape()->key.size(); ++i) {
    columns += fmt::format("{}t.{} AS k{}", i == 0 ? "" : ", ", target.plans()[target.shape()->key[i]].quoted, i + 1);
    keys += fmt::format("{}k{}", i == 0 ? "" : ", ", i + 1);
  }
  connection_.run(
      fmt::format("CREATE TABLE {} AS SELECT {} FROM {} AS t WITH NO DATA; ALTER TABLE {} ADD PRIMARY KEY "
                  "({})",
                  state.seenTable, columns, target.name().quoted, state.seenTable, keys));
  return state;
}

void Bookkeeping::markChanged(const TargetName& target) {
  connection_.ask(fmt::format("UPDATE {} SET pristine = false WHERE pipeline = $1 AND target = $2", table("baselines")),
                  BookParams{pipeline_, target.text});
}

void Bookkeeping::endBaseline(const TargetName& target, const BaselineState& state) {
  if (!state.active) return;
  connection_.ask(fmt::format("DELETE FROM {} WHERE pipeline = $1 AND target = $2", table("baselines")),
                  BookParams{pipeline_, target.text});
  if (!state.seenTable.empty()) connection_.run("DROP TABLE " + state.seenTable);
}

void Bookkeeping::makeTables() {
  const std::string name = quoted(schema_);
  const SqlResult there = connection_.ask("SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL",
                                          BookParams{table("checkpoints"), table("baselines")});
  if (cellIsTrue(there, 0, 0)) return;
  try {
    connection_.begin();
    connection_.run("SELECT pg_advisory_xact_lock(7233941)");  // two sinks that make them at once
    const SqlResult schema = connection_.ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", BookParams{schema_});
    if (PQntuples(schema.get()) == 0) connection_.run("CREATE SCHEMA " + name);
    connection_.run(fmt::format(
        "CREATE TABLE IF NOT EXISTS {0}.checkpoints (pipeline text PRIMARY KEY, epoch bigint NOT NULL, checkpoint "
        "text, writer_pid integer, writer_start timestamptz, committed_at timestamptz);"
        "CREATE TABLE IF NOT EXISTS {0}.baselines (pipeline text, target text, id bigint GENERATED ALWAYS AS IDENTITY, "
        "tracked boolean NOT NULL, pristine boolean NOT NULL, PRIMARY KEY (pipeline, target))",
        name));
    connection_.commit();
  } catch (const Error& e) {
    connection_.rollback();
    if (e.code() != ErrorCode::permissionDenied) throw;
    throw Error(
        e.code(), e.retry(),
        fmt::format("the sink cannot make its tables in schema {0}: {1}: GRANT CREATE ON DATABASE {2} TO {3}, or "
                    "CREATE SCHEMA {0} AUTHORIZATION {3}",
                    name, e.message(), quoted(connection_.database()), quoted(connection_.user())));
  }
}

void Bookkeeping::endWriterBefore() {
  const SqlResult writers = connection_.ask(
      fmt::format("SELECT a.pid FROM {} c JOIN pg_stat_activity a ON a.pid = c.writer_pid AND a.backend_start = "
                  "c.writer_start WHERE c.pipeline = $1 AND a.pid <> pg_backend_pid()",
                  table("checkpoints")),
      BookParams{pipeline_});
  for (int i = 0; i < PQntuples(writers.get()); ++i) {
    try {  // waits until it is gone; a session that we may not end is fenced by its epoch all the same
      connection_.ask("SELECT pg_terminate_backend($1, 5000)", BookParams{std::string(cell(writers, i, 0))});
    } catch (const SqlError& e) {
      if (e.code() == ErrorCode::connectionFailed) throw;
    }
  }
}

std::string Bookkeeping::table(std::string_view name) const { return quoted(schema_) + "." + quoted(name); }

void Bookkeeping::refuseFenced() const {
  throw Error(ErrorCode::fenced, Retry::afterOperator,
              fmt::format("another writer took over pipeline \"{}\" (epoch {} is no longer the last): end one of the "
                          "two; this one takes over when it is opened again",
                          pipeline_, epoch_));
}

}  // namespace tidegate::postgres::detail
