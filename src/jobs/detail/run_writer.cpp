#include "jobs/detail/run_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace writer_detail {

/// Under it a replica is too small for a fraction to mean anything.
constexpr std::uint64_t kLeastRowsForFraction = 10;

Shape keyShapeOf(const TableShape& shape) {
  TableSchema schema{.table = shape.schema.table, .primaryKey = shape.schema.primaryKey};
  for (const std::uint32_t column : shape.key) schema.columns.push_back(shape.schema.columns[column]);
  return makeShape(std::move(schema));
}

}  // namespace writer_detail

std::string replicaPipeline(const std::string& job) { return "job:" + job; }

RunWriter::RunWriter(const RunContext& context, const JobPlan& plan, RunResult& result)
    : context_(context), plan_(plan), result_(result), keys_(writer_detail::keyShapeOf(*plan.shape)) {
  if (!context_.sink.traits().keepsCheckpoints) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "ReplicationJobsOptions::replica must give sinks that keep checkpoints, such as sqlite::sink");
  }
  try {
    const auto text = context_.sink.open({.pipeline = replicaPipeline(context_.job.name), .stop = context_.stop});
    if (const auto saved = text ? decodeCheckpoint(*text) : std::nullopt) {
      if (saved->generation == context_.generation) checkpoint_ = *saved;
    }
    checkpoint_.generation = context_.generation;
    context_.sink.prepareTable(plan_.shape);
    // Nothing of the replica stays locked while the source is asked: others write into it too.
    context_.sink.commit(encodeCheckpoint(checkpoint_));
  } catch (...) {
    context_.sink.close();
    throw;
  }
}

ChangeEvent& RunWriter::event(ChangeOp op) {
  ChangeEvent& event = batch_.addOver(op, plan_.shape);
  event.transactionBegin = event.transactionEnd = true;
  event.position.octets = "run";
  return event;
}

std::vector<Value>& RunWriter::row() {
  ++result_.rowsSynced;
  ChangeEvent& made = event(ChangeOp::update);
  made.after.resize(plan_.shape->columns->size());
  return made.after;
}

void RunWriter::erase(const std::vector<Value>& key) {
  ++result_.rowsDeleted;
  ChangeEvent& made = event(ChangeOp::erase);
  made.after.clear();
  made.before.assign(plan_.shape->columns->size(), Value());
  for (std::size_t i = 0; i < key.size(); ++i) made.before[plan_.shape->key[i]] = key[i];
  for (std::uint32_t column = 0; column < made.before.size(); ++column) {
    const auto& keys = plan_.shape->key;
    if (std::find(keys.begin(), keys.end(), column) == keys.end()) made.beforeAbsent.push_back(column);
  }
}

void RunWriter::flush() {
  if (batch_.empty()) return;
  context_.sink.apply(batch_);
  batch_.clear();
  applied_ = true;
}

void RunWriter::commit(JobCheckpoint checkpoint) {
  flush();
  checkpoint.generation = context_.generation;
  context_.sink.commit(encodeCheckpoint(checkpoint));
  checkpoint_ = std::move(checkpoint);
  applied_ = false;
  if (context_.progress) context_.progress(result_);
}

std::unique_ptr<RowStream> RunWriter::readKeys() const { return context_.sink.readTable(keys_, context_.stop); }
std::unique_ptr<RowStream> RunWriter::readRows() const { return context_.sink.readTable(plan_.shape, context_.stop); }

void checkFraction(const ReplicationJob& job, std::uint64_t gone, std::uint64_t ofRows) {
  if (ofRows <= writer_detail::kLeastRowsForFraction) return;
  if (static_cast<double>(gone) <= job.maxDeleteFraction * static_cast<double>(ofRows)) return;
  throw Error(ErrorCode::diffRefused, Retry::afterOperator,
              fmt::format("job \"{}\": {} of the {} rows of \"{}\" are gone from the source, more than "
                          "max_delete_fraction ({}) allows; nothing was erased. If they were really deleted, raise it "
                          "until one run has passed",
                          job.name, gone, ofRows, job.targetTable(), job.maxDeleteFraction));
}

void eraseGone(const RunContext& context, const std::vector<std::vector<Value>>& gone, std::uint64_t ofRows,
               RunWriter& writer, RunResult& result) {
  checkFraction(context.job, gone.size(), ofRows);
  std::size_t inPage = 0;
  for (const std::vector<Value>& key : gone) {
    writer.erase(key);
    if (++inPage % context.job.batchSize != 0) continue;
    ++result.pages;
    writer.commit();
  }
  if (inPage % context.job.batchSize != 0) ++result.pages;
}

RunResult runJob(const RunContext& context) {
  RunResult result;
  const QueryFn query = context.driver.connect(context.job.source);
  const JobTable table = context.driver.describe(query, context.job.table, context.stop);
  const JobPlan plan = planJob(context.job, table);
  RunWriter writer(context, plan, result);
  if (context.job.mode == JobMode::diff) {
    runDiff(context, plan, query, writer, result);
  } else {
    runIncremental(context, plan, query, writer, result);
    // Rows that are still to be read say nothing of those that are gone; the check waits for a run that is whole.
    if (context.checkDeletes && !result.more) {
      if (writer.pending()) writer.commit();
      runDeleteCheck(context, plan, query, writer, result);
      result.deletesChecked = true;
    }
  }
  if (writer.pending()) writer.commit();
  return result;
}

}  // namespace tidegate::detail
