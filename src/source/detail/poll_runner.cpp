#include "source/detail/poll_runner.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace tidegate::detail {
namespace {

/// A failure as it is reported: with its place, without secrets.
Error placed(const IngestSourceConfig& config, const std::string& table, const Error& e) {
  return Error(e.code(), e.retry(),
               fmt::format("source \"{}\", table \"{}\": {}", config.name, table, redactSecrets(e.message())));
}

}  // namespace

template <class Call>
void PollRunner::tell(Call&& call) const {
  if (silenced_ == nullptr || silenced_->load()) return;
  try {
    call();
  } catch (const std::exception& e) {
    spdlog::error("source \"{}\": the poll observer threw: {}", options_.config.name, redactSecrets(e.what()));
  } catch (...) {
    spdlog::error("source \"{}\": the poll observer threw something unknown", options_.config.name);
  }
}

PollRunner::PollRunner(Options options)
    : options_(std::move(options)),
      context_{.config = options_.config,
               .clock = options_.clock,
               .stamps = options_.stamps,
               .push = options_.push,
               .state = *options_.state,
               .snapshots = *options_.snapshots,
               .warn =
                   [this](const std::string& message) {
                     tell([&] {
                       if (options_.observer)
                         options_.observer->onWarning(options_.config.name, message);
                       else
                         spdlog::warn("source \"{}\": {}", options_.config.name, message);
                     });
                   },
               .progress =
                   [this](const TableReport& soFar) {
                     if (!options_.observer) return;
                     tell([&] { options_.observer->onProgress(options_.config.name, soFar); });
                   },
               .images = options_.images} {
  for (const IngestTableConfig& table : options_.config.tables) {
    const bool cursor = std::holds_alternative<CursorStrategy>(table.strategy);
    pollers_.push_back(cursor ? makeCursorPoller(context_, table) : makeDiffPoller(context_, table));
  }
}

TableReport PollRunner::pollTable(std::size_t table, PollRun& run) {
  TableReport report;
  report.table = options_.config.tables[table].table;
  const auto began = options_.clock.steadyNow();
  const auto failed = [&](const Error& e) {
    run.guard().check();
    report.error = placed(options_.config, report.table, e);
  };
  try {
    if (options_.before) options_.before();
    pollers_[table]->poll(run, report);
  } catch (const Error& e) {
    failed(e);
  } catch (const std::bad_alloc&) {
    failed(Error(ErrorCode::internal, Retry::later, "out of memory: lower pageRows or use the SQLite snapshot store"));
  } catch (const std::exception& e) {
    failed(Error(ErrorCode::internal, Retry::later, e.what()));
  }
  report.duration = options_.clock.steadyNow() - began;
  return report;
}

PollReport PollRunner::poll(const PollRun::Control& control, const std::atomic<bool>& silenced) {
  silenced_ = &silenced;
  PollRun run(options_.config, control);
  PollReport report;
  const auto began = options_.clock.steadyNow();
  for (std::size_t table = 0; table < pollers_.size(); ++table) {
    if (control.paused.load() || control.stop.stop_requested()) break;
    report.tables.push_back(pollTable(table, run));
  }
  report.duration = options_.clock.steadyNow() - began;
  count(report);
  tell([&] {
    if (options_.observer)
      options_.observer->onPoll(options_.config.name, report);
    else
      log(report);
  });
  silenced_ = nullptr;
  return report;
}

void PollRunner::count(PollReport& report) {
  const auto failed = [](const TableReport& t) { return t.error.has_value(); };
  if (!report.tables.empty()) {
    failures_ = std::any_of(report.tables.begin(), report.tables.end(), failed) ? failures_ + 1 : 0;
    outages_ = std::all_of(report.tables.begin(), report.tables.end(), failed) ? outages_ + 1 : 0;
  }
  report.consecutiveFailures = failures_;
}

void PollRunner::log(const PollReport& report) const {
  for (const TableReport& t : report.tables) {
    if (t.error) spdlog::error("{} (poll {} in a row to fail)", t.error->what(), report.consecutiveFailures);
  }
}

std::chrono::milliseconds PollRunner::delay(std::mt19937_64& jitter) const {
  constexpr std::chrono::milliseconds kLeastBackoff{100};
  const auto interval = options_.config.interval;
  if (outages_ == 0) return interval;
  const auto most = std::max(interval, options_.config.maxBackoff);
  auto wait = std::max(interval, kLeastBackoff);
  for (std::uint32_t i = 0; i < outages_ && wait < most; ++i) wait *= 2;
  wait = std::min(wait, most);
  // Between half of it and all of it, so that pollers that failed together do not come back together.
  const auto half = static_cast<std::uint64_t>(wait.count() / 2);
  return std::chrono::milliseconds(wait.count() - static_cast<std::int64_t>(jitter() % (half + 1)));
}

}  // namespace tidegate::detail
