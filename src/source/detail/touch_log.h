/// Which rows of tables under baseline the stream has changed lately: what a snapshot that does not see those
/// transactions must not say of them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::detail {

/// The key columns' values, packed; equal octets are the same row.
void packKey(const std::vector<Value>& values, const std::vector<std::uint32_t>& key, std::string& out);

/// What a change did to a row that a snapshot may hold in its older form.
struct Touch {
  enum class Kind : std::uint8_t {
    drop,      ///< the stream told the row whole, or that it is gone
    patch,     ///< the stream told it but for its unchanged columns, which are the snapshot's to tell
    everyRow,  ///< truncated
    unknown    ///< too many to note, or of rows that cannot be told apart: only a snapshot that sees it will do
  };
  Kind kind = Kind::drop;
  std::string table{};
  std::string key{};
  std::vector<std::pair<std::uint32_t, Value>> changed{};  ///< of a patch
};

/// What a source's snapshots tell transactions by: Postgres's id, or the place behind a transaction in a binlog.
struct TransactionName {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const TransactionName&) const = default;
};

/// A committed transaction that touched a table under baseline.
struct TouchingTransaction {
  std::uint64_t number = 0;  ///< counted in the order of commits
  TransactionName name{};
  std::vector<Touch> touches{};
};

class TouchLog {
 public:
  /// @param most touches noted, over all transactions; those that come when it is full are `unknown`.
  explicit TouchLog(std::size_t most = 200'000) : most_(most) {}

  /// Notes a change of a table under baseline, of the transaction that is being told.
  void note(const ChangeEvent& event);
  /// The touched row's other columns cannot be made whole: only a snapshot that sees this transaction will do.
  void noteUnknown(const std::string& table);
  void commit(const TransactionName& name);
  /// The transaction that is being told did not happen.
  void rollBack();
  /// Forgets what all snapshots in use see.
  void forgetSeen(const std::function<bool(const TransactionName& name)>& seenByAll);

  const std::deque<TouchingTransaction>& transactions() const noexcept { return transactions_; }
  std::uint64_t lastNumber() const noexcept { return number_; }

 private:
  void add(Touch::Kind kind, const ChangeEvent& event, const std::vector<Value>& values);

  std::size_t most_;
  std::size_t held_ = 0;
  std::uint64_t number_ = 0;
  std::vector<Touch> open_;               ///< of the transaction that is being told
  std::vector<std::string> openUnknown_;  ///< tables of which it touched what cannot be noted
  std::deque<TouchingTransaction> transactions_;
};

}  // namespace tidegate::detail
