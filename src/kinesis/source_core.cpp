#include "kinesis/detail/source_core.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::kinesis::detail {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void refuseStopped() {
  throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
}

std::string endpointOf(const std::string& given, const char* service, const std::string& region) {
  if (!given.empty()) return given;
  // China's regions have a domain of their own.
  return fmt::format("https://{}.{}.amazonaws.com{}", service, region, region.starts_with("cn-") ? ".cn" : "");
}

}  // namespace

SourceCore::SourceCore(SourceOptions options)
    : options_(std::move(options)), clock_(&systemClock()), scheduler_(&systemScheduler()) {}

void SourceCore::init(const SourceContext& context) {
  context_ = context;
  if (context.clock != nullptr) clock_ = context.clock;
  if (context.scheduler != nullptr) scheduler_ = context.scheduler;
  state_.setListener(context.onState);
  makeServices();
  if (options_.leases.store) leases_.emplace(options_.leases, *clock_, *scheduler_, context_.onWarning);
  if (!options_.checkpoints) return;
  const auto text = options_.checkpoints->get(options_.checkpointKey);
  if (!text) return;
  if (!parsePlace(*text)) {
    throw Error(
        ErrorCode::storeCorrupt, Retry::afterOperator,
        fmt::format("the checkpoint \"{}\" is no position of a Kinesis source: remove it to begin with a baseline",
                    options_.checkpointKey));
  }
  const std::lock_guard lock(mutex_);
  acked_.octets = saved_.octets = *text;
}

void SourceCore::makeServices() {
  const std::string region = options_.region.empty() ? defaultRegion() : options_.region;
  if (region.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "kinesis::source: set SourceOptions::region, or AWS_REGION, or the profile's region");
  }
  const auto credentials = options_.credentials ? options_.credentials : defaultCredentials({.region = region});
  const auto service = [&](const char* name, const std::string& endpoint) {
    return AwsServiceOptions{.service = name,
                             .region = region,
                             .endpoint = endpointOf(endpoint, name, region),
                             .credentials = credentials,
                             .clock = clock_};
  };
  api_.emplace(service("kinesis", options_.kinesisEndpoint), options_.stream);
  store_.emplace(ObjectStoreOptions{
      .service = service("s3", options_.s3Endpoint), .bucket = options_.bucket, .pathStyle = options_.pathStyle});
  snapshots_.emplace(*store_, SnapshotOptions{.prefix = options_.prefix,
                                              .manifest = options_.manifest,
                                              .tables = options_.tables,
                                              .maxLineBytes = options_.maxLineBytes});
}

/// Objects are unpacked here, and by what they are: their octets must come as they are stored.
http::ClientOptions SourceCore::clientOptions() const {
  return {.acceptCompressed = false, .clock = context_.clock, .jitterSeed = context_.jitterSeed};
}

void SourceCore::requireOpen() {
  if (state_.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state_.state() == SourceState::error) state_.to(SourceState::connecting, "trying again");
}

const Catalogue& SourceCore::freshCatalogue(http::Client& client, const std::stop_token& stop) {
  catalogue_ = snapshots_->catalogue(client, stop, catalogue_.shapes);
  return catalogue_;
}

std::vector<TableIssue> SourceCore::issuesOf(const std::vector<std::string>& tables) {
  requireOpen();
  http::Client client(clientOptions());
  std::vector<TableIssue> issues;
  const auto collect = [&](const std::string& name, const auto& check) {
    try {
      check();
    } catch (const AwsError& e) {
      if (e.retry() == Retry::later) throw Error(ErrorCode::connectionFailed, Retry::later, e.message());
      issues.push_back({name, e.code(), e.message(), true});
    } catch (const Error& e) {
      if (e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::authenticationFailed) throw;
      issues.push_back({name, e.code(), e.message(), true});
    }
  };
  collect("", [&] {
    const StreamSummary summary = api_->summary(client, {});
    if (summary.status == "ACTIVE" || summary.status == "UPDATING") return;
    issues.push_back({"", ErrorCode::tableNotFound,
                      fmt::format("stream \"{}\" is {}; it must be ACTIVE", options_.stream, summary.status), true});
  });
  collect("", [&] { freshCatalogue(client, {}); });
  for (const std::string& table : tables) {
    collect(table, [&] {
      const TableObjects found = snapshots_->find(client, catalogue_, table, {});
      if (!found.shape->key.empty()) return;
      issues.push_back(
          {table, ErrorCode::noReplicaIdentity,
           fmt::format("table \"{}\" has no primary key: name its columns as primaryKey in the manifest", table),
           false});
    });
  }
  return issues;
}

