#include "server/handlers/claim_handler.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/errors.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/support/stub_books.h"
#include "tests/unit/server/admission/test_keys.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using storage::Refusal;
using storage::Reservation;

// A ledger of a few rows, which a standby may lack.
class ClaimRows : public tranche::testing::StubBooks {
 public:
  void ReadKnown(std::vector<storage::Uuid> ids, absl::Time, KnownDone done) override {
    ++reads;
    if (!read_error.ok()) return done(read_error);
    storage::PartialRead read;
    for (const Reservation& row : rows) {
      for (const storage::Uuid& id : ids) {
        if (row.reservation_id == id) read.found.push_back(row);
      }
    }
    done(std::move(read));
  }
  void Find(const storage::Uuid& id, storage::Assurance assurance, absl::Time, FindDone done) override {
    EXPECT_EQ(assurance, storage::Assurance::kReplicated);
    if (!find_error.ok()) return done(find_error);
    for (const Reservation& row : rows) {
      if (row.reservation_id == id) return done(row);
    }
    done(absl::NotFoundError("none"));
  }

  std::vector<Reservation> rows;
  absl::Status read_error;
  absl::Status find_error;
  int reads = 0;
};

class ClaimHandlerTest : public ::testing::Test {
 protected:
  static Reservation RowOf(uint8_t number) {
    Reservation row;
    row.reservation_id.bytes[15] = number;
    row.sku_id = "tv";
    row.user_id = "alice";
    row.quantity = number;
    row.created_at = absl::FromUnixSeconds(1);
    row.expires_at = absl::FromUnixSeconds(2);
    return row;
  }
  static void Refuse(Refusal refusal, Reservation* row) {
    row->state = storage::ReservationState::kCancelled;
    row->cancel_reason = storage::ToCancelReason(refusal);
    row->expires_at = row->created_at;
  }

  // Of the claim, or the cart, that these would be the rows of.
  std::string TicketFor(const std::vector<Reservation>& rows,
                        const std::shared_ptr<const storage::GroupJoin>& group = nullptr) {
    ClaimTicket ticket;
    ticket.group = group;
    std::vector<storage::ReservationClaim> lines;
    for (const Reservation& row : rows) {
      ticket.ids.push_back(row.reservation_id);
      lines.push_back({row.reservation_id, row.sku_id, row.user_id, row.quantity, row.order_reference});
      lines.back().group = group;
    }
    ticket.payload = PayloadOf(lines);
    ticket.sku_id = "tv";
    ticket.shard = "home";
    ticket.cart = rows.size() > 1;
    ticket.ahead = 50;
    ticket.enqueued_at = clock_.Now();
    ticket.decide_at = clock_.Now() + absl::Minutes(10);
    return MakeClaimTicket(*keys_, ticket);
  }
  absl::StatusOr<v1::GetClaimResponse> Get(const std::string& ticket) {
    v1::GetClaimRequest request;
    request.set_ticket(ticket);
    std::optional<absl::StatusOr<v1::GetClaimResponse>> result;
    handler_.Get(request, absl::InfiniteFuture(), [&](absl::StatusOr<v1::GetClaimResponse> response) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(response);
    });
    if (!result.has_value()) return absl::InternalError("not answered");
    return *std::move(result);
  }
  // "" if the claim was not refused.
  std::string RefusedAs(const std::string& ticket) {
    const auto response = Get(ticket);
    if (!response.ok() || !response->has_refused()) return "";
    google::rpc::ErrorInfo info;
    EXPECT_GE(response->refused().details_size(), 1);
    EXPECT_TRUE(response->refused().details(0).UnpackTo(&info));
    return info.reason();
  }
  bool StaysQueued(const std::string& ticket) {
    const auto response = Get(ticket);
    return response.ok() && response->has_queued();
  }

  storage::FakeClock clock_;
  ClaimRows books_;
  std::shared_ptr<const FrontKeys> keys_ = std::make_shared<const FrontKeys>(CurrentTestKey());
  ClaimOutlook outlook_{7, absl::Seconds(3)};
  ClaimHandler handler_{&books_, &clock_, [this] { return keys_; },
                        [this](const ClaimTicket& ticket) {
                          EXPECT_EQ(ticket.ahead, 50);
                          return outlook_;
                        }};
};

