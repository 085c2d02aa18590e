/// What the killed writer applies: unit n is the same in every process, so a checkpoint tells what a file must hold.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "tidegate/source/change_event.h"

namespace tidegate::testing {

inline Shape crashShape(const std::string& table) {
  return makeShape({.table = table,
                    .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                {.name = "unit", .kind = ValueKind::int64},
                                {.name = "filling", .kind = ValueKind::text}},
                    .primaryKey = {"id"}});
}

/// The rows of both tables: (table, id) to (unit, filling).
using CrashRows = std::map<std::pair<std::string, std::int64_t>, std::pair<std::int64_t, std::string>>;

/// Unit `n`: writes, erases, sometimes a truncate or a baseline over several units, in two tables.
/// @param rows what the tables then hold.
inline void crashUnit(std::int64_t n, const Shape& a, const Shape& b, ChangeBatch& batch, CrashRows& rows) {
  std::mt19937_64 random(static_cast<std::uint64_t>(n) * 0x9E3779B97F4A7C15u);
  const auto write = [&](ChangeOp op, const Shape& shape, std::int64_t id) {
    const std::string filling(random() % 400, static_cast<char>('a' + n % 26));
    batch.add(op, shape).after = {id, n, filling};
    rows[{shape->schema.table, id}] = {n, filling};
  };
  // Every ten units table b is read anew: in units 3 to 5 of the ten, with the even rows only.
  const std::int64_t phase = n % 10;
  if (phase == 3) batch.add(ChangeOp::baselineBegin, b);
  for (std::int64_t i = 0; phase >= 3 && phase <= 5 && i < 10; ++i) write(ChangeOp::read, b, (phase - 3) * 20 + 2 * i);
  if (phase == 5) {
    batch.add(ChangeOp::baselineEnd, b);
    for (std::int64_t id = 1; id < 60; id += 2) rows.erase({"b", id});
  }
  if (n % 37 == 0) {
    batch.add(ChangeOp::truncate, a);
    std::erase_if(rows, [](const auto& row) { return row.first.first == "a"; });
  }
  for (std::uint64_t i = random() % 30; i > 0; --i) {
    const auto id = static_cast<std::int64_t>(random() % 60);
    const bool calm = phase < 3 || phase > 5;
    const Shape& shape = calm && random() % 2 == 0 ? b : a;
    if (random() % 4 != 0) {
      write(random() % 2 == 0 ? ChangeOp::insert : ChangeOp::update, shape, id);
    } else {
      batch.add(ChangeOp::erase, shape).before = {id, nullptr, nullptr};
      rows.erase({shape->schema.table, id});
    }
  }
}

}  // namespace tidegate::testing
