#include "engine/fake_sink.h"

#include <algorithm>

namespace tidegate::test {
namespace {

Error gone() { return Error(ErrorCode::connectionFailed, Retry::later, "the process of this sink is gone"); }

/// Rows keep their values by column name when the shape changes.
Values follow(const TableShape& from, const TableShape& to, const SchemaChange* change, const Values& row) {
  Values made(to.columns->size());
  for (std::size_t i = 0; i < to.columns->size(); ++i) {
    std::string name = (*to.columns)[i];
    if (change != nullptr) {
      for (const auto& [old, now] : change->renamed) {
        if (now == name) name = old;
      }
    }
    if (const auto at = from.columns->find(name)) made[i] = row[*at];
  }
  return made;
}

class FakeRows final : public RowStream {
 public:
  FakeRows(Columns columns, std::vector<Values> rows) : columns_(std::move(columns)), rows_(std::move(rows)) {}
  const Columns& columns() const override { return columns_; }
  bool next(Values& values) override {
    if (at_ == rows_.size()) return false;
    values = rows_[at_++];
    return true;
  }

 private:
  Columns columns_;
  std::vector<Values> rows_;
  std::size_t at_ = 0;
};

}  // namespace

std::string keyText(const TableShape& shape, const Values& row) {
  std::string text;
  const auto add = [&](std::size_t i) { text += std::string(toString(row[i].kind())) + ":" + describe(row[i]) + "|"; };
  for (const std::uint32_t i : shape.key) add(i);
  if (shape.key.empty()) {
    for (std::size_t i = 0; i < row.size(); ++i) add(i);
  }
  return text;
}

void FakeTarget::plan(Plan plan) {
  const std::lock_guard lock(mutex_);
  plan_ = std::move(plan);
}

void FakeTarget::failNext(SinkCall call, const Error& error, std::uint32_t times, bool happens) {
  const std::lock_guard lock(mutex_);
  for (; times > 0; --times) next_[call].push_back({error, happens});
}

void FakeTarget::poison(const std::string& key, const Error& error) {
  const std::lock_guard lock(mutex_);
  poison_.emplace(key, error);
}

void FakeTarget::cure() {
  const std::lock_guard lock(mutex_);
  poison_.clear();
}

void FakeTarget::crash() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  next_.clear();
}

std::vector<Values> FakeTarget::rows(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  std::vector<Values> rows;
  const auto at = durable_.tables.find(table);
  if (at == durable_.tables.end()) return rows;
  for (const auto& [key, row] : at->second.rows) rows.push_back(row);
  return rows;
}

std::optional<std::string> FakeTarget::checkpoint() const {
  const std::lock_guard lock(mutex_);
  return durable_.checkpoint;
}

std::uint64_t FakeTarget::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

std::uint64_t FakeTarget::opens() const {
  const std::lock_guard lock(mutex_);
  return opens_;
}

std::string FakeTarget::complaints() const {
  const std::lock_guard lock(mutex_);
  return complaints_;
}

std::vector<std::string> FakeTarget::positions() const {
  const std::lock_guard lock(mutex_);
  return durable_.positions;
}

Shape FakeTarget::shape(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  const auto at = durable_.tables.find(table);
  return at == durable_.tables.end() ? nullptr : at->second.shape;
}

void FakeTarget::edit(const std::string& table, const std::function<void(std::map<std::string, Values>&)>& change) {
  const std::lock_guard lock(mutex_);
  change(durable_.tables[table].rows);
}

void FakeTarget::complain(const std::string& what) { complaints_ += what + "\n"; }

FakeSink::FakeSink(std::shared_ptr<FakeTarget> target, FakeSinkOptions options)
    : target_(std::move(target)), options_(options) {
  const std::lock_guard lock(target_->mutex_);
  generation_ = target_->generation_;
}