TEST_F(ClaimHandlerTest, WithoutARowItIsQueued) {
  const std::string ticket = TicketFor({RowOf(1)});
  const auto response = Get(ticket);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->queued().ticket(), ticket);
  EXPECT_EQ(response->queued().ahead(), 7);
  EXPECT_EQ(response->queued().poll_after().seconds(), 3);
  EXPECT_EQ(response->queued().decide_time().seconds(), absl::ToUnixSeconds(clock_.Now() + absl::Minutes(10)));
}

TEST_F(ClaimHandlerTest, AClaimThatWasSoldIsToldAsItIsNow) {
  Reservation row = RowOf(1);
  const std::string ticket = TicketFor({row});
  row.state = storage::ReservationState::kConfirmed;
  row.revision = 2;
  books_.rows = {row};
  const auto response = Get(ticket);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->created().reservation().reservation_id(), row.reservation_id.ToString());
  EXPECT_EQ(response->created().reservation().state(), v1::RESERVATION_STATE_CONFIRMED);
  EXPECT_TRUE(response->created().replayed());
}

// As opposed to one that was refused.
TEST_F(ClaimHandlerTest, AClaimThatWasSoldAndCancelledLaterWasSold) {
  Reservation row = RowOf(1);
  const std::string ticket = TicketFor({row});
  Refuse(Refusal::kSoldOut, &row);
  row.expires_at = row.created_at + absl::Minutes(10);
  row.revision = 2;
  books_.rows = {row};
  const auto response = Get(ticket);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->created().reservation().state(), v1::RESERVATION_STATE_CANCELLED);
}

TEST_F(ClaimHandlerTest, AClaimThatWasRefusedTellsWhy) {
  for (const Refusal refusal : {Refusal::kSoldOut, Refusal::kUserLimitReached, Refusal::kDeadlinePassed}) {
    Reservation row = RowOf(1);
    Refuse(refusal, &row);
    books_.rows = {row};
    EXPECT_EQ(RefusedAs(TicketFor({RowOf(1)})), ReasonName(RefusalError({.refusal = refusal})));
  }
}

TEST_F(ClaimHandlerTest, OfAJoinTheReservationOrTheRefusalIsTold) {
  storage::GroupJoin join{.group_id = {}, .offer_id = "trio"};
  join.group_id.bytes[15] = 7;
  const std::string ticket = TicketFor({RowOf(1)}, std::make_shared<const storage::GroupJoin>(join));
  EXPECT_TRUE(StaysQueued(ticket));
  Reservation joined = RowOf(1);
  joined.group_id = join.group_id;
  books_.rows = {joined};
  const auto response = Get(ticket);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->created().reservation().reservation_id(), RowOf(1).reservation_id.ToString());
  const std::pair<Refusal, std::pair<std::string, std::string>> cases[] = {
      {Refusal::kGroupFull, {"group_id", join.group_id.ToString()}},
      {Refusal::kOfferClosed, {"offer_id", "trio"}},
      {Refusal::kSoldOut, {"sku_id", "tv"}},
  };
  for (const auto& [refusal, told] : cases) {
    Reservation row = RowOf(1);
    Refuse(refusal, &row);
    books_.rows = {row};
    const auto refused = Get(ticket);
    ASSERT_TRUE(refused.ok()) << refused.status();
    google::rpc::ErrorInfo info;
    ASSERT_GE(refused->refused().details_size(), 1);
    ASSERT_TRUE(refused->refused().details(0).UnpackTo(&info));
    EXPECT_EQ(info.reason(), storage::NameOfRefusal(refusal));
    EXPECT_EQ(info.metadata().at(told.first), told.second);
  }
  // Of no group, and of another one.
  books_.rows = {RowOf(1)};
  EXPECT_EQ(RefusedAs(ticket), "RESERVATION_ID_REUSED");
  Reservation other = joined;
  other.group_id->bytes[15] = 8;
  books_.rows = {other};
  EXPECT_EQ(RefusedAs(ticket), "RESERVATION_ID_REUSED");
  other = joined;
  other.user_id = "bob";
  books_.rows = {other};
  EXPECT_EQ(RefusedAs(ticket), "RESERVATION_ID_REUSED");
}

