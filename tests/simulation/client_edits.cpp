#include "simulation/sim_client.h"

namespace tidegate::sim {

namespace {

Micros drawSkew(SimRandom& random) {
  if (random.chance(40)) return Micros{0};
  if (random.chance(15))
    return std::chrono::milliseconds(random.between(5500, 12'000));  // refused until time catches up
  return std::chrono::milliseconds(random.between(-20'000, 4900));
}

Value drawCell(const std::string& column, SimRandom& random) {
  static const std::vector<std::string> owners{"u1", "u2", "u3", "U1"};
  static const std::vector<std::string> regions{"eu", "us", "asia"};
  if (random.chance(10)) return Value();
  if (column == "owner") return Value(random.pick(owners));
  if (column == "region") return Value(random.pick(regions));
  if (column == "qty") return Value(random.between(-2, 12));
  if (column == "price") return Value(static_cast<double>(random.below(40)) / 4);
  switch (random.below(7)) {
    case 0:
      return Value(random.chance(50));
    case 1:
      return Value(Decimal{"12345678901234567890." + std::to_string(random.below(9))});
    case 2:
      return Value(Bytes{std::string("\0\xFF", 2) + std::to_string(random.below(9))});
    case 3:
      return Value(Timestamp::utc(random.between(0, 1'000'000)));
    case 4:
      return Value(Json{"{\"n\":" + std::to_string(random.below(9)) + "}"});
    case 5:
      return Value(UINT64_MAX - random.below(3));
    default:
      return Value("note " + std::to_string(random.below(100)));
  }
}

}  // namespace

ClientEdits::ClientEdits(const Plan& plan, SimRandom random, const SimClock& clock, std::string clientId)
    : plan_(plan),
      random_(random),
      clientId_(std::move(clientId)),
      skew_(drawSkew(random_)),
      clock_(clock, skew_),
      hlc_(clock_) {}

RowDelta ClientEdits::edit(const ModelState& replica) {
  static const std::vector<std::string> columns{"owner", "region", "qty", "price", "note", "extra"};
  RowDelta delta;
  if (!replica.empty() && random_.chance(70)) {
    auto row = replica.begin();
    std::advance(row, static_cast<std::ptrdiff_t>(random_.below(replica.size())));
    delta.table = row->first.table;
    delta.rowId = row->first.rowId;
  } else {
    delta.table = random_.chance(20) ? "drafts" : random_.pick(plan_.tables).name;
    delta.rowId = random_.chance(60) ? "c" + std::to_string(random_.below(12)) : std::to_string(random_.below(20));
  }
  delta.clientId = clientId_;
  delta.hlc = hlc_.now();
  delta.op = random_.chance(30) ? DeltaOp::insert : DeltaOp::update;
  if (plan_.clientErases && random_.chance(20)) delta.op = DeltaOp::erase;
  if (delta.op != DeltaOp::erase) {
    const bool whole = delta.op == DeltaOp::insert && random_.chance(60);
    for (const std::string& column : columns) {
      if (whole || random_.chance(35)) delta.columns.push_back({column, drawCell(column, random_)});
    }
    if (delta.columns.empty()) delta.columns.push_back({"qty", drawCell("qty", random_)});
  }
  delta.deltaId = computeDeltaId(delta);
  return delta;
}

void ClientEdits::spoil(SyncPush& push) {
  RowDelta& delta = push.deltas[static_cast<std::size_t>(random_.below(push.deltas.size()))];
  const auto kind = random_.below(6);
  if (kind == 0) delta.clientId = "somebody-else";
  if (kind == 1) delta.op = DeltaOp::erase, delta.columns = {{"qty", Value(1)}};
  if (kind == 2) delta.table.clear();
  if (kind == 3) delta.op = DeltaOp::update, delta.columns = {{"qty", Value(1)}, {"qty", Value(2)}};
  if (kind == 4) delta.hlc = Hlc::of(delta.hlc.millis() + 10ull * 365 * 86'400'000);
  delta.deltaId = computeDeltaId(delta);
  if (kind == 5) delta.deltaId.octets[7] ^= 1;
}

ClientEdits::Pending ClientEdits::draw(const ModelState& replica) {
  Pending pending;
  pending.push.clientId = clientId_;
  const auto count = random_.between(1, random_.chance(20) ? 12 : 3);
  for (std::int64_t i = 0; i < count; ++i) pending.push.deltas.push_back(edit(replica));
  if (plan_.badPushes && random_.chance(15)) {
    spoil(pending.push);
    pending.malformed = true;
  }
  return pending;
}

}  // namespace tidegate::sim
