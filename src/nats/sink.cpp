#include "tidegate/nats/sink.h"

#include <fmt/format.h>

#include "nats/detail/read_table.h"
#include "nats/detail/sink_session.h"

namespace tidegate::nats {
namespace {

using detail::SinkSession;

class NatsSink final : public Sink {
 public:
  explicit NatsSink(SinkOptions options) : options_(std::move(options)) {}

  SinkTraits traits() const override { return {.keyless = true}; }

  std::optional<std::string> open(const SinkContext& context) override {
    session_.reset();
    auto session = std::make_unique<SinkSession>(options_, context);
    auto checkpoint = session->open();
    session_ = std::move(session);
    return checkpoint;
  }

  void prepareTable(const Shape& shape) override {
    guarded([&](SinkSession& s) { s.prepare(shape); });
  }

  void apply(const ChangeBatch& batch) override {
    guarded([&](SinkSession& s) {
      for (const ChangeEvent& event : batch) s.apply(event);
    });
  }

  void commit(std::string_view checkpoint) override {
    SinkSession& s = session();
    try {
      s.commit(checkpoint);
    } catch (...) {
      // Whether it was committed is in the stream, and asked by `open`.
      session_.reset();
      throw;
    }
  }

  void rollback() noexcept override {
    if (session_) session_->undo();
  }

  void close() noexcept override { session_.reset(); }

  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override {
    return std::make_unique<detail::FoldedRows>(shape, folded(stop).fold.rowsOf(*shape));
  }

  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override {
    const auto at = shape->columns->find(column);
    if (!at || shape->key.empty()) {
      throw Error(
          ErrorCode::invalidArgument, Retry::never,
          fmt::format("table \"{}\" has no column \"{}\", or no key, to expire rows by", shape->schema.table, column));
    }
    std::uint64_t erased = 0;
    ChangeBatch erases;
    for (const std::vector<Value>& row : folded({}).fold.rowsOf(*shape)) {
      if (compareValues(row[*at], cutoff) != std::partial_ordering::less) continue;
      ChangeEvent& event = erases.add(ChangeOp::erase, shape);
      event.transactionBegin = event.transactionEnd = true;
      event.before = row;
      ++erased;
    }
    apply(erases);
    return erased;
  }

 private:
  SinkSession& session() {
    if (!session_) {
      throw Error(ErrorCode::connectionFailed, Retry::later, "the NATS sink is not open: call open() first");
    }
    return *session_;
  }

  /// Runs a part of the unit of work. Where it fails, the unit is over; and the session too, unless the failure was of
  /// the change alone: what the stream then holds is found out by `open`.
  template <class Work>
  void guarded(Work&& work) {
    try {
      work(session());
    } catch (const detail::ForeignWrite&) {
      session_.reset();
      throw Error(ErrorCode::fenced, Retry::afterOperator,
                  "another writer took the pipeline's stream over; this one takes over when it is opened again");
    } catch (const Error& e) {
      const bool ofTheChange = e.code() == ErrorCode::rowIdInvalid || e.code() == ErrorCode::invalidArgument;
      rollback();
      if (!ofTheChange) session_.reset();
      throw;
    } catch (...) {
      rollback();
      throw;
    }
  }

  detail::FoldedStream folded(const std::stop_token& stop) {
    detail::FoldedStream out(options_.readBackBytes);
    detail::foldStream(session().js(), session().names().stream, out, stop);
    return out;
  }

  const SinkOptions options_;
  std::unique_ptr<SinkSession> session_;  ///< null: not open
};

void checkSinkOptions(const SinkOptions& options) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "nats::sink: " + why);
  };
  if (options.pendingBytes == 0) refuse("pendingBytes must be over 0");
  if (options.buckets > 10'000) refuse("at most 10000 buckets");
  if (options.stream.replicas == 0 || options.stream.replicas > 5) refuse("1 to 5 replicas");
  for (const char c : options.streamName) {
    if (c == ' ' || c == '.' || c == '*' || c == '>' || c == '/' || c == '\\') {
      refuse(fmt::format("\"{}\" cannot be a stream's name", options.streamName));
    }
  }
  if (options.subjectPrefix.find_first_of(" *>") != std::string::npos || options.subjectPrefix.starts_with('.') ||
      options.subjectPrefix.ends_with('.') || options.subjectPrefix.find("..") != std::string::npos) {
    refuse(fmt::format("\"{}\" cannot begin subjects", options.subjectPrefix));
  }
}

}  // namespace

std::shared_ptr<Sink> sink(SinkOptions options) {
  checkSinkOptions(options);
  return std::make_shared<NatsSink>(std::move(options));
}

}  // namespace tidegate::nats
