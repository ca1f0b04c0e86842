#include "server/handlers/list_handler.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/handlers/field_checks.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/inline_executor.h"
#include "tests/support/one_shard.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

// A ledger with reservations of alice and bob in two SKUs; one of alice's is cancelled.
class ListHandlerTest : public ::testing::Test {
 protected:
  ListHandlerTest() {
    const auto incarnation = *ledger_.RegisterIncarnation("n", "a:1");
    uint8_t next = 1;
    for (const std::string sku_id : {"cable", "tv"}) {
      storage::Sku sku;
      sku.sku_id = sku_id;
      sku.currency = "EUR";
      sku.stock = 20;
      sku.per_user_limit = 10;
      EXPECT_TRUE(ledger_.CreateSku(sku, "test").ok());
      EXPECT_TRUE(ledger_.MoveUnits(sku_id, {{incarnation, 20}}, std::nullopt, "test").ok());
      for (const std::string user : {"alice", "alice", "alice", "bob/x"}) {
        storage::ReservationClaim claim{{}, sku_id, user, 1};
        claim.reservation_id.bytes[15] = next++;
        EXPECT_TRUE(ledger_.CommitReservations(incarnation, storage::LockMode::kWait, {&claim, 1}).ok());
      }
    }
    storage::Cancellation gone{{}, "x"};
    gone.reservation_id.bytes[15] = 1;
    EXPECT_TRUE(ledger_.CancelReservations({&gone, 1}).ok());
  }

  absl::StatusOr<v1::ListReservationsResponse> List(const v1::ListReservationsRequest& request) {
    absl::StatusOr<v1::ListReservationsResponse> result = absl::InternalError("not answered");
    handler_.List(request, clock_.Now() + absl::Seconds(2),
                  [&](absl::StatusOr<v1::ListReservationsResponse> response) { result = std::move(response); });
    return result;
  }
  absl::StatusOr<v1::BatchGetReservationsResponse> BatchGet(const v1::BatchGetReservationsRequest& request) {
    absl::StatusOr<v1::BatchGetReservationsResponse> result = absl::InternalError("not answered");
    handler_.BatchGet(request, clock_.Now() + absl::Seconds(2),
                      [&](absl::StatusOr<v1::BatchGetReservationsResponse> response) { result = std::move(response); });
    return result;
  }
  absl::Status ErrorOf(const v1::ListReservationsRequest& request) { return List(request).status(); }

