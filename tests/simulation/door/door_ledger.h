// Home's ledger in memory, and the books about what is in it.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/simulation/door/door_books.h"

namespace tranche::simulation {

class DoorLedger {
 public:
  explicit DoorLedger(storage::Clock* clock);

  // As it is now; immutable.
  std::shared_ptr<const DoorBooks> books() const { return books_; }
  storage::FakeFrontLedger* ledger() { return &ledger_; }

  // What operators do. A lottery's admitted part may only grow, unless there is a new round.
  void SetTerms(const std::string& sku_id, DoorTerms terms, bool new_round);
  void List(const std::string& subject, bool allow, absl::Time expires_at);
  void Unlist(const std::string& subject);
  // Does nothing if it is too early; `replace_all` never is.
  void RotateKeys(bool replace_all);

 private:
  std::shared_ptr<DoorBooks> Copy() const { return std::make_shared<DoorBooks>(*books_); }

  storage::FakeFrontLedger ledger_;
  std::shared_ptr<const DoorBooks> books_ = std::make_shared<const DoorBooks>();
};

}  // namespace tranche::simulation
