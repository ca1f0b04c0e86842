#include "client/load/outcomes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tranche/error.h"

namespace tranche::load {

bool MayExist(const absl::Status& status) {
  return IsOutcomeUnknown(status) ||
         (ReasonNameOf(status).empty() &&
          (status.code() == absl::StatusCode::kDeadlineExceeded || status.code() == absl::StatusCode::kCancelled));
}

uint64_t SkuTotals::Refused() const {
  uint64_t total = 0;
  for (const auto& [reason, count] : refused) total += count;
  return total;
}

SkuTotals& SkuTotals::operator+=(const SkuTotals& other) {
  attempts += other.attempts;
  created += other.created;
  replayed += other.replayed;
  units += other.units;
  queued += other.queued;
  unknown += other.unknown;
  for (const auto& [reason, count] : other.refused) refused[reason] += count;
  return *this;
}

Outcomes::Outcomes(size_t skus) : skus_(skus) {}

absl::Status Outcomes::RecordAcknowledged(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  acknowledged_.open(path, std::ios::trunc);
  if (!acknowledged_) return absl::InvalidArgumentError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

bool Outcomes::CloseAcknowledged() {
  absl::MutexLock lock(&mutex_);
  if (!acknowledged_.is_open()) return true;
  acknowledged_.close();
  return !acknowledged_.fail();
}

bool Outcomes::Count(Sku& sku, const absl::StatusOr<Reservation>& answer) {
  if (answer.ok()) {
    (answer->replayed ? sku.replayed : sku.created).fetch_add(1, std::memory_order_relaxed);
    sku.units.fetch_add(static_cast<uint64_t>(answer->quantity), std::memory_order_relaxed);
    acknowledged_count_.fetch_add(1, std::memory_order_relaxed);
    absl::MutexLock lock(&mutex_);
    if (acknowledged_.is_open()) acknowledged_ << answer->reservation_id << ' ' << answer->sku_id << '\n';
    return true;
  }
  if (MayExist(answer.status())) {
    sku.unknown.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  KeepFirst(answer.status());
  const int outcome = OutcomeOf(answer.status());
  if (outcome == static_cast<int>(Reason::kSoldOut)) sold_out_.fetch_add(1, std::memory_order_relaxed);
  sku.refused[outcome].fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Outcomes::KeepFirst(const absl::Status& error) {
  if (any_error_.load(std::memory_order_relaxed) || !ReasonNameOf(error).empty() || any_error_.exchange(true)) return;
  absl::MutexLock lock(&mutex_);
  first_error_ = std::string(error.message());
}

std::string Outcomes::first_error() const {
  absl::MutexLock lock(&mutex_);
  return first_error_;
}

int Outcomes::OutcomeOf(const absl::Status& refused) {
  const int reason = static_cast<int>(ReasonOf(refused));
  return reason != 0 ? reason : kReasons + refused.raw_code() % 32;
}

void Outcomes::Log(const CreateReservation& request, const absl::StatusOr<Reservation>& answer,
                   absl::Duration latency) {
  const absl::Time now = absl::Now();
  if (answer.ok())
    return answers_.Add(request, answer->replayed ? "replayed" : "created", answer->amount_minor, now, latency);
  answers_.Add(request, NameOf(answer.status()), 0, now, latency);
}

std::string Outcomes::NameOf(const absl::Status& error) {
  return MayExist(error) ? "UNKNOWN" : RefusalName(OutcomeOf(error));
}

void Outcomes::Record(int sku, const CreateReservation& request, const absl::StatusOr<Reservation>& answer,
                      uint64_t latency_us) {
  Log(request, answer, absl::Microseconds(latency_us));
  latency_all_.Record(latency_us);
  if (answer.ok()) latency_acknowledged_.Record(latency_us);
  if (answer.ok() && !answer->replayed) latency_created_.Record(latency_us);
  if (!Count(skus_[sku], answer)) {
    absl::MutexLock lock(&mutex_);
    unknown_.push_back({request, sku});
  }
  done_.fetch_add(1, std::memory_order_relaxed);
}

void Outcomes::RecordQueued(int sku, uint64_t latency_us) {
  skus_[sku].queued.fetch_add(1, std::memory_order_relaxed);
  latency_queued_.Record(latency_us);
}

void Outcomes::Resolve(const UnknownRequest& unknown, const absl::StatusOr<Reservation>& answer,
                       absl::Duration latency) {
  Log(unknown.request, answer, latency);
  skus_[unknown.sku].unknown.fetch_sub(1, std::memory_order_relaxed);
  if (Count(skus_[unknown.sku], answer)) return;
  absl::MutexLock lock(&mutex_);
  unknown_.push_back(unknown);
}

std::vector<UnknownRequest> Outcomes::TakeUnknown() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(unknown_, {});
}

void Outcomes::PutBack(std::vector<UnknownRequest> unknown) {
  absl::MutexLock lock(&mutex_);
  for (UnknownRequest& request : unknown) unknown_.push_back(std::move(request));
}

std::string Outcomes::RefusalName(int outcome) {
  if (outcome < kReasons) return ReasonName(static_cast<Reason>(outcome));
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(outcome - kReasons));
}

SkuTotals Outcomes::TotalsOf(int sku) const {
  const Sku& counts = skus_[sku];
  SkuTotals totals;
  totals.created = counts.created.load(std::memory_order_relaxed);
  totals.replayed = counts.replayed.load(std::memory_order_relaxed);
  totals.units = counts.units.load(std::memory_order_relaxed);
  totals.queued = counts.queued.load(std::memory_order_relaxed);
  totals.unknown = counts.unknown.load(std::memory_order_relaxed);
  for (int outcome = 0; outcome < kOutcomes; ++outcome) {
    const uint64_t count = counts.refused[outcome].load(std::memory_order_relaxed);
    if (count > 0) totals.refused[RefusalName(outcome)] = count;
  }
  totals.attempts = totals.created + totals.replayed + totals.unknown + totals.Refused();
  return totals;
}

SkuTotals Outcomes::Totals() const {
  SkuTotals totals;
  for (size_t sku = 0; sku < skus_.size(); ++sku) totals += TotalsOf(static_cast<int>(sku));
  return totals;
}

}  // namespace tranche::load