std::optional<SinkFault> FakeSink::faultOf(SinkCall call, const ChangeBatch* batch) {
  if (generation_ != target_->generation_) throw gone();
  auto& next = target_->next_[call];
  if (!next.empty()) {
    const SinkFault fault = next.front();
    next.erase(next.begin());
    return fault;
  }
  if (batch != nullptr) {
    for (const ChangeEvent& event : *batch) {
      const Values& row = event.after.empty() ? event.before : event.after;
      if (row.empty() || event.shape->key.empty()) continue;
      const auto poison = target_->poison_.find(describe(row[event.shape->key[0]]));
      if (poison != target_->poison_.end()) return SinkFault{poison->second};
    }
  }
  return target_->plan_ ? target_->plan_(call, batch) : std::nullopt;
}

void FakeSink::requireOpen(const char* call) {
  if (!open_) target_->complain(std::string(call) + " of a sink that is not open");
}

std::optional<std::string> FakeSink::open(const SinkContext& context) {
  const std::lock_guard lock(target_->mutex_);
  if (context.pipeline.empty()) target_->complain("open without a pipeline's name");
  open_ = false;
  if (const auto fault = faultOf(SinkCall::open)) throw Error(fault->error);
  ++target_->opens_;
  open_ = atBorder_ = true;
  prepared_.clear();
  staged_ = target_->durable_;
  return options_.traits.keepsCheckpoints ? staged_.checkpoint : std::nullopt;
}

void FakeSink::prepareTable(const Shape& shape) {
  const std::lock_guard lock(target_->mutex_);
  requireOpen("prepareTable");
  if (const auto fault = faultOf(SinkCall::prepareTable)) throw Error(fault->error);
  FakeTarget::Table& table = staged_.tables[shape->schema.table];
  if (!table.shape) table.shape = shape;
  if (table.shape->columns->names() != shape->columns->names()) {
    target_->complain("prepareTable of " + shape->schema.table + " with columns that the target does not have");
  }
  prepared_.insert(shape->schema.table);
}

void FakeSink::apply(const ChangeBatch& batch) {
  const std::lock_guard lock(target_->mutex_);
  requireOpen("apply");
  if (batch.empty()) target_->complain("apply of nothing");
  if (const auto fault = faultOf(SinkCall::apply, &batch)) {
    staged_ = target_->durable_;
    throw Error(fault->error);
  }
  for (const ChangeEvent& event : batch) applyOne(event);
}

void FakeSink::checkOnce(const ChangeEvent& event) {
  if (event.position.empty()) target_->complain("an event without a position");
  if (event.op == ChangeOp::read || event.op == ChangeOp::baselineBegin || event.op == ChangeOp::baselineEnd) return;
  // An erase and an insert may stand for one update.
  const std::string stamp =
      event.position.octets + "/" + event.shape->schema.table + "/" + std::string(toString(event.op));
  if (!staged_.seen.insert(stamp).second && options_.exactlyOnce) {
    target_->complain("the " + std::string(toString(event.op)) + " at " + event.position.octets + " came twice");
  }
  staged_.positions.push_back(stamp);
}

void FakeSink::applyOne(const ChangeEvent& event) {
  if (event.op == ChangeOp::progress) return target_->complain("a progress event came to the sink");
  const std::string& name = event.shape->schema.table;
  if (!prepared_.contains(name)) target_->complain("a change of table " + name + ", which was not prepared");
  checkOnce(event);
  atBorder_ = event.transactionEnd;
  FakeTarget::Table& table = staged_.tables[name];
  if (!table.shape) table.shape = event.shape;
  if (event.op == ChangeOp::schemaChange) {
    for (auto& [key, row] : table.rows) row = follow(*table.shape, *event.shape, event.schemaChange.get(), row);
    table.shape = event.shape;
    return;
  }
  if (event.shape->columns->names() != table.shape->columns->names()) {
    target_->complain("a change of table " + name + " with columns that no schemaChange announced");
  }
  switch (event.op) {
    case ChangeOp::truncate:
      table.rows.clear();
      if (table.unnamed) table.unnamed->clear();
      return;
    case ChangeOp::baselineBegin:
      table.unnamed.emplace();
      for (const auto& [key, row] : table.rows) table.unnamed->insert(key);
      return;
    case ChangeOp::baselineEnd:
      if (!table.unnamed) return target_->complain("baselineEnd of " + name + " without a begin");
      for (const std::string& key : *table.unnamed) table.rows.erase(key);
      table.unnamed.reset();
      return;
    default:
      applyRow(event, table);
  }
}

