// The admin calls of reconciliation: what they check, and that an export can continue anywhere.
#include "server/handlers/payment_handler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "server/proto_time.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using storage::PaymentEntry;
using storage::Uuid;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Uuid Id(uint8_t n) {
  Uuid id;
  id.bytes[15] = n;
  return id;
}

// Confirmed reservations; pages of two.
class FakePayments : public storage::PaymentLedger {
 public:
  absl::StatusOr<storage::PaymentPage> ExportPayments(const std::optional<Uuid>& after, absl::Time from, absl::Time to,
                                                      int) override {
    from_ = from;
    to_ = to;
    storage::PaymentPage page;
    for (const auto& [id, entry] : entries) {
      if (after.has_value() && !(*after < id)) continue;
      if (page.entries.size() == 2) {
        page.next = page.entries.back().reservation_id;
        break;
      }
      page.entries.push_back(entry);
    }
    return page;
  }
  absl::StatusOr<std::vector<PaymentEntry>> LookUpPayments(absl::Span<const Uuid> ids) override {
    std::vector<PaymentEntry> found;
    for (const Uuid& id : ids) {
      if (const auto entry = entries.find(id); entry != entries.end()) found.push_back(entry->second);
    }
    return found;
  }
  absl::StatusOr<storage::AppliedPayment> ApplyPayment(const storage::Payment& payment,
                                                       const storage::Actor& actor) override {
    calls.push_back(
        absl::StrCat(actor.name, ": ", payment.payment_reference, " ", payment.amount_minor, payment.currency));
    if (payment.payment_reference == "down") return absl::UnavailableError("down");
    return storage::AppliedPayment{storage::AppliedPayment::Outcome::kRebooked, true, Id(9)};
  }
  absl::StatusOr<std::vector<storage::RefundMark>> MarkRefunded(absl::Span<const std::pair<Uuid, std::string>> payments,
                                                                const storage::Actor& actor) override {
    calls.push_back(absl::StrCat(actor.name, ": refunded ", payments[0].second));
    return std::vector<storage::RefundMark>{storage::RefundMark::kRebooked};
  }

  std::map<Uuid, PaymentEntry> entries;
  std::vector<std::string> calls;
  absl::Time from_;
  absl::Time to_;
};

class PaymentHandlerTest : public ::testing::Test {
 protected:
  PaymentHandlerTest() {
    for (uint8_t n = 1; n <= 5; ++n) {
      PaymentEntry& entry = ledger_.entries[Id(n)];
      entry.reservation_id = Id(n);
      entry.kept = true;
      entry.state = storage::ReservationState::kConfirmed;
      entry.payment_reference = absl::StrCat("p", n);
      entry.paid_at = absl::FromUnixSeconds(n);
    }
    *request_.mutable_from_time() = ToTimestamp(absl::FromUnixSeconds(1));
    *request_.mutable_to_time() = ToTimestamp(absl::FromUnixSeconds(2));
  }

  std::vector<std::string> Export() {
    std::vector<std::string> references;
    auto cursor = handler_.StartExport(request_);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    while (cursor.ok() && !cursor->done) {
      const auto page = handler_.ReadExport(&*cursor);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_EQ(cursor->done, page->read_up_to().empty());
      for (const v1::PaymentEntry& entry : page->entries()) references.push_back(entry.payment_reference());
    }
    return references;
  }

  FakePayments ledger_;
  PaymentHandler handler_{&ledger_};
  v1::ExportPaymentsRequest request_;
};

TEST_F(PaymentHandlerTest, ExportsPageByPage) {
  EXPECT_THAT(Export(), ElementsAre("p1", "p2", "p3", "p4", "p5"));
  EXPECT_EQ(ledger_.from_, absl::FromUnixSeconds(1));
  EXPECT_EQ(ledger_.to_, absl::FromUnixSeconds(2));
  request_.set_after_reservation_id(Id(3).ToString());
  EXPECT_THAT(Export(), ElementsAre("p4", "p5"));
  request_.set_after_reservation_id(Id(5).ToString());
  EXPECT_THAT(Export(), IsEmpty());
}

