// tranche-group-load: buyers who buy in groups, for scripts/chaos.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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

// A buyer looks for one of the groups that were opened so lately.
constexpr absl::Duration kLately = absl::Seconds(8);
constexpr double kOpens = 0.25;  // nevertheless
constexpr absl::Duration kLongestThought = absl::Seconds(2);
constexpr absl::Duration kLongestDelay = absl::Seconds(10);  // of a second payment, a late one, or of who leaves a seat
// With --together: when the members of a group pay, as a part of the opener's time to pay; and within how long of each
// other, so that whoever looks at the ledger meanwhile sees some of them.
constexpr double kPayTogetherAfter = 0.75;
constexpr absl::Duration kTogetherWithin = absl::Milliseconds(300);
constexpr absl::Duration kBetweenTries = absl::Seconds(1);
// A cluster that stands still must not let them pile up.
constexpr size_t kMostUnderWay = 1000;
constexpr int kMostTries = 60;

struct GroupLoadOptions {
  CrowdFlags crowd = {};
  std::vector<std::string> offers = {};
  double rate_per_second = 20;
  bool together = false;
  std::string answers_file = {};
};

struct Opened {
  absl::Time at;
  absl::Time pay_at;  // with --together
};

// What a member does next. Repeated until it is answered.
struct Errand {
  std::string user = {};
  std::string group_id = {};
  Reservation held = {};
  std::string payment = {};  // "": leaves
  int tries_left = kMostTries;
};

// Lets new buyers open and join groups, and then pay, pay twice or too late, or leave, until it is told to stop. With
// --together they all join one group until its members pay, all at once, and then the next one: so groups of many are
// decided by payments that come at the same time. Each answer is a line of --answers, columns separated by tabs:
//
//   what  user  group_id  reservation_id  payment  outcome  began_us  ended_us
//
// `what` is open, join, pay or leave. `outcome` is "joined", "left", as of a confirmation (GROUP_WAITING, ...), or as
// of a refused claim (see AnswerLog). `payment`: "" unless it is one.
class GroupLoad {
 public:
  GroupLoad(const GroupLoadOptions& options, Client& client, LineFile& answers)
      : options_(options), client_(client), answers_(answers) {}

  // Returns when all calls are answered.
  void Run();
  // From a signal handler.
  void Stop() { stop_.Set(); }

 private:
  void Come();
  // A group that was opened lately; "": none, or the buyer opens one.
  std::string ChooseGroup();
  std::string ChooseAny() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string ChooseNewest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnJoined(const char* what, const std::string& user, const std::string& group_id, absl::Time began,
                const absl::StatusOr<JoinedGroup>& joined);
  void Decide(const std::string& user, const JoinedGroup& joined);
  void PayTogether(const std::string& user, const JoinedGroup& joined);
  void Plan(absl::Duration delay, Errand errand);
  void RunDue();
  void Do(Errand errand);
  // `outcome`: of a call that has succeeded.
  void OnDone(Errand errand, absl::Time began, const absl::Status& status, const char* outcome);
  void Note(const char* what, const std::string& user, const std::string& group_id, const std::string& reservation_id,
            const std::string& payment, const std::string& outcome, absl::Time began);

  const GroupLoadOptions& options_;
  Client& client_;
  LineFile& answers_;
  StopFlag stop_;

  absl::Mutex mutex_;
  absl::BitGen random_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Opened> opened_ ABSL_GUARDED_BY(mutex_);  // lately, by group
  std::multimap<absl::Time, Errand> planned_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t buyers_ ABSL_GUARDED_BY(mutex_) = 0;
};

