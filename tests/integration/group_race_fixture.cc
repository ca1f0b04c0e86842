#include "tests/integration/group_race_fixture.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <pqxx/pqxx>
#include <thread>
#include <utility>

#include "absl/random/distributions.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/between_looks.h"
#include "tranche/error.h"

namespace tranche::testing {
namespace {

constexpr int kRaceThreads = 16;
constexpr int kGroupsOfThread = kRacedGroups / kRaceThreads;
static_assert(kGroupsOfThread * kRaceThreads == kRacedGroups);
constexpr int kAtDeadlineOfThread = 62;
// Long enough to prepare all groups of a thread that race at their deadlines, on a busy machine, too.
constexpr absl::Duration kRaceOpenFor = absl::Seconds(20);

constexpr char kRowsOfRaces[] = R"(
  SELECT r.reservation_id, r.state, coalesce(r.payment_reference, ''), coalesce(m.payment_reference, ''),
         (SELECT count(*) FROM tranche.late_payment l
          WHERE l.reservation_id = r.reservation_id AND l.outcome = 'PAID_UNFULFILLED' AND l.refunded_at IS NULL),
         g.state, g.seats, g.seats_taken
  FROM tranche.reservation r
  JOIN tranche.group_buy g ON g.group_id = r.group_id
  LEFT JOIN tranche.group_member m ON m.group_id = r.group_id AND m.reservation_id = r.reservation_id)";

std::string Told(const absl::Status& refused) {
  const std::string reason = ReasonNameOf(refused);
  return reason.empty() ? refused.ToString() : reason;
}

GroupRace ChooseRace(std::mt19937& random) {
  const int share = absl::Uniform(random, 0, 100);
  if (share < 15) return GroupRace::kOpenerLeaves;
  if (share < 30) return GroupRace::kRacerLeaves;
  return share < 42 ? GroupRace::kOperatorCancels : GroupRace::kPayments;
}

}  // namespace

void GroupRaceFixture::OpenRaces() {
  operator_ = Admin();
  for (const char* sku : kRaceSkus) {
    OpenSale(sku, kRaceStock);
    WaitUntilShared(sku, kRaceStock);
    OfferGroups(sku, "pair", {.seats = 2});
    OfferGroups(sku, "brief", {.seats = 2, .open_for = kRaceOpenFor, .pay_within = kRaceOpenFor});
  }
}

GroupRaceFixture::Prepared GroupRaceFixture::Prepare(GroupRace race, int number, Random& random) {
  Prepared prepared;
  RacedGroup& group = prepared.group;
  group.race = race;
  group.sku = kRaceSkus.at(static_cast<size_t>(number) % kRaceSkus.size());
  const int racers = absl::Bernoulli(random, 0.2) ? 3 : 2;
  // Of those at a deadline, a part fails without a race.
  prepared.pay = race == GroupRace::kDeadline && absl::Bernoulli(random, 0.2) ? 0 : racers;
  const std::string name = absl::StrCat("group-", number);
  prepared.held.push_back(Open(group.sku, race == GroupRace::kDeadline ? "brief" : "pair", name + "-opener"));
  group.group_id = prepared.held[0].group_id;
  for (int i = 0; i < racers; ++i) {
    prepared.held.push_back(Join(prepared.held[0], absl::StrCat(name, "-racer-", i), i % 2));
  }
  for (const JoinedGroup& held : prepared.held) {
    group.members.push_back({.reservation_id = held.reservation.reservation_id});
    if (held.reservation.reservation_id.empty()) broken_ = true;
  }
  const auto paid = at(number % 2).Confirm(PaymentOf(prepared.held[0]));
  group.members[0].payment = PaymentOf(prepared.held[0]).payment_reference;
  group.members[0].paid = paid.ok() ? ConfirmOutcomeName(paid->outcome) : Told(paid.status());
  if (paid.ok()) {
    prepared.deadline = paid->reservation.expire_time;
  } else {
    ADD_FAILURE() << name << " is not prepared: the opener's payment was answered with " << paid.status();
    broken_ = true;
  }
  return prepared;
}

int GroupRaceFixture::ActionsOf(const Prepared& prepared) {
  const bool leaves = prepared.group.race == GroupRace::kOpenerLeaves || prepared.group.race == GroupRace::kRacerLeaves;
  return prepared.pay + (leaves ? 1 : 0);
}

void GroupRaceFixture::PayNow(Prepared& prepared, size_t member, absl::BlockingCounter& answers) {
  RacingMember& racer = prepared.group.members[member];
  ConfirmReservation payment = PaymentOf(prepared.held[member]);
  racer.payment = payment.payment_reference;
  at(static_cast<int>(member) % 2)
      .ConfirmAsync(std::move(payment), [&racer, &answers](const absl::StatusOr<Confirmation>& paid) {
        racer.paid = paid.ok() ? ConfirmOutcomeName(paid->outcome) : Told(paid.status());
        answers.DecrementCount();
      });
}

void GroupRaceFixture::LeaveNow(Prepared& prepared, size_t member, int node, absl::BlockingCounter& answers) {
  RacingMember& leaver = prepared.group.members[member];
  at(node).LeaveGroupAsync(
      {.reservation_id = leaver.reservation_id, .reason = "changed their mind", .sku = prepared.group.sku},
      [&leaver, &answers](const absl::StatusOr<Reservation>& left) {
        leaver.left = left.ok() ? kLeft : Told(left.status());
        answers.DecrementCount();
      });
}

