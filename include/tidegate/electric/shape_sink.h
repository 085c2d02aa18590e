/// A pipeline's end that shapes are served from: the tables of any source, as Electric shapes.
///
///     auto sink = std::make_shared<electric::ShapeSink>();
///     PipelineSpec live{.name = "live", .source = "shop", .tables = {{.table = "public.items"}}, .sink = sink};
///     electric::ShapeServer shapes(sink->feed());
///
/// Each transaction of the source is one of the shapes' logs, whole, with its number as `txids`. With
/// `ShapeFeedOptions::lsnOf` the offsets are the source's log positions; without it transactions are counted.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "tidegate/electric/shape_feed.h"
#include "tidegate/sink/sink.h"

namespace tidegate::electric {

/// Keeps its tables in memory, so a restart begins with a new baseline, and clients fetch again. A baseline of a sink
/// that lives is told as the differences. A schema change and a truncate end the table's shapes.
///
/// Errors beyond those of `Sink`: Error{rowIdInvalid} for a row whose key is null.
/// @thread As Sink. The feed: any.
class ShapeSink final : public Sink {
 public:
  explicit ShapeSink(ShapeFeedOptions options = {});
  ~ShapeSink() override;

  /// What ShapeServer serves; outlives the sink.
  std::shared_ptr<ShapeFeed> feed() const;

  SinkTraits traits() const override;
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override;
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override;
  std::uint64_t expire(const Shape& shape, std::string_view column, const Value& cutoff) override;

 private:
  struct Writer;
  std::unique_ptr<Writer> writer_;
};

}  // namespace tidegate::electric
