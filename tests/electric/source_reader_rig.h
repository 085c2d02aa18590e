/// A reader of one shape without a server: answers are written by the test.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "electric/detail/source_reader.h"
#include "support/manual_clock.h"

namespace tidegate::electric::test {

using namespace reading;

inline const std::string kItemsSchema =
    R"({"id":{"type":"int8","pk_index":0,"not_null":true},"name":{"type":"text"},"price":{"type":"numeric"}})";

/// Messages as a server writes them.
inline std::string row(const std::string& operation, const std::string& value, const std::string& headers = "") {
  return R"({"key":"\"public\".\"items\"/\"1\"","value":)" + value + R"(,"headers":{"operation":")" + operation +
         R"(","relation":["public","items"])" + headers + "}}";
}
inline std::string placed(std::int64_t lsn, int position, bool last = true) {
  return R"(,"lsn":")" + std::to_string(lsn) + R"(","op_position":)" + std::to_string(position) + R"(,"txids":[)" +
         std::to_string(lsn + 5) + "]" + (last ? R"(,"last":true)" : "");
}
inline std::string upToDate(std::int64_t lsn) {
  return R"({"headers":{"control":"up-to-date","global_last_seen_lsn":")" + std::to_string(lsn) + R"("}})";
}

class ReaderRig {
 public:
  explicit ReaderRig(SourceShape given = {.table = "items"}, SourceOptions options_ = {})
      : shape(std::move(given)), options(std::move(options_)), epochs(clock) {}

  ShapeReader& reader() {
    if (!reader_) {
      reader_.emplace(ShapeReader::Parts{.shape = shape,
                                         .options = options,
                                         .clock = clock,
                                         .epochs = epochs,
                                         .newestLsn = newestLsn,
                                         .openLsn = openLsn,
                                         .warn = [this](const std::string& text) { warnings.push_back(text); },
                                         .seed = 1});
    }
    return *reader_;
  }
  /// The next request, which must be there.
  ReadRequest ask() {
    const auto request = reader().nextRequest(clock.steadyNow());
    if (!request) {
      ADD_FAILURE() << "nothing is asked for"
                    << (reader().fatal() != nullptr ? std::string(": ") + reader().fatal()->what() : "");
      return {};
    }
    return *request;
  }
  void answer(const ReadRequest& request, const std::string& body, const std::string& offset, http::Headers more = {},
              int status = 200) {
    http::Headers headers{{"electric-handle", handle}, {"electric-schema", schema}, {"electric-offset", offset}};
    for (const auto& [name, value] : more) headers.set(name, value);
    if (request.waits()) headers.remove("electric-schema");
    reader().onAnswer(request, status, headers, body);
  }
  void refuse(const ReadRequest& request, int status, const std::string& body, http::Headers headers = {}) {
    reader().onAnswer(request, status, headers, body);
  }
  /// Reads the snapshot and what there is of the log, so that the reader is up to date at 100_0.
  void becomeLive(const std::vector<std::string>& snapshot = {
                      row("insert", R"({"id":"1","name":"a","price":"1.50"})")}) {
    std::string body = "[";
    for (const std::string& one : snapshot) body += (body.size() > 1 ? "," : "") + one;
    answer(ask(), body + "]", "0_inf");
    answer(ask(), "[" + upToDate(100) + "]", "0_inf");
    drain();
  }
  std::vector<ReadItem> drain() {
    std::vector<ReadItem> all;
    while (!reader().items().empty()) {
      all.push_back(std::move(reader().items().front()));
      reader().items().pop_front();
      reader().popped(all.back());
    }
    return all;
  }
  std::string ops() {
    std::string text;
    for (const ReadItem& item : drain()) text += std::string(toString(item.op)) + " ";
    return text;
  }
  const Error* failure() { return reader().fatal() != nullptr ? reader().fatal() : reader().failing(); }
  std::string complaint() { return failure() != nullptr ? failure()->what() : "nothing is wrong"; }

  SourceShape shape;
  SourceOptions options;
  tidegate::test::ManualClock clock;
  Epochs epochs;
  std::int64_t newestLsn = -1;
  std::int64_t openLsn = -1;
  std::vector<std::string> warnings;
  std::string handle = "h1";
  std::string schema = kItemsSchema;

 private:
  std::optional<ShapeReader> reader_;
};

}  // namespace tidegate::electric::test
