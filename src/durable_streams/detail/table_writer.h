/// What becomes of one table's events: messages of the State Protocol.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "durable_streams/detail/out_streams.h"
#include "tidegate/durable_streams/sink.h"

namespace tidegate::durable_streams::detail {

/// @thread One at a time.
class TableWriter {
 public:
  TableWriter(const SinkOptions& options, std::string pipeline, OutStreams& out, const SinkJournal& journal)
      : options_(options), pipeline_(std::move(pipeline)), out_(out), journal_(journal) {}

  void apply(const ChangeEvent& event);
  /// Erases rows whose column lies before `cutoff`.
  std::uint64_t expire(const TableShape& shape, std::string_view column, const Value& cutoff);
  /// The stream of every row of the table; empty where rows choose.
  std::string streamOfTable(const std::string& table) const;
  /// Forgets what the unit under way began.
  void undo() noexcept { fresh_.clear(); }

 private:
  void write(const ChangeEvent& event);
  void update(const ChangeEvent& event);
  void erase(const ChangeEvent& event);
  void truncate(const ChangeEvent& event);
  void beginBaseline(const ChangeEvent& event);
  void endBaseline(const ChangeEvent& event);
  void changeSchema(const ChangeEvent& event);
  void eraseAll(const TableShape& shape, const std::string& stream, const ChangeEvent& event,
                const std::function<bool(const EntityView::Entity&)>& which);
  std::string streamOf(const TableShape& shape, const std::vector<Value>& row) const;
  std::string keyOf(const ChangeEvent& event, const std::vector<Value>& row);
  std::string wholeRow(const ChangeEvent& event, const std::string& stream, const std::string& key);
  ChangeMessage messageOf(const ChangeEvent& event, StateOperation operation, std::string key) const;
  /// Streams that hold rows of the table, the one that all its rows go to included.
  std::vector<std::string> allStreams(const std::string& table) const;

  const SinkOptions& options_;
  std::string pipeline_;
  OutStreams& out_;
  const SinkJournal& journal_;
  std::map<std::string, bool> fresh_{};  ///< tables with a baseline under way, by whether they were empty before it
  std::uint64_t keyless_ = 0;            ///< rows without a key so far
};

}  // namespace tidegate::durable_streams::detail
