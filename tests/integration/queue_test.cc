// Claims that are queued, on real servers: what buyers are told, and what operators do.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/integration/queue_fixture.h"
#include "tranche/uuid.h"
#include "tranche/v1/group_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::CreateReservationsRequest CartOf(const std::vector<std::string>& skus, const std::string& user) {
  v1::CreateReservationsRequest cart;
  cart.set_user_id(user);
  cart.set_accept_queued(true);
  for (const std::string& sku : skus) {
    v1::CartLine* line = cart.add_lines();
    line->set_reservation_id(MakeUuidV7());
    line->set_sku_id(sku);
    line->set_quantity(1);
  }
  return cart;
}

v1::GroupOffer PairOf(const std::string& sku) {
  v1::GroupOffer offer;
  offer.set_sku_id(sku);
  offer.set_offer_id("pair");
  offer.set_seats(2);
  offer.set_price_minor(39900);
  offer.mutable_open_for()->set_seconds(3600);
  offer.mutable_pay_within()->set_seconds(900);
  offer.set_on_timeout(v1::GROUP_TIMEOUT_REFUND);
  return offer;
}

v1::JoinGroupRequest JoinOf(const std::string& group_id, const std::string& sku, const std::string& user) {
  v1::JoinGroupRequest join;
  join.set_group_id(group_id);
  join.set_reservation_id(MakeUuidV7());
  join.set_sku_id(sku);
  join.set_user_id(user);
  join.set_quantity(1);
  join.set_accept_queued(true);
  return join;
}

v1::OpenGroupRequest OpeningOf(const std::string& sku, const std::string& user) {
  v1::OpenGroupRequest opening;
  opening.set_group_id(MakeUuidV7());
  opening.set_offer_id("pair");
  opening.set_reservation_id(MakeUuidV7());
  opening.set_sku_id(sku);
  opening.set_user_id(user);
  opening.set_quantity(1);
  opening.set_accept_queued(true);
  return opening;
}

TEST_F(QueueTest, AClaimIsQueuedAtOneNodeAndAnotherTellsWhatBecameOfIt) {
  OpenQueued("tv", 20, v1::CLAIM_PATH_QUEUE);
  const v1::CreateReservationRequest claim = ClaimOf("tv", "ada");
  const v1::QueuedClaim queued = Queue(0, claim);
  EXPECT_FALSE(queued.ticket().empty());
  EXPECT_GT(queued.poll_after().seconds() * 1'000'000'000 + queued.poll_after().nanos(), 0);
  const v1::GetClaimResponse told = AwaitDecided(1, queued);
  ASSERT_TRUE(told.has_created()) << told.ShortDebugString();
  EXPECT_EQ(told.created().reservation().reservation_id(), claim.reservation_id());
  EXPECT_EQ(told.created().reservation().user_id(), "ada");
  EXPECT_EQ(told.created().reservation().state(), v1::RESERVATION_STATE_PENDING);
  EXPECT_EQ(RowsOf("tv"), std::set<std::string>{claim.reservation_id()});

  v1::CreateReservationRequest impatient = ClaimOf("tv", "bob");
  impatient.set_accept_queued(false);
  v1::CreateReservationResponse response;
  EXPECT_EQ(Claim(0, impatient, &response).reason, "CLAIMS_ARE_QUEUED");

  v1::GetClaimRequest altered;
  altered.set_ticket(queued.ticket() + "x");
  v1::GetClaimResponse nothing;
  const DoorAnswer refused = DoorAnswerOf(reservations(1).GetClaim(Context().get(), altered, &nothing));
  EXPECT_EQ(refused.reason, "CLAIM_TICKET_INVALID");
}

TEST_F(QueueTest, WhoWatchesIsToldTheDecision) {
  OpenQueued("watched", 5, v1::CLAIM_PATH_QUEUE);
  SetPaused(true);
  const v1::QueuedClaim queued = Queue(0, ClaimOf("watched", "ada"));
  v1::WatchClaimRequest request;
  request.set_ticket(queued.ticket());
  const auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + kQueuePatience));
  const auto watch = reservations(1).WatchClaim(context.get(), request);
  v1::WatchClaimResponse told;
  ASSERT_TRUE(watch->Read(&told));
  EXPECT_TRUE(told.claim().has_queued()) << told.ShortDebugString();
  SetPaused(false);
  while (told.claim().has_queued()) ASSERT_TRUE(watch->Read(&told)) << watch->Finish().error_message();
  EXPECT_TRUE(told.claim().has_created()) << told.ShortDebugString();
  EXPECT_FALSE(watch->Read(&told)) << "there is no more to say";
  EXPECT_TRUE(watch->Finish().ok());
}

