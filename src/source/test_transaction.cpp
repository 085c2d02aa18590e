#include <utility>

#include "source/detail/test_log.h"
#include "tidegate/source/test_database.h"

namespace tidegate {

TestTransaction& TestTransaction::insert(std::string table, std::vector<Value> row) {
  steps_.push_back(
      std::make_shared<Step>(Step{.kind = Step::Kind::insert, .table = std::move(table), .row = std::move(row)}));
  return *this;
}

TestTransaction& TestTransaction::update(std::string table, std::vector<Value> row) {
  steps_.push_back(
      std::make_shared<Step>(Step{.kind = Step::Kind::update, .table = std::move(table), .row = std::move(row)}));
  return *this;
}

TestTransaction& TestTransaction::rekey(std::string table, std::vector<Value> key, std::vector<Value> row) {
  steps_.push_back(std::make_shared<Step>(
      Step{.kind = Step::Kind::rekey, .table = std::move(table), .key = std::move(key), .row = std::move(row)}));
  return *this;
}

TestTransaction& TestTransaction::updateColumns(std::string table, std::vector<Value> key,
                                                std::vector<std::pair<std::string, Value>> columns) {
  steps_.push_back(std::make_shared<Step>(Step{.kind = Step::Kind::updateColumns,
                                               .table = std::move(table),
                                               .key = std::move(key),
                                               .columns = std::move(columns)}));
  return *this;
}

TestTransaction& TestTransaction::erase(std::string table, std::vector<Value> key) {
  steps_.push_back(
      std::make_shared<Step>(Step{.kind = Step::Kind::erase, .table = std::move(table), .key = std::move(key)}));
  return *this;
}

TestTransaction& TestTransaction::truncate(std::string table) {
  steps_.push_back(std::make_shared<Step>(Step{.kind = Step::Kind::truncate, .table = std::move(table)}));
  return *this;
}

TestTransaction& TestTransaction::alter(TestAlter alter) {
  steps_.push_back(std::make_shared<Step>(Step{.kind = Step::Kind::alter, .alter = std::move(alter)}));
  return *this;
}

}  // namespace tidegate