TEST_F(PaymentHandlerTest, ExportChecksItsFields) {
  v1::ExportPaymentsRequest bad = request_;
  bad.clear_from_time();
  EXPECT_EQ(MetadataOf(handler_.StartExport(bad).status(), "field"), "from_time");
  bad = request_;
  bad.mutable_to_time()->set_nanos(-1);
  EXPECT_EQ(MetadataOf(handler_.StartExport(bad).status(), "field"), "to_time");
  bad = request_;
  bad.set_after_reservation_id("x");
  EXPECT_EQ(ReasonOf(handler_.StartExport(bad).status()), "RESERVATION_ID_MALFORMED");
}

TEST_F(PaymentHandlerTest, LooksUp) {
  v1::LookUpPaymentsRequest request;
  EXPECT_EQ(ReasonOf(handler_.LookUp(request).status()), "FIELD_INVALID");
  request.add_reservation_ids(Id(2).ToString());
  request.add_reservation_ids(Id(99).ToString());
  const auto response = handler_.LookUp(request);
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->entries_size(), 1);
  EXPECT_EQ(response->entries(0).state(), v1::RESERVATION_STATE_CONFIRMED);
  request.add_reservation_ids("x");
  EXPECT_EQ(ReasonOf(handler_.LookUp(request).status()), "RESERVATION_ID_MALFORMED");
  for (int i = 0; i < 1000; ++i) request.add_reservation_ids(Id(1).ToString());
  EXPECT_EQ(ReasonOf(handler_.LookUp(request).status()), "FIELD_INVALID");
}

TEST_F(PaymentHandlerTest, AppliesInOrderAndSaysWho) {
  v1::ApplyCorrectionsRequest request;
  EXPECT_EQ(ReasonOf(handler_.Apply(request, "al").status()), "FIELD_INVALID");
  v1::Correction* correction = request.add_corrections();
  EXPECT_EQ(ReasonOf(handler_.Apply(request, "al").status()), "RESERVATION_ID_REQUIRED");
  correction->set_reservation_id(Id(1).ToString());
  EXPECT_EQ(MetadataOf(handler_.Apply(request, "al").status(), "field"), "corrections.kind");
  correction->mutable_apply_payment()->set_payment_reference("p");
  correction->mutable_apply_payment()->set_amount_minor(5);
  EXPECT_EQ(MetadataOf(handler_.Apply(request, "al").status(), "field"), "corrections.currency");
  correction->mutable_apply_payment()->set_currency("EUR");
  correction = request.add_corrections();
  correction->set_reservation_id(Id(2).ToString());
  correction->mutable_mark_refunded()->set_payment_reference("");
  EXPECT_EQ(MetadataOf(handler_.Apply(request, "al").status(), "field"), "corrections.payment_reference");
  correction->mutable_mark_refunded()->set_payment_reference("q");
  EXPECT_THAT(ledger_.calls, IsEmpty()) << "all are checked before one is made";

  const auto response = handler_.Apply(request, "al");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(ledger_.calls, ElementsAre("al: p 5EUR", "al: refunded q"));
  EXPECT_EQ(response->results(0).outcome(), v1::CORRECTION_OUTCOME_REBOOKED);
  EXPECT_TRUE(response->results(0).replayed());
  EXPECT_EQ(response->results(0).rebooked_as(), Id(9).ToString());
  EXPECT_EQ(response->results(1).outcome(), v1::CORRECTION_OUTCOME_NOT_TO_REFUND);

  request.mutable_corrections(0)->mutable_apply_payment()->set_payment_reference("down");
  EXPECT_EQ(ReasonOf(handler_.Apply(request, "al").status()), "LEDGER_UNAVAILABLE");
}

}  // namespace
}  // namespace tranche::server