TEST_F(ClaimHandlerTest, LinesOfACartComeInTheirOrder) {
  books_.rows = {RowOf(2), RowOf(3), RowOf(1)};
  const auto response = Get(TicketFor({RowOf(1), RowOf(2), RowOf(3)}));
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->cart_created().reservations_size(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(response->cart_created().reservations(i).quantity(), i + 1);
  EXPECT_TRUE(response->cart_created().replayed());
}

TEST_F(ClaimHandlerTest, ACartIsRefusedAsAWhole) {
  Reservation first = RowOf(1), second = RowOf(2);
  const std::string ticket = TicketFor({first, second});
  Refuse(Refusal::kSaleClosed, &second);
  // The other line's row is not there yet.
  books_.rows = {second};
  EXPECT_EQ(RefusedAs(ticket), "SALE_CLOSED");
  Refuse(Refusal::kSaleClosed, &first);
  books_.rows = {first, second};
  EXPECT_EQ(RefusedAs(ticket), "SALE_CLOSED");
}

TEST_F(ClaimHandlerTest, AnIdOfAnotherClaimIsReused) {
  Reservation other = RowOf(1);
  other.user_id = "bob";
  books_.rows = {other};
  EXPECT_EQ(RefusedAs(TicketFor({RowOf(1)})), "RESERVATION_ID_REUSED");
  Refuse(Refusal::kSoldOut, &other);
  books_.rows = {other};
  EXPECT_EQ(RefusedAs(TicketFor({RowOf(1)})), "RESERVATION_ID_REUSED") << "it is bob's claim that is sold out";
  // One line of a cart was sold before, to somebody, and the others are refused for that.
  other = RowOf(1);
  other.user_id = "bob";
  Reservation second = RowOf(2);
  Refuse(Refusal::kReservationIdReused, &second);
  books_.rows = {other, second};
  EXPECT_EQ(RefusedAs(TicketFor({RowOf(1), RowOf(2)})), "RESERVATION_ID_REUSED");
}

// The others may be rows that were not committed yet when they were read.
TEST_F(ClaimHandlerTest, SomeLinesOfACartAreNoDecision) {
  const std::string ticket = TicketFor({RowOf(1), RowOf(2)});
  books_.rows = {RowOf(1)};
  EXPECT_TRUE(StaysQueued(ticket));
  books_.rows = {RowOf(1), RowOf(2)};
  EXPECT_FALSE(StaysQueued(ticket));
}

TEST_F(ClaimHandlerTest, ADecisionIsToldOnlyOnceAStandbyHasIt) {
  const std::string ticket = TicketFor({RowOf(1)});
  books_.rows = {RowOf(1)};
  books_.find_error = absl::NotFoundError("lost in a failover");
  EXPECT_TRUE(StaysQueued(ticket));
  books_.find_error = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Get(ticket).status()), "LEDGER_UNAVAILABLE");
  books_.find_error = absl::OkStatus();
  EXPECT_FALSE(StaysQueued(ticket));
}

TEST_F(ClaimHandlerTest, ASilentLedgerIsNoAnswer) {
  const std::string ticket = TicketFor({RowOf(1)});
  books_.read_error = absl::UnavailableError("down");
  EXPECT_EQ(ReasonOf(Get(ticket).status()), "LEDGER_UNAVAILABLE");
  books_.read_error = absl::ResourceExhaustedError("many");
  EXPECT_EQ(ReasonOf(Get(ticket).status()), "OVERLOADED");
}

TEST_F(ClaimHandlerTest, WhatIsNoTicketIsRefusedWithoutTheLedger) {
  const std::string ticket = TicketFor({RowOf(1)});
  for (const std::string& text : {std::string(), std::string("t"), ticket + "A", std::string(3000, 'A')}) {
    const absl::Status error = Get(text).status();
    EXPECT_EQ(ReasonOf(error), "CLAIM_TICKET_INVALID");
    EXPECT_EQ(MetadataOf(error, "field"), "ticket");
  }
  clock_.AdvanceBy(kClaimTicketsLast);
  EXPECT_EQ(ReasonOf(Get(ticket).status()), "CLAIM_TICKET_INVALID");
  keys_ = nullptr;
  EXPECT_EQ(ReasonOf(Get(ticket).status()), "CLAIM_TICKET_INVALID");
  EXPECT_EQ(books_.reads, 0);
}

}  // namespace
}  // namespace tranche::server