Shape SourceCore::describe(const std::string& table) {
  requireOpen();
  http::Client client(clientOptions());
  const Catalogue& catalogue = freshCatalogue(client, {});
  const auto shape = catalogue.shapes.find(table);
  if (shape != catalogue.shapes.end()) return shape->second;
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator, snapshots_->missingTable(table));
}

SourceCore::Plan SourceCore::planOf(http::Client& client, const std::vector<std::string>& tables,
                                    const std::stop_token& stop) {
  Plan plan{.catalogue = freshCatalogue(client, stop)};
  for (const std::string& table : tables) {
    plan.tables.push_back(snapshots_->find(client, plan.catalogue, table, stop));
  }
  plan.start = startOf(client, plan, stop);
  for (const TableObjects& table : plan.tables) plan.start.tables[table.shape->schema.table] = table.version();
  return plan;
}

/// Where the manifest says, or else well before the objects were written.
StreamPlace SourceCore::startOf(http::Client& client, const Plan& plan, const std::stop_token& stop) {
  std::int64_t written = std::chrono::duration_cast<milliseconds>(clock_->wallNow()).count();
  for (const TableObjects& table : plan.tables) {
    for (const ObjectHead& part : table.parts) written = std::min(written, part.modifiedMillis);
  }
  written -= milliseconds(options_.snapshotMargin).count();
  const Manifest& manifest = plan.catalogue.manifest;
  const std::int64_t taken = manifest.takenMillis.value_or(written);
  StreamPlace start;
  std::set<std::string> listed;
  for (const ShardInfo& shard : api_->shards(client, stop)) {
    listed.insert(shard.id);
    const auto named = manifest.shards.find(shard.id);
    if (named == manifest.shards.end() && !manifest.shards.empty()) continue;  // by its lineage, when the stream begins
    ShardPlace& at = start.shards[shard.id];
    if (named != manifest.shards.end())
      at = named->second;
    else
      at.kind = ShardPlaceKind::time;
    at.millis = at.kind == ShardPlaceKind::done ? 0 : taken;
    at.parents = shard.parents;
  }
  for (const auto& [shard, place] : manifest.shards) {
    if (listed.contains(shard) || place.kind == ShardPlaceKind::done) continue;
    throw Error(
        ErrorCode::queryFailed, Retry::afterOperator,
        fmt::format("the manifest names shard \"{}\", which stream \"{}\" no longer has: the snapshot is older than "
                    "what the stream keeps. Write a new one",
                    shard, options_.stream));
  }
  return start;
}

Position SourceCore::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                              const std::stop_token& stop) {
  requireOpen();
  if (leases_) {
    if (const auto place = leases_->awaitBaseline(tables, stop)) {
      if (state_.state() != SourceState::connected)
        state_.to(SourceState::connected, "another worker has the snapshot");
      return {placeText(*place)};
    }
  }
  http::Client client(clientOptions());
  Backoff backoff(options_.backoff, context_.jitterSeed);
  std::optional<Plan> plan;
  while (!plan) {
    try {
      plan = planOf(client, tables, stop);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::queryCancelled && stop.stop_requested()) refuseStopped();
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) refuseStopped();
    }
  }
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "the snapshot is there");
  try {
    if (!readTables(client, *plan, handler, stop) || stop.stop_requested()) refuseStopped();
  } catch (const ReaderFailed& failed) {
    std::rethrow_exception(failed.why);
  } catch (const Error& e) {
    if (stop.stop_requested()) refuseStopped();
    if (state_.state() != SourceState::error) {
      if (state_.state() == SourceState::reconnecting) state_.to(SourceState::connected, "the baseline failed");
    }
    throw;
  }
  return {placeText(plan->start)};
}

bool SourceCore::border(ChangeOp op, const Shape& shape, const Position& position, const ChangeHandler& handler,
                        const std::stop_token& stop) {
  ChangeBatch batch;
  ChangeEvent& event = batch.add(op, shape);
  event.transactionBegin = event.transactionEnd = true;
  event.position = position;
  return offer(batch, handler, SourceState::connected, stop);
}

