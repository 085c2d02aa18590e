#include "sink/detail/gateway_sink_baselines.h"

#include <utility>

#include "core/detail/packed.h"

namespace tidegate::detail {
namespace {

constexpr std::string_view kLeft = "baseline/left/";
constexpr std::string_view kNamed = "baseline/named/";

std::string leftKey(std::string_view table) { return std::string(kLeft) + std::string(table); }

std::string namedKey(std::string_view table, std::uint64_t chunk) {
  return std::string(kNamed) + std::to_string(chunk) + "/" + std::string(table);
}

template <class Ids>
std::string packed(const Ids& ids) {
  std::string octets;
  for (const std::string& id : ids) putText(id, octets);
  return octets;
}

}  // namespace

void GatewayBaselines::forgetNamed(const std::string& table, Open& open) {
  for (std::uint64_t i = 0; i < open.chunks; ++i) gone_.push_back({namedKey(table, i), std::nullopt});
  open.chunks = 0;
  open.named.clear();
}

void GatewayBaselines::begin(const std::string& table, std::vector<std::string> rowIds) {
  Open& open = open_[table];
  forgetNamed(table, open);
  open.left = RowIds(std::make_move_iterator(rowIds.begin()), std::make_move_iterator(rowIds.end()));
  open.fresh = true;
}

void GatewayBaselines::name(const std::string& table, const std::string& rowId) {
  const auto at = open_.find(table);
  if (at == open_.end() || at->second.left.erase(rowId) == 0) return;
  if (!at->second.fresh) at->second.named.push_back(rowId);
}

GatewayBaselines::RowIds GatewayBaselines::end(const std::string& table) {
  const auto at = open_.find(table);
  if (at == open_.end()) return {};
  forgetNamed(table, at->second);
  gone_.push_back({leftKey(table), std::nullopt});
  RowIds left = std::move(at->second.left);
  open_.erase(at);
  return left;
}

void GatewayBaselines::truncated(const std::string& table) {
  if (open_.contains(table)) begin(table, {});
}

std::vector<IngestNote> GatewayBaselines::takeNotes() {
  std::vector<IngestNote> notes = std::exchange(gone_, {});
  for (auto& [table, open] : open_) {
    if (std::exchange(open.fresh, false)) notes.push_back({leftKey(table), packed(open.left)});
    if (open.named.empty()) continue;
    notes.push_back({namedKey(table, open.chunks++), packed(open.named)});
    open.named.clear();
  }
  return notes;
}

void GatewayBaselines::read(const IngestState& state) {
  open_.clear();
  gone_.clear();
  for (const auto& [key, octets] : state.notes) {
    if (!key.starts_with(kLeft)) continue;
    RowIds& left = open_[key.substr(kLeft.size())].left;
    for (PackedReader ids(octets); !ids.done();) left.emplace(ids.text());
  }
  for (auto& [table, open] : open_) {
    for (;; ++open.chunks) {
      const auto chunk = state.notes.find(namedKey(table, open.chunks));
      if (chunk == state.notes.end()) break;
      for (PackedReader ids(chunk->second); !ids.done();) open.left.erase(std::string(ids.text()));
    }
  }
}

}  // namespace tidegate::detail
