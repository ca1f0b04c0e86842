#include "client/ctl/hints.h"

#include <algorithm>
#include <cstdint>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/ctl/field_arguments.h"
#include "client/ctl/group_hints.h"
#include "client/ctl/parse.h"
#include "client/internal/tls_advice.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

constexpr char kHomeShard[] = "home";
constexpr char kLookBeforeYouRepeat[] =
    "whether it was done is not known: look (sku show, quota show, reservation get --after-lost-answer) before you "
    "repeat it";

// There was no connection.
std::string NextStepForHandshake(const absl::Status& status) {
  switch (internal::TlsTroubleIn(status.message())) {
    case internal::TlsTrouble::kNodeNotTrusted:
      return "check that --tls-ca is of the authority of the node's certificate, and that this has not expired; "
             "`openssl s_client -connect HOST:PORT -CAfile FILE` says which it is";
    case internal::TlsTrouble::kOtherName:
      return "use a name of the node's certificate with --endpoint, or with --tls-server-name; "
             "`openssl s_client -connect HOST:PORT` shows the certificate";
    case internal::TlsTrouble::kNodeSpeaksPlaintext:
      return "the node does not speak TLS there: leave out --tls-ca, or use its port for TLS with --endpoint";
    case internal::TlsTrouble::kClientNotTrusted:
      return "check that --tls-certificate has not expired, and is of an authority of the nodes' --tls-client-ca";
    case internal::TlsTrouble::kClosedAtOnce:
      return "if it goes on, the node expects TLS (--tls-ca), or a certificate of an authority of its --tls-client-ca "
             "that has not expired (--tls-certificate)";
    case internal::TlsTrouble::kNone:
      return "";
  }
  return "";
}

// Who calls is not known, or may not do that.
std::string NextStepForIdentity(const absl::Status& status) {
  if (absl::IsUnauthenticated(status)) {
    return "say who you are with --token-file, or with --tls-certificate and --tls-key, as the nodes' --access-file "
           "knows you";
  }
  if (absl::IsPermissionDenied(status)) {
    return "the node knows you, but your roles do not allow it: ask who keeps the nodes' --access-file for one that "
           "does";
  }
  return "";
}

std::string NextStepForTransport(const absl::Status& status, bool changed_nothing) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (!changed_nothing) return kLookBeforeYouRepeat;
      if (const std::string step = NextStepForHandshake(status); !step.empty()) return step;
      return "is a front node running there? Set --endpoint or TRANCHE_ENDPOINT to host:port of one";
    case absl::StatusCode::kDeadlineExceeded:
      if (changed_nothing)
        return "--timeout waits longer; --endpoint HOST:PORT,HOST:PORT asks another node when one is silent";
      return absl::StrCat(kLookBeforeYouRepeat, "; --timeout waits longer");
    case absl::StatusCode::kUnimplemented:
      return "this may be the port for buyers (--admin-listen is by default the one after it), a node of another "
             "version, or no Tranche node";
    default:
      return "";
  }
}

std::string Known(const absl::Status& status, const std::string& key) {
  return ErrorMetadata(status, key).value_or("");
}

// What was named is not there.
std::string NextStepForMissing(Reason reason) {
  switch (reason) {
    case Reason::kSkuNotFound:
      return "`tranchectl sku list` shows the SKUs there are";
    case Reason::kNodeNotFound:
      return "`tranchectl node list` shows the live nodes";
    case Reason::kShardNotFound:
      return "`tranchectl shard list` shows the shards there are";
    case Reason::kSinkNotFound:
      return "`tranchectl outbox sink list` shows the sinks there are";
    case Reason::kOutboxMessageNotFound:
      return "it was delivered or discarded, or its id or --sink is mistyped; `tranchectl outbox list` shows what was "
             "not delivered";
    case Reason::kReservationNotFound:
      return "the id is mistyped, nothing was committed under it, or it is older than the workers' --retain-days and "
             "was retired";
    default:
      return "";
  }
}

