// tranchectl verify

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/commands.h"

namespace tranche::ctl {
namespace {

using tranche::v1::VerifyLedgerRequest;
using tranche::v1::VerifyLedgerResponse;

// A page may have one SKU with millions of reservations, which are read in one snapshot.
constexpr absl::Duration kPageTimeout = absl::Minutes(10);
// Pages grow and shrink so that each takes about this long: progress shows, and what every page costs does not add up.
constexpr absl::Duration kPageGoal = absl::Seconds(2);
constexpr int kFirstPage = 100;
constexpr int kLargestPage = 10000;
constexpr int kMostViolations = 1000;
constexpr absl::Duration kBetweenLines = absl::Seconds(10);

int NextPageSize(int page_size, absl::Duration took) {
  if (took < kPageGoal / 2) return std::min(page_size * 2, kLargestPage);
  if (took > kPageGoal * 2) return std::max(page_size / 2, 1);
  return page_size;
}

// On stderr: one line that is written over on a terminal, a line every ten seconds elsewhere.
class VerifyProgress {
 public:
  explicit VerifyProgress(Session& session) : session_(session) {}
  ~VerifyProgress() {
    if (session_.redraws() && shown_ > absl::InfinitePast()) session_.err() << "\r\x1b[K";
  }

  void Show(const VerifyLedgerResponse& all, int64_t skus_left) {
    const absl::Time now = absl::Now();
    if (!session_.redraws() && now < last_line_ + kBetweenLines) return;
    last_line_ = shown_ = now;
    const std::string text = absl::StrCat("checked ", all.skus_checked(), " SKUs, ", all.reservations_checked(),
                                          " reservations; ", skus_left, " SKUs of this shard left");
    session_.err() << (session_.redraws() ? absl::StrCat("\r\x1b[K", text) : absl::StrCat(text, "\n")) << std::flush;
  }

 private:
  Session& session_;
  absl::Time last_line_ = absl::Now();
  absl::Time shown_ = absl::InfinitePast();
};

void AddPage(const VerifyLedgerResponse& page, VerifyLedgerResponse& all) {
  all.set_skus_checked(all.skus_checked() + page.skus_checked());
  all.set_reservations_checked(all.reservations_checked() + page.reservations_checked());
  for (const auto& violation : page.violations()) {
    if (all.violations_size() < kMostViolations) *all.add_violations() = violation;
  }
}

// A SKU in one call, the whole ledger page by page.
absl::StatusOr<VerifyLedgerResponse> ReadAll(Session& session, const std::string& sku_id) {
  VerifyLedgerRequest request;
  request.set_sku_id(sku_id);
  request.set_page_size(sku_id.empty() ? kFirstPage : 0);
  VerifyLedgerResponse all;
  VerifyProgress progress(session);
  do {
    const absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(const VerifyLedgerResponse page,
                     session.Admin(&tranche::v1::AdminService::Stub::VerifyLedger, request, kPageTimeout));
    AddPage(page, all);
    progress.Show(all, page.skus_left());
    request.set_page_token(page.next_page_token());
    request.set_page_size(NextPageSize(request.page_size(), absl::Now() - start));
  } while (!request.page_token().empty());
  return all;
}

void Verify(Session& session, const std::string& sku_id) {
  const absl::StatusOr<VerifyLedgerResponse> all = ReadAll(session, sku_id);
  if (!all.ok()) {
    session.FailRemotely(all.status());
    if (session.exit_code == kExitRemote) session.exit_code = kExitUnknown;
    return;
  }
  if (session.json()) {
    session.PrintJson(*all);
  } else if (all->violations().empty()) {
    session.out() << "ok: " << all->skus_checked() << " SKUs, " << all->reservations_checked() << " reservations\n";
  } else {
    Table table({"RULE", "SKU", "DETAIL"});
    for (const auto& violation : all->violations()) {
      table.AddRow({violation.rule(), violation.sku_id(), violation.detail()});
    }
    session.Print(table);
  }
  if (!all->violations().empty()) {
    session.err() << "tranchectl: the ledger breaks " << all->violations_size() << " rules; stop the sale and "
                  << "keep the database as it is\n";
    session.exit_code = kExitRemote;
  }
}

}  // namespace

void AddVerifyCommand(CLI::App& app, Session& session) {
  auto sku_id = std::make_shared<std::string>();
  CLI::App* verify = app.add_subcommand(
      "verify",
      "Recompute the ledger's rules from scratch, page by page beside the running sale. Exit status: 0 all hold; "
      "1 wrong usage; 2 a rule is broken; 3 it could not be told");
  TakesNameOf(NameKind::kSku, verify->add_option("--sku", *sku_id, "Only this SKU"));
  verify->footer(
      "It reads everything: once a day, and after every incident.\n"
      "Examples:\n"
      "  tranchectl verify && echo all well\n"
      "  tranchectl verify --sku tv");
  verify->callback([&session, sku_id] { Verify(session, *sku_id); });
}

}  // namespace tranche::ctl
