#include "tests/simulation/door/door_ledger.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/admission/front_policy.h"

namespace tranche::simulation {
namespace {

constexpr char kDoorOperator[] = "operator";

storage::AccessSubject DoorSubjectOf(const std::string& subject) {
  using Kind = storage::AccessSubject::Kind;
  const bool network = subject.find('/') != std::string::npos;
  return {.kind = network ? Kind::kAddress : Kind::kUser, .value = subject};
}

void TakeKeys(const std::vector<storage::FrontKey>& keys, DoorBooks* books) {
  books->keys.clear();
  for (const storage::FrontKey& key : keys) {
    books->keys.insert(key.id);
    if (key.use == storage::FrontKey::Use::kCurrent) books->current_key = key.id;
  }
}

}  // namespace

DoorLedger::DoorLedger(storage::Clock* clock) : ledger_(clock) {
  const auto keys = ledger_.ListFrontKeys();
  CHECK(keys.ok());
  const auto books = Copy();
  TakeKeys(*keys, books.get());
  books_ = books;
}

void DoorLedger::SetTerms(const std::string& sku_id, DoorTerms terms, bool new_round) {
  storage::FrontPolicyChange change;
  change.sku_id = sku_id;
  change.document = server::ToDocument(PolicyOf(terms));
  change.new_round = new_round;
  if (terms.has_round()) change.admitted_per_million = terms.admitted_per_million.value_or(storage::kEverybody);
  const absl::StatusOr<storage::FrontPolicyRow> row = ledger_.SetFrontPolicy(change, /*preview=*/false, kDoorOperator);
  CHECK(row.ok()) << row.status();
  CHECK(terms.has_round() == row->round.has_value());
  if (row->round.has_value()) {
    terms.round = row->round->number;
    terms.round_key = row->round->key;
  }
  const auto books = Copy();
  books->skus[sku_id] = std::move(terms);
  books_ = books;
}

void DoorLedger::List(const std::string& subject, bool allow, absl::Time expires_at) {
  storage::AccessEntry entry;
  entry.subject = DoorSubjectOf(subject);
  entry.allow = allow;
  // In the ledger's precision.
  entry.expires_at = absl::FromUnixMicros(absl::ToUnixMicros(expires_at));
  const auto counts = ledger_.AddAccessEntries(absl::MakeConstSpan(&entry, 1), /*preview=*/false, kDoorOperator);
  CHECK(counts.ok()) << counts.status();
  const auto books = Copy();
  books->list[subject] = {.allow = allow, .expires_at = *entry.expires_at};
  books_ = books;
}

void DoorLedger::Unlist(const std::string& subject) {
  const storage::AccessSubject removed = DoorSubjectOf(subject);
  const auto counts = ledger_.RemoveAccessEntries(absl::MakeConstSpan(&removed, 1), /*preview=*/false, kDoorOperator);
  CHECK(counts.ok()) << counts.status();
  const auto books = Copy();
  books->list.erase(subject);
  books_ = books;
}

void DoorLedger::RotateKeys(bool replace_all) {
  storage::KeyRotation rotation;
  rotation.replace_all = replace_all;
  const auto keys = ledger_.RotateFrontKeys(rotation, /*preview=*/false, kDoorOperator);
  CHECK(keys.ok() || !replace_all) << keys.status();
  if (!keys.ok()) return;
  const auto books = Copy();
  TakeKeys(*keys, books.get());
  books_ = books;
}

}  // namespace tranche::simulation
