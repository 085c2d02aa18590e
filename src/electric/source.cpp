#include "tidegate/electric/source.h"

#include <fmt/format.h>

#include <algorithm>

#include "electric/detail/source_core.h"
#include "electric/detail/source_make.h"

namespace tidegate::electric {
namespace {

using reading::ElectricCore;
using reading::nameOf;
using reading::SourcePlaces;

class ElectricSource final : public SyncSource {
 public:
  explicit ElectricSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override { return core_.describe(core_.shapeOf(table)); }
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override {
    return placesToText(reading::decodePlaces(position));
  }
  Position positionFromText(std::string_view text) const override {
    return encodePlaces(reading::placesFromText(text));
  }
  OrderingGuarantee orderingGuarantee() const override {
    return core_.options.shapes.size() == 1 ? OrderingGuarantee::total : OrderingGuarantee::perTable;
  }
  void pause() override;
  void resume() override;
  SourceState state() const override { return core_.state.state(); }
  SourceLag lag() const override;
  void close() override { core_.state.to(SourceState::closed, "closed"); }
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override {
    return core_.readTable(core_.shapeOf(table), stop);
  }

 private:
  std::optional<TableIssue> issueOf(const std::string& table);
  std::vector<const SourceShape*> shapesOf(const std::vector<std::string>& tables) const;
  void remember(const SourcePlaces& places);

  ElectricCore core_;
};

void ElectricSource::init(const SourceContext& context) {
  core_.context = context;
  if (context.clock != nullptr) core_.clock = context.clock;
  if (context.scheduler != nullptr) core_.scheduler = context.scheduler;
  core_.epochs.setClock(*core_.clock);
  core_.state.setListener(context.onState);
  core_.connect("connects with the first request");
}

std::optional<TableIssue> ElectricSource::issueOf(const std::string& table) {
  try {
    const Shape shape = core_.describe(core_.shapeOf(table));
    if (!shape->key.empty()) return std::nullopt;
    return TableIssue{table, ErrorCode::noReplicaIdentity,
                      fmt::format("table \"{}\" has no key: an update comes as an erase and an insert of whole rows; "
                                  "give the shape its key, or the table a primary key",
                                  table),
                      false};
  } catch (const Error& e) {
    if (e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::authenticationFailed) throw;
    const bool known = e.code() == ErrorCode::permissionDenied || e.code() == ErrorCode::typeUnsupported;
    return TableIssue{table, known ? e.code() : ErrorCode::tableNotFound, e.message(), true};
  }
}

std::vector<TableIssue> ElectricSource::validateTables(const std::vector<std::string>& tables) {
  core_.connect("validating tables");
  std::vector<TableIssue> found;
  for (const std::string& table : tables) {
    if (auto issue = issueOf(table)) found.push_back(*std::move(issue));
  }
  return found;
}

std::vector<const SourceShape*> ElectricSource::shapesOf(const std::vector<std::string>& tables) const {
  std::vector<const SourceShape*> shapes;
  for (const std::string& table : tables) {
    const SourceShape* shape = &core_.shapeOf(table);
    if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
  }
  return shapes;
}

void ElectricSource::remember(const SourcePlaces& places) {
  for (const auto& [name, place] : places.shapes) core_.places.shapes.insert_or_assign(name, place);
}

Position ElectricSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                  std::stop_token stop) {
  core_.connect("reading a baseline");
  reading::RunTask task;
  task.shapes = shapesOf(tables);
  task.baseline = true;
  for (const SourceShape* shape : task.shapes) task.from.shapes[nameOf(*shape)] = {};
  try {
    reading::SourceRun run(core_.runParts(), std::move(task), handler, stop);
    if (!run.run()) throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped");
    remember(run.places());
    for (const auto& [name, shape] : run.shapes()) core_.told[name] = shape;
  } catch (const reading::ReaderFailed& failed) {
    core_.state.to(SourceState::connected, "the reader failed");
    std::rethrow_exception(failed.cause);
  } catch (const Error& e) {
    core_.state.to(stop.stop_requested() ? SourceState::connected : SourceState::error, e.message());
    throw;
  }
  // With the places of the other shapes, so that this position stands in one order with those of the stream.
  return encodePlaces(core_.places);
}

void ElectricSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                            std::stop_token stop) {
  const SourcePlaces begin = reading::decodePlaces(from);
  core_.connect("streaming");
  reading::RunTask task;  // member by member: g++ 12 takes the others for uninitialised where some are named
  task.shapes = shapesOf(tables);
  task.told = core_.told;
  task.from.open = begin.open;
  for (const SourceShape* shape : task.shapes) {
    const std::string& name = nameOf(*shape);
    const auto given = begin.shapes.find(name);
    const auto known = core_.places.shapes.find(name);
    // A shape that the position does not speak of goes on where its baseline ended; else it begins with one.
    reading::ShapePlace& place = task.from.shapes[name];
    if (given != begin.shapes.end()) {
      place = given->second;
    } else if (known != core_.places.shapes.end()) {
      place = known->second;
    }
    if (known != core_.places.shapes.end() && known->second.handle == place.handle &&
        (!place.inBaseline() || place == known->second)) {
      task.mayRefetch.insert(name);
    }
  }
  reading::RunParts parts = core_.runParts();
  parts.onTold = [this](const SourcePlaces& told) { remember(told); };
  try {
    reading::SourceRun run(std::move(parts), std::move(task), handler, stop);
    run.run();
    for (const auto& [name, shape] : run.shapes()) core_.told[name] = shape;
    core_.state.to(SourceState::connected, "the stream was stopped");
  } catch (const reading::ReaderFailed& failed) {
    core_.state.to(SourceState::connected, "the reader failed");
    std::rethrow_exception(failed.cause);
  } catch (const Error& e) {
    core_.state.to(SourceState::error, e.message());
    throw;
  }
}

void ElectricSource::ack(const Position& position) {
  const SourcePlaces places = reading::decodePlaces(position);
  const std::lock_guard lock(core_.mutex);
  core_.acked = joinPlaces(core_.acked, places);
}

Position ElectricSource::lastAckedPosition() const {
  const std::lock_guard lock(core_.mutex);
  return core_.acked.shapes.empty() ? Position{} : encodePlaces(core_.acked);
}

std::partial_ordering ElectricSource::comparePositions(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) {
    return a.empty() && b.empty() ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  }
  return compareSourcePlaces(reading::decodePlaces(a), reading::decodePlaces(b));
}

Position ElectricSource::meet(const Position& a, const Position& b) const {
  if (a.empty() || b.empty()) return {};
  return encodePlaces(meetPlaces(reading::decodePlaces(a), reading::decodePlaces(b)));
}

void ElectricSource::pause() {
  core_.paused = true;
  core_.client.wake();
}

void ElectricSource::resume() {
  core_.paused = false;
  core_.client.wake();
}

SourceLag ElectricSource::lag() const {
  SourceLag lag;
  reading::RunLag now;
  {
    const std::lock_guard lock(core_.mutex);
    now = core_.lag;
  }
  if (!now.known) return lag;
  lag.bytes = now.bytes;
  const auto behind = now.waiting ? core_.clock->steadyNow() - now.since : Clock::Micros(0);
  lag.time = std::chrono::duration_cast<std::chrono::milliseconds>(std::max(behind, Clock::Micros(0)));
  return lag;
}

}  // namespace

std::unique_ptr<SyncSource> reading::makeSource(SourceOptions options) {
  return std::make_unique<ElectricSource>(std::move(options));
}

std::shared_ptr<SyncSource> source(SourceOptions options) { return reading::makeSource(std::move(options)); }

}  // namespace tidegate::electric
