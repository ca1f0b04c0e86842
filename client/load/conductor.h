// Lets several generators carry out a scenario together (tranche-load --generators).
#pragma once

#include <grpcpp/client_context.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/load/load_result.h"
#include "client/load/stop_flag.h"
#include "tranche/internal/v1/load.grpc.pb.h"

namespace tranche::load {

// A generator that ends, or says nothing for kSilence, is given up: its share is missing, and the others go on. Stop()
// may be called from any thread and from a signal handler, progress() from any thread.
class Conductor {
 public:
  static constexpr absl::Duration kSilence = absl::Seconds(10);

  // `scenario`: the text of one that ReadScenario takes. `users`: what the buyers' names begin with. `version`: of this
  // program.
  Conductor(const std::vector<std::string>& addresses, std::string scenario, std::string users, std::string version);
  // Ends calls that are under way.
  ~Conductor();
  Conductor(const Conductor&) = delete;
  Conductor& operator=(const Conductor&) = delete;

  // Compares the clocks, a few seconds at most for each generator. UNAVAILABLE names the one that does not answer;
  // FAILED_PRECONDITION the one that is of another version.
  absl::Status Meet();
  // After Meet(). Returns when each generator has told its result, or was given up.
  void Run();
  void Stop() { stop_.Set(); }

  internal::v1::LoadProgress progress() const;

  // After Run(): that of the plan, by this machine's clock; all results together; and what each generator did.
  absl::Time began() const { return began_; }
  internal::v1::LoadResult result() const;
  std::vector<GeneratorReport> generators() const;

 private:
  struct Generator {
    std::unique_ptr<internal::v1::LoadGeneratorService::Stub> stub;
    grpc::ClientContext context;  // of RunScenario
    GeneratorReport report;       // all but `failure`
    std::string failure;
    internal::v1::LoadProgress progress;
    std::optional<internal::v1::LoadResult> result;
    absl::Time heard;
    bool ended = false;
  };

  absl::Status MeetOne(Generator& generator);
  // On a thread of its own.
  void Listen(size_t share);
  void Hear(Generator& generator, const internal::v1::RunScenarioResponse& response);
  void TellAllToStop();
  // Until all have ended.
  void Await();

  const std::string scenario_;
  const std::string users_;
  const std::string version_;
  absl::Time began_;
  StopFlag stop_;

  mutable absl::Mutex mutex_;
  // What calls and answers change in them is guarded by the mutex; the list, stubs and reports stay as they are during
  // Run().
  std::vector<std::unique_ptr<Generator>> generators_;
};

}  // namespace tranche::load
