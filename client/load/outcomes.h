// Counts the outcomes of the requests, per SKU.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/load/answer_log.h"
#include "client/load/histogram.h"
#include "tranche/reservation.h"

namespace tranche::load {

// The request may have been carried out, although the answer is an error: the SDK's unknown outcome, or an error that
// does not come from a front node.
bool MayExist(const absl::Status& status);

// A request whose outcome stayed unknown.
struct UnknownRequest {
  CreateReservation request;
  int sku = 0;
};

struct SkuTotals {
  uint64_t attempts = 0;  // requests answered, with any outcome
  uint64_t created = 0;
  uint64_t replayed = 0;
  uint64_t units = 0;   // of created and replayed
  uint64_t queued = 0;  // before their outcomes
  uint64_t unknown = 0;
  std::map<std::string, uint64_t> refused;  // by reason; by status code when there is none

  uint64_t Refused() const;
  SkuTotals& operator+=(const SkuTotals& other);
};

// Thread-safe.
class Outcomes {
 public:
  explicit Outcomes(size_t skus);

  // Writes every reservation acknowledged from now on as a line "reservation_id sku_id".
  absl::Status RecordAcknowledged(const std::string& path);
  // False: not everything could be written.
  bool CloseAcknowledged();

  // Writes every answer from now on as a line of that file (see AnswerLog).
  absl::Status RecordAnswers(const std::string& path) { return answers_.Open(path); }
  // False: not everything could be written.
  bool CloseAnswers() { return answers_.Close(); }

  // The first answer to `request`.
  void Record(int sku, const CreateReservation& request, const absl::StatusOr<Reservation>& answer,
              uint64_t latency_us);
  // A request was queued, and will be decided; Record() follows.
  void RecordQueued(int sku, uint64_t latency_us);
  // It was decided, in so long a time from its beginning.
  void RecordDecided(uint64_t latency_us) { latency_decided_.Record(latency_us); }
  // The answer to an unknown request that was sent again; replaces the count of "unknown".
  void Resolve(const UnknownRequest& unknown, const absl::StatusOr<Reservation>& answer, absl::Duration latency);

  std::vector<UnknownRequest> TakeUnknown();
  // Some of what was taken, unresolved.
  void PutBack(std::vector<UnknownRequest> unknown);
  // Consistent while nothing is recorded.
  SkuTotals TotalsOf(int sku) const;
  SkuTotals Totals() const;
  uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  uint64_t acknowledged() const { return acknowledged_count_.load(std::memory_order_relaxed); }
  uint64_t sold_out() const { return sold_out_.load(std::memory_order_relaxed); }

  // What the first error said that does not come from a front node; "" if there was none.
  std::string first_error() const;

  const Histogram& latency_all() const { return latency_all_; }
  const Histogram& latency_created() const { return latency_created_; }
  // Created and replayed: all that their callers were told to have.
  const Histogram& latency_acknowledged() const { return latency_acknowledged_; }

  // Of requests that were queued: until they were, and until they were decided.
  const Histogram& latency_queued() const { return latency_queued_; }
  const Histogram& latency_decided() const { return latency_decided_; }

  // "UNKNOWN", or the reason of a refusal, or its status code when there is none.
  static std::string NameOf(const absl::Status& error);

 private:
  // Reasons are numbers below; status codes without a reason follow.
  static constexpr int kReasons = 256;
  static constexpr int kOutcomes = kReasons + 32;
  struct alignas(64) Sku {
    std::atomic<uint64_t> created{0};
    std::atomic<uint64_t> replayed{0};
    std::atomic<uint64_t> units{0};
    std::atomic<uint64_t> queued{0};
    std::atomic<uint64_t> unknown{0};
    std::array<std::atomic<uint64_t>, kOutcomes> refused{};
  };

  // False: the outcome is unknown.
  bool Count(Sku& sku, const absl::StatusOr<Reservation>& answer);
  void Log(const CreateReservation& request, const absl::StatusOr<Reservation>& answer, absl::Duration latency);
  void KeepFirst(const absl::Status& error);
  static int OutcomeOf(const absl::Status& refused);
  static std::string RefusalName(int outcome);

  std::vector<Sku> skus_;
  Histogram latency_all_;
  Histogram latency_created_;
  Histogram latency_acknowledged_;
  Histogram latency_queued_;
  Histogram latency_decided_;
  std::atomic<uint64_t> done_{0};
  std::atomic<uint64_t> acknowledged_count_{0};
  std::atomic<uint64_t> sold_out_{0};
  std::atomic<bool> any_error_{false};  // first_error_ is set, or about to be
  AnswerLog answers_;

  mutable absl::Mutex mutex_;
  std::ofstream acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::vector<UnknownRequest> unknown_ ABSL_GUARDED_BY(mutex_);
  std::string first_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::load
