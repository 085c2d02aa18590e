/// Entries of a shared log as another history, or an earlier version, would have them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/detail/log_entry.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::test {

/// The same sections, but for those that `keep` leaves out, by `writer`.
template <class Keep>
std::string rewritten(std::string_view octets, detail::EntryWriterId writer, const Keep& keep) {
  detail::EntryView view;
  view.read(octets, 1);
  detail::EntryDraft draft;
  draft.begin(writer);
  for (const detail::EntrySection& section : view.sections) {
    if (!keep(section.part)) continue;
    draft.open(section.part).append(section.payload);
    draft.close();
  }
  return std::string(draft.finish());
}

inline detail::EntryView viewOf(std::string_view octets) {
  detail::EntryView view;
  view.read(octets, 1);
  return view;
}

/// As versions wrote it that did not name the entry before.
inline std::string unchained(std::string_view octets) {
  return rewritten(octets, viewOf(octets).writer,
                   [](detail::EntryPart part) { return part != detail::EntryPart::after; });
}

/// The same content, written by somebody else: what another history of the log holds at its place.
inline std::string ofAnotherWriter(std::string_view octets) {
  detail::EntryWriterId writer = viewOf(octets).writer;
  ++writer.low;
  return rewritten(octets, writer, [](detail::EntryPart) { return true; });
}

/// A gateway's end of a log whose servers differ: what it reads, and writes, is of the one it talks to.
/// @thread As SharedLog.
class SwitchedLog final : public SharedLog {
 public:
  explicit SwitchedLog(std::shared_ptr<SharedLog> server) : server_(std::move(server)) {}
  void switchTo(std::shared_ptr<SharedLog> server) { server_ = std::move(server); }

  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) override {
    return server_->append(last, octets);
  }
  std::uint64_t read(std::uint64_t after, const Visitor& visit) override { return server_->read(after, visit); }
  void onEntries(std::function<void()> wake) override { server_->onEntries(std::move(wake)); }
  void appended() override { server_->appended(); }
  void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) override {
    server_->putSnapshot(sequence, next);
  }
  std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) override {
    return server_->readSnapshot(chunk);
  }
  void trim(std::uint64_t sequence) override { server_->trim(sequence); }

 private:
  std::shared_ptr<SharedLog> server_;
};

}  // namespace tidegate::test
