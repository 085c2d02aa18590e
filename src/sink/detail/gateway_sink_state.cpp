#include "sink/detail/gateway_sink_state.h"

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

GatewaySinkState::GatewaySinkState(std::shared_ptr<StateStore> store, const std::string& pipeline)
    : store_(std::move(store)), pipeline_(pipeline), key_("gateway_sink/" + pipeline) {}

std::string GatewaySinkState::chunkKey(std::string_view table, std::uint64_t number) const {
  return key_ + "/named/" + std::string(table) + "/" + std::to_string(number);
}

void GatewaySinkState::read() {
  epoch_ = 0;
  checkpoint_.reset();
  baselines.clear();
  const auto octets = store_->get(key_);
  if (!octets) return;
  PackedReader reader(*octets);
  epoch_ = reader.varint();
  if (reader.octet() != 0) checkpoint_ = reader.text();
  for (std::uint64_t tables = reader.varint(); tables > 0; --tables) {
    NamedRows& named = baselines[std::string(reader.text())];
    named.chunks = reader.varint();
    for (std::uint64_t i = 0; i < named.chunks; ++i) {
      const std::string chunk = store_->get(chunkKey(baselines.rbegin()->first, i)).value_or("");
      for (PackedReader ids(chunk); !ids.done();) named.ids.emplace(ids.text());
    }
  }
}

void GatewaySinkState::write() {
  std::string octets;
  putVarint(epoch_, octets);
  octets.push_back(checkpoint_ ? 1 : 0);
  if (checkpoint_) putText(*checkpoint_, octets);
  putVarint(baselines.size(), octets);
  for (const auto& [table, named] : baselines) {
    putText(table, octets);
    putVarint(named.chunks, octets);
  }
  store_->put(key_, octets);
}

std::optional<std::string> GatewaySinkState::open() {
  read();
  ours_ = ++epoch_;
  write();
  return checkpoint_;
}

void GatewaySinkState::checkFence() {
  const auto octets = store_->get(key_);
  if (octets && PackedReader(*octets).varint() == ours_) return;
  throw Error(ErrorCode::fenced, Retry::afterOperator,
              "gateway sink: another writer took over pipeline \"" + pipeline_ + "\"; stop one of the two");
}

void GatewaySinkState::keep(std::string_view checkpoint) {
  for (auto& [table, named] : baselines) {
    if (named.fresh.empty()) continue;
    std::string chunk;
    for (const std::string& id : named.fresh) putText(id, chunk);
    store_->put(chunkKey(table, named.chunks), chunk);
    ++named.chunks;
    named.fresh.clear();
  }
  epoch_ = ours_;
  checkpoint_ = checkpoint;
  write();
}

}  // namespace tidegate::detail
