// tranchectl reconcile against a real cluster: what it finds, what it corrects, and a long export.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/run.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHeader[] = "reference,reservation_id,amount,currency,time,kind\n";
constexpr char kUnknownId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

class ReconcileTest : public SaleTest, protected TranchectlRunner {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 1;
    StartCluster(options);
  }

  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "reconcile");
    return RunCtlAt(cluster_->endpoint(0), std::move(arguments));
  }
  // An hour on both sides of now.
  json Reconcile(const std::string& lines, std::vector<std::string> more = {}) {
    std::ofstream(statement_) << kHeader << lines;
    more.insert(more.end(), {"--statement", statement_, "--from", TimeText(-absl::Hours(1)), "--to",
                             TimeText(absl::Hours(1)), "-o", "json"});
    status_ = Run(std::move(more));
    return json::parse(out_, nullptr, /*allow_exceptions=*/false);
  }
  static std::string TimeText(absl::Duration from_now) {
    return absl::FormatTime(absl::RFC3339_sec, absl::Now() + from_now, absl::UTCTimeZone());
  }
  static std::string Line(const std::string& reference, const std::string& id, const std::string& kind = "charge",
                          const std::string& amount = "499.00") {
    return absl::StrCat(reference, ",", id, ",", amount, ",EUR,", TimeText(absl::ZeroDuration()), ",", kind, "\n");
  }

  std::string Reserve(const std::string& user) {
    const auto reservation = client_->Create({.sku = "tv", .user = user});
    EXPECT_TRUE(reservation.ok()) << reservation.status();
    return reservation.ok() ? reservation->reservation_id : "";
  }
  std::string Query(const std::string& sql) {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::work transaction(connection);
    const auto rows = transaction.exec(sql);
    transaction.commit();
    return rows.empty() || rows[0][0].is_null() ? "" : rows[0][0].c_str();
  }
  void Confirm(const std::string& id, const std::string& reference) {
    ASSERT_EQ(Query(absl::StrCat("SELECT outcome FROM tranche.confirm_reservations(ARRAY['", id, "'::uuid], ARRAY['",
                                 reference, "'], ARRAY[49900::bigint], ARRAY['EUR'])")),
              "DONE");
  }
  // Expiry passes over a SKU that the balancer has locked.
  void AwaitExpired(const std::string& id) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    do {
      ASSERT_LT(absl::Now(), give_up) << "never expired";
      Query("SELECT tranche.expire_due(10)");
    } while (StateOf(id) != "EXPIRED");
  }
  std::string StateOf(const std::string& id) {
    return Query(absl::StrCat("SELECT state FROM tranche.reservation WHERE reservation_id = '", id, "'"));
  }

  const ScratchDir scratch_{"reconcile"};
  const std::string statement_ = (scratch_.path() / "statement.csv").string();
  const std::string report_ = (scratch_.path() / "report.jsonl").string();
  int status_ = 0;
};

