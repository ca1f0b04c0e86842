// tranchectl sku pause|resume, of one SKU or of all

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "client/ctl/change_view.h"
#include "client/ctl/commands.h"
#include "client/ctl/sku_view.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

using tranche::v1::AdminService;
using tranche::v1::SetSkuPausedRequest;

// A node serves admin calls on a few threads and lets some more wait.
constexpr size_t kCallsInFlight = 8;
// How often a long run says how far it is, in SKUs.
constexpr size_t kSkusPerLine = 500;
constexpr size_t kFailuresShown = 20;
// How often a SKU is tried whose terms others keep changing.
constexpr int kTriesForOne = 5;

struct PauseFlags {
  std::string sku_id;
  bool all = false;
  bool paused = false;
  std::string reason;
  bool reason_given = false;  // It may be empty.
  bool yes = false;

  const char* done() const { return paused ? "paused" : "resumed"; }
};

// A SKU, as it was when we decided to change it.
struct SkuMeant {
  std::string sku_id;
  int64_t terms_version = 0;
};

SetSkuPausedRequest RequestFor(const PauseFlags& flags, const std::string& sku_id) {
  SetSkuPausedRequest request;
  request.set_sku_id(sku_id);
  request.set_paused(flags.paused);
  if (flags.paused) request.set_reason(flags.reason);
  request.set_preview(!flags.yes);
  return request;
}

void PauseOne(Session& session, const PauseFlags& flags) {
  if (!flags.paused && flags.reason_given) {
    return session.FailLocally(
        absl::StrCat("--reason goes with --all here: it says which pauses are meant. For the audit log: tranchectl "
                     "--reason TEXT sku resume ",
                     flags.sku_id));
  }
  const auto response = session.Admin(&AdminService::Stub::SetSkuPaused, RequestFor(flags, flags.sku_id));
  if (!response.ok()) return session.FailRemotely(response.status());
  PrintWarnings(session, *response);
  PrintSkuTermsChange(session, response->before(), response->sku(),
                      {.preview = !flags.yes, .more = {{"warnings", WarningsJson(*response)}}});
}

// Is there anything to do? What is closed or over sells nothing anyway, but may be paused from before.
bool IsMeant(const tranche::v1::Sku& sku, const PauseFlags& flags) {
  if (!flags.paused) return sku.paused() && (!flags.reason_given || sku.pause_reason() == flags.reason);
  return !sku.paused() && sku.state() != tranche::v1::SKU_STATE_CLOSED && sku.state() != tranche::v1::SKU_STATE_ENDED;
}

std::vector<SkuMeant> SkusMeant(const tranche::v1::ListSkusResponse& page, const PauseFlags& flags) {
  std::vector<SkuMeant> meant;
  for (const tranche::v1::Sku& sku : page.skus()) {
    if (IsMeant(sku, flags)) meant.push_back({sku.sku_id(), sku.terms_version()});
  }
  return meant;
}

// Calls for several SKUs at a time, each on a session of its own.
class PauseRun {
 public:
  struct Failure {
    std::string sku_id;
    std::string error;
  };

  PauseRun(Session& session, const PauseFlags& flags) : session_(session), flags_(flags) {}

  // Returns when all of them are changed, or have failed.
  void Change(const std::vector<SkuMeant>& skus) {
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    const size_t count = std::min(kCallsInFlight, skus.size());
    for (size_t i = 0; i < count; ++i) threads.emplace_back([&] { Work(skus, next); });
    for (std::thread& thread : threads) thread.join();
  }

  // By SKU: those that were not changed.
  std::vector<Failure> TakeFailures() {
    absl::MutexLock lock(&mutex_);
    std::sort(failures_.begin(), failures_.end(), [](const auto& a, const auto& b) { return a.sku_id < b.sku_id; });
    return std::move(failures_);
  }

  // Each once, however many SKUs it is about.
  std::set<std::string> TakeWarnings() {
    absl::MutexLock lock(&mutex_);
    return std::move(warnings_);
  }

 private:
  void Work(const std::vector<SkuMeant>& skus, std::atomic<size_t>& next) {
    std::ostringstream unused;
    Session own(unused, unused);
    own.endpoints = session_.endpoints;
    own.security = session_.security;
    own.timeout = session_.timeout;
    own.reason = session_.reason;
    for (size_t i = next++; i < skus.size(); i = next++) {
      const auto changed = ChangeOne(own, skus[i]);
      absl::MutexLock lock(&mutex_);
      if (!changed.ok()) {
        failures_.push_back({skus[i].sku_id, DescribeError(changed.status())});
      } else {
        warnings_.insert(changed->warnings().begin(), changed->warnings().end());
      }
      if (++done_ % kSkusPerLine == 0) session_.err() << done_ << " SKUs so far\n" << std::flush;
    }
  }

  // If its terms have changed meanwhile, it may not be meant any more: another operator may have paused it.
  absl::StatusOr<tranche::v1::SetSkuPausedResponse> ChangeOne(Session& own, const SkuMeant& meant) const {
    SetSkuPausedRequest request = RequestFor(flags_, meant.sku_id);
    request.set_expected_terms_version(meant.terms_version);
    for (int attempt = 1;; ++attempt) {
      const auto changed = own.Admin(&AdminService::Stub::SetSkuPaused, request);
      if (changed.ok() || ReasonOf(changed.status()) != Reason::kTermsChanged || attempt == kTriesForOne) {
        return changed;
      }
      tranche::v1::GetSkuRequest get;
      get.set_sku_id(meant.sku_id);
      ASSIGN_OR_RETURN(const auto now, own.Admin(&AdminService::Stub::GetSku, get));
      if (!IsMeant(now.sku(), flags_)) return changed.status();
      request.set_expected_terms_version(now.sku().terms_version());
    }
  }