std::string NextStepForState(const absl::Status& status) {
  if (!Known(status, "refund_requested").empty()) {
    return "the sinks are told to refund it; `tranchectl reservation get` shows the late payment";
  }
  // The reason's way to say that the hold has lapsed.
  if (Known(status, "state") == "PENDING") {
    return "its hold is over: the buyer can reserve again; of a group's member, `tranchectl group show` says what "
           "becomes "
           "of it";
  }
  return "`tranchectl reservation get` shows it; only a PENDING one can be changed";
}

std::string NextStepForPayment(const absl::Status& status) {
  int64_t minor = 0;
  if (!absl::SimpleAtoi(Known(status, "amount_minor"), &minor)) {
    return "`tranchectl reservation get` shows what it costs";
  }
  return absl::StrCat("it costs ", FormatPrice(minor, Known(status, "currency")));
}

// A change of one reservation is refused.
std::string NextStepForChange(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kReservationState:
      return NextStepForState(status);
    case Reason::kPaymentMismatch:
      return NextStepForPayment(status);
    case Reason::kTooManyExtensions:
    case Reason::kHoldTooLong:
      return "`tranchectl sku show` shows the bounds";
    case Reason::kExtensionOutOfOrder:
      return "preview again, without --yes and --extension: that takes the next one";
    default:
      return "";
  }
}

std::string NextStepForUnits(const absl::Status& status) {
  const std::string available = Known(status, "available");
  if (available.empty() || available == "0") return "`tranchectl quota show` shows where units are";
  return absl::StrCat("ask for at most ", available);
}

// Stock, quota, nodes and shards are not as the command wants them.
std::string NextStepForOperation(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kSkuAlreadyExists:
      return "`tranchectl sku show` shows it; `tranchectl stock add` adds units to it";
    case Reason::kShardState:
      // Of a move; otherwise it is about a database that cannot be added.
      if (!Known(status, "sku_id").empty()) return "`tranchectl sku show` shows where it is";
      return "`tranchectl shard list` shows the shards there are";
    case Reason::kSoldOut:
      return "`tranchectl stock add` adds units";
    case Reason::kQuotaVersionChanged:
      return "preview again, without --yes and --expect-version";
    case Reason::kStockChanged:
      return "preview again, without --yes and --expect-stock";
    case Reason::kNodeDraining:
      return "`tranchectl node undrain` lets it serve again; or choose another node";
    case Reason::kInsufficientUnits:
      return NextStepForUnits(status);
    case Reason::kSaleClosed:
      return "`tranchectl sku reopen` undoes a close, `tranchectl sku update --closes-at` sets a later end of the "
             "window";
    case Reason::kSalePaused:
      return "`tranchectl sku resume` goes on with the sale";
    case Reason::kTermsChanged:
      return "preview again, without --yes and --expect-version";
    default:
      return "";
  }
}

// The front door refuses a buyer, or a change of what it asks.
std::string NextStepForDoor(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kDenied:
      return "`tranchectl door list --user USER` and `--address ADDRESS` show the entry";
    case Reason::kNotAdmitted:
    case Reason::kRateLimited:
    case Reason::kPurchaseTokenRequired:
    case Reason::kPurchaseTokenInvalid:
      return "`tranchectl door test` shows what the front door says to a buyer, and `tranchectl door show` what it "
             "asks";
    case Reason::kPolicyChanged:
      return "preview again, without --yes and --expect-version";
    case Reason::kLotteryCannotShrink:
      return "--new-round draws new ranks, for which it may admit fewer";
    case Reason::kKeyRotatedRecently:
      return "wait, or use --replace-all if others know a key: then every token and challenge that is out is worthless";
    case Reason::kAccessListFull:
      return "`tranchectl door list remove` makes room";
    case Reason::kServiceLimited:
      return "`tranchectl door mode` shows what buyers may do, since when and by whom; `tranchectl door mode normal "
             "--yes` ends it";
    default:
      return "";
  }
}

