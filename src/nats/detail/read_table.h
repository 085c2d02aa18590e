/// What a pipeline's stream comes to.
#pragma once

#include <stop_token>

#include "nats/detail/table_fold.h"
#include "nats/detail/unit_reader.h"
#include "tidegate/core/query.h"

namespace tidegate::nats::detail {

/// The stream folded up to its last commit as of now.
struct FoldedStream {
  TableFold fold;
  std::uint64_t committedAt = 0;          ///< the last commit that was read; 0: there was none
  std::map<std::string, Shape> tables{};  ///< every table's shape after it
  bool fromBeginning = true;              ///< the stream has its first message still
  explicit FoldedStream(std::size_t mostBytes) : fold(mostBytes) {}
};

/// @throws Error{queryCancelled} when stopped; as UnitReader and TableFold.
void foldStream(JetStream& js, const std::string& stream, FoldedStream& out, const std::stop_token& stop);

/// Rows read before.
class FoldedRows final : public RowStream {
 public:
  FoldedRows(Shape shape, std::vector<std::vector<Value>> rows) : shape_(std::move(shape)), rows_(std::move(rows)) {}
  const Columns& columns() const override { return shape_->columns; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values = std::move(rows_[at_++]);
    return true;
  }

 private:
  Shape shape_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

}  // namespace tidegate::nats::detail