TEST_F(QueueTest, ClaimsWaitWhileConsumersRestAndWhoIsRefusedStaysRefused) {
  OpenQueued("few", 3, v1::CLAIM_PATH_QUEUE);
  SetPaused(true);
  std::vector<v1::CreateReservationRequest> claims;
  std::vector<v1::QueuedClaim> queued;
  for (int i = 0; i < 6; ++i) {
    claims.push_back(ClaimOf("few", absl::StrCat("buyer-", i)));
    queued.push_back(Queue(i % 2, claims.back()));
  }
  AwaitTrue("all six are in the queue", [&] { return StateOf(QueueName("few")).ready() == 6; });
  EXPECT_EQ(Decided(queued), 0);
  SetPaused(false);

  std::string sold;
  int refused = -1;
  int refusals = 0;
  for (int i = 0; i < 6; ++i) {
    const v1::GetClaimResponse told = AwaitDecided(i % 2, queued[static_cast<size_t>(i)]);
    if (told.has_created()) {
      sold = told.created().reservation().reservation_id();
      continue;
    }
    EXPECT_EQ(ReasonIn(told.refused()), "SOLD_OUT") << told.ShortDebugString();
    refused = i;
    ++refusals;
  }
  ASSERT_EQ(refusals, 3);

  // A unit is for sale again: to everybody, but not to that claim.
  v1::CancelReservationRequest cancellation;
  cancellation.set_reservation_id(sold);
  v1::CancelReservationResponse cancelled;
  ASSERT_TRUE(reservations(0).CancelReservation(Context().get(), cancellation, &cancelled).ok());
  AwaitTrue("a new claim of the same buyer is sold", [&] {
    v1::CreateReservationResponse response;
    if (!Claim(0, ClaimOf("few", absl::StrCat("buyer-", refused)), &response).ok()) return false;
    return response.has_queued() && AwaitDecided(1, response.queued()).has_created();
  });
  const v1::QueuedClaim& ticket = queued[static_cast<size_t>(refused)];
  EXPECT_EQ(AwaitRefusal(0, ticket), "SOLD_OUT");
  EXPECT_EQ(AwaitRefusal(1, ticket), "SOLD_OUT");
  v1::CreateReservationRequest again = claims[static_cast<size_t>(refused)];
  again.set_may_exist(true);
  v1::CreateReservationResponse response;
  const DoorAnswer answer = Claim(0, again, &response);
  EXPECT_FALSE(response.has_reservation()) << response.ShortDebugString();
  if (answer.ok() && response.has_queued()) {
    EXPECT_EQ(AwaitRefusal(1, response.queued()), "SOLD_OUT");
  }
}

TEST_F(QueueTest, ARefusedClaimDoesNotCountForItsBuyer) {
  OpenQueued("one-each", 10, v1::CLAIM_PATH_QUEUE);
  const v1::GetClaimResponse first = AwaitDecided(0, Queue(0, ClaimOf("one-each", "ada")));
  ASSERT_TRUE(first.has_created()) << first.ShortDebugString();
  EXPECT_EQ(AwaitRefusal(1, Queue(1, ClaimOf("one-each", "ada"))), "USER_LIMIT_REACHED");
  v1::CancelReservationRequest cancellation;
  cancellation.set_reservation_id(first.created().reservation().reservation_id());
  v1::CancelReservationResponse cancelled;
  ASSERT_TRUE(reservations(1).CancelReservation(Context().get(), cancellation, &cancelled).ok());
  const v1::GetClaimResponse third = AwaitDecided(0, Queue(0, ClaimOf("one-each", "ada")));
  EXPECT_TRUE(third.has_created()) << third.ShortDebugString();
}

