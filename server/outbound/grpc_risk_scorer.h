// Asks a tranche.v1.RiskScorerService of the shop's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/admission/outside_checks.h"
#include "server/once_per.h"
#include "server/outbound/circuit_breaker.h"
#include "server/outbound/hook_counts.h"
#include "server/process/periodic_task.h"
#include "storage/base/certificate_files.h"
#include "storage/base/token_file.h"
#include "storage/clock.h"
#include "tranche/v1/risk_scorer.grpc.pb.h"

namespace tranche::server {

struct GrpcRiskScorerOptions {
  std::string address = {};  // host:port
  bool tls = false;
  // With TLS; null: the authorities of this machine, and no certificate to show.
  std::shared_ptr<CertificateFiles> certificates = nullptr;
  // Goes with every call; null: none. In plaintext only to this machine itself.
  std::shared_ptr<TokenFile> token = nullptr;
  absl::Duration timeout = absl::Milliseconds(20);
};

// A call is made once: there is no time for a second try. One that fails, is late, or is answered without a score of 0
// to 100 counts as a failure for the breaker, and is logged: at most once a minute of each kind. Certificates and token
// that have changed are used within about two seconds. Thread-safe.
class GrpcRiskScorer : public RiskScorer {
 public:
  // Of calls under way; more are not made.
  static constexpr int kMostCalls = 256;

  // `clock` outlives this.
  GrpcRiskScorer(GrpcRiskScorerOptions options, storage::Clock* clock);
  // Waits for the calls that are under way, so for no longer than the timeout but for delays of the machine.
  ~GrpcRiskScorer() override;

  void Score(const v1::ScoreBuyerRequest& buyer, absl::AnyInvocable<void(std::optional<int>)> scored) override;

  const HookCounts& counts() const { return counts_; }

 private:
  struct Call;
  // What calls use, until files change.
  struct Link {
    std::shared_ptr<const Certificates> certificates;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::RiskScorerService::Stub> stub;
    std::string authorization;  // "": none
  };

  // Looks at the files: not for those who call.
  void Renew();
  void Replace(std::shared_ptr<const Link> link);
  void DropRetired();
  std::shared_ptr<const Link> CurrentLink() const;
  // False: there are too many.
  bool BeginCall();
  void End(std::unique_ptr<Call> call, const grpc::Status& status);
  void TellFault(const grpc::Status& status);

  const GrpcRiskScorerOptions options_;
  CircuitBreaker breaker_;
  HookCounts counts_;
  OncePer faults_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const Link> link_ ABSL_GUARDED_BY(mutex_);
  // Replaced ones that calls may still use. The last reference to a channel must not go in one of its callbacks.
  std::vector<std::shared_ptr<const Link>> retired_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;  // under way
  std::unique_ptr<PeriodicTask> renewing_;
};

}  // namespace tranche::server