void FakeSink::applyRow(const ChangeEvent& event, FakeTarget::Table& table) {
  const bool erases = event.op == ChangeOp::erase;
  const Values& image = erases ? event.before : event.after;
  if (image.size() != event.shape->columns->size()) return target_->complain("a row of the wrong length");
  const std::string key = keyText(*event.shape, image);
  if (table.unnamed) table.unnamed->erase(key);
  const auto row = table.rows.find(key);
  const bool there = row != table.rows.end();
  if (erases) {
    if (there) table.rows.erase(row);
    return;
  }
  if (event.op == ChangeOp::insert && there && options_.exactlyOnce && options_.newRows && !table.unnamed) {
    target_->complain("an insert of row " + key + ", which is there");
  }
  if (event.unchanged.empty()) {
    table.rows[key] = image;
    return;
  }
  if (!there) return;
  for (std::uint32_t i = 0; i < image.size(); ++i) {
    if (!std::binary_search(event.unchanged.begin(), event.unchanged.end(), i)) row->second[i] = image[i];
  }
}

void FakeSink::commit(std::string_view checkpoint) {
  const std::lock_guard lock(target_->mutex_);
  requireOpen("commit");
  if (checkpoint.empty() || checkpoint.size() > (1u << 20) || !isUtf8(checkpoint) ||
      checkpoint.find('\0') != std::string_view::npos) {
    target_->complain("a checkpoint that is no text of up to 1 MiB");
  }
  if (target_->durable_.checkpoint == checkpoint) target_->complain("two commits with the same checkpoint");
  if (options_.traits.wholeTransactions && options_.everyChange && !atBorder_) {
    target_->complain("a commit within a transaction, behind " + staged_.positions.back());
  }
  const auto fault = faultOf(SinkCall::commit);
  if (!fault || fault->happens) {
    staged_.checkpoint = std::string(checkpoint);
    target_->durable_ = staged_;
    ++target_->commits_;
  }
  if (!fault) return;
  staged_ = target_->durable_;
  atBorder_ = true;
  throw Error(fault->error);
}

bool FakeSink::tryCommit(std::string_view checkpoint) {
  if (options_.tryCommit == TryCommit::never) return false;
  const std::lock_guard lock(target_->mutex_);
  if (!options_.traits.applyNeverWaits) target_->complain("tryCommit of a sink that may wait");
  refused_ = options_.tryCommit == TryCommit::everySecond && !refused_;
  if (!refused_) commit(checkpoint);
  return !refused_;
}

void FakeSink::rollback() noexcept {
  const std::lock_guard lock(target_->mutex_);
  staged_ = target_->durable_;
  atBorder_ = true;
}

void FakeSink::close() noexcept {
  rollback();
  open_ = false;
}

std::unique_ptr<RowStream> FakeSink::readTable(const Shape& shape, std::stop_token) {
  const std::lock_guard lock(target_->mutex_);
  requireOpen("readTable");
  if (const auto fault = faultOf(SinkCall::readTable)) throw Error(fault->error);
  return std::make_unique<FakeRows>(shape->columns, target_->rows(shape->schema.table));
}

std::uint64_t FakeSink::expire(const Shape& shape, std::string_view column, const Value& cutoff) {
  const std::lock_guard lock(target_->mutex_);
  requireOpen("expire");
  if (const auto fault = faultOf(SinkCall::expire)) throw Error(fault->error);
  FakeTarget::Table& table = staged_.tables[shape->schema.table];
  const auto at = table.shape->columns->find(column);
  return std::erase_if(table.rows, [&](const auto& entry) { return compareValues(entry.second[*at], cutoff) < 0; });
}

}  // namespace tidegate::test
