#include "tidegate/durable_streams/sink.h"

#include <fmt/format.h>

#include "durable_streams/detail/make_sink.h"
#include "durable_streams/detail/table_writer.h"

namespace tidegate::durable_streams {
namespace {

using detail::EntityView;
using detail::OutStreams;
using detail::SinkJournal;
using detail::StreamLog;
using detail::TableWriter;

/// All that belongs to one `open`.
struct SinkSession {
  SinkSession(const SinkOptions& options, std::unique_ptr<StreamLog> itsLog, const SinkContext& context)
      : log(std::move(itsLog)),
        journal(*log, {.prefix = options.prefix, .segmentBytes = options.segmentBytes}, context.pipeline),
        out(*log, journal, {options.batchBytes, options.pendingBytes, options.readBackBytes}),
        tables(options, context.pipeline, out, journal),
        stop(context.stop) {}

  std::unique_ptr<StreamLog> log;
  SinkJournal journal;
  OutStreams out;
  TableWriter tables;
  std::stop_token stop;
};

/// The rows of an EntityView, in no order.
class EntityRows final : public RowStream {
 public:
  EntityRows(Shape shape, EntityView view, std::stop_token stop)
      : shape_(std::move(shape)),
        view_(std::move(view)),
        at_(view_.of(shape_->schema.table).entities.begin()),
        stop_(std::move(stop)) {}

  const Columns& columns() const override { return shape_->columns; }
  bool next(std::vector<Value>& values) override {
    if (at_ == view_.of(shape_->schema.table).entities.end()) return false;
    if (stop_.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "reading a stream was stopped");
    rowFromJson(shape_->schema, at_->second.value, values, KindMismatch::keep);
    ++at_;
    return true;
  }

 private:
  Shape shape_;
  EntityView view_;
  std::unordered_map<std::string, EntityView::Entity>::const_iterator at_;
  std::stop_token stop_;
};

class DurableStreamSink final : public Sink {
 public:
  DurableStreamSink(SinkOptions options, detail::MakeLog makeLog)
      : options_(std::move(options)), makeLog_(std::move(makeLog)) {}

  SinkTraits traits() const override { return {.keyless = true}; }

  std::optional<std::string> open(const SinkContext& context) override {
    session_.reset();
    auto session = std::make_unique<SinkSession>(options_, makeLog_(), context);
    auto checkpoint = session->journal.open(context.stop);
    session_ = std::move(session);
    pipeline_ = context.pipeline;
    return checkpoint;
  }

  void prepareTable(const Shape& shape) override {
    guarded([&](SinkSession& s) {
      const std::string stream = s.tables.streamOfTable(shape->schema.table);
      if (!stream.empty()) s.out.prepare(stream, s.stop);
    });
  }

  void apply(const ChangeBatch& batch) override {
    guarded([&](SinkSession& s) {
      for (const ChangeEvent& event : batch) s.tables.apply(event);
    });
  }

  void commit(std::string_view checkpoint) override {
    SinkSession& s = session();
    try {
      s.out.commit(checkpoint);
    } catch (...) {
      // Whether it was committed is known to the journal, and asked by `open`.
      session_.reset();
      throw;
    }
  }

  void rollback() noexcept override {
    if (!session_) return;
    session_->out.undo();
    session_->tables.undo();
  }

  void close() noexcept override { session_.reset(); }

  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override {
    const auto log = makeLog_();
    EntityView view;
    for (const std::string& stream : streamsToRead(shape->schema.table)) {
      log->read(
          stream, {}, [&](std::string_view message) { readInto(view, message, stream); }, stop);
    }
    return std::make_unique<EntityRows>(shape, std::move(view), std::move(stop));
  }

  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override {
    std::uint64_t erased = 0;
    guarded([&](SinkSession& s) { erased = s.tables.expire(*shape, column, cutoff); });
    return erased;
  }

 private:
  SinkSession& session() {
    if (!session_) {
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  fmt::format("the durable streams sink ({}) is not open: call open() first", options_.server.url));
    }
    return *session_;
  }

  /// Runs a part of the unit of work. Where it fails, the unit is over; and the session too, unless the failure was of
  /// the change alone: what the journal then holds is found out by `open`.
  template <class Work>
  void guarded(Work&& work) {
    try {
      work(session());
    } catch (const Error& e) {
      const bool ofTheChange = e.code() == ErrorCode::rowIdInvalid || e.code() == ErrorCode::invalidConfig ||
                               e.code() == ErrorCode::invalidArgument || e.code() == ErrorCode::parseError;
      rollback();
      if (!ofTheChange) session_.reset();
      throw;
    } catch (...) {
      rollback();
      throw;
    }
  }

  std::vector<std::string> streamsToRead(const std::string& table) const {
    if (options_.layout == StreamLayout::perTable) return {options_.prefix + detail::pathSegment(table)};
    if (!session_) {
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  "the durable streams sink is not open, so it does not know which streams hold the table");
    }
    return session_->out.streamsOf(table);
  }

  void readInto(EntityView& view, std::string_view message, const std::string& stream) const {
    view.take(message);
    if (view.bytes() <= options_.readBackBytes) return;
    throw Error(
        ErrorCode::invalidConfig, Retry::afterOperator,
        fmt::format("stream \"{}\" holds more than readBackBytes ({} octets) of rows", stream, options_.readBackBytes));
  }

  const SinkOptions options_;
  const detail::MakeLog makeLog_;
  std::unique_ptr<SinkSession> session_;  ///< null: not open
  std::string pipeline_;
};

void checkSinkOptions(const SinkOptions& options) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "durable_streams::sink: " + why);
  };
  if ((options.layout == StreamLayout::byRow) != static_cast<bool>(options.streamOf)) {
    refuse("streamOf goes with the layout byRow, and only with it");
  }
  if (options.store && !options.server.url.empty()) refuse("give a store or a server, not both");
  if (!options.store && options.server.url.empty()) refuse("server.url is empty");
  if (options.batchBytes == 0 || options.pendingBytes == 0 || options.segmentBytes == 0) {
    refuse("batchBytes, pendingBytes and segmentBytes must be over 0");
  }
}

}  // namespace

std::shared_ptr<Sink> detail::makeSink(SinkOptions options, MakeLog makeLog) {
  return std::make_shared<DurableStreamSink>(std::move(options), std::move(makeLog));
}

std::shared_ptr<Sink> sink(SinkOptions options) {
  checkSinkOptions(options);
  if (options.store) {
    return detail::makeSink(options, [store = options.store] { return detail::storeLog(store); });
  }
  return detail::makeSink(options, [server = options.server] { return detail::httpLog(server); });
}

}  // namespace tidegate::durable_streams