// A draw is not as the command wants it, or a buyer is told about one.
std::string NextStepForDraw(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kDrawNotFound:
      return "`tranchectl draw list` shows the draws there are";
    case Reason::kDrawEntryNotFound:
      return "this buyer has not entered; --number names another draw of the SKU";
    case Reason::kDrawState:
      return "`tranchectl draw list SKU` shows how far its draws are, and `tranchectl door show SKU` whether its "
             "policy has one";
    case Reason::kDrawSeedMismatch:
      return "tell the seed that the draw is committed to: `tranchectl draw show` shows its SHA-256";
    case Reason::kDrawDecides:
    case Reason::kDrawNotOpen:
    case Reason::kDrawFull:
      return "`tranchectl draw list SKU` shows how far its draws are";
    default:
      return "";
  }
}

// It may go better later, or elsewhere.
std::string NextStepForOutage(const absl::Status& status, bool changed_nothing) {
  switch (ReasonOf(status)) {
    case Reason::kExhaustedHere:
      return "units are on their way: try again in a moment";
    case Reason::kSkuMoving:
      return "try again in a moment";
    case Reason::kLedgerUnavailable:
      if (!Known(status, "shard").empty()) {
        return "look at that shard's PostgreSQL, and whether every server has credentials for it; nothing was changed";
      }
      return "look at PostgreSQL, and at what it waits for; nothing was changed";
    case Reason::kCommitUnknown:
      return changed_nothing ? "try again" : kLookBeforeYouRepeat;
    case Reason::kCoordinationUnavailable:
      return "check ZooKeeper; the nodes keep selling what they hold meanwhile";
    case Reason::kOverloaded:
    case Reason::kDraining:
      return "try again, or at another node with --endpoint";
    case Reason::kDeadlinePassed:
      return "--timeout waits longer; nothing was changed";
    case Reason::kInternal:
      return "the node's log says more";
    default:
      return "";
  }
}

// A claim is queued, or would be.
std::string NextStepForQueue(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kClaimsAreQueued:
      return "`tranchectl reservation create --accept-queued` waits for the decision";
    case Reason::kQueueUnavailable:
      return "look at the broker; `tranchectl queue list` shows the queues when it answers again";
    case Reason::kQueueFull:
      return "`tranchectl queue list` shows how full the queues are";
    case Reason::kClaimTicketInvalid:
      return "copy the whole ticket; those older than a day, or made with a key that was replaced, are worthless: "
             "`tranchectl reservation get` takes the id";
    default:
      return "";
  }
}

// The caller is not known, or may not.
std::string NextStepForAccess(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::kCallerUnknown:
      return "show who you are, with --token-file or --tls-certificate; `tranchectl access check` shows whom an access "
             "file knows";
    case Reason::kRoleMissing:
      return absl::StrCat("ask whoever keeps the nodes' access file for one of the roles ", Known(status, "roles"));
    default:
      return "";
  }
}

using tranche::v1::GetStatusResponse;
using tranche::v1::Problem;

// What keeps holds from expiring, the root first.
constexpr const char* kNoExpiry[] = {"NO_WORKER", "NO_EXPIRY"};
// What keeps units from moving.
constexpr const char* kNoMoves[] = {"NO_BALANCER", "NO_LEADER", "LEADER_STUCK",  "ZOOKEEPER_SILENT",
                                    "TREE_GONE",   "NO_NODE",   "CLUSTER_FROZEN"};

// Of the cluster, or of the shard that has the SKU: what is wrong elsewhere does not harm it.
bool Concerns(const Problem& problem, const tranche::v1::Sku& sku) {
  return problem.subject().empty() || problem.subject() == (sku.shard().empty() ? kHomeShard : sku.shard());
}

const Problem* FindProblem(const GetStatusResponse& state, const tranche::v1::Sku& sku, const std::string& code) {
  const auto found = absl::c_find_if(
      state.problems(), [&](const Problem& problem) { return problem.code() == code && Concerns(problem, sku); });
  return found == state.problems().end() ? nullptr : &*found;
}

