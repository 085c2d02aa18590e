/// A sink whose target outlives it, that fails where a test wants, and that checks what the engine does to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tidegate/sink/sink.h"

namespace tidegate::test {

using Values = std::vector<Value>;

/// What a fake sink was asked to do.
enum class SinkCall { open, prepareTable, apply, commit, expire, readTable };

/// How a call fails.
struct SinkFault {
  Error error;
  bool happens = false;  ///< of `commit`: it was done, only the answer is lost
};

/// A database that a FakeSink writes to. It outlives sinks and engines, so a test restarts by making new ones.
/// @thread Any.
class FakeTarget {
 public:
  /// Asked before each call; nullopt: it succeeds.
  using Plan = std::function<std::optional<SinkFault>(SinkCall call, const ChangeBatch* batch)>;
  void plan(Plan plan);
  /// The next calls of this kind fail, once for each error.
  void failNext(SinkCall call, const Error& error, std::uint32_t times = 1, bool happens = false);
  /// Every change of this key (as text of its first key column) fails while it is poison.
  void poison(const std::string& key, const Error& error);
  void cure();
  /// The process is gone, and with it the failures that were to come: every call of a sink made before throws and
  /// changes nothing.
  void crash();

  /// Committed rows of a table, by key.
  std::vector<Values> rows(const std::string& table) const;
  std::optional<std::string> checkpoint() const;
  std::uint64_t commits() const;
  std::uint64_t opens() const;
  /// What the engine did wrong, if anything; empty else.
  std::string complaints() const;
  /// Positions whose changes are durable, in the order of commits: what was applied, exactly once each.
  std::vector<std::string> positions() const;
  Shape shape(const std::string& table) const;
  void edit(const std::string& table, const std::function<void(std::map<std::string, Values>&)>& change);

 private:
  friend class FakeSink;
  struct Table {
    Shape shape;
    std::map<std::string, Values> rows;
    std::optional<std::set<std::string>> unnamed;  ///< of a baseline under way: rows that nothing named yet
  };
  struct State {
    std::map<std::string, Table> tables;
    std::optional<std::string> checkpoint;
    std::vector<std::string> positions;
    std::set<std::string> seen;
  };
  void complain(const std::string& what);

  mutable std::recursive_mutex mutex_;
  // guarded by mutex_
  State durable_;
  Plan plan_;
  std::map<SinkCall, std::vector<SinkFault>> next_;
  std::map<std::string, Error> poison_;
  std::uint64_t generation_ = 0, commits_ = 0, opens_ = 0;
  std::string complaints_;
};

/// What `tryCommit` does.
enum class TryCommit { never, everySecond, always };

struct FakeSinkOptions {
  SinkTraits traits{};
  TryCommit tryCommit = TryCommit::never;
  /// Complains of a change that comes twice.
  bool exactlyOnce = true;
  /// Complains of an insert of a row that is there.
  bool newRows = true;
  /// Complains of a commit behind a change that does not end its transaction. Not where a pipeline takes only some of
  /// the changes: then the end may be one that it does not take.
  bool everyChange = true;
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(std::shared_ptr<FakeTarget> target, FakeSinkOptions options = {});

  SinkTraits traits() const override { return options_.traits; }
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  bool tryCommit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override;
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override;
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override;

 private:
  std::optional<SinkFault> faultOf(SinkCall call, const ChangeBatch* batch = nullptr);
  void requireOpen(const char* call);
  void applyOne(const ChangeEvent& event);
  void applyRow(const ChangeEvent& event, FakeTarget::Table& table);
  void checkOnce(const ChangeEvent& event);

  const std::shared_ptr<FakeTarget> target_;
  const FakeSinkOptions options_;
  std::uint64_t generation_ = 0;
  bool open_ = false, atBorder_ = true, refused_ = false;
  std::set<std::string> prepared_;
  FakeTarget::State staged_;
};

/// A row's key as text; of its whole row where the shape has no key.
std::string keyText(const TableShape& shape, const Values& row);

}  // namespace tidegate::test
