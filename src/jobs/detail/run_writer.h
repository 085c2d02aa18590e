/// The replica's side of a run: rows and the place that they reach, in one transaction.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "jobs/detail/job_checkpoint.h"
#include "jobs/detail/job_run.h"

namespace tidegate::detail {

/// Opens the sink, which fences off whoever wrote for this job before, and closes it.
/// @thread One at a time.
class RunWriter {
 public:
  RunWriter(const RunContext& context, const JobPlan& plan, RunResult& result);
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;
  ~RunWriter() { context_.sink.close(); }

  /// What the replica holds of this job; empty if it is of another generation.
  const JobCheckpoint& checkpoint() const noexcept { return checkpoint_; }
  /// A row to be written. Its values are to be filled in the shape's order.
  std::vector<Value>& row();
  void erase(const std::vector<Value>& key);
  /// Writes what was gathered into the open transaction.
  void flush();
  /// Ends the transaction with a checkpoint, and tells of the progress.
  void commit(JobCheckpoint checkpoint);
  /// The same with the checkpoint as it is.
  void commit() { commit(checkpoint_); }
  /// Whether anything waits for a commit.
  bool pending() const noexcept { return !batch_.empty() || applied_; }

  /// The replica's committed rows: the key's columns alone, or all.
  std::unique_ptr<RowStream> readKeys() const;
  std::unique_ptr<RowStream> readRows() const;

 private:
  ChangeEvent& event(ChangeOp op);

  const RunContext& context_;
  const JobPlan& plan_;
  RunResult& result_;
  Shape keys_{};
  JobCheckpoint checkpoint_{};
  ChangeBatch batch_{};
  bool applied_ = false;
};

/// Reads what is new by the tracking column.
void runIncremental(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
                    RunResult& result);
/// Compares the whole table with the replica.
void runDiff(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
             RunResult& result);
/// Looks for the replica's keys in the source.
void runDeleteCheck(const RunContext& context, const JobPlan& plan, const QueryFn& query, RunWriter& writer,
                    RunResult& result);

/// Erases rows of the replica, unless they are too many of them.
/// @throws Error{diffRefused}
void eraseGone(const RunContext& context, const std::vector<std::vector<Value>>& gone, std::uint64_t ofRows,
               RunWriter& writer, RunResult& result);
/// @throws Error{diffRefused}
void checkFraction(const ReplicationJob& job, std::uint64_t gone, std::uint64_t ofRows);

}  // namespace tidegate::detail
