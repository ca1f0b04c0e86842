#include "tests/benchmark/bare_server.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/benchmark/child_server.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::benchmark {
namespace {

using tranche::v1::StreamReservationsRequest;
using tranche::v1::StreamReservationsResponse;

// As a front node's.
constexpr size_t kBatch = 512;

// Writes the answers of one call; while one message is being written, the next fills.
class Answers {
 public:
  virtual void Add(uint64_t sequence, const storage::CommitResult& result) = 0;
  // What was added may be written.
  virtual void Flush() = 0;

 protected:
  ~Answers() = default;
};

struct Waiting {
  storage::ReservationClaim claim;
  uint64_t sequence = 0;
  std::shared_ptr<Answers> answers;
};

// Lanes take whatever waits and commit it.
class Lanes {
 public:
  Lanes(const std::string& dsn, storage::IncarnationId incarnation, int lanes, storage::LockMode mode)
      : pool_({.dsn = dsn, .max_connections = lanes}), incarnation_(incarnation), mode_(mode) {
    // They run until the process ends.
    for (int i = 0; i < lanes; ++i) std::thread([this] { Run(); }).detach();
  }

  void Add(std::vector<Waiting> claims) {
    absl::MutexLock lock(&mutex_);
    for (Waiting& one : claims) waiting_.push_back(std::move(one));
  }

 private:
  std::vector<Waiting> Take() {
    const auto any = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !waiting_.empty(); };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&any));
    std::vector<Waiting> batch;
    while (!waiting_.empty() && batch.size() < kBatch) {
      batch.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return batch;
  }

  void Run() {
    while (true) {
      std::vector<Waiting> batch = Take();
      std::vector<storage::ReservationClaim> claims;
      for (Waiting& one : batch) claims.push_back(std::move(one.claim));
      const auto results = ledger_.CommitReservations(incarnation_, mode_, claims);
      CHECK(results.ok()) << results.status();
      for (size_t i = 0; i < batch.size(); ++i) batch[i].answers->Add(batch[i].sequence, (*results)[i]);
      for (const Waiting& one : batch) one.answers->Flush();
    }
  }

  storage::ConnectionPool pool_;
  storage::PostgresLedger ledger_{&pool_};
  const storage::IncarnationId incarnation_;
  const storage::LockMode mode_;
  absl::Mutex mutex_;
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

class BareStream final : public grpc::ServerBidiReactor<StreamReservationsRequest, StreamReservationsResponse>,
                         public Answers,
                         public std::enable_shared_from_this<BareStream> {
 public:
  static BareStream* Start(Lanes* lanes) {
    const std::shared_ptr<BareStream> stream(new BareStream(lanes));
    stream->self_ = stream;
    stream->StartRead(&stream->request_);
    return stream.get();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      absl::MutexLock lock(&mutex_);
      half_closed_ = true;
      return FinishIfOver();
    }
    std::vector<Waiting> claims;
    for (const tranche::v1::StreamReservationsItem& item : request_.items()) {
      const std::optional<storage::Uuid> id = storage::Uuid::Parse(item.create().reservation_id());
      CHECK(id.has_value());
      claims.push_back({{*id, item.create().sku_id(), item.create().user_id(), item.create().quantity()},
                        item.sequence(),
                        shared_from_this()});
    }
    {
      absl::MutexLock lock(&mutex_);
      unanswered_ += claims.size();
    }
    lanes_->Add(std::move(claims));
    StartRead(&request_);
  }

  void Add(uint64_t sequence, const storage::CommitResult& result) override {
    CHECK(result.outcome == storage::CommitOutcome::kCreated) << static_cast<int>(result.outcome);
    absl::MutexLock lock(&mutex_);
    tranche::v1::StreamReservationsResult* const answer = next_.add_results();
    answer->set_sequence(sequence);
    tranche::v1::Reservation* const reservation = answer->mutable_created()->mutable_reservation();
    reservation->set_reservation_id(result.reservation.reservation_id.ToString());
    reservation->set_sku_id(result.reservation.sku_id);
    reservation->set_user_id(result.reservation.user_id);
    reservation->set_quantity(result.reservation.quantity);
    reservation->set_state(tranche::v1::RESERVATION_STATE_PENDING);
    reservation->set_amount_minor(result.reservation.amount_minor);
    reservation->set_currency(result.reservation.currency);
    reservation->mutable_create_time()->set_seconds(absl::ToUnixSeconds(result.reservation.created_at));
    reservation->mutable_expire_time()->set_seconds(absl::ToUnixSeconds(result.reservation.expires_at));
    reservation->set_revision(result.reservation.revision);
    --unanswered_;
  }

  void Flush() override {
    absl::MutexLock lock(&mutex_);
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (ok) WriteNext();
    FinishIfOver();
  }

  void OnDone() override { const std::shared_ptr<BareStream> last = std::move(self_); }

 private:
  explicit BareStream(Lanes* lanes) : lanes_(lanes) {}

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_ || next_.results().empty()) return;
    writing_ = true;
    written_.Clear();
    written_.Swap(&next_);
    StartWrite(&written_);
  }
  void FinishIfOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || !half_closed_ || writing_ || unanswered_ > 0 || !next_.results().empty()) return;
    finished_ = true;
    Finish(grpc::Status::OK);
  }

  Lanes* const lanes_;
  std::shared_ptr<BareStream> self_;  // until gRPC is done with it
  StreamReservationsRequest request_;
  absl::Mutex mutex_;
  StreamReservationsResponse next_ ABSL_GUARDED_BY(mutex_);
  StreamReservationsResponse written_ ABSL_GUARDED_BY(mutex_);
  size_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

class Bare final : public tranche::v1::ReservationService::CallbackService {
 public:
  explicit Bare(Lanes* lanes) : lanes_(lanes) {}

  grpc::ServerBidiReactor<StreamReservationsRequest, StreamReservationsResponse>* StreamReservations(
      grpc::CallbackServerContext*) override {
    return BareStream::Start(lanes_);
  }

 private:
  Lanes* const lanes_;
};

}  // namespace

int ServeBare(const std::string& dsn, storage::IncarnationId incarnation, int lanes, storage::LockMode mode,
              const std::string& port_file) {
  Lanes commits(dsn, incarnation, lanes, mode);
  Bare bare(&commits);
  return ServeInChild(bare, port_file);
}

}  // namespace tranche::benchmark
