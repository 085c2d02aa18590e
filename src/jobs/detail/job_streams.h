/// Jobs that follow a change stream: each an Engine of its own, begun, watched and ended by one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "jobs/detail/jobs_core.h"
#include "tidegate/engine/engine.h"

namespace tidegate::detail {

/// What a stream is called in the source's database.
std::string streamName(const std::string& job);
/// Drops what a job's stream made in the source's database. @throws Error
void dropStream(const JobDriver& driver, const ReplicationJob& job, const JobSource& source);

/// @thread One at a time.
class JobStreams {
 public:
  explicit JobStreams(JobsCore& core) : core_(core) {}
  ~JobStreams() { stop(); }

  /// Begins streams that nobody runs, and ends those that failed or are no longer wanted.
  void step();
  /// Ends them all.
  void stop();

 private:
  struct Stream {
    Claim claim;
    JobSource source;
    std::unique_ptr<Engine> engine;
  };
  void begin(Claim claim);
  /// @return whether it goes on.
  bool watch(Stream& stream);
  void end(Stream& stream, const Error& failure);
  RunResult reached(const Stream& stream) const;

  JobsCore& core_;
  std::map<std::string, Stream> streams_;
};

}  // namespace tidegate::detail