void GroupLoad::Run() {
  absl::BitGen random;
  absl::Time next = absl::Now();
  while (!stop_.IsSet()) {
    next += absl::Seconds(absl::Exponential<double>(random, options_.rate_per_second));
    stop_.SleepUntil(next);
    RunDue();
    if (!stop_.IsSet()) Come();
  }
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

std::string GroupLoad::ChooseGroup() {
  absl::MutexLock lock(&mutex_);
  std::erase_if(opened_, [](const auto& entry) { return entry.second.at < absl::Now() - kLately; });
  return options_.together ? ChooseNewest() : ChooseAny();
}

std::string GroupLoad::ChooseAny() {
  if (opened_.empty() || absl::Bernoulli(random_, kOpens)) return "";
  return std::next(opened_.begin(), absl::Uniform<std::ptrdiff_t>(random_, 0, std::ssize(opened_)))->first;
}

std::string GroupLoad::ChooseNewest() const {
  const auto newest = std::max_element(opened_.begin(), opened_.end(), [](const auto& one, const auto& other) {
    return one.second.at < other.second.at;
  });
  return newest == opened_.end() || newest->second.pay_at <= absl::Now() ? "" : newest->first;
}

void GroupLoad::Come() {
  const std::string group_id = ChooseGroup();
  std::string user, offer;
  {
    absl::MutexLock lock(&mutex_);
    if (in_flight_ >= kMostUnderWay) return;
    ++in_flight_;
    user = absl::StrCat(options_.together ? "friend-" : "member-", buyers_++);
    offer = options_.offers[absl::Uniform<size_t>(random_, 0, options_.offers.size())];
  }
  const absl::Time began = absl::Now();
  if (group_id.empty()) {
    client_.OpenGroupAsync(
        {.sku = options_.crowd.sku, .offer = offer, .user = user},
        [this, user, began](absl::StatusOr<JoinedGroup> joined) { OnJoined("open", user, "", began, joined); });
  } else {
    client_.JoinGroupAsync({.group_id = group_id, .sku = options_.crowd.sku, .user = user},
                           [this, user, group_id, began](absl::StatusOr<JoinedGroup> joined) {
                             OnJoined("join", user, group_id, began, joined);
                           });
  }
}

void GroupLoad::OnJoined(const char* what, const std::string& user, const std::string& group_id, absl::Time began,
                         const absl::StatusOr<JoinedGroup>& joined) {
  if (joined.ok()) {
    Note(what, user, joined->group_id, joined->reservation.reservation_id, "", "joined", began);
    if (group_id.empty()) {
      const absl::Time now = absl::Now();
      absl::MutexLock lock(&mutex_);
      opened_[joined->group_id] = {.at = now, .pay_at = now + kPayTogetherAfter * joined->reservation.remaining_hold};
    }
    if (options_.together) {
      PayTogether(user, *joined);
    } else {
      Decide(user, *joined);
    }
  } else {
    Note(what, user, group_id, "", "", Outcomes::NameOf(joined.status()), began);
  }
  absl::MutexLock lock(&mutex_);
  --in_flight_;
}

void GroupLoad::PayTogether(const std::string& user, const JoinedGroup& joined) {
  absl::Duration delay = absl::ZeroDuration();
  {
    absl::MutexLock lock(&mutex_);
    const auto opened = opened_.find(joined.group_id);
    if (opened != opened_.end()) delay = std::max(delay, opened->second.pay_at - absl::Now());
    delay += absl::Uniform(random_, 0.0, 1.0) * kTogetherWithin;
  }
  Plan(delay, {.user = user, .group_id = joined.group_id, .held = joined.reservation, .payment = "payment-0"});
}

// Of twenty, one forgets it, two leave, two leave the seat that they have paid, two pay twice, and two at the last
// moment or too late.
void GroupLoad::Decide(const std::string& user, const JoinedGroup& joined) {
  absl::Duration soon, later, late;
  int kind = 0;
  {
    absl::MutexLock lock(&mutex_);
    soon = absl::Uniform(random_, 0.0, 1.0) * kLongestThought;
    later = soon + absl::Uniform(random_, 0.0, 1.0) * kLongestDelay;
    late = joined.reservation.remaining_hold + absl::Uniform(random_, -0.05, 1.0) * kLongestDelay / 4;
    kind = absl::Uniform(random_, 0, 20);
  }
  const auto errand = [&](const char* payment) {
    return Errand{.user = user, .group_id = joined.group_id, .held = joined.reservation, .payment = payment};
  };
  if (kind == 0) return;
  if (kind <= 2) return Plan(soon, errand(""));
  Plan(kind <= 4 ? late : soon, errand("payment-0"));
  if (kind == 5 || kind == 6) Plan(later, errand(""));
  if (kind == 7 || kind == 8) Plan(later, errand("payment-1"));
}

void GroupLoad::Plan(absl::Duration delay, Errand errand) {
  absl::MutexLock lock(&mutex_);
  planned_.emplace(absl::Now() + delay, std::move(errand));
}

void GroupLoad::RunDue() {
  std::vector<Errand> due;
  {
    absl::MutexLock lock(&mutex_);
    while (!planned_.empty() && planned_.begin()->first <= absl::Now() && in_flight_ < kMostUnderWay) {
      due.push_back(std::move(planned_.begin()->second));
      planned_.erase(planned_.begin());
      ++in_flight_;
    }
  }
  for (Errand& errand : due) Do(std::move(errand));
}

void GroupLoad::Do(Errand errand) {
  --errand.tries_left;
  const absl::Time began = absl::Now();
  const std::string id = errand.held.reservation_id;
  if (errand.payment.empty()) {
    LeaveGroup change = {.reservation_id = id, .reason = "changed his mind", .sku = options_.crowd.sku};
    client_.LeaveGroupAsync(std::move(change),
                            [this, errand = std::move(errand), began](const absl::StatusOr<Reservation>& left) {
                              OnDone(errand, began, left.status(), "left");
                            });
    return;
  }
  ConfirmReservation change = {.reservation_id = id,
                               .payment_reference = errand.payment,
                               .amount_minor = errand.held.amount_minor,
                               .currency = errand.held.currency,
                               .sku = options_.crowd.sku};
  client_.ConfirmAsync(
      std::move(change), [this, errand = std::move(errand), began](const absl::StatusOr<Confirmation>& confirmed) {
        OnDone(errand, began, confirmed.status(), confirmed.ok() ? ConfirmOutcomeName(confirmed->outcome) : "");
      });
}

void GroupLoad::OnDone(Errand errand, absl::Time began, const absl::Status& status, const char* outcome) {
  Note(errand.payment.empty() ? "leave" : "pay", errand.user, errand.group_id, errand.held.reservation_id,
       errand.payment, status.ok() ? outcome : Outcomes::NameOf(status), began);
  // RESERVATION_STATE and RESERVATION_NOT_FOUND are answers.
  const bool answered = status.ok() || absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
  const bool again = !answered && errand.tries_left > 0;
  absl::MutexLock lock(&mutex_);
  if (again) planned_.emplace(absl::Now() + kBetweenTries, std::move(errand));
  --in_flight_;
}

void GroupLoad::Note(const char* what, const std::string& user, const std::string& group_id,
                     const std::string& reservation_id, const std::string& payment, const std::string& outcome,
                     absl::Time began) {
  answers_.Add(absl::StrCat(what, "\t", user, "\t", group_id, "\t", reservation_id, "\t", payment, "\t", outcome, "\t",
                            absl::ToUnixMicros(began), "\t", absl::ToUnixMicros(absl::Now()), "\n"));
}

void AddFlags(CLI::App& app, GroupLoadOptions& options) {
  AddCrowdFlags(app, options.crowd);
  app.add_option("--offer", options.offers, "An offer to open groups with; repeatable")->required();
  app.add_option("--rate", options.rate_per_second, "Buyers per second")->check(CLI::Range(0.001, 10'000.0));
  app.add_flag("--together", options.together, "All join one group until its members pay, all at once");
  app.add_option("--answers", options.answers_file, "Where each answer is noted")->required();
}

absl::Status Run(const GroupLoadOptions& options) {
  RETURN_IF_ERROR(CheckCrowdFlags(options.crowd));
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client,
                   Client::Open(ClientOptionsOf(options.crowd, EndpointsOf(options.crowd))));
  LineFile answers;
  RETURN_IF_ERROR(answers.Open(options.answers_file));

  GroupLoad load(options, *client, answers);
  const StopOnSignal stop_on_signal(load);
  load.Run();
  if (!answers.Close()) return absl::UnknownError(absl::StrCat("cannot write ", options.answers_file));
  return absl::OkStatus();
}

}  // namespace
}  // namespace tranche::load

int main(int argc, char** argv) {
  return tranche::load::CrowdMain(argc, argv, "Buyers who buy in groups, until SIGTERM.", "tranche-group-load",
                                  tranche::load::AddFlags, tranche::load::Run);
}