Cause CauseFrom(const Problem& problem) { return {problem.text(), problem.next_step()}; }

// Holds that should have expired, and why they have not.
std::optional<Cause> CauseOfSoldOut(const tranche::v1::Sku& sku, const GetStatusResponse& state) {
  // The holds may be another SKU's. When they are too many to count, it is not known.
  if (sku.has_overdue() && sku.overdue() == 0) return std::nullopt;
  const Problem* overdue = FindProblem(state, sku, "HOLDS_OVERDUE");
  if (overdue == nullptr) return std::nullopt;
  for (const char* code : kNoExpiry) {
    const Problem* root = FindProblem(state, sku, code);
    if (root != nullptr) return Cause{absl::StrCat(overdue->text(), " ", root->text()), root->next_step()};
  }
  return CauseFrom(*overdue);
}

std::optional<Cause> CauseOfNoMoves(const tranche::v1::Sku& sku, const GetStatusResponse& state) {
  for (const char* code : kNoMoves) {
    if (const Problem* problem = FindProblem(state, sku, code); problem != nullptr) return CauseFrom(*problem);
  }
  return std::nullopt;
}

int64_t UnsoldOf(const tranche::v1::Quota& quota) {
  int64_t unsold = 0;
  for (const tranche::v1::Slice& slice : quota.slices()) unsold += slice.remaining();
  return unsold;
}

}  // namespace

bool MayHaveACause(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return reason == Reason::kSoldOut || reason == Reason::kExhaustedHere;
}

std::optional<Cause> CauseOf(const absl::Status& status, const tranche::v1::Sku& sku, const GetStatusResponse& state) {
  return ReasonOf(status) == Reason::kSoldOut ? CauseOfSoldOut(sku, state) : CauseOfNoMoves(sku, state);
}

bool LooksStuck(const tranche::v1::Quota& quota) {
  if (UnsoldOf(quota) == 0) return true;
  return absl::c_any_of(quota.slices(), [&](const tranche::v1::Slice& slice) {
    const bool pool = slice.incarnation() == 0;
    if (pool) return slice.remaining() > 0 && !quota.quota_frozen() && !quota.on_demand();
    return slice.announced_version() < slice.version();
  });
}

std::vector<Cause> CausesOf(const tranche::v1::Quota& quota, const tranche::v1::Sku& sku,
                            const GetStatusResponse& state) {
  std::vector<Cause> causes;
  if (const auto no_moves = CauseOfNoMoves(sku, state); no_moves.has_value()) causes.push_back(*no_moves);
  if (UnsoldOf(quota) == 0) {
    if (const auto holds = CauseOfSoldOut(sku, state); holds.has_value()) causes.push_back(*holds);
  }
  if (!causes.empty()) return causes;
  for (const Problem& problem : state.problems()) {
    if (problem.code() == "POOL_STUCK" && problem.subject() == quota.sku_id()) causes.push_back(CauseFrom(problem));
  }
  return causes;
}

std::string NextStepFor(const absl::Status& status, bool changed_nothing) {
  if (const std::string step = NextStepForIdentity(status); !step.empty()) return step;
  const Reason reason = ReasonOf(status);
  if (ReasonNameOf(status).empty()) return NextStepForTransport(status, changed_nothing);
  if (const std::string argument = ArgumentOf(Known(status, "field")); !argument.empty()) {
    return absl::StrCat("correct ", argument);
  }
  for (const std::string& step :
       {NextStepForMissing(reason), NextStepForChange(status), NextStepForOperation(status), NextStepForDoor(status),
        NextStepForDraw(status), NextStepForGroup(reason), NextStepForQueue(status),
        NextStepForOutage(status, changed_nothing), NextStepForAccess(status)}) {
    if (!step.empty()) return step;
  }
  return "";
}

}  // namespace tranche::ctl
