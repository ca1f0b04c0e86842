// tranche-draw-load: buyers who enter a draw, for scripts/chaos.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/load/line_file.h"
#include "client/load/outcomes.h"
#include "client/load/stop_flag.h"
#include "client/load/stop_on_signal.h"
#include "storage/base/status_macros.h"
#include "tests/chaos/crowd_flags.h"
#include "tests/chaos/crowd_main.h"
#include "tranche/client.h"
#include "tranche/error.h"

namespace tranche::load {
namespace {

// One of so many buyers enters twice: it must be one entry.
constexpr int64_t kBuyersPerTwiceOne = 10;
constexpr absl::Duration kBetweenTries = absl::Seconds(1);
// Those who have no entry yet. A cluster that stands still must not let them pile up.
constexpr size_t kMostUnderWay = 1000;

struct DrawLoadOptions {
  CrowdFlags crowd = {};
  double rate_per_second = 20;
  std::string entries_file = {};
};

struct Entrant {
  std::string user = {};
  int64_t left = 1;  // so often they have still to enter
};

// Lets new buyers enter until it is told to stop. Each tries until they are told that they have entered, or that it is
// too late. Each answer is a line of --entries, columns separated by tabs:
//
//   user  outcome  draw_number  entry_id  began_us  ended_us
//
// `outcome` is "entered" or "replayed", or as of a refused claim (see AnswerLog), then without number and id: 0 and "".
class DrawLoad {
 public:
  DrawLoad(const DrawLoadOptions& options, Client& client, LineFile& entries)
      : options_(options), client_(client), entries_(entries) {}

  // Returns when all calls are answered.
  void Run();
  // From a signal handler.
  void Stop() { stop_.Set(); }

 private:
  // The next one to try, now that it is time for one; false: too many are under way.
  bool TakeNext(Entrant* entrant);
  void Enter(Entrant entrant);
  void OnEntered(Entrant entrant, absl::Time began, const absl::StatusOr<EnteredDraw>& entered);
  void Note(const Entrant& entrant, absl::Time began, const absl::StatusOr<EnteredDraw>& entered);

  const DrawLoadOptions& options_;
  Client& client_;
  LineFile& entries_;
  StopFlag stop_;

  absl::Mutex mutex_;
  // The first is the next one to try again, then.
  std::deque<std::pair<absl::Time, Entrant>> again_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t buyers_ ABSL_GUARDED_BY(mutex_) = 0;
};

void DrawLoad::Run() {
  absl::BitGen random;
  absl::Time next = absl::Now();
  while (!stop_.IsSet()) {
    next += absl::Seconds(absl::Exponential<double>(random, options_.rate_per_second));
    stop_.SleepUntil(next);
    Entrant entrant;
    if (!stop_.IsSet() && TakeNext(&entrant)) Enter(std::move(entrant));
  }
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

bool DrawLoad::TakeNext(Entrant* entrant) {
  absl::MutexLock lock(&mutex_);
  if (!again_.empty() && again_.front().first <= absl::Now()) {
    *entrant = std::move(again_.front().second);
    again_.pop_front();
  } else if (again_.size() + in_flight_ < kMostUnderWay) {
    *entrant = {.user = absl::StrCat("entrant-", buyers_), .left = buyers_ % kBuyersPerTwiceOne == 0 ? 2 : 1};
    ++buyers_;
  } else {
    return false;
  }
  ++in_flight_;
  return true;
}

void DrawLoad::Enter(Entrant entrant) {
  EnterDraw request = {.sku = options_.crowd.sku, .user = entrant.user};
  client_.EnterDrawAsync(std::move(request),
                         [this, entrant = std::move(entrant), began = absl::Now()](
                             absl::StatusOr<EnteredDraw> entered) { OnEntered(entrant, began, entered); });
}

void DrawLoad::OnEntered(Entrant entrant, absl::Time began, const absl::StatusOr<EnteredDraw>& entered) {
  Note(entrant, began, entered);
  if (entered.ok()) --entrant.left;
  const bool too_late = !entered.ok() && ReasonOf(entered.status()) == Reason::kDrawNotOpen;
  absl::MutexLock lock(&mutex_);
  if (entrant.left > 0 && !too_late) again_.emplace_back(absl::Now() + kBetweenTries, std::move(entrant));
  --in_flight_;
}

void DrawLoad::Note(const Entrant& entrant, absl::Time began, const absl::StatusOr<EnteredDraw>& entered) {
  std::string outcome, entry_id;
  int64_t number = 0;
  if (entered.ok()) {
    outcome = entered->replayed ? "replayed" : "entered";
    entry_id = entered->entry_id;
    number = entered->draw_number;
  } else {
    outcome = Outcomes::NameOf(entered.status());
  }
  entries_.Add(absl::StrCat(entrant.user, "\t", outcome, "\t", number, "\t", entry_id, "\t", absl::ToUnixMicros(began),
                            "\t", absl::ToUnixMicros(absl::Now()), "\n"));
}

void AddFlags(CLI::App& app, DrawLoadOptions& options) {
  AddCrowdFlags(app, options.crowd);
  app.add_option("--rate", options.rate_per_second, "Tries per second")->check(CLI::Range(0.001, 10'000.0));
  app.add_option("--entries", options.entries_file, "Where each answer is noted")->required();
}

absl::Status Run(const DrawLoadOptions& options) {
  RETURN_IF_ERROR(CheckCrowdFlags(options.crowd));
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client,
                   Client::Open(ClientOptionsOf(options.crowd, EndpointsOf(options.crowd))));
  LineFile entries;
  RETURN_IF_ERROR(entries.Open(options.entries_file));

  DrawLoad load(options, *client, entries);
  const StopOnSignal stop_on_signal(load);
  load.Run();
  if (!entries.Close()) return absl::UnknownError(absl::StrCat("cannot write ", options.entries_file));
  return absl::OkStatus();
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) {
  return tranche::load::CrowdMain(argc, argv, "Buyers who enter a draw, until SIGTERM.", "tranche-draw-load",
                                  tranche::load::AddFlags, tranche::load::Run);
}
