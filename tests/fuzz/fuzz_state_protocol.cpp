/// Messages of the State Protocol: nothing but a parseError for bad input; what is read is written the same again; and
/// no message breaks the reader of rows, events and views.
#include <string>
#include <vector>

#include "durable_streams/detail/entity_view.h"
#include "durable_streams/detail/message_mapper.h"
#include "fuzz/check.h"

namespace tidegate::fuzz {
namespace {

using namespace durable_streams;

void thereAndBack(std::string_view json) {
  takes(ErrorCode::parseError, [&] {
    const StateMessage once = parseStateMessage(json);
    std::string text;
    std::visit([&](const auto& message) { appendStateMessage(message, text); }, once);
    bool same = false;
    const bool taken = takes(ErrorCode::parseError, [&] { same = parseStateMessage(text) == once; });
    FUZZ_CHECK(taken && same);
  });
}

const detail::MessageMapper& mapper() {
  static const detail::MessageMapper made(
      {.stream = "s",
       .tables = {entityTable({.table = "items",
                               .columns = {{.name = "id", .kind = ValueKind::int64},
                                           {.name = "at", .kind = ValueKind::timestamp},
                                           {.name = "data", .kind = ValueKind::bytes},
                                           {.name = "n", .kind = ValueKind::decimal}},
                               .primaryKey = {"id"}}),
                  sessionEvents()},
       .skipOrigins = {"me"}});
  return made;
}

/// A row that a message gave has a key, and that key names the same row.
void keysAgree(const ChangeEvent& event) {
  const std::vector<Value>& row = event.op == ChangeOp::erase ? event.before : event.after;
  if (event.op == ChangeOp::truncate) return;
  std::vector<Value> back;
  const bool read =
      takes(ErrorCode::parseError, [&] { keyFromState(*event.shape, stateKey(*event.shape, row), back); });
  FUZZ_CHECK(read);
  for (const std::uint32_t i : event.shape->key) FUZZ_CHECK(sameValue(back[i], row[i]));
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  const std::string_view json = fuzz::textOf(data, size);
  fuzz::thereAndBack(json);
  fuzz::takes(ErrorCode::parseError, [&] {
    durable_streams::detail::EntityView view;
    view.take(json);
    FUZZ_CHECK(view.bytes() < size * 64 + 4'096);
  });
  for (const char* table : {"items", "session_events"}) {
    fuzz::takes(ErrorCode::parseError, [&] {
      durable_streams::detail::MappedMessage mapped;
      durable_streams::detail::MessageSite site{.before = {.offset = "-1"}};
      fuzz::mapper().map(json, site, {table}, mapped);
      for (const ChangeEvent& event : mapped.events) fuzz::keysAgree(event);
    });
  }
  return 0;
}
