#include "tests/integration/group_fixture.h"

#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/support/between_looks.h"

namespace tranche::testing {
namespace {

// It tries again only after an answer: on a busy machine, too, each is asked once.
std::unique_ptr<Client> PatientClientOf(const std::string& endpoint) {
  ClientOptions options;
  options.endpoints = {endpoint};
  options.request_timeout = kGroupPatience;
  options.attempt_timeout = kGroupPatience;
  return Client::Open(options).value();
}

// Asks again while the units are on their way to the node.
template <typename Ask>
absl::StatusOr<JoinedGroup> Insist(const Ask& ask) {
  const absl::Time give_up = absl::Now() + kGroupPatience;
  while (true) {
    absl::StatusOr<JoinedGroup> answer = ask();
    if (ReasonOf(answer.status()) != Reason::kExhaustedHere || absl::Now() > give_up) return answer;
    RestBetweenLooks();
  }
}

}  // namespace

std::unique_ptr<MiniCluster> GroupFixture::shared_;

void GroupFixture::SetUpTestSuite() {
  MiniClusterOptions options;
  options.nodes = kGroupNodes;
  options.workers = 1;
  // The machine does not lose its power in a test, and a slow disk would decide about times.
  options.fsync = Fsync::kOff;
  auto cluster = MiniCluster::Start(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  shared_ = *std::move(cluster);
}

void GroupFixture::TearDownTestSuite() { shared_.reset(); }

void GroupFixture::SetUp() {
  cluster_ = std::move(shared_);
  ASSERT_NE(cluster_, nullptr) << "the servers did not start";
  client_ = ClientOf(cluster_->endpoints());
  for (int node = 0; node < kGroupNodes; ++node) clients_.push_back(PatientClientOf(cluster_->endpoint(node)));
}

void GroupFixture::TearDown() {
  if (cluster_ != nullptr) {
    CheckLedger();
    EXPECT_EQ(Ctl({"verify"}), 0) << out_ << err_;
  }
  shared_ = std::move(cluster_);
}

void GroupFixture::AwaitTrue(const std::string& what, const std::function<bool()>& is_so) {
  const absl::Time give_up = absl::Now() + kGroupPatience;
  while (!is_so()) {
    ASSERT_LT(absl::Now(), give_up) << "never: " << what;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void GroupFixture::OfferGroups(const std::string& sku, const std::string& offer, const OfferTerms& terms) {
  v1::CreateGroupOfferRequest request;
  v1::GroupOffer& made = *request.mutable_offer();
  made.set_sku_id(sku);
  made.set_offer_id(offer);
  made.set_seats(terms.seats);
  made.set_price_minor(kGroupPriceMinor);
  made.mutable_open_for()->set_seconds(absl::ToInt64Seconds(terms.open_for));
  made.mutable_pay_within()->set_seconds(absl::ToInt64Seconds(terms.pay_within));
  made.set_on_timeout(terms.min_members > 0 ? v1::GROUP_TIMEOUT_PARTIAL : v1::GROUP_TIMEOUT_REFUND);
  if (terms.min_members > 0) made.set_min_members(terms.min_members);
  v1::CreateGroupOfferResponse response;
  const grpc::Status status = Admin()->CreateGroupOffer(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.offer().currency(), "EUR");
}

absl::StatusOr<JoinedGroup> GroupFixture::TryOpen(const std::string& sku, const std::string& offer,
                                                  const std::string& user) {
  return Insist([&] { return client_->OpenGroup({.sku = sku, .offer = offer, .user = user}); });
}

JoinedGroup GroupFixture::Open(const std::string& sku, const std::string& offer, const std::string& user) {
  const auto opened = TryOpen(sku, offer, user);
  EXPECT_TRUE(opened.ok()) << user << ": " << opened.status();
  return opened.value_or(JoinedGroup());
}

absl::StatusOr<JoinedGroup> GroupFixture::TryJoin(const JoinedGroup& group, const std::string& user, int node) {
  return Insist(
      [&] { return at(node).JoinGroup({.group_id = group.group_id, .sku = group.reservation.sku_id, .user = user}); });
}

JoinedGroup GroupFixture::Join(const JoinedGroup& group, const std::string& user, int node) {
  const auto joined = TryJoin(group, user, node);
  EXPECT_TRUE(joined.ok()) << user << ": " << joined.status();
  return joined.value_or(JoinedGroup());
}

ConfirmReservation GroupFixture::PaymentOf(const JoinedGroup& member) {
  return {.reservation_id = member.reservation.reservation_id,
          .payment_reference = absl::StrCat("payment-", member.reservation.reservation_id),
          .amount_minor = member.reservation.amount_minor,
          .currency = member.reservation.currency,
          .sku = member.reservation.sku_id};
}

ConfirmOutcome GroupFixture::Pay(const JoinedGroup& member, int node) {
  const auto paid = at(node).Confirm(PaymentOf(member));
  EXPECT_TRUE(paid.ok()) << member.reservation.user_id << ": " << paid.status();
  return paid.ok() ? paid->outcome : ConfirmOutcome::kUnspecified;
}

std::map<ConfirmOutcome, int> GroupFixture::PayAtOnce(const std::vector<JoinedGroup>& members) {
  absl::Mutex mutex;
  std::map<ConfirmOutcome, int> outcomes;
  absl::BlockingCounter answers(static_cast<int>(members.size()));
  int node = 0;
  for (const JoinedGroup& member : members) {
    at(node++).ConfirmAsync(PaymentOf(member), [&](absl::StatusOr<Confirmation> paid) {
      {
        absl::MutexLock lock(&mutex);
        EXPECT_TRUE(paid.ok()) << paid.status();
        ++outcomes[paid.ok() ? paid->outcome : ConfirmOutcome::kUnspecified];
      }
      answers.DecrementCount();
    });
  }
  answers.Wait();
  return outcomes;
}

Group GroupFixture::GroupOf(const JoinedGroup& member) {
  // With its members: otherwise it may be a moment old.
  const auto found =
      client_->GetGroup({.group_id = member.group_id, .sku = member.reservation.sku_id, .with_members = true});
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? found->group : Group();
}

Group GroupFixture::AwaitOver(const JoinedGroup& member, GroupState state) {
  Group group;
  AwaitTrue(absl::StrCat("the group is over, ", GroupStateName(state)), [&] {
    group = GroupOf(member);
    return group.state != GroupState::kForming;
  });
  EXPECT_EQ(group.state, state) << GroupStateName(group.state);
  return group;
}

Reservation GroupFixture::Read(const JoinedGroup& member) {
  const auto found = client_->Get(member.reservation.reservation_id);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.value_or(Reservation());
}

int64_t GroupFixture::CountInLedger(const std::string& query, const std::string& a, const std::string& b) {
  pqxx::connection connection(cluster_->postgres().dsn());
  pqxx::nontransaction look(connection);
  return look.exec_params1(query, a, b)[0].as<int64_t>();
}

int64_t GroupFixture::Messages(const JoinedGroup& group, const std::string& kind) {
  return CountInLedger("SELECT count(*) FROM tranche.outbox WHERE payload ->> 'group_id' = $1 AND kind = $2",
                       group.group_id, kind);
}

int64_t GroupFixture::RefundsOf(const std::string& sku) {
  return CountInLedger(
      "SELECT count(*) FROM tranche.late_payment WHERE sku_id = $1 AND outcome = $2 AND refunded_at IS NULL", sku,
      "PAID_UNFULFILLED");
}

int64_t GroupFixture::UnsoldOf(const std::string& sku) {
  v1::GetSkuRequest request;
  request.set_sku_id(sku);
  v1::GetSkuResponse response;
  const grpc::Status status = Admin()->GetSku(Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.sku().unsold();
}

}  // namespace tranche::testing
