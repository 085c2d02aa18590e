#include "tidegate/source/test_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "source/detail/test_source_impl.h"

namespace tidegate {
namespace {

using detail::TestPlace;

/// A table's rows now.
class PictureStream final : public RowStream {
 public:
  explicit PictureStream(detail::TestPicture picture) : picture_(std::move(picture)) {}
  const Columns& columns() const override { return picture_.shape->columns; }
  bool next(std::vector<Value>& values) override {
    if (at_ == picture_.rows.size()) return false;
    values = picture_.rows[at_++];
    return true;
  }

 private:
  detail::TestPicture picture_;
  std::size_t at_ = 0;
};

}  // namespace

TestSource::TestSource(std::shared_ptr<TestDatabase> database, TestSourceOptions options)
    : impl_(std::make_unique<Impl>(std::move(database), std::move(options))) {
  const std::lock_guard lock(impl_->log.mutex);
  impl_->acked = impl_->log.acked[impl_->options.slot];
}
TestSource::~TestSource() = default;

void TestSource::init(const SourceContext& context) {
  impl_->context = context;
  if (context.clock != nullptr) impl_->clock = context.clock;
  if (context.scheduler != nullptr) impl_->scheduler = context.scheduler;
  impl_->backoff = Backoff(impl_->options.backoff, context.jitterSeed);
  impl_->state.setListener(context.onState);
  impl_->failIfScripted(TestCall::init);
  impl_->connect();
}

std::vector<TableIssue> TestSource::validateTables(const std::vector<std::string>& tables) {
  impl_->failIfScripted(TestCall::validateTables);
  std::vector<TableIssue> found;
  if (impl_->has(TestDefect::blindValidation)) return found;
  const std::lock_guard lock(impl_->log.mutex);
  const auto own = impl_->log.issues.find("");
  if (tables.empty() && own != impl_->log.issues.end()) found.push_back(own->second);
  for (const std::string& table : tables) {
    const auto at = impl_->log.tables.find(table);
    if (at == impl_->log.tables.end()) {
      found.push_back({table, ErrorCode::tableNotFound, "there is no table \"" + table + "\": make it", true});
      continue;
    }
    if (at->second.shape->key.empty() && impl_->log.images != BeforeImage::full) {
      found.push_back({table, ErrorCode::noReplicaIdentity,
                       "table \"" + table + "\" has no key and its log no full rows: use BeforeImage::full", true});
    }
    if (const auto issue = impl_->log.issues.find(table); issue != impl_->log.issues.end()) {
      found.push_back(issue->second);
    }
  }
  return found;
}

Shape TestSource::describeTable(const std::string& table) {
  impl_->failIfScripted(TestCall::describeTable);
  return impl_->log.shapeOf(table);
}

Position TestSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                              std::stop_token stop) {
  impl_->connect();
  try {
    impl_->failIfScripted(TestCall::baseline);
    return impl_->readBaseline(tables, handler, stop);
  } catch (const Impl::ReaderFailed& e) {
    std::rethrow_exception(e.cause);
  } catch (const Error& e) {
    impl_->broken.store(false);
    if (e.code() == ErrorCode::connectionFailed) impl_->state.to(SourceState::error, e.message());
    throw;
  }
}

void TestSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                        std::stop_token stop) {
  Impl& impl = *impl_;
  impl.read = impl.emitted = detail::requirePlace(from);
  if (impl.has(TestDefect::gapAfterBaseline) && impl.read.ordinal == 0) ++impl.read.number;
  if (impl.has(TestDefect::repeatsAfterBaseline) && impl.read.ordinal == 0 && impl.read.number > 1) --impl.read.number;
  if (impl.has(TestDefect::resumesAtTransactions) && impl.read.ordinal != 0) impl.read = {impl.read.number + 1, 0};
  {
    const std::lock_guard lock(impl.mutex);
    impl.deliveredTo = impl.read;
    impl.deliveredMicros = 0;
  }
  const std::set<std::string> wanted(tables.begin(), tables.end());
  for (;;) {
    try {
      impl.connect();
      impl.session(wanted, handler, stop);
      if (impl.state.state() != SourceState::connected) impl.state.to(SourceState::connected, "stopped");
      return;
    } catch (const Impl::ReaderFailed& e) {
      impl.state.to(SourceState::connected, "the reader failed");
      std::rethrow_exception(e.cause);
    } catch (const Error& e) {
      impl.broken.store(false);
      if (e.code() != ErrorCode::connectionFailed) {
        impl.state.to(SourceState::error, e.message());
        throw;
      }
      if (!waitToRetry(e, impl.backoff, impl.state, *impl.scheduler, stop)) return;
      impl.rewind();
    }
  }
}

