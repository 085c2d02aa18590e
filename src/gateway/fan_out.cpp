#include "gateway/detail/fan_out.h"

#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/gateway_core.h"

namespace tidegate::detail {

void FanOut::add(std::shared_ptr<CommitListener> who) {
  auto box = std::make_unique<Box>();
  box->who = std::move(who);
  always_.push_back(box.get());
  const CommitListener* key = box->who.get();
  boxes_.emplace(key, std::move(box));
}

void FanOut::remove(const CommitListener* who) noexcept {
  const auto at = boxes_.find(who);
  if (at == boxes_.end()) return;
  unfile(*at->second);
  std::erase(always_, at->second.get());
  if (at->second->queued) std::erase(told_, who);
  boxes_.erase(at);
}

void FanOut::unfile(Box& box) noexcept {
  if (!std::exchange(box.filed, false)) return;
  const auto drop = [&box](std::vector<Box*>& from) {
    const auto found = std::find(from.begin(), from.end(), &box);
    if (found == from.end()) return;
    *found = from.back();
    from.pop_back();
  };
  for (const std::size_t table : box.terms.whole) drop(tables_[table].whole);
  for (const ViewTerm& term : box.terms.terms) {
    auto& column = tables_[term.table].columns[term.position];
    const auto at = column.find(term.key);
    if (at == column.end()) continue;
    drop(at->second);
    if (at->second.empty()) column.erase(at);
  }
  box.terms = {};
}

void FanOut::file(const CommitListener* who, const CompiledView& view) {
  const auto at = boxes_.find(who);
  if (at == boxes_.end() || view.generation != epoch_) return;
  Box& box = *at->second;
  unfile(box);
  box.generation = view.generation;
  box.terms = termsOf(view.view);
  box.filed = true;
  if (box.terms.everything) {
    box.terms = {};
    if (std::find(always_.begin(), always_.end(), &box) == always_.end()) always_.push_back(&box);
    return;
  }
  std::erase(always_, &box);
  if (!rules_) rules_ = view.view;
  for (const std::size_t table : box.terms.whole) tables_[table].whole.push_back(&box);
  for (const ViewTerm& term : box.terms.terms) {
    auto& columns = tables_[term.table].columns;
    if (columns.size() <= term.position) columns.resize(term.position + 1);
    columns[term.position][term.key].push_back(&box);
  }
}

bool FanOut::filed(const CommitListener* who, std::uint64_t generation) const {
  const auto at = boxes_.find(who);
  return at != boxes_.end() && at->second->filed && at->second->generation == generation;
}

void FanOut::begin(std::uint64_t epoch, std::uint64_t floor) {
  epoch_ = epoch;
  floor_ = floor;
  tables_.clear();
  rules_.reset();
  always_.clear();
  for (auto& [who, box] : boxes_) {
    box->filed = false;
    box->terms = {};
    box->mail.scan = true;
    box->mail.stamps.clear();
    always_.push_back(box.get());
    queue(*box);
  }
}

void FanOut::queue(Box& box) {
  if (!std::exchange(box.queued, true)) told_.push_back(box.who.get());
}

void FanOut::put(Box& box, std::uint64_t stamp) {
  if (std::exchange(box.seen, stamp) == stamp) return;
  queue(box);
  if (box.mail.scan) return;
  if (box.mail.stamps.size() == kMostStamps) {
    box.mail.from = box.mail.stamps.front() - 1;
    box.mail.stamps.clear();
    box.mail.scan = true;
    return;
  }
  box.mail.stamps.push_back(stamp);
}

void FanOut::routeCell(const Table& table, std::size_t position, const std::optional<std::string_view>& cell,
                       std::uint64_t stamp) {
  if (!cell || position >= table.columns.size() || table.columns[position].empty()) return;
  PackedReader(*cell).value(scratch_);
  keys_.clear();
  appendValueKeys(scratch_, keys_);
  for (const std::string& key : keys_) {
    const auto at = table.columns[position].find(key);
    if (at == table.columns[position].end()) continue;
    for (Box* box : at->second) put(*box, stamp);
  }
}

void FanOut::route(const RecordView& record, std::string_view table) {
  routedTo_ = record.serverHlc;
  for (Box* box : always_) put(*box, record.serverHlc);
  if (!rules_) return;
  const auto at = tables_.find(ruleTableOf(*rules_, table));
  if (at == tables_.end()) return;
  for (Box* box : at->second.whole) put(*box, record.serverHlc);
  for (std::size_t i = 0; i < record.rules.cells.size(); ++i) {
    const RuleCell& cell = record.rules.cells[i];
    // A row that leaves a view is found by what it was, one that enters by what it is.
    if (record.op != DeltaOp::insert) routeCell(at->second, i, cell.before, record.serverHlc);
    if (record.op != DeltaOp::erase) routeCell(at->second, i, cell.after, record.serverHlc);
  }
}

Mail FanOut::take(const CommitListener* who) {
  const auto at = boxes_.find(who);
  if (at == boxes_.end()) return {};
  Mail& mail = at->second->mail;
  Mail taken{.scan = mail.scan,
             .stamps = std::exchange(mail.stamps, {}),
             .from = std::exchange(mail.from, 0),
             .coveredTo = routedTo_};
  // Whoever is not filed goes on scanning: not everything that concerns it is put in.
  mail.scan = !at->second->filed;
  return taken;
}

void FanOut::giveBack(const CommitListener* who, std::vector<std::uint64_t> stamps, bool scan) {
  const auto at = boxes_.find(who);
  if (at == boxes_.end()) return;
  Mail& mail = at->second->mail;
  // More may have come meanwhile than is kept: then it scans, and not from behind what it gives back.
  if (scan) mail.from = 0;
  if (mail.scan && !stamps.empty()) mail.from = std::min(mail.from, stamps.front() - 1);
  mail.scan = mail.scan || scan;
  if (mail.scan) return mail.stamps.clear();
  stamps.insert(stamps.end(), mail.stamps.begin(), mail.stamps.end());
  mail.stamps = std::move(stamps);
}

std::vector<std::shared_ptr<CommitListener>> FanOut::toTell() {
  std::vector<std::shared_ptr<CommitListener>> out;
  out.reserve(told_.size());
  for (const CommitListener* who : told_) {
    Box& box = *boxes_.at(who);
    box.queued = false;
    out.push_back(box.who);
  }
  told_.clear();
  return out;
}

}  // namespace tidegate::detail