void GroupRaceFixture::Fire(Prepared& prepared, Random& random, absl::BlockingCounter& answers) {
  std::vector<std::function<void()>> actions;
  for (size_t racer = 1; racer <= static_cast<size_t>(prepared.pay); ++racer) {
    actions.emplace_back([&, racer] { PayNow(prepared, racer, answers); });
  }
  if (ActionsOf(prepared) > prepared.pay) {
    const size_t leaver = prepared.group.race == GroupRace::kOpenerLeaves ? 0 : 1;
    // At the node of another payment, or of their own.
    const int node = absl::Uniform(random, 0, 2);
    actions.emplace_back([&, leaver, node] { LeaveNow(prepared, leaver, node, answers); });
  }
  std::shuffle(actions.begin(), actions.end(), random);
  for (const auto& act : actions) act();
}

std::string GroupRaceFixture::Cancel(const RacedGroup& group) {
  v1::CancelGroupRequest request;
  request.set_group_id(group.group_id);
  request.set_sku_id(group.sku);
  request.set_reason("a race");
  const absl::Time give_up = absl::Now() + kGroupPatience;
  while (true) {
    v1::CancelGroupResponse response;
    const grpc::Status status = operator_->CancelGroup(Context().get(), request, &response);
    if (status.ok()) return "CANCELLED";
    if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return "GROUP_OVER";
    if (absl::Now() > give_up) return status.error_message();
    RestBetweenLooks();
  }
}

void GroupRaceFixture::RaceNow(Prepared& prepared, Random& random) {
  absl::BlockingCounter answers(ActionsOf(prepared));
  if (prepared.group.race == GroupRace::kOperatorCancels) {
    std::thread cancels([&] { prepared.group.cancelled = Cancel(prepared.group); });
    Fire(prepared, random, answers);
    cancels.join();
  } else {
    Fire(prepared, random, answers);
  }
  answers.Wait();
}

void GroupRaceFixture::RaceAtDeadlines(int first, Random& random, std::vector<RacedGroup>& raced) {
  std::vector<Prepared> groups;
  int answers_to_come = 0;
  for (int i = 0; i < kAtDeadlineOfThread; ++i) {
    groups.push_back(Prepare(GroupRace::kDeadline, first + i, random));
    answers_to_come += ActionsOf(groups.back());
  }
  if (broken_) return;
  absl::BlockingCounter answers(answers_to_come);
  for (Prepared& group : groups) {
    const absl::Time now = absl::Now();
    if (now > group.deadline) ++past_deadline_;
    absl::SleepFor(group.deadline - now + absl::Milliseconds(absl::Uniform(random, -30.0, 15.0)));
    Fire(group, random, answers);
  }
  answers.Wait();
  for (Prepared& group : groups) raced.push_back(std::move(group.group));
}

std::vector<RacedGroup> GroupRaceFixture::RunThread(int thread, uint32_t seed) {
  Random random(seed + static_cast<uint32_t>(thread));
  std::vector<RacedGroup> raced;
  const int first = thread * kGroupsOfThread;
  const int others = kGroupsOfThread - kAtDeadlineOfThread;
  for (int i = 0; i < others; ++i) {
    if (i == others * thread / kRaceThreads) RaceAtDeadlines(first + others, random, raced);
    Prepared prepared = Prepare(ChooseRace(random), first + i, random);
    if (broken_) return raced;
    RaceNow(prepared, random);
    raced.push_back(std::move(prepared.group));
  }
  return raced;
}

std::vector<RacedGroup> GroupRaceFixture::RunRaces(uint32_t seed) {
  std::vector<std::vector<RacedGroup>> of_threads(kRaceThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kRaceThreads; ++thread) {
    threads.emplace_back([&, thread] { of_threads[static_cast<size_t>(thread)] = RunThread(thread, seed); });
  }
  for (std::thread& thread : threads) thread.join();
  if (!broken_) {
    EXPECT_LT(past_deadline_.load(), kRaceThreads * kAtDeadlineOfThread / 2)
        << "the machine is too slow: most groups that race at their deadline were over before their turn";
  }
  std::vector<RacedGroup> all;
  for (std::vector<RacedGroup>& groups : of_threads) {
    std::move(groups.begin(), groups.end(), std::back_inserter(all));
  }
  return all;
}

GroupRows GroupRaceFixture::RowsWhenAllAreOver() {
  AwaitTrue("all groups are over and settled",
            [&] { return Count("SELECT count(*) FROM tranche.group_buy WHERE state = 'FORMING' OR unsettled") == 0; });
  pqxx::connection connection(cluster_->postgres().dsn());
  pqxx::nontransaction look(connection);
  GroupRows rows;
  for (const auto& row : look.exec(kRowsOfRaces)) {
    rows[row[0].c_str()] = {.state = row[1].c_str(),
                            .payment = row[2].c_str(),
                            .seat_payment = row[3].c_str(),
                            .refunds = row[4].as<int64_t>(),
                            .group_state = row[5].c_str(),
                            .seats = row[6].as<int>(),
                            .seats_taken = row[7].as<int>()};
  }
  return rows;
}

int64_t GroupRaceFixture::Count(const std::string& query) {
  pqxx::connection connection(cluster_->postgres().dsn());
  pqxx::nontransaction look(connection);
  return look.exec1(query)[0].as<int64_t>();
}

}  // namespace tranche::testing