TEST_F(QueueTest, ACartIsQueuedAndSoldAsAWhole) {
  OpenQueued("phone", 10, v1::CLAIM_PATH_QUEUE);
  OpenQueued("case", 1, v1::CLAIM_PATH_QUEUE);
  const auto queue_cart = [&](const std::string& user) {
    v1::CreateReservationsRequest cart = CartOf({"phone", "case"}, user);
    v1::CreateReservationsResponse response;
    AwaitTrue("the cart is queued", [&] {
      const DoorAnswer answer = DoorAnswerOf(reservations(0).CreateReservations(Context().get(), cart, &response));
      cart.set_may_exist(true);
      return answer.ok() && response.has_queued();
    });
    return response.queued();
  };
  SetPaused(true);
  const std::vector<v1::QueuedClaim> carts = {queue_cart("ada"), queue_cart("bob")};
  SetPaused(false);
  int sold = 0;
  for (const v1::QueuedClaim& cart : carts) {
    const v1::GetClaimResponse told = AwaitDecided(1, cart);
    if (told.has_refused()) {
      EXPECT_EQ(ReasonIn(told.refused()), "SOLD_OUT") << told.ShortDebugString();
      continue;
    }
    ++sold;
    ASSERT_EQ(told.cart_created().reservations_size(), 2) << told.ShortDebugString();
    EXPECT_EQ(told.cart_created().reservations(0).sku_id(), "phone");
    EXPECT_EQ(told.cart_created().reservations(1).sku_id(), "case");
  }
  EXPECT_EQ(sold, 1) << "of the case there is one";
}

TEST_F(QueueTest, APoisonedMessageIsDeadAndItsNeighboursAreDecided) {
  OpenQueued("neighbour", 10, v1::CLAIM_PATH_QUEUE);
  const std::string queue = QueueName("neighbour");
  std::vector<v1::QueuedClaim> neighbours = {Queue(0, ClaimOf("neighbour", "ada"))};
  PublishRaw(queue, "poison", "this is no claim");
  neighbours.push_back(Queue(1, ClaimOf("neighbour", "bob")));
  EXPECT_EQ(AwaitAllSold(neighbours).size(), 2u);
  AwaitTrue("the poison is a dead letter", [&] { return StateOf(queue).dead() == 1; });

  v1::ListDeadClaimsRequest request;
  request.set_queue(queue);
  v1::ListDeadClaimsResponse dead;
  ASSERT_TRUE(Admin()->ListDeadClaims(Context().get(), request, &dead).ok());
  ASSERT_EQ(dead.claims_size(), 1);
  EXPECT_EQ(dead.claims(0).message_id(), "poison");
  EXPECT_EQ(dead.claims(0).reason(), "rejected");
  EXPECT_EQ(dead.claims(0).reservation_id(), "");
  ASSERT_EQ(RunCtlAt(cluster_->endpoint(0), {"queue", "dead", "discard", "--queue", queue, "--yes"}), 0) << err_;
  AwaitTrue("it is gone", [&] { return StateOf(queue).dead() == 0; });
}

TEST_F(QueueTest, AGroupIsOpenedJoinedAndFilledThroughTheQueue) {
  OpenQueued("grill", 10, v1::CLAIM_PATH_QUEUE);
  v1::CreateGroupOfferRequest offer;
  *offer.mutable_offer() = PairOf("grill");
  v1::CreateGroupOfferResponse offered;
  ASSERT_TRUE(Admin()->CreateGroupOffer(Context().get(), offer, &offered).ok());
  const auto groups =
      v1::GroupService::NewStub(grpc::CreateChannel(cluster_->endpoint(0), grpc::InsecureChannelCredentials()));
  v1::OpenGroupRequest opening = OpeningOf("grill", "ada");
  v1::JoinGroupRequest join = JoinOf(opening.group_id(), "grill", "bob");
  v1::JoinGroupRequest impatient = join;
  impatient.set_accept_queued(false);
  v1::JoinGroupResponse joined;
  EXPECT_EQ(DoorAnswerOf(groups->JoinGroup(Context().get(), impatient, &joined)).reason, "CLAIMS_ARE_QUEUED");

  // Both are handed out at once, perhaps to two consumers.
  SetPaused(true);
  v1::OpenGroupResponse opened;
  AwaitTrue("the opening is queued", [&] {
    const DoorAnswer answer = DoorAnswerOf(groups->OpenGroup(Context().get(), opening, &opened));
    opening.set_may_exist(true);
    return answer.ok() && opened.has_queued();
  });
  EXPECT_FALSE(opened.has_reservation());
  AwaitTrue("the join is queued", [&] {
    const DoorAnswer answer = DoorAnswerOf(groups->JoinGroup(Context().get(), join, &joined));
    join.set_may_exist(true);
    return answer.ok() && joined.has_queued();
  });
  SetPaused(false);
  const auto pay = [&](const v1::QueuedClaim& queued, const std::string& reference) {
    const v1::GetClaimResponse told = AwaitDecided(1, queued);
    EXPECT_TRUE(told.has_created()) << told.ShortDebugString();
    const v1::Reservation& hold = told.created().reservation();
    EXPECT_EQ(hold.amount_minor(), 39900) << "the offer's price";
    v1::ConfirmReservationRequest payment;
    payment.set_reservation_id(hold.reservation_id());
    payment.set_payment_reference(reference);
    payment.set_amount_minor(hold.amount_minor());
    payment.set_currency(hold.currency());
    v1::ConfirmReservationResponse paid;
    const grpc::Status status = reservations(1).ConfirmReservation(Context().get(), payment, &paid);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return paid.outcome();
  };
  EXPECT_EQ(pay(opened.queued(), "payment-1"), v1::CONFIRM_OUTCOME_GROUP_WAITING);
  EXPECT_EQ(pay(joined.queued(), "payment-2"), v1::CONFIRM_OUTCOME_CONFIRMED);
  v1::GetGroupRequest asked;
  asked.set_group_id(opening.group_id());
  asked.set_user_id("bob");
  v1::GetGroupResponse group;
  ASSERT_TRUE(groups->GetGroup(Context().get(), asked, &group).ok());
  EXPECT_EQ(group.group().state(), v1::GROUP_STATE_FILLED);
  ASSERT_EQ(group.members_size(), 1);
  EXPECT_EQ(group.members(0).reservation_id(), join.reservation_id());
}

