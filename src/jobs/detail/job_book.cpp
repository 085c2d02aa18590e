#include "jobs/detail/job_book.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "jobs/detail/job_json.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace book_detail {

/// Somebody else won this often in a row: no store is that busy.
constexpr int kMostTries = 200;

[[noreturn]] void tooBusy(std::string_view name) {
  throw Error(ErrorCode::storeUnavailable, Retry::later,
              fmt::format("job \"{}\": its record is changed by others all the time", name));
}

}  // namespace book_detail

std::vector<JobRecord> JobBook::all(const std::function<void(const std::string&, const Error&)>& broken) {
  std::vector<JobRecord> out;
  for (const StoredJob& stored : store_->list()) {
    try {
      out.push_back(decodeRecord(stored.name, stored.record));
    } catch (const Error& e) {
      broken(stored.name, e);
    }
  }
  return out;
}

std::optional<JobRecord> JobBook::find(std::string_view name) {
  const auto stored = store_->get(name);
  if (!stored) return std::nullopt;
  return decodeRecord(name, stored->record);
}

JobRecord JobBook::require(std::string_view name) {
  if (auto record = find(name)) return *record;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              fmt::format("there is no job \"{}\": make it first", name.substr(0, 100)));
}

std::vector<JobRun> JobBook::runs(std::string_view name, std::uint64_t before, std::size_t limit) {
  std::vector<JobRun> out;
  for (const StoredRun& run : store_->runs(name, before, limit)) {
    const auto tree = nlohmann::json::parse(run.record, nullptr, false);
    try {
      out.push_back(runFromTree(tree));
    } catch (const nlohmann::json::exception&) {
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  fmt::format("job \"{}\": its run {} cannot be read: restore the store from a backup", name, run.id));
    }
  }
  return out;
}

bool JobBook::change(std::string_view name, const std::function<bool(JobRecord&)>& change, const JobRun* run) {
  for (int tries = 0; tries < book_detail::kMostTries; ++tries) {
    const auto stored = store_->get(name);
    if (!stored) return false;
    JobRecord record = decodeRecord(name, stored->record);
    if (!change(record)) return false;
    std::optional<StoredRun> noted;
    if (run != nullptr) noted = StoredRun{run->id, toJson(*run)};
    if (store_->put(name, stored->version, encodeRecord(record), noted ? &*noted : nullptr, keepRuns_)) return true;
  }
  book_detail::tooBusy(name);
}

void JobBook::put(std::string_view name, const std::function<JobRecord(const JobRecord*)>& make) {
  for (int tries = 0; tries < book_detail::kMostTries; ++tries) {
    const auto stored = store_->get(name);
    std::optional<JobRecord> before;
    if (stored) before = decodeRecord(name, stored->record);
    const JobRecord after = make(before ? &*before : nullptr);
    if (store_->put(name, stored ? stored->version : 0, encodeRecord(after), nullptr, keepRuns_)) return;
  }
  book_detail::tooBusy(name);
}

bool JobBook::remove(std::string_view name) {
  for (int tries = 0; tries < book_detail::kMostTries; ++tries) {
    const auto stored = store_->get(name);
    if (!stored) return false;
    if (store_->remove(name, stored->version)) return true;
  }
  book_detail::tooBusy(name);
}

}  // namespace tidegate::detail
