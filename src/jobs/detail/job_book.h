/// Records in a store: read, and changed only where nobody else did.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/detail/job_record.h"
#include "tidegate/jobs/job_store.h"

namespace tidegate::detail {

/// @thread Any.
class JobBook {
 public:
  JobBook(std::shared_ptr<JobStore> store, std::size_t keepRuns) : store_(std::move(store)), keepRuns_(keepRuns) {}

  /// @param broken told of records that cannot be read; the others are given.
  std::vector<JobRecord> all(const std::function<void(const std::string& name, const Error& error)>& broken);
  std::optional<JobRecord> find(std::string_view name);
  /// @throws Error{invalidArgument} if there is none.
  JobRecord require(std::string_view name);
  std::vector<JobRun> runs(std::string_view name, std::uint64_t before, std::size_t limit);

  /// Changes a record, again where somebody else wrote in between.
  /// @param change false: leaves it as it is. @param run written with it, once `change` said true.
  /// @return whether it was changed; false if there is none.
  bool change(std::string_view name, const std::function<bool(JobRecord&)>& change, const JobRun* run = nullptr);
  /// Makes a record, or changes the one that is there. @param make given null, or what is there.
  void put(std::string_view name, const std::function<JobRecord(const JobRecord*)>& make);
  /// @return whether there was one.
  bool remove(std::string_view name);

 private:
  std::shared_ptr<JobStore> store_;
  const std::size_t keepRuns_;
};

}  // namespace tidegate::detail
