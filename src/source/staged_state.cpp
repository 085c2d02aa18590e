#include "source/detail/staged_state.h"

#include "tidegate/core/error.h"

namespace tidegate::detail {

StagedState::Entries& StagedState::entriesOf(std::string_view key) {
  const auto known = entries_.find(key);
  if (known != entries_.end()) return known->second;
  Entries entries;
  if (const auto saved = store_->get(realKey(key))) {
    const auto place = placeFromOctets(std::string_view(*saved).substr(0, 12));
    if (!place) {
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  "the saved state \"" + realKey(key) + "\" cannot be read: remove it, and take a new baseline");
    }
    entries.push_back({*place, saved->substr(12)});
  }
  return entries_.emplace(std::string(key), std::move(entries)).first->second;
}

std::optional<std::string> StagedState::get(std::string_view key) {
  const Entries& entries = entriesOf(key);
  if (entries.empty()) return std::nullopt;
  return entries.back().octets;
}

void StagedState::put(std::string_view key, std::string_view octets) {
  Entries& entries = entriesOf(key);
  if (!entries.empty() && entries.back().place == now_)
    entries.back().octets = octets;
  else
    entries.push_back({now_, std::string(octets)});
  // Any of them may be left out: from an older state more is read again.
  if (entries.size() > kMostEntries) entries.erase(entries.end() - 2);
}

void StagedState::remove(std::string_view key) {
  entriesOf(key).clear();
  store_->remove(realKey(key));
}

void StagedState::flush(PollingPlace acked) {
  for (auto& [key, entries] : entries_) {
    std::size_t covered = 0;
    while (covered < entries.size() && entries[covered].place <= acked) ++covered;
    if (covered == 0) continue;
    const Entry& newest = entries[covered - 1];
    const std::string octets = toOctets(newest.place) + newest.octets;
    if (store_->get(realKey(key)) != octets) store_->put(realKey(key), octets);
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(covered - 1));
  }
}

void StagedState::rewind(PollingPlace from,
                         const std::function<bool(std::string_view key, PollingPlace since)>& deliveredSince,
                         const Weaken& weaken) {
  for (auto& [key, entries] : entries_) {
    while (entries.size() > 1 && entries.back().place > from) entries.pop_back();
    if (entries.empty()) continue;
    Entry& entry = entries.back();
    if (deliveredSince(key, entry.place)) entry.octets = weaken(key, entry.octets);
  }
}

}  // namespace tidegate::detail
