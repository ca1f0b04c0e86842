// Reads what an earlier run has made, as shops do beside a sale: reservations, some at once, and SKUs of the catalogue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "client/load/earlier_run.h"
#include "client/load/histogram.h"
#include "client/load/load_options.h"
#include "tranche/client.h"

namespace tranche::load {

enum class ReadKind { kGet, kBatchGet, kSku };
inline constexpr size_t kReadKinds = 3;
// "get", "batch_get" or "sku".
const char* ReadKindName(ReadKind kind);

// The kinds take turns. A read is sent once. One that cannot be sent in time, or finds `max_in_flight` under way, is
// not sent at all, so slow answers do not make a burst of reads later. Thread-safe.
class Reader {
 public:
  // So many reservations are read by a kBatchGet.
  static constexpr size_t kBatch = 10;
  // By outcome: "OK", "UNKNOWN" without an answer in time, or as Outcomes::NameOf.
  using Answers = std::map<std::string, uint64_t>;

  // A client of its own, without retries. `known`: what it reads, at least one.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(const LoadOptions& options, std::vector<KnownReservation> known);

  Reader(double per_second, int max_in_flight, std::unique_ptr<Client> client, std::vector<KnownReservation> known)
      : per_second_(per_second), max_in_flight_(max_in_flight), known_(std::move(known)), client_(std::move(client)) {}
  ~Reader() { Stop(); }

  // Sends reads at random (Poisson) times until Stop().
  void Start();
  // Returns when all are answered.
  void Stop();
  // Sends the next read, which was meant for that time. False: it was too late for it, or too many are under way.
  bool SendNext(absl::Time arrival);

  Answers answers(ReadKind kind) const;
  // Of those that were answered with OK, from the intended arrival.
  const Histogram& latency(ReadKind kind) const { return latency_[static_cast<size_t>(kind)]; }
  uint64_t not_sent() const;

 private:
  void Run();
  void Send(ReadKind kind, size_t first, absl::Time arrival);
  void Record(ReadKind kind, absl::Time arrival, const absl::Status& status);

  const double per_second_;
  const int max_in_flight_;
  const std::vector<KnownReservation> known_;
  absl::Notification stop_;
  std::thread thread_;
  std::array<Histogram, kReadKinds> latency_;

  mutable absl::Mutex mutex_;
  std::array<Answers, kReadKinds> answers_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t not_sent_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // Last: its destructor waits for calls that use the others.
  const std::unique_ptr<Client> client_;
};

}  // namespace tranche::load