void TestSource::ack(const Position& position) {
  const auto place = detail::requirePlace(position);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->acks.push_back(position);
    const auto known = detail::placeOf(impl_->acked);
    if (known && *known >= place && !impl_->has(TestDefect::ackGoesBack)) return;
    impl_->acked = position;
  }
  const std::lock_guard lock(impl_->log.mutex);
  impl_->log.acked[impl_->options.slot] = position;
}

Position TestSource::lastAckedPosition() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->acked;
}

bool TestSource::supportsResume() const { return impl_->options.resumes; }

std::partial_ordering TestSource::comparePositions(const Position& a, const Position& b) const {
  const auto left = detail::placeOf(a), right = detail::placeOf(b);
  if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  return *left <=> *right;
}

Position TestSource::meet(const Position& a, const Position& b) const {
  const auto left = detail::requirePlace(a), right = detail::requirePlace(b);
  const bool later = impl_->has(TestDefect::meetIsLater);
  return detail::positionOf(later ? std::max(left, right) : std::min(left, right));
}

std::string TestSource::positionToText(const Position& position) const {
  TestPlace place = detail::requirePlace(position);
  if (impl_->has(TestDefect::textForgetsTransaction)) place.ordinal = 0;
  return detail::textOf(place);
}

Position TestSource::positionFromText(std::string_view text) const {
  return detail::positionOf(detail::placeFromText(text));
}

OrderingGuarantee TestSource::orderingGuarantee() const { return impl_->options.ordering; }

void TestSource::pause() {
  impl_->paused.store(true);
  impl_->wake();
}

void TestSource::resume() {
  impl_->paused.store(false);
  impl_->wake();
}

SourceState TestSource::state() const { return impl_->state.state(); }

SourceLag TestSource::lag() const {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->scriptedLag) return *impl_->scriptedLag;
  }
  return impl_->has(TestDefect::noLag) ? SourceLag{} : impl_->trueLag();
}

void TestSource::close() { impl_->state.to(SourceState::closed, "closed"); }

std::unique_ptr<RowStream> TestSource::readTable(const std::string& table, std::stop_token) {
  impl_->failIfScripted(TestCall::readTable);
  TestPlace at;
  return std::make_unique<PictureStream>(std::move(impl_->log.pictures({table}, at).front()));
}

void TestSource::disconnect() {
  impl_->broken.store(true);
  impl_->wake();
}

void TestSource::failCalls(TestCall call, const Error& error, std::uint32_t times) {
  const std::lock_guard lock(impl_->mutex);
  impl_->failingCalls.insert_or_assign(call, Impl::Failure{error, times});
}

void TestSource::failAtEvent(std::uint64_t events, const Error& error) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->failingEvent = Impl::Failure{error, events};
  }
  impl_->wake();
}

void TestSource::redeliverFrom(const Position& from) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->redeliver = detail::requirePlace(from);
  }
  impl_->wake();
}

void TestSource::setLag(std::optional<SourceLag> lag) {
  const std::lock_guard lock(impl_->mutex);
  impl_->scriptedLag = lag;
}

std::vector<Position> TestSource::acks() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->acks;
}

std::uint64_t TestSource::delivered() const { return impl_->delivered.load(); }
std::uint64_t TestSource::declined() const { return impl_->declined.load(); }
std::uint64_t TestSource::connects() const { return impl_->connects.load(); }
Position TestSource::end() const { return detail::positionOf(impl_->log.end()); }

bool TestSource::awaitDelivered(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const TestPlace end = impl_->log.end();
  for (;;) {
    const std::uint64_t seen = impl_->log.version();
    if (impl_->deliveredPlace() >= end) return true;
    if (!impl_->log.waitForChange(seen, deadline)) return impl_->deliveredPlace() >= end;
  }
}

}  // namespace tidegate
