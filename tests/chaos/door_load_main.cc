// tranche-door-load: honest buyers and bots at a guarded SKU, for scripts/chaos.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/load/answer_log.h"
#include "client/load/outcomes.h"
#include "client/load/stop_flag.h"
#include "client/load/stop_on_signal.h"
#include "storage/base/status_macros.h"
#include "tests/chaos/crowd_flags.h"
#include "tests/chaos/crowd_main.h"
#include "tranche/client.h"

namespace tranche::load {
namespace {

// Of so many tries one is an honest buyer's, the others are bots'.
constexpr int64_t kTriesPerHonestOne = 10;
// Of so many honest tries one is by a buyer whom --known names, the others are each by a new buyer.
constexpr int64_t kHonestPerKnownOne = 5;
// Runs into the limit by user, since most of the bots' tries are in its name.
constexpr char kImpatientBot[] = "bot-again";
constexpr double kMostPerSecond = 10'000;
// A cluster that stands still must not let calls pile up.
constexpr int64_t kMostInFlight = 1000;

struct DoorLoadOptions {
  CrowdFlags crowd = {};  // the SKU's front door asks for a purchase token
  double rate_per_second = 60;
  std::string answers_file = {};
  std::vector<std::string> known = {};
  std::vector<std::string> denied = {};
};

// Sends tries until it is told to stop. Each is a line of the AnswerLog. A buyer whom EnterSale does not let in claims
// nothing, and has the line of a refused claim: "NOT_ADMITTED", or the reason of the refusal.
class DoorLoad {
 public:
  DoorLoad(const DoorLoadOptions& options, Client& client, AnswerLog& answers)
      : options_(options), client_(client), answers_(answers) {}

  // Returns when all calls are answered.
  void Run();
  // From a signal handler.
  void Stop() { stop_.Set(); }

 private:
  void TryHonestly(int64_t number);
  // Without a token; with the token of somebody else; in the name of a denied buyer; or again and again.
  void TryAsBot(int64_t number);
  void Enter(const CreateReservation& request);
  void OnEntry(CreateReservation request, absl::Time began, const absl::StatusOr<SaleEntry>& entry);
  void Claim(CreateReservation request);
  void EndTry(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor, absl::Time began);

  CreateReservation RequestOf(std::string user) const {
    return {.sku = options_.crowd.sku, .user = std::move(user), .quantity = 1, .reservation_id = MakeUuidV7()};
  }
  std::string TokenOfAnother() {
    absl::MutexLock lock(&mutex_);
    return last_token_;
  }

  const DoorLoadOptions& options_;
  Client& client_;
  AnswerLog& answers_;
  StopFlag stop_;

  absl::Mutex mutex_;
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // The one that an honest buyer got last.
  std::string last_token_ ABSL_GUARDED_BY(mutex_);
};

void DoorLoad::Run() {
  absl::BitGen random;
  absl::Time next = absl::Now();
  for (int64_t number = 0; !stop_.IsSet(); ++number) {
    next += absl::Seconds(absl::Exponential<double>(random, options_.rate_per_second));
    stop_.SleepUntil(next);
    if (stop_.IsSet()) break;
    {
      absl::MutexLock lock(&mutex_);
      if (in_flight_ >= kMostInFlight) continue;
      ++in_flight_;
    }
    number % kTriesPerHonestOne == 0 ? TryHonestly(number / kTriesPerHonestOne) : TryAsBot(number);
  }
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

void DoorLoad::TryHonestly(int64_t number) {
  const bool known = number % kHonestPerKnownOne == 0 && !options_.known.empty();
  const auto nth = static_cast<size_t>(number / kHonestPerKnownOne);
  Enter(RequestOf(known ? options_.known[nth % options_.known.size()] : absl::StrCat("honest-", number)));
}

void DoorLoad::TryAsBot(int64_t number) {
  CreateReservation request = RequestOf(absl::StrCat("bot-", number));
  const int64_t kind = number % kTriesPerHonestOne;
  const auto nth = static_cast<size_t>(number / kTriesPerHonestOne);
  if (kind == 1) return Claim(std::move(request));  // an invented id, and no token
  if (kind == 2) {
    request.purchase_token = TokenOfAnother();
    return Claim(std::move(request));
  }
  if (kind == 3 && !options_.denied.empty()) {
    request.user = options_.denied[nth / 2 % options_.denied.size()];
    if (nth % 2 == 0) return Enter(request);
    request.purchase_token = TokenOfAnother();
    return Claim(std::move(request));
  }
  request.user = kImpatientBot;
  Claim(std::move(request));
}

void DoorLoad::Enter(const CreateReservation& request) {
  client_.EnterSaleAsync(
      {.sku = request.sku, .user = request.user},
      [this, request, began = absl::Now()](absl::StatusOr<SaleEntry> entry) { OnEntry(request, began, entry); });
}

void DoorLoad::OnEntry(CreateReservation request, absl::Time began, const absl::StatusOr<SaleEntry>& entry) {
  if (!entry.ok()) return EndTry(request, Outcomes::NameOf(entry.status()), 0, began);
  if (!entry->admitted) return EndTry(request, "NOT_ADMITTED", 0, began);
  {
    absl::MutexLock lock(&mutex_);
    last_token_ = entry->purchase_token;
  }
  request.purchase_token = entry->purchase_token;
  Claim(std::move(request));
}

void DoorLoad::Claim(CreateReservation request) {
  client_.CreateAsync(request, [this, request, began = absl::Now()](absl::StatusOr<Reservation> answer) {
    if (!answer.ok()) return EndTry(request, Outcomes::NameOf(answer.status()), 0, began);
    EndTry(request, answer->replayed ? "replayed" : "created", answer->amount_minor, began);
  });
}

void DoorLoad::EndTry(const CreateReservation& request, absl::string_view outcome, int64_t amount_minor,
                      absl::Time began) {
  const absl::Time now = absl::Now();
  answers_.Add(request, outcome, amount_minor, now, now - began);
  absl::MutexLock lock(&mutex_);
  --in_flight_;
}

void AddFlags(CLI::App& app, DoorLoadOptions& options) {
  AddCrowdFlags(app, options.crowd);
  app.add_option("--rate", options.rate_per_second, "Tries per second, of buyers and bots")
      ->check(CLI::Range(0.001, kMostPerSecond));
  app.add_option("--answers", options.answers_file, "As of tranche-load")->required();
  app.add_option("--known", options.known, "A buyer who enters honestly again and again; may be repeated");
  app.add_option("--denied", options.denied, "A buyer in whose name bots try; may be repeated");
}

absl::Status Run(const DoorLoadOptions& options) {
  RETURN_IF_ERROR(CheckCrowdFlags(options.crowd));
  AnswerLog answers;
  RETURN_IF_ERROR(answers.Open(options.answers_file));
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client,
                   Client::Open(ClientOptionsOf(options.crowd, EndpointsOf(options.crowd))));

  DoorLoad load(options, *client, answers);
  const StopOnSignal stop_on_signal(load);
  load.Run();
  if (!answers.Close()) return absl::UnknownError(absl::StrCat("cannot write ", options.answers_file));
  return absl::OkStatus();
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) {
  return tranche::load::CrowdMain(argc, argv, "Honest buyers and bots at a SKU with a front door, until SIGTERM.",
                                  "tranche-door-load", tranche::load::AddFlags, tranche::load::Run);
}
