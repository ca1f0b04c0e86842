// tranche-room-load: buyers who wait in a waiting room, for scripts/chaos.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/load/answer_log.h"
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

// How a buyer waits. Of each ten, one is of each kind, and the others are patient.
enum class Manner {
  kPatient,    // asks when told to, and buys when let in
  kLeaves,     // asks twice, and is never seen again
  kImpatient,  // asks much too often
  kForgets,    // has lost the ticket after the third answer, and joins anew
  kComesBack,  // asks again and again when let in, and buys only then
  kJumps,      // tries to buy before they are let in, too
};
constexpr Manner kManners[] = {Manner::kLeaves,  Manner::kImpatient, Manner::kForgets, Manner::kComesBack,
                               Manner::kJumps,   Manner::kPatient,   Manner::kPatient, Manner::kPatient,
                               Manner::kPatient, Manner::kPatient};
constexpr int64_t kAnswersUntilGone = 2;
constexpr int64_t kAnswersUntilForgotten = 3;
constexpr int64_t kTimesBack = 3;

constexpr absl::Duration kBetweenJoins = absl::Milliseconds(25);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(10);
constexpr absl::Duration kImpatience = absl::Milliseconds(300);
constexpr absl::Duration kUntilBack = absl::Milliseconds(500);
// After a refusal that does not say how long, and after a call that nobody answered.
constexpr absl::Duration kAfterFailure = absl::Seconds(1);

struct RoomLoadOptions {
  CrowdFlags crowd = {};
  int64_t buyers = 90;
  std::string entries_file = {};
  std::string answers_file = {};
};

struct Buyer {
  std::string user = {};
  Manner manner = Manner::kPatient;
  std::string ticket = {};  // of the last answer; "": none
  int64_t answers = 0;      // those with a place
  int64_t let_in = 0;
};

struct RoomNode {
  std::string endpoint;
  std::unique_ptr<Client> client;
};

// Keeps so many buyers in the room until it is told to stop: whoever has bought, or leaves, is followed by a new one.
// So the load is the same also while nobody is let in. Each try goes to a random node, and to that one only. It is a
// line of --entries, in the order of the answers, columns separated by tabs:
//
//   user  node  kept  outcome  round  rank  threshold  shuffled  began_us  ended_us
//
// `kept` is 1 if the try went with the ticket of the buyer's last answer. `outcome` is "LET_IN", "WAITS", "PASSED" (let
// in without a place), or as of a refused claim (see AnswerLog); without a place, the four columns behind it are 0. A
// buyer has one call at a time. Claims are lines of the AnswerLog.
class RoomLoad {
 public:
  RoomLoad(const RoomLoadOptions& options, std::vector<RoomNode> nodes, LineFile& entries, AnswerLog& answers)
      : options_(options), nodes_(std::move(nodes)), entries_(entries), answers_(answers) {}

  // Returns when all calls are answered.
  void Run();
  // From a signal handler.
  void Stop() { stop_.Set(); }

 private:
  using BuyerPtr = std::shared_ptr<Buyer>;

  void JoinIfFew();
  // Somebody whose time to ask has come; null: nobody.
  BuyerPtr TakeDue(absl::Time now);
  void Ask(BuyerPtr buyer);
  void OnEntry(BuyerPtr buyer, const RoomNode& node, bool kept, absl::Time began,
               const absl::StatusOr<SaleEntry>& entry);
  void OnWait(BuyerPtr buyer, const RoomNode& node, const SaleEntry& entry);
  void OnLetIn(BuyerPtr buyer, const RoomNode& node, const SaleEntry& entry);
  // `leaves`: afterwards. Otherwise they go on waiting.
  void Claim(BuyerPtr buyer, const RoomNode& node, const std::string& token, bool leaves);
  void Note(const Buyer& buyer, const RoomNode& node, bool kept, absl::Time began,
            const absl::StatusOr<SaleEntry>& entry);

  // Each call ends by one of these two.
  void AskAgain(BuyerPtr buyer, absl::Duration after);
  void Leave();

