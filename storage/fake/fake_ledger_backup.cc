#include <memory>

#include "absl/strings/str_cat.h"
#include "storage/fake/fake_ledger.h"

namespace tranche::storage {

struct FakeLedger::Backup {
  std::map<std::string, SkuState> skus;
  absl::flat_hash_map<Uuid, StoredReservation> reservations;
  absl::flat_hash_map<std::pair<std::string, std::string>, int64_t> live_units;
  std::map<std::tuple<std::string, std::string, int32_t>, Uuid> live;
  std::set<std::tuple<std::string, std::string, Uuid>> lapsed;
  std::set<std::pair<absl::Time, Uuid>> due;
  std::pair<absl::Time, Uuid> reminded;
  std::map<std::pair<Uuid, std::string>, LateDecision> late_payments;
  absl::flat_hash_map<Uuid, StoredReservation> archive;
  std::map<std::pair<std::string, IncarnationId>, RetiredUnits> retired;
  FakeGroupTables groups;
  std::map<IncarnationId, StoredIncarnation> incarnations;
  IncarnationId next_incarnation = 1;
  std::string line;
  int64_t marks = 0;
  std::set<std::string> pooled;
  std::set<std::string> returned;
  std::map<IncarnationId, std::set<std::string>> held_skus;
  std::vector<AuditEntry> audit;
  ClusterSettings settings;
  FakeOutbox::Backup outbox;
};

// The slices of the copy are made of its own slots.
FakeLedger::SkuState::SkuState(const SkuState& other)
    : sku(other.sku),
      slots(other.slots),
      slices(other.slices),
      highest_limit(other.highest_limit),
      pending(other.pending) {
  for (auto& [holder, of_holder] : slices) {
    for (Slot*& slot : of_holder) slot = &slots.at(slot->number);
  }
}

std::shared_ptr<const FakeLedger::Backup> FakeLedger::Save() const {
  absl::MutexLock lock(&mutex_);
  Backup backup{.skus = skus_,
                .reservations = reservations_,
                .live_units = live_units_,
                .live = live_,
                .lapsed = lapsed_,
                .due = due_,
                .reminded = reminded_,
                .late_payments = late_payments_,
                .archive = archive_,
                .retired = retired_,
                .groups = groups_,
                .incarnations = incarnations_,
                .next_incarnation = next_incarnation_,
                .line = line_,
                .marks = marks_,
                .pooled = pooled_,
                .returned = returned_,
                .held_skus = held_skus_,
                .audit = audit_,
                .settings = settings_,
                .outbox = {}};
  if (outbox_ != nullptr) backup.outbox = outbox_->Save();
  return std::make_shared<const Backup>(std::move(backup));
}

void FakeLedger::Restore(const Backup& backup, Line line) {
  absl::MutexLock lock(&mutex_);
  skus_.clear();
  skus_.insert(backup.skus.begin(), backup.skus.end());
  reservations_ = backup.reservations;
  live_units_ = backup.live_units;
  live_ = backup.live;
  lapsed_ = backup.lapsed;
  due_ = backup.due;
  reminded_ = backup.reminded;
  late_payments_ = backup.late_payments;
  archive_ = backup.archive;
  retired_ = backup.retired;
  groups_ = backup.groups;
  incarnations_ = backup.incarnations;
  next_incarnation_ = backup.next_incarnation;
  // Like the number of a timeline: two recoveries from one backup may get the same.
  line_ = line == Line::kNew ? absl::StrCat(backup.line, "'") : backup.line;
  marks_ = backup.marks;
  pooled_ = backup.pooled;
  returned_ = backup.returned;
  held_skus_ = backup.held_skus;
  audit_ = backup.audit;
  settings_ = backup.settings;
  if (outbox_ != nullptr) outbox_->Restore(backup.outbox);
}

}  // namespace tranche::storage