bool SourceCore::readTables(http::Client& client, const Plan& plan, const ChangeHandler& handler,
                            const std::stop_token& stop) {
  const Position position{placeText(plan.start)};
  Backoff backoff(options_.backoff, context_.jitterSeed);
  const Snapshots::Reading reading{
      .offer =
          [&](ChangeBatch& batch) {
            backoff.reset();
            if (state_.state() == SourceState::reconnecting) {
              state_.to(SourceState::connected, "reads on");
            }
            if (!offer(batch, handler, SourceState::connected, stop)) return false;
            batch.clear();
            return true;
          },
      .onBroken = [&](const Error& e) { return waitToRetry(e, backoff, state_, *scheduler_, stop); },
      .position = position,
      .batchEvents = options_.batchEvents};
  for (const TableObjects& table : plan.tables) {
    if (!border(ChangeOp::baselineBegin, table.shape, position, handler, stop)) return false;
    if (!snapshots_->read(client, table, reading, stop)) return false;
    if (state_.state() == SourceState::reconnecting) state_.to(SourceState::connected, "reads on");
    if (!border(ChangeOp::baselineEnd, table.shape, position, handler, stop)) return false;
  }
  return true;
}

bool SourceCore::waitWhilePaused(SourceState back, const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex_);
    if (!paused_) return !stop.stop_requested();
  }
  state_.to(SourceState::paused, "paused");
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return !paused_; });
  }
  if (stop.stop_requested()) return false;
  state_.to(back, "resumed");
  return true;
}

/// Offers a batch until it is taken. @return false: stopped.
bool SourceCore::offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState state, const std::stop_token& stop,
                       const std::string* shard) {
  while (state != SourceState::streaming || waitWhilePaused(state, stop)) {
    if (leases_) {
      leases_->tend(ackedPlace());
      if (shard != nullptr && !leases_->owns(*shard)) throw LeaseLost{};
      if (shard != nullptr && !leases_->holds()) {
        if (!scheduler_->waitFor(milliseconds(10), stop)) return false;
        continue;
      }
    }
    try {
      if (handler(batch) == Taken::yes) return true;
    } catch (...) {
      throw ReaderFailed{std::current_exception()};
    }
    // A reader that says `full` has mostly waited itself.
    if (!scheduler_->waitFor(milliseconds(1), stop)) return false;
  }
  return false;
}

void SourceCore::setPaused(bool paused) {
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  changed_.notify_all();
}

void SourceCore::ack(const Position& position) {
  const StreamPlace place = requirePlace(position);
  const std::lock_guard lock(mutex_);
  const auto known = parsePlace(acked_.octets);
  if (!known || comparePlaces(*known, place) == std::partial_ordering::less) acked_ = position;
}

StreamPlace SourceCore::ackedPlace() const {
  const std::lock_guard lock(mutex_);
  return parsePlace(acked_.octets).value_or(StreamPlace{});
}

Position SourceCore::lastAcked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

/// On the stream's thread, at most once a second: who acknowledges must not wait for a store.
void SourceCore::saveAcked(bool now) {
  if (!options_.checkpoints) return;
  Position acked;
  {
    const std::lock_guard lock(mutex_);
    const Clock::Micros at = clock_->steadyNow();
    if (acked_ == saved_ || (!now && at - savedAt_ < std::chrono::seconds(1))) return;
    acked = acked_;
    savedAt_ = at;
  }
  try {
    options_.checkpoints->put(options_.checkpointKey, acked.octets);
    const std::lock_guard lock(mutex_);
    saved_ = acked;
  } catch (const Error& e) {
    // What was saved before still stands; it is tried again.
    if (context_.onWarning) context_.onWarning(fmt::format("the checkpoint could not be saved: {}", e.message()));
  }
}

SourceLag SourceCore::lag() const {
  const std::lock_guard lock(mutex_);
  return lag_;
}

void SourceCore::close() {
  if (state_.state() == SourceState::closed) return;
  saveAcked(true);
  try {
    if (leases_) leases_->leave(ackedPlace());
  } catch (const Error& e) {
    // They end by themselves.
    if (context_.onWarning) context_.onWarning(fmt::format("the leases could not be given back: {}", e.message()));
  }
  state_.to(SourceState::closed, "closed");
}

}  // namespace tidegate::kinesis::detail