  // All pages, as "sku/number".
  std::multiset<std::string> All(v1::ListReservationsRequest request, int* pages) {
    std::multiset<std::string> all;
    *pages = 0;
    do {
      const auto page = List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || ++*pages > 50) break;
      for (const auto& one : page->reservations()) {
        all.insert(absl::StrCat(one.sku_id(), "/", one.reservation_id().substr(34)));
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return all;
  }

  static v1::ListReservationsRequest Of(const std::string& user, const std::string& sku) {
    v1::ListReservationsRequest request;
    request.set_user_id(user);
    request.set_sku_id(sku);
    return request;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  tranche::testing::InlineExecutor executor_;
  tranche::testing::OneShard shard_{&ledger_, &executor_, &clock_};
  ListHandler handler_{shard_.books(), &clock_};
};

TEST_F(ListHandlerTest, PagesOfAnySizeTellEachReservationOnce) {
  const std::multiset<std::string> alices = {"cable/01", "cable/02", "cable/03", "tv/05", "tv/06", "tv/07"};
  for (const int size : {1, 2, 3, 100}) {
    v1::ListReservationsRequest request = Of("alice", "");
    request.set_page_size(size);
    int pages = 0;
    EXPECT_EQ(All(request, &pages), alices) << size;
    EXPECT_GE(pages, 6 / size) << size;
  }
  int pages = 0;
  EXPECT_EQ(All(Of("", "tv"), &pages), (std::multiset<std::string>{"tv/05", "tv/06", "tv/07", "tv/08"}));
  v1::ListReservationsRequest slashed = Of("bob/x", "");
  slashed.set_page_size(1);
  EXPECT_EQ(All(slashed, &pages), (std::multiset<std::string>{"cable/04", "tv/08"}));
}

TEST_F(ListHandlerTest, StatesAreAFilter) {
  v1::ListReservationsRequest request = Of("alice", "");
  request.add_states(v1::RESERVATION_STATE_CANCELLED);
  request.add_states(v1::RESERVATION_STATE_EXPIRED);
  int pages = 0;
  EXPECT_EQ(All(request, &pages), (std::multiset<std::string>{"cable/01"}));
  const auto page = List(request);
  ASSERT_EQ(page->reservations_size(), 1);
  EXPECT_EQ(page->reservations(0).state(), v1::RESERVATION_STATE_CANCELLED);
  EXPECT_EQ(page->reservations(0).cancel_reason(), "x");
  EXPECT_TRUE(page->reservations(0).has_finish_time());
  EXPECT_EQ(page->reservations(0).revision(), 2);
}

TEST_F(ListHandlerTest, EveryBadFieldIsNamed) {
  EXPECT_EQ(MetadataOf(ErrorOf(Of("", "")), "field"), "user_id");
  EXPECT_EQ(ReasonOf(ErrorOf(Of("a\nb", ""))), "USER_ID_MALFORMED");
  EXPECT_EQ(ReasonOf(ErrorOf(Of("", "a/b"))), "SKU_ID_MALFORMED");
  v1::ListReservationsRequest request = Of("alice", "");
  request.set_page_size(-1);
  EXPECT_EQ(MetadataOf(ErrorOf(request), "field"), "page_size");
  request = Of("alice", "");
  request.add_states(v1::RESERVATION_STATE_UNSPECIFIED);
  EXPECT_EQ(MetadataOf(ErrorOf(request), "field"), "states");
  for (const std::string& token : {std::string("x"), EncodePageToken("tv"), EncodePageToken("tv/live/x/y/z"),
                                   EncodePageToken("a b/live/1/01890a5d-ac96-774b-bcce-b302099a8057/u")}) {
    request = Of("alice", "");
    request.set_page_token(token);
    EXPECT_EQ(MetadataOf(ErrorOf(request), "field"), "page_token") << token;
  }
}

TEST_F(ListHandlerTest, ATokenOfAnotherListIsRefused) {
  v1::ListReservationsRequest request = Of("alice", "tv");
  request.set_page_size(1);
  const std::string token = List(request)->next_page_token();
  ASSERT_FALSE(token.empty());
  request = Of("bob/x", "tv");
  request.set_page_token(token);
  EXPECT_EQ(MetadataOf(ErrorOf(request), "field"), "page_token");
  request = Of("alice", "cable");
  request.set_page_token(token);
  EXPECT_EQ(MetadataOf(ErrorOf(request), "field"), "page_token");
}

TEST_F(ListHandlerTest, CursorsSurviveTheirToken) {
  storage::ReservationCursor cursor;
  cursor.sku_id = "tv-1.2";
  cursor.lapsed = true;
  cursor.user_id = "a/b c";
  cursor.ordinal = 17;
  cursor.reservation_id.bytes[3] = 9;
  const auto back = DecodeCursor(EncodeCursor(cursor));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->sku_id, cursor.sku_id);
  EXPECT_TRUE(back->lapsed);
  EXPECT_EQ(back->user_id, cursor.user_id);
  EXPECT_EQ(back->ordinal, 17);
  EXPECT_EQ(back->reservation_id, cursor.reservation_id);
}

TEST_F(ListHandlerTest, TroublesOfTheLedger) {
  ledger_.FailNext(1);
  EXPECT_EQ(ReasonOf(ErrorOf(Of("alice", ""))), "LEDGER_UNAVAILABLE");
  executor_.full = true;
  EXPECT_EQ(ReasonOf(ErrorOf(Of("alice", ""))), "OVERLOADED");
  absl::Status late;
  executor_.full = false;
  handler_.List(Of("alice", ""), clock_.Now(), [&](auto response) { late = response.status(); });
  EXPECT_EQ(ReasonOf(late), "DEADLINE_PASSED");
}

TEST_F(ListHandlerTest, ABatchIsInTheOrderOfItsIdsAndLeavesOutWhatDoesNotExist) {
  const auto id = [](int number) { return absl::StrFormat("00000000-0000-0000-0000-%012x", number); };
  v1::BatchGetReservationsRequest request;
  for (const int number : {7, 99, 2, 8}) request.add_reservation_ids(id(number));
  const auto found = BatchGet(request);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<std::string> ids;
  for (const auto& one : found->reservations()) ids.push_back(one.reservation_id());
  EXPECT_EQ(ids, (std::vector<std::string>{id(7), id(2), id(8)}));
  EXPECT_EQ(found->reservations(2).user_id(), "bob/x");
}

TEST_F(ListHandlerTest, ABatchIsBoundedAndNamesEachIdOnce) {
  v1::BatchGetReservationsRequest request;
  EXPECT_EQ(ReasonOf(BatchGet(request).status()), "FIELD_INVALID") << "empty";
  request.add_reservation_ids("x");
  EXPECT_EQ(ReasonOf(BatchGet(request).status()), "RESERVATION_ID_MALFORMED");
  request.set_reservation_ids(0, "00000000-0000-0000-0000-00000000000a");
  request.add_reservation_ids("00000000-0000-0000-0000-00000000000A");
  EXPECT_EQ(ReasonOf(BatchGet(request).status()), "FIELD_INVALID") << "the same id";
  request.clear_reservation_ids();
  for (int number = 1; number <= 101; ++number) {
    request.add_reservation_ids(absl::StrFormat("00000000-0000-0000-0000-%012d", number));
  }
  EXPECT_EQ(ReasonOf(BatchGet(request).status()), "FIELD_INVALID") << "too many";
  request.mutable_reservation_ids()->RemoveLast();
  EXPECT_TRUE(BatchGet(request).ok());
}

TEST_F(ListHandlerTest, ABatchWithoutTheLedgerSaysSo) {
  ledger_.FailNext(1);
  v1::BatchGetReservationsRequest request;
  request.add_reservation_ids("00000000-0000-0000-0000-000000000001");
  EXPECT_EQ(ReasonOf(BatchGet(request).status()), "LEDGER_UNAVAILABLE");
}

}  // namespace
}  // namespace tranche::server