  Session& session_;
  const PauseFlags& flags_;
  absl::Mutex mutex_;
  size_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> warnings_ ABSL_GUARDED_BY(mutex_);
  std::vector<Failure> failures_ ABSL_GUARDED_BY(mutex_);
};

void PrintAll(Session& session, const PauseFlags& flags, const std::vector<std::string>& sku_ids,
              const std::vector<PauseRun::Failure>& failures) {
  const size_t changed = sku_ids.size() - failures.size();
  if (session.json()) {
    nlohmann::ordered_json failed = nlohmann::ordered_json::array();
    for (const auto& failure : failures) failed.push_back({{"sku_id", failure.sku_id}, {"error", failure.error}});
    const nlohmann::ordered_json all = {
        {"preview", !flags.yes}, {"paused", flags.paused}, {"sku_ids", sku_ids}, {"failed", failed}};
    session.out() << all.dump(1) << "\n";
  } else {
    Table table({"SKU"});
    for (const std::string& sku_id : sku_ids) table.AddRow({sku_id});
    session.Print(table);
  }
  if (!flags.yes) {
    if (sku_ids.empty()) return SayNothingWouldChange(session);
    session.err() << sku_ids.size() << " SKUs would be " << flags.done() << ". ";
    return SayHowToApply(session);
  }
  session.err() << changed << " SKUs are " << flags.done() << "\n";
  for (size_t i = 0; i < std::min(failures.size(), kFailuresShown); ++i) {
    session.err() << "not " << flags.done() << ": " << failures[i].sku_id << ": " << failures[i].error << "\n";
  }
  if (failures.empty()) return;
  session.err() << failures.size() << " SKUs are not " << flags.done() << ": run it again, it goes on with those\n";
  session.exit_code = kExitRemote;
}

// Page by page, so that the first are paused while others are not even listed.
void PauseAll(Session& session, const PauseFlags& flags) {
  std::vector<std::string> sku_ids;
  PauseRun run(session, flags);
  tranche::v1::ListSkusRequest request;
  request.set_page_size(1000);
  request.set_without_holds(true);
  absl::Status listed;
  do {
    const auto page = session.Admin(&AdminService::Stub::ListSkus, request);
    listed = page.status();
    if (!page.ok()) break;
    const std::vector<SkuMeant> meant = SkusMeant(*page, flags);
    for (const SkuMeant& sku : meant) sku_ids.push_back(sku.sku_id);
    if (flags.yes) run.Change(meant);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (!listed.ok() && sku_ids.empty()) return session.FailRemotely(listed);
  for (const std::string& warning : run.TakeWarnings()) session.err() << "warning: " << warning << "\n";
  PrintAll(session, flags, sku_ids, run.TakeFailures());
  if (listed.ok()) return;
  session.err() << "not all SKUs were listed: run it again, it goes on with the others\n";
  session.FailRemotely(listed);
}

void AddPauseCommand(CLI::App* sku, Session& session, bool paused, const char* description, const char* reason,
                     const char* footer) {
  auto flags = std::make_shared<PauseFlags>();
  flags->paused = paused;
  CLI::App* command = sku->add_subcommand(paused ? "pause" : "resume", description);
  CLI::Option* argument = AddSkuArgument(command, flags->sku_id)->required(false);
  CLI::Option* all = command->add_flag("--all", flags->all, "Every SKU that this concerns, instead of one");
  all->excludes(argument);
  CLI::Option* given = command->add_option("--reason", flags->reason, reason);
  AddYesFlag(command, flags->yes);
  command->footer(footer);
  command->callback([&session, flags, given] {
    flags->reason_given = given->count() > 0;
    if (flags->all == !flags->sku_id.empty()) return session.FailLocally("name a SKU, or --all");
    if (flags->paused) session.GiveReason(flags->reason);
    flags->all ? PauseAll(session, *flags) : PauseOne(session, *flags);
  });
}

}  // namespace

void AddSkuPauseCommands(CLI::App* sku, Session& session) {
  AddPauseCommand(sku, session, /*paused=*/true, "Stop the sale of a SKU until it is resumed; payments go on",
                  "What buyers are told, at most 200 characters of plain text",
                  "When it returns, nothing more is sold. Units stay with the nodes, and still move.\n"
                  "What is reserved can be paid. A payment that comes after its hold has expired is refunded.\n"
                  "Of the claims that are queued, the first wait for the resume, and the rest are refused.\n"
                  "--all passes over SKUs that are closed, over or paused already. Repeating it is harmless.\n"
                  "Examples:\n"
                  "  tranchectl sku pause tv --reason 'the price is wrong, we are back soon' --yes\n"
                  "  tranchectl sku pause --all --reason maintenance --yes");
  AddPauseCommand(
      sku, session, /*paused=*/false, "Go on with the sale of a paused SKU",
      "With --all: only SKUs that were paused for this reason; '' for none",
      "--all also resumes what was created with --paused: --reason leaves out what has another one, or none.\n"
      "A reason for the audit log stands before the command.\n"
      "Examples:\n"
      "  tranchectl sku resume tv --yes\n"
      "  tranchectl --reason 'the price is right now' sku resume tv --yes\n"
      "  tranchectl sku resume --all --reason maintenance --yes");
}

}  // namespace tranche::ctl