TEST_F(QueueTest, WhoJoinsNoGroupIsRefusedFromTheQueueAndStaysRefused) {
  OpenQueued("alone", 10, v1::CLAIM_PATH_QUEUE);
  const auto groups =
      v1::GroupService::NewStub(grpc::CreateChannel(cluster_->endpoint(1), grpc::InsecureChannelCredentials()));
  v1::JoinGroupRequest join = JoinOf(MakeUuidV7(), "alone", "ada");
  for (int i = 0; i < 2; ++i) {
    v1::JoinGroupResponse joined;
    DoorAnswer answer;
    AwaitTrue("the join is queued, or refused", [&] {
      answer = DoorAnswerOf(groups->JoinGroup(Context().get(), join, &joined));
      join.set_may_exist(true);
      return (answer.ok() && joined.has_queued()) || answer.reason == "GROUP_NOT_FOUND";
    });
    if (answer.ok()) {
      EXPECT_EQ(AwaitRefusal(0, joined.queued()), "GROUP_NOT_FOUND");
    }
  }
}

// A readable claim that could not be decided is made by hand: no consumer takes it, and it is put where those end.
TEST_F(QueueTest, OperatorsRetryOneDeadClaimAndDiscardAnother) {
  OpenQueued("stuck", 10, v1::CLAIM_PATH_QUEUE);
  const std::string queue = QueueName("stuck");
  SetPaused(true);
  std::vector<v1::CreateReservationRequest> claims = {ClaimOf("stuck", "ada"), ClaimOf("stuck", "bob")};
  std::vector<v1::QueuedClaim> queued;
  for (const v1::CreateReservationRequest& claim : claims) {
    queued.push_back(Queue(0, claim));
    PublishRaw(queue + ".dead", claim.reservation_id(), TakeRaw(queue));
  }
  SetPaused(false);
  AwaitTrue("both are dead letters", [&] { return StateOf(queue).dead() == 2; });
  EXPECT_EQ(Decided(queued), 0) << "their buyers still hear that they are queued";
  const std::string table = TableAt(cluster_->endpoint(1), {"queue", "dead", "list"});
  EXPECT_THAT(table, HasSubstr(claims[0].reservation_id()));
  EXPECT_THAT(table, HasSubstr(claims[1].reservation_id()));

  const auto settle = [&](const char* how, const std::string& id) {
    EXPECT_EQ(RunCtlAt(cluster_->endpoint(1), {"queue", "dead", how, id, "--yes"}), 0) << err_;
  };
  settle("retry", claims[0].reservation_id());
  EXPECT_TRUE(AwaitDecided(0, queued[0]).has_created());
  EXPECT_THAT(TableAt(cluster_->endpoint(1), {"queue", "dead", "list"}), Not(HasSubstr(claims[0].reservation_id())));
  settle("discard", claims[1].reservation_id());
  EXPECT_EQ(AwaitRefusal(1, queued[1]), "CLAIM_DISCARDED");
  AwaitTrue("none is left", [&] { return StateOf(queue).dead() == 0; });
}

}  // namespace
}  // namespace tranche::testing