TEST_F(ReconcileTest, WhatDiffersIsFoundAndWhatIsSafeCorrected) {
  OpenSale("tv", 100);
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) ids.push_back(Reserve(absl::StrCat("user-", i)));
  for (const int i : {0, 1, 2, 6}) Confirm(ids[i], absl::StrCat("p", i));
  Query(absl::StrCat("SELECT outcome FROM tranche.cancel_reservations(ARRAY['", ids[4], "'::uuid], ARRAY[''])"));
  Query(absl::StrCat("UPDATE tranche.reservation SET expires_at = now() - interval '1 s' WHERE reservation_id = '",
                     ids[5], "'"));
  AwaitExpired(ids[5]);
  const std::string charges = Line("p0", ids[0]) + Line("p1", ids[1], "charge", "500.00") + Line("p2", ids[2]) +
                              Line("p2b", ids[2]) + Line("p3", ids[3]) + Line("p4", ids[4]) + Line("p5", ids[5]) +
                              Line("p9", kUnknownId) + "what,is,this\n";

  json found = Reconcile(charges, {"--report", report_});
  ASSERT_EQ(status_, 2) << err_;
  for (const char* name : {"AMOUNT_DIFFERS", "DUPLICATE_CHARGE", "PAID_BUT_PENDING", "PAID_BUT_CANCELLED",
                           "PAID_BUT_EXPIRED", "MISSING_HERE", "CONFIRMED_BUT_UNPAID"}) {
    EXPECT_EQ(found["differences"][name]["count"], "1") << name << ": " << out_;
  }
  EXPECT_EQ(found["differences"].size(), 7U) << out_;
  EXPECT_EQ(found["malformed"]["MALFORMED_COLUMNS"], "1");
  EXPECT_EQ(found["statement"]["charges"]["count"], "8");
  EXPECT_EQ(found["statement"]["charges"]["units"], "7");
  EXPECT_EQ(found["statement"]["charges"]["amounts_minor"]["EUR"], "399300");
  EXPECT_EQ(found["ledger"]["payments"]["count"], "4");
  const std::string report = FileContents(report_);
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 8);
  EXPECT_THAT(report, HasSubstr(absl::StrCat(R"({"class":"PAID_BUT_PENDING","reservation_id":")", ids[3])));
  EXPECT_THAT(report, HasSubstr(R"("class":"MALFORMED_COLUMNS","statement_line":"10")"));

  Reconcile(charges, {"--fix"});
  EXPECT_THAT(err_, HasSubstr("Nothing has changed"));
  EXPECT_EQ(StateOf(ids[3]), "PENDING");
  Reconcile(charges, {"--fix", "--max-fixes", "1"});
  EXPECT_THAT(err_, HasSubstr("more corrections than --max-fixes 1 allows"));
  EXPECT_THAT(err_, Not(HasSubstr("--yes"))) << "which would be refused";

  found = Reconcile(charges, {"--fix", "--yes"});
  EXPECT_EQ(status_, 2) << err_;
  EXPECT_EQ(found["corrections"]["CONFIRMED"], "1") << err_;
  EXPECT_EQ(found["corrections"]["REBOOKED"], "1") << err_;
  EXPECT_EQ(found["corrections"]["REFUND_REQUESTED"], "2") << err_;
  EXPECT_EQ(StateOf(ids[3]), "CONFIRMED");
  EXPECT_EQ(Query("SELECT count(*) FROM tranche.audit_log WHERE action = 'reconcile_payment' "
                  "AND actor LIKE '%@%' AND NOT automatic"),
            "4");

  // The rest needs people, and the provider.
  found = Reconcile(charges, {"--fix", "--yes"});
  EXPECT_EQ(found["differences"].size(), 4U) << out_;
  EXPECT_EQ(found["differences"]["UNFULFILLED_NOT_REFUNDED"]["count"], "2") << out_;
  EXPECT_THAT(err_, HasSubstr("No correction is safe"));

  const std::string refunds = Line("p2b", ids[2], "refund") + Line("p4", ids[4], "refund");
  found = Reconcile(charges + refunds, {"--fix", "--yes"});
  EXPECT_EQ(found["corrections"]["REFUND_NOTED"], "2") << out_ << err_;
  found = Reconcile(charges + refunds);
  EXPECT_EQ(found["differences"].size(), 3U) << out_;
  EXPECT_EQ(Query("SELECT count(*) FROM tranche.audit_log WHERE action = 'mark_refunded'"), "2");
  CheckLedger();
}

TEST_F(ReconcileTest, NoDifferencesAndMistakes) {
  OpenSale("tv", 10);
  const std::string id = Reserve("user");
  Confirm(id, "p");
  const json clean = Reconcile(Line("p", id));
  EXPECT_EQ(status_, 0) << err_;
  EXPECT_EQ(clean["clean"], true);
  EXPECT_EQ(Run({"--statement", statement_}), 0) << err_;
  EXPECT_THAT(out_, ContainsRegex("statement: charges +1 +1 +499.00 EUR"));
  EXPECT_THAT(out_, HasSubstr("ok: no differences"));

  EXPECT_EQ(Run({"--statement", "/nowhere.csv"}), 1);
  EXPECT_THAT(err_, HasSubstr("cannot open /nowhere.csv"));
  EXPECT_EQ(Run({"--statement", statement_, "--format", "jsonl"}), 1);
  EXPECT_THAT(err_, HasSubstr("none of the statement's 2 lines can be used"));
  EXPECT_EQ(Run({"--statement", "-"}), 1);
  EXPECT_THAT(err_, HasSubstr("--format"));
  EXPECT_EQ(Run({"--statement", statement_, "--yes"}), 1);
  EXPECT_EQ(Run({"--statement", statement_, "--report", (scratch_.path() / "report.txt").string()}), 1);
  EXPECT_EQ(Run({"--statement", statement_, "--fix", "--yes", "--max-fixes", "1"}), 0);
  std::ofstream(statement_) << "a,b\n";
  EXPECT_EQ(Run({"--statement", statement_}), 1);
  EXPECT_THAT(err_, HasSubstr("the header lacks reference"));
  std::ofstream(statement_) << kHeader << Line("p", id);
  ASSERT_TRUE(cluster_->KillNode(0).ok());
  EXPECT_EQ(ctl::Run({"--endpoint", "127.0.0.1:1", "reconcile", "--statement", statement_}, std::cout, std::cerr, {}),
            2);
}

// Many pages, in which nothing is repeated or missing. TRANCHE_RECONCILE_ROWS makes it a measurement.
TEST_F(ReconcileTest, ALongExport) {
  const char* const wanted = std::getenv("TRANCHE_RECONCILE_ROWS");
  const int rows = wanted != nullptr ? std::atoi(wanted) : 20000;
  Query(absl::StrCat("SELECT tranche.create_sku('many', 'Many', 49900, 'EUR', ", rows,
                     ", 1, 60, NULL, NULL, 1, 'test')"));
  const absl::Status filled = ExecuteSql(
      cluster_->postgres().dsn(),
      absl::StrCat("INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, state, "
                   "amount_minor, currency, incarnation_id, created_at, expires_at, finished_at, payment_reference) "
                   "SELECT gen_random_uuid(), 'many', 'u' || i, 1, 1, 'CONFIRMED', 49900, 'EUR', 1, now(), now(), "
                   "now(), 'pay-' || i FROM generate_series(1, ",
                   rows, ") AS i"));
  ASSERT_TRUE(filled.ok()) << filled;
  {
    std::ofstream statement(statement_);
    statement << kHeader;
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::work transaction(connection);
    for (const auto& row : transaction.exec("SELECT payment_reference, reservation_id FROM tranche.reservation")) {
      statement << Line(row[0].c_str(), row[1].c_str());
    }
  }
  const absl::Time start = absl::Now();
  const int status = Run(
      {"--statement", statement_, "--from", TimeText(-absl::Hours(1)), "--to", TimeText(absl::Hours(1)), "-o", "json"});
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  EXPECT_EQ(status, 0) << out_ << err_;
  const json totals = json::parse(out_, nullptr, /*allow_exceptions=*/false);
  EXPECT_EQ(totals["statement"]["charges"]["count"], absl::StrCat(rows));
  EXPECT_EQ(totals["ledger"]["payments"]["count"], absl::StrCat(rows));
  RecordProperty("lines_per_s", static_cast<int>(rows / seconds));
  std::cout << rows << " lines in " << seconds << " s\n";
}

}  // namespace
}  // namespace tranche::testing
