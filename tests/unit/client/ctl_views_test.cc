#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "client/ctl/audit_view.h"
#include "client/ctl/change_view.h"
#include "client/ctl/display_width.h"
#include "client/ctl/outbox_view.h"
#include "client/ctl/parse.h"
#include "client/ctl/reservation_view.h"
#include "client/ctl/suggest.h"
#include "client/ctl/table.h"

namespace tranche::ctl {
namespace {

TEST(AuditViewTest, ShowsOnlyWhatChanged) {
  EXPECT_EQ(DescribeAuditChange(R"({"stock": 1000})", R"({"stock": 1500})"), "stock 1000 -> 1500");
  EXPECT_EQ(DescribeAuditChange(R"({"stock": 10})", R"({"stock": 7, "asked": 30})"), "stock 10 -> 7, asked 30");
  EXPECT_EQ(DescribeAuditChange(R"({"0": 60, "3": 40})", R"({"0": 50, "3": 40, "17": 10})"), "pool 60 -> 50, #17 10");
  EXPECT_EQ(DescribeAuditChange(R"({"3": 40})", "{}"), "#3 40 -> none");
  EXPECT_EQ(DescribeAuditChange(R"({"3": 40})", R"({"3": 30, "4": 10})", {{3, "node-1"}}), "node-1 #3 40 -> 30, #4 10");
  EXPECT_EQ(DescribeAuditChange(R"({"state": "OPEN"})", R"({"state": "CLOSED"})"), "state OPEN -> CLOSED");
  EXPECT_EQ(DescribeAuditChange(R"({"draining": false})", R"({"draining": true})"), "draining false -> true");
  EXPECT_EQ(DescribeAuditChange("x", "y"), "x -> y") << "what is no JSON is shown as it is";
  EXPECT_EQ(DescribeAuditChange("{}", "{}"), "");
}

TEST(AuditViewTest, SaysFirstWhatItIsAbout) {
  EXPECT_EQ(DescribeAuditChange(R"({"reservation_id": "0189", "state": "PENDING"})",
                                R"({"cancel_reason": "x", "outcome": "DONE", "reservation_id": "0189",
                                    "state": "CANCELLED"})"),
            "reservation_id 0189, state PENDING -> CANCELLED, cancel_reason x, outcome DONE");
  EXPECT_EQ(DescribeAuditChange(R"({"state": "DEAD", "reservation_id": "0189", "revision": 2, "sink": "erp"})",
                                R"({"state": "PENDING", "reservation_id": "0189", "revision": 2, "sink": "erp"})"),
            "sink erp, reservation_id 0189, revision 2, state DEAD -> PENDING");
  EXPECT_EQ(DescribeAuditChange(R"({"refunded": false, "payment_reference": "p", "reservation_id": "0189"})",
                                R"({"refunded": true, "payment_reference": "p", "reservation_id": "0189"})"),
            "reservation_id 0189, payment_reference p, refunded false -> true");
  EXPECT_EQ(DescribeAuditChange(R"({"sink": "erp", "dead": 3})", R"({"sink": "erp", "dead": 0})"),
            "sink erp, dead 3 -> 0");
  EXPECT_EQ(DescribeAuditChange(R"({"state": "FORMING", "group": "0189"})",
                                R"({"state": "CANCELLED", "group": "0189", "reason": "x"})"),
            "group 0189, state FORMING -> CANCELLED, reason x");
  EXPECT_EQ(DescribeAuditChange("{}", R"({"seats": 3, "offer": "trio"})"), "offer trio, seats 3");
  EXPECT_EQ(DescribeAuditChange(R"({"shard": "hot", "dsn": "a"})", R"({"shard": "hot", "dsn": "b"})"),
            "shard hot, dsn a -> b");
  EXPECT_EQ(DescribeAuditChange(R"({"sink": "erp"})", "{}"), "sink erp") << "the action says that it is gone";
  EXPECT_EQ(DescribeAuditChange(R"({"sink": "erp"})", R"({"sink": "crm"})"), "sink erp -> crm");
}

TEST(AuditViewTest, WhatAnOutcomeDoesNotTellIsNotCalledGone) {
  EXPECT_EQ(DescribeAuditChange(R"({"reservation_id": "0189", "state": "PENDING"})",
                                R"({"reservation_id": "0189", "outcome": "UNKNOWN"})"),
            "reservation_id 0189, state PENDING, outcome UNKNOWN");
}

TEST(DisplayWidthTest, WideCharactersTakeTwoColumnsAndMarksNone) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("Fernseher"), 9u);
  EXPECT_EQ(DisplayWidth("M\u00fctze"), 5u);
  EXPECT_EQ(DisplayWidth("Mu\u0308tze"), 5u) << "decomposed";
  EXPECT_EQ(DisplayWidth("\u30c6\u30ec\u30d3"), 6u);
  EXPECT_EQ(DisplayWidth("\uc11c\uc6b8"), 4u);
  EXPECT_EQ(DisplayWidth("\U0001f3ab 2"), 4u);
  EXPECT_EQ(DisplayWidth("\xff\xe3x"), 3u) << "what is no UTF-8 takes a column a byte";
}

