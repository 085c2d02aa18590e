#include "tidegate/source/polling_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "source/detail/polling_core.h"
#include "source/detail/polling_tables.h"

namespace tidegate {
namespace {

detail::PollingPlace requirePollingPlace(const Position& position) {
  if (const auto place = detail::placeFromOctets(position.octets)) return *place;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              position.empty() ? "an empty position says nothing: take a baseline first"
                               : "this is not a position of a PollingSource");
}

/// A table's rows, in the order of its shape's columns.
class ShapedRows final : public RowStream {
 public:
  ShapedRows(ResultSet rows, Shape shape) : rows_(std::move(rows)), shape_(std::move(shape)) {
    for (const std::string& name : shape_->columns->names()) from_.push_back(rows_.columns()->find(name));
  }
  const Columns& columns() const override { return shape_->columns; }
  bool next(std::vector<Value>& values) override {
    if (!rows_.next(row_)) return false;
    values.assign(from_.size(), Value());
    for (std::size_t i = 0; i < from_.size(); ++i) {
      if (from_[i]) values[i] = std::move(row_[*from_[i]]);
    }
    return true;
  }

 private:
  ResultSet rows_;
  Shape shape_;
  std::vector<std::optional<std::size_t>> from_;
  std::vector<Value> row_;
};

}  // namespace

struct PollingSource::Impl : detail::PollingCore {
  using PollingCore::PollingCore;
};

PollingSource::PollingSource(IngestSourceConfig config, PollingSourceOptions options)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(options))) {}
PollingSource::~PollingSource() = default;

void PollingSource::init(const SourceContext& context) { impl_->init(context); }

std::vector<TableIssue> PollingSource::validateTables(const std::vector<std::string>& tables) {
  std::vector<TableIssue> found;
  for (const std::string& table : tables) {
    try {
      detail::learnTable(impl_->config.query, impl_->tableOf(table), 1, {});
    } catch (const Error& e) {
      if (e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::authenticationFailed) throw;
      const bool known = e.code() == ErrorCode::permissionDenied || e.code() == ErrorCode::tableNotFound ||
                         e.code() == ErrorCode::columnNotFound || e.code() == ErrorCode::typeUnsupported;
      found.push_back({table, known ? e.code() : ErrorCode::tableNotFound,
                       fmt::format("table \"{}\": {}", table, e.message()), true});
      continue;
    }
    const Shape shape = impl_->describe(table);
    for (const std::uint32_t column : shape->key) {
      const ValueKind kind = shape->schema.columns[column].kind;
      if (detail::DeltaShapes::readable(kind)) continue;
      found.push_back({table, ErrorCode::typeUnsupported,
                       fmt::format("table \"{}\": row id column \"{}\" is {}: cast it to text in the query", table,
                                   (*shape->columns)[column], toString(kind)),
                       true});
    }
  }
  return found;
}

Shape PollingSource::describeTable(const std::string& table) { return impl_->describe(table); }

Position PollingSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                 std::stop_token stop) {
  return impl_->baseline(tables, handler, std::move(stop));
}

void PollingSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                           std::stop_token stop) {
  impl_->stream(tables, requirePollingPlace(from), handler, std::move(stop));
}

void PollingSource::ack(const Position& position) { impl_->ack(requirePollingPlace(position)); }

Position PollingSource::lastAckedPosition() const {
  const auto place = impl_->acked();
  return place ? Position{detail::toOctets(*place)} : Position{};
}

bool PollingSource::supportsResume() const { return impl_->resumes(); }

std::partial_ordering PollingSource::comparePositions(const Position& a, const Position& b) const {
  const auto left = detail::placeFromOctets(a.octets), right = detail::placeFromOctets(b.octets);
  if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  return *left <=> *right;
}

Position PollingSource::meet(const Position& a, const Position& b) const {
  return {detail::toOctets(std::min(requirePollingPlace(a), requirePollingPlace(b)))};
}

std::string PollingSource::positionToText(const Position& position) const {
  return detail::toText(requirePollingPlace(position));
}

Position PollingSource::positionFromText(std::string_view text) const {
  if (const auto place = detail::pollingPlaceFromText(text)) return {detail::toOctets(*place)};
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("\"{}\" is no position: it should be like 12.3", text));
}

void PollingSource::pause() { impl_->setPaused(true); }

void PollingSource::resume() { impl_->setPaused(false); }

SourceState PollingSource::state() const { return impl_->state.state(); }

SourceLag PollingSource::lag() const { return impl_->lag(); }

void PollingSource::close() {
  if (impl_->state.state() == SourceState::closed) return;
  impl_->flush();
  impl_->state.to(SourceState::closed, "closed");
}

std::unique_ptr<RowStream> PollingSource::readTable(const std::string& table, std::stop_token stop) {
  const QueryFn& query = impl_->options.readQuery;
  if (!query) return SyncSource::readTable(table, stop);
  const Shape shape = impl_->knownShape(table);
  if (!shape) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                "the source has not read table \"" + table + "\" yet: describe it first");
  }
  return std::make_unique<ShapedRows>(query({.sql = wrappableQuery(query.dialect(), impl_->tableOf(table).query),
                                             .stop = std::move(stop),
                                             .wholeResult = true}),
                                      shape);
}

}  // namespace tidegate