  const RoomLoadOptions& options_;
  const std::vector<RoomNode> nodes_;
  LineFile& entries_;
  AnswerLog& answers_;
  StopFlag stop_;
  absl::BitGen random_;  // of Run's thread
  int64_t joined_ = 0;   // of Run's thread

  absl::Mutex mutex_;
  std::multimap<absl::Time, BuyerPtr> due_ ABSL_GUARDED_BY(mutex_);  // by when they ask next
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
};

void RoomLoad::Run() {
  absl::Time next_join = absl::Now();
  while (!stop_.IsSet()) {
    const absl::Time now = absl::Now();
    if (now >= next_join) {
      JoinIfFew();
      next_join = now + kBetweenJoins;
    }
    while (BuyerPtr buyer = TakeDue(now)) Ask(std::move(buyer));
    stop_.SleepUntil(now + kBetweenLooks);
  }
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

void RoomLoad::JoinIfFew() {
  {
    absl::MutexLock lock(&mutex_);
    // A buyer is either due or has a call in flight.
    if (static_cast<int64_t>(due_.size()) + in_flight_ >= options_.buyers) return;
  }
  auto buyer = std::make_shared<Buyer>();
  buyer->user = absl::StrCat("waiter-", joined_);
  buyer->manner = kManners[static_cast<size_t>(joined_) % std::size(kManners)];
  ++joined_;
  Ask(std::move(buyer));
}

RoomLoad::BuyerPtr RoomLoad::TakeDue(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (due_.empty() || due_.begin()->first > now) return nullptr;
  BuyerPtr buyer = std::move(due_.begin()->second);
  due_.erase(due_.begin());
  return buyer;
}

void RoomLoad::Ask(BuyerPtr buyer) {
  const RoomNode* const node = &nodes_[absl::Uniform<size_t>(random_, 0, nodes_.size())];
  {
    absl::MutexLock lock(&mutex_);
    ++in_flight_;
  }
  EnterSale request = {.sku = options_.crowd.sku, .user = buyer->user, .waiting_ticket = buyer->ticket};
  const bool kept = !buyer->ticket.empty();
  node->client->EnterSaleAsync(std::move(request),
                               [this, buyer = std::move(buyer), node, kept, began = absl::Now()](
                                   absl::StatusOr<SaleEntry> entry) { OnEntry(buyer, *node, kept, began, entry); });
}

void RoomLoad::OnEntry(BuyerPtr buyer, const RoomNode& node, bool kept, absl::Time began,
                       const absl::StatusOr<SaleEntry>& entry) {
  Note(*buyer, node, kept, began, entry);
  if (!entry.ok()) return AskAgain(std::move(buyer), RetryDelayOf(entry.status()).value_or(kAfterFailure));
  if (entry->place.has_value()) {
    buyer->ticket = entry->place->ticket;
    ++buyer->answers;
  }
  entry->admitted ? OnLetIn(std::move(buyer), node, *entry) : OnWait(std::move(buyer), node, *entry);
}

void RoomLoad::Note(const Buyer& buyer, const RoomNode& node, bool kept, absl::Time began,
                    const absl::StatusOr<SaleEntry>& entry) {
  std::string outcome;
  WaitingPlace place;
  if (!entry.ok()) {
    outcome = Outcomes::NameOf(entry.status());
  } else {
    outcome = !entry->admitted ? "WAITS" : entry->place.has_value() ? "LET_IN" : "PASSED";
    place = entry->place.value_or(WaitingPlace());
  }
  entries_.Add(absl::StrCat(buyer.user, "\t", node.endpoint, "\t", kept ? 1 : 0, "\t", outcome, "\t", place.round, "\t",
                            place.rank, "\t", place.threshold, "\t", place.shuffled ? 1 : 0, "\t",
                            absl::ToUnixMicros(began), "\t", absl::ToUnixMicros(absl::Now()), "\n"));
}

void RoomLoad::OnWait(BuyerPtr buyer, const RoomNode& node, const SaleEntry& entry) {
  if (buyer->manner == Manner::kLeaves && buyer->answers >= kAnswersUntilGone) return Leave();
  if (buyer->manner == Manner::kForgets && buyer->answers == kAnswersUntilForgotten) buyer->ticket.clear();
  if (buyer->manner == Manner::kJumps && buyer->answers == 1) {
    return Claim(std::move(buyer), node, /*token=*/"", /*leaves=*/false);
  }
  const absl::Duration wait = buyer->manner == Manner::kImpatient ? kImpatience : entry.retry_after;
  AskAgain(std::move(buyer), wait);
}

void RoomLoad::OnLetIn(BuyerPtr buyer, const RoomNode& node, const SaleEntry& entry) {
  ++buyer->let_in;
  const bool comes_back = buyer->manner == Manner::kComesBack && buyer->let_in <= kTimesBack;
  if (comes_back) return AskAgain(std::move(buyer), kUntilBack);
  Claim(std::move(buyer), node, entry.purchase_token, /*leaves=*/true);
}

void RoomLoad::Claim(BuyerPtr buyer, const RoomNode& node, const std::string& token, bool leaves) {
  const CreateReservation request = {.sku = options_.crowd.sku,
                                     .user = buyer->user,
                                     .quantity = 1,
                                     .reservation_id = MakeUuidV7(),
                                     .purchase_token = token};
  node.client->CreateAsync(request, [this, request, buyer = std::move(buyer), leaves,
                                     began = absl::Now()](absl::StatusOr<Reservation> answer) {
    const absl::Time now = absl::Now();
    if (answer.ok()) {
      answers_.Add(request, answer->replayed ? "replayed" : "created", answer->amount_minor, now, now - began);
    } else {
      answers_.Add(request, Outcomes::NameOf(answer.status()), 0, now, now - began);
    }
    leaves ? Leave() : AskAgain(buyer, kImpatience);
  });
}

void RoomLoad::AskAgain(BuyerPtr buyer, absl::Duration after) {
  // Also if an answer should ask for none: a room without a pause would be a flood.
  const absl::Time when = absl::Now() + std::max(after, kImpatience);
  absl::MutexLock lock(&mutex_);
  due_.emplace(when, std::move(buyer));
  --in_flight_;
}

void RoomLoad::Leave() {
  absl::MutexLock lock(&mutex_);
  --in_flight_;
}

void AddFlags(CLI::App& app, RoomLoadOptions& options) {
  AddCrowdFlags(app, options.crowd);
  app.add_option("--buyers", options.buyers, "So many are there at a time")->check(CLI::Range(1, 100'000));
  app.add_option("--entries", options.entries_file, "Where each try to be let in is noted")->required();
  app.add_option("--answers", options.answers_file, "As of tranche-load")->required();
}

// A client for each node, without retries: the answer shows what that node knows.
absl::StatusOr<std::vector<RoomNode>> OpenNodes(const CrowdFlags& flags) {
  RETURN_IF_ERROR(CheckCrowdFlags(flags));
  std::vector<RoomNode> nodes;
  for (const std::string& endpoint : EndpointsOf(flags)) {
    ClientOptions options = ClientOptionsOf(flags, {endpoint});
    options.attempt_timeout = options.request_timeout;
    options.retry.max_attempts = 1;
    ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Open(options));
    nodes.push_back({endpoint, std::move(client)});
  }
  if (nodes.empty()) return absl::InvalidArgumentError("--endpoints names no node");
  return nodes;
}

absl::Status Run(const RoomLoadOptions& options) {
  ASSIGN_OR_RETURN(std::vector<RoomNode> nodes, OpenNodes(options.crowd));
  LineFile entries;
  RETURN_IF_ERROR(entries.Open(options.entries_file));
  AnswerLog answers;
  RETURN_IF_ERROR(answers.Open(options.answers_file));

  RoomLoad load(options, std::move(nodes), entries, answers);
  const StopOnSignal stop_on_signal(load);
  load.Run();
  const bool entries_written = entries.Close();
  if (!answers.Close() || !entries_written) return absl::UnknownError("cannot write all answers");
  return absl::OkStatus();
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) {
  return tranche::load::CrowdMain(argc, argv, "Buyers in a waiting room, until SIGTERM.", "tranche-room-load",
                                  tranche::load::AddFlags, tranche::load::Run);
}