TEST(TableTest, ColumnsLineUpBehindWideCharacters) {
  Table table({"TITLE", "STOCK"});
  table.AddRow({"\u30c6\u30ec\u30d3", "7"});
  table.AddRow({"TV", "12"});
  std::ostringstream out;
  table.Print(out, /*bold_header=*/false);
  EXPECT_EQ(out.str(),
            "TITLE   STOCK\n"
            "\u30c6\u30ec\u30d3      7\n"
            "TV         12\n");
}

constexpr char kReservationId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// What is printed with this format, and how wide it is.
template <typename PrintIt>
std::pair<std::string, size_t> Printed(const std::string& format, PrintIt print) {
  std::ostringstream out, err;
  Session session(out, err);
  session.output = format;
  print(session);
  size_t width = 0;
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) width = std::max(width, line.size());
  return {out.str(), width};
}

tranche::v1::Reservation UsualReservation() {
  tranche::v1::Reservation one;
  one.set_reservation_id(kReservationId);
  one.set_sku_id("tv-55-oled");
  one.set_user_id("customer-10017");
  one.set_order_reference("A-1017");
  one.set_quantity(1);
  one.set_state(tranche::v1::RESERVATION_STATE_CONFIRMED);
  one.set_amount_minor(129900);
  one.set_currency("EUR");
  one.set_payment_reference("pi_3MtwBwLkdIwHu7ix28a3tqPa");
  one.mutable_create_time()->set_seconds(1'800'000'000);
  one.mutable_expire_time()->set_seconds(1'800'000'900);
  one.mutable_remaining_hold()->set_seconds(899);
  return one;
}

TEST(WidthTest, AListOfReservationsFits110Characters) {
  const auto list = [](Session& session) { PrintReservations(session, {UsualReservation()}); };
  EXPECT_LE(Printed("table", list).second, 110u);
  const std::string wide = Printed("wide", list).first;
  for (const char* column : {"ORDER", "CREATED", "EXTENDED", "NOTE", "pi_3MtwBwLkdIwHu7ix28a3tqPa"}) {
    EXPECT_NE(wide.find(column), std::string::npos) << column;
  }
}

TEST(WidthTest, OneReservationAndItsChangeFit80CharactersWithEveryField) {
  const auto [one, width] = Printed("table", [](Session& session) { PrintReservation(session, UsualReservation()); });
  EXPECT_LE(width, 80u) << one;
  for (const char* value : {"A-1017", "2027-01-15T08:00:00Z", "14m59s", "pi_3MtwBwLkdIwHu7ix28a3tqPa"}) {
    EXPECT_NE(one.find(value), std::string::npos) << value;
  }
  tranche::v1::Reservation before = UsualReservation();
  before.set_state(tranche::v1::RESERVATION_STATE_PENDING);
  before.mutable_expire_time()->set_seconds(1'800'000'000);
  const auto change = [&](Session& session) { PrintReservationChange(session, before, UsualReservation(), {}); };
  EXPECT_LE(Printed("table", change).second, 80u) << Printed("table", change).first;
}

TEST(WidthTest, AListOfMessagesFits110Characters) {
  tranche::v1::ListOutboxMessagesResponse messages;
  tranche::v1::OutboxMessage& message = *messages.add_messages();
  message.mutable_key()->set_reservation_id(kReservationId);
  message.mutable_key()->set_revision(2);
  message.mutable_key()->set_sink("default");
  message.set_kind("reservation.confirmed");
  message.set_sku_id("tv-55-oled");
  message.set_attempts(200);
  message.set_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  message.set_last_error("HTTP 422: the order A-1017 is not known here, and it was not known yesterday either");
  const auto list = [&](Session& session) { PrintOutbox(session, messages); };
  EXPECT_LE(Printed("table", list).second, 110u);
  EXPECT_NE(Printed("table", list).first.find("HTTP 422: the order A-1017"), std::string::npos);
  for (const char* column : {"SKU", "STATE", "CREATED", "NEXT ATTEMPT", " 0af7651916cd43dd8448eb211c80319c "}) {
    EXPECT_NE(Printed("wide", list).first.find(column), std::string::npos) << column;
  }
}

TEST(ChangeViewTest, WarningsAreOnStderrAndInTheJson) {
  std::ostringstream out, err;
  Session session(out, err);
  tranche::v1::SetSkuPausedResponse response;
  EXPECT_EQ(WarningsJson(response).dump(), "[]");
  response.add_warnings("the nodes are not told");
  PrintWarnings(session, response);
  EXPECT_EQ(err.str(), "warning: the nodes are not told\n");
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(WarningsJson(response).dump(), R"(["the nodes are not told"])");
}

TEST(SuggestTest, FindsWhatWasMeant) {
  const std::vector<std::string> words = {"show", "set", "move", "rebalance", "freeze", "thaw"};
  EXPECT_EQ(ClosestWord("shwo", words), "show");
  EXPECT_EQ(ClosestWord("rebalnce", words), "rebalance");
  EXPECT_EQ(ClosestWord("re", words), "rebalance") << "the beginning of only one";
  EXPECT_EQ(ClosestWord("freez", words), "freeze");
  EXPECT_EQ(ClosestWord("mvoe", words), "move");
  EXPECT_EQ(ClosestWord("delete", words), "");
  EXPECT_EQ(ClosestWord("get", words), "set");
  EXPECT_EQ(ClosestWord("add", words), "") << "two slips are too many for three letters";
  EXPECT_EQ(ClosestWord("tcsh", {"bash", "zsh", "fish"}), "") << "and for four";
  EXPECT_EQ(ClosestWord("rebalnec", words), "rebalance") << "two in eight";
  EXPECT_EQ(ClosestWord("s", words), "") << "show or set";
  EXPECT_EQ(ClosestWord("", words), "");
}

TEST(NodeWeightTest, IsANameAndAWeight) {
  EXPECT_EQ(ParseNodeWeight("node-1=3")->node, "node-1");
  EXPECT_EQ(ParseNodeWeight("node-1=3")->weight, 3);
  EXPECT_EQ(ParseNodeWeight("host:7400=0")->node, "host:7400");
  EXPECT_EQ(ParseNodeWeight("a=b=2")->node, "a=b");
  for (const char* text : {"", "node-1", "=3", "node-1=", "node-1=-1", "node-1=x", "node-1=1.5"}) {
    EXPECT_FALSE(ParseNodeWeight(text).ok()) << text;
  }
}

TEST(SkuQuantityTest, IsASkuAndHowManyOfIt) {
  EXPECT_EQ(ParseSkuQuantity("tv")->sku, "tv");
  EXPECT_EQ(ParseSkuQuantity("tv")->quantity, 1);
  EXPECT_EQ(ParseSkuQuantity("tv=12")->sku, "tv");
  EXPECT_EQ(ParseSkuQuantity("tv=12")->quantity, 12);
  for (const char* text : {"", "=2", "tv=", "tv=0", "tv=-1", "tv=x", "tv=1=2", "tv=99999999999"}) {
    EXPECT_FALSE(ParseSkuQuantity(text).ok()) << text;
  }
}

TEST(FormatAgeTest, IsShort) {
  EXPECT_EQ(FormatAge(absl::ZeroDuration()), "0.0s");
  EXPECT_EQ(FormatAge(absl::Milliseconds(1590)), "1.5s");
  EXPECT_EQ(FormatAge(absl::Milliseconds(59'999)), "59.9s");
  EXPECT_EQ(FormatAge(absl::Seconds(90)), "1m30s");
}

TEST(TableTest, AlignsNumbersOfEveryKindRight) {
  Table table({"N", "NAME"});
  table.AddRow({"-3", "a"});
  table.AddRow({"120.5", "b"});
  table.AddRow({"", "c"});
  std::ostringstream out;
  table.Print(out, /*bold_header=*/false);
  EXPECT_EQ(out.str(), "    N  NAME\n   -3  a\n120.5  b\n    -  c\n");
}

}  // namespace
}  // namespace tranche::ctl
