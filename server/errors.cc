#include "server/errors.h"

#include <cstddef>

#include "absl/hash/hash.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "google/rpc/error_details.pb.h"
#include "server/proto_time.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using storage::Refusal;

// The payload that holds the serialized google.rpc.Status.
constexpr char kDetailsUrl[] = "tranche/details";
// The payload that holds the retry delay in milliseconds, as decimal digits: avoids parsing the details.
constexpr char kRetryDelayUrl[] = "tranche/retry-delay-ms";

constexpr char kReasonPrefix[] = "ERROR_REASON_";

constexpr absl::string_view kLedgerIsDown = "The ledger does not answer; nothing changed.";
constexpr absl::string_view kLedgerIsBusy =
    "The ledger answers, but what this needs is locked or used up there; nothing changed. The node's log says more.";

constexpr auto kExhaustedHereDelay = absl::Milliseconds(50);
constexpr auto kOverloadedDelay = absl::Milliseconds(100);
constexpr auto kDrainingDelay = absl::Milliseconds(50);
constexpr auto kSkuMovingDelay = absl::Milliseconds(100);
constexpr auto kUnavailableDelay = absl::Milliseconds(500);

// Of claims that are queued.
absl::StatusCode CodeOfQueued(v1::ErrorReason reason) {
  switch (reason) {
    case v1::ERROR_REASON_QUEUE_UNAVAILABLE:
      return absl::StatusCode::kUnavailable;
    case v1::ERROR_REASON_QUEUE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case v1::ERROR_REASON_CLAIM_TICKET_INVALID:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

// Of groups.
absl::StatusCode CodeOfGroups(v1::ErrorReason reason) {
  switch (reason) {
    case v1::ERROR_REASON_GROUP_NOT_FOUND:
    case v1::ERROR_REASON_OFFER_NOT_FOUND:
      return absl::StatusCode::kNotFound;
    case v1::ERROR_REASON_OFFER_EXISTS:
      return absl::StatusCode::kAlreadyExists;
    case v1::ERROR_REASON_TOO_MANY_GROUPS:
    case v1::ERROR_REASON_TOO_MANY_OFFERS:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

absl::StatusCode CodeOf(v1::ErrorReason reason) {
  const int number = static_cast<int>(reason);
  // The ranges of error_reason.proto.
  if (number >= 1 && number <= 19) return absl::StatusCode::kInvalidArgument;
  if (number >= 20 && number <= 29) return absl::StatusCode::kNotFound;
  if (number >= 30 && number <= 39) return absl::StatusCode::kAlreadyExists;
  if (number >= 40 && number <= 59) return absl::StatusCode::kFailedPrecondition;
  if (number >= 60 && number <= 79) return absl::StatusCode::kResourceExhausted;
  if (number >= 80 && number <= 89) return absl::StatusCode::kUnavailable;
  if (number >= 90 && number <= 99) return absl::StatusCode::kDeadlineExceeded;
  if (number >= 110 && number <= 119) return absl::StatusCode::kUnauthenticated;
  if (number >= 120 && number <= 129) return absl::StatusCode::kPermissionDenied;
  if (number >= 130 && number <= 159) return absl::StatusCode::kFailedPrecondition;
  if (number >= 160 && number <= 169) return CodeOfQueued(reason);
  if (number >= 170 && number <= 189) return CodeOfGroups(reason);
  return absl::StatusCode::kInternal;
}

absl::Duration DelayOf(v1::ErrorReason reason) {
  switch (reason) {
    case v1::ERROR_REASON_EXHAUSTED_HERE:
      return kExhaustedHereDelay;
    case v1::ERROR_REASON_OVERLOADED:
      return kOverloadedDelay;
    case v1::ERROR_REASON_DRAINING:
      return kDrainingDelay;
    case v1::ERROR_REASON_SKU_MOVING:
      return kSkuMovingDelay;
    default:
      return kUnavailableDelay;
  }
}

void AddRetryInfo(absl::Duration delay, google::rpc::Status* status) {
  google::rpc::RetryInfo retry;
  *retry.mutable_retry_delay() = ToDuration(delay);
  status->add_details()->PackFrom(retry);
}

google::rpc::Status RpcStatus(absl::StatusCode code, v1::ErrorReason reason, absl::string_view message,
                              const ErrorMetadata& metadata) {
  google::rpc::Status status;
  status.set_code(static_cast<int>(code));
  status.set_message(std::string(message));
  google::rpc::ErrorInfo info;
  info.set_domain(kErrorDomain);
  info.set_reason(ReasonName(reason));
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
  status.add_details()->PackFrom(info);
  if (code == absl::StatusCode::kUnavailable) AddRetryInfo(DelayOf(reason), &status);
  return status;
}

absl::Status Sealed(const google::rpc::Status& rpc) {
  absl::Status status(static_cast<absl::StatusCode>(rpc.code()), rpc.message());
  status.SetPayload(kDetailsUrl, absl::Cord(rpc.SerializeAsString()));
  return status;
}

absl::Status SealedWithDelay(const google::rpc::Status& rpc, absl::Duration retry_delay) {
  absl::Status status = Sealed(rpc);
  status.SetPayload(kRetryDelayUrl, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(retry_delay))));
  return status;
}

// Their numbers are the same: see storage/ledger/refusal.h.
v1::ErrorReason ReasonOf(Refusal refusal) { return static_cast<v1::ErrorReason>(refusal); }

// Of the refusals about groups; of any other that has no words of its own, that something went wrong here.
absl::string_view TextOfGroups(Refusal refusal) {
  switch (refusal) {
    case Refusal::kGroupNotFound:
      return "There is no such group, or it is another SKU's; GroupService.ListGroups shows those of a SKU.";
    case Refusal::kGroupOver:
      return "This group is over, or its time is; join another one, or open one.";
    case Refusal::kGroupFull:
      return "All seats of this group are paid; join another one, or open one.";
    case Refusal::kAlreadyInGroup:
      return "This buyer is in this group with another reservation: pay for that one, or give it up first.";
    case Refusal::kOfferNotFound:
      return "This SKU has no such offer; GroupService.ListGroupOffers shows those that it has.";
    case Refusal::kOfferClosed:
      return "No group is opened with this offer any more; join one that forms, or choose another offer.";
    case Refusal::kInGroup:
      return "This reservation is a group's, whose deadline counts: its hold cannot be extended. Pay for it before.";
    case Refusal::kTooManyGroups:
      return "This buyer has opened a group with this offer that still forms: send them there. If not, this SKU has as "
             "many groups as may form at a time: let them join one of these, or come again when some are over.";
    default:
      return "An internal error; the node's log says more.";
  }
}

// Of the refusals without variables.
absl::string_view TextOf(Refusal refusal) {
  switch (refusal) {
    case Refusal::kSkuNotFound:
      return "There is no such SKU.";
    case Refusal::kSaleClosed:
      return "The sale of this SKU is over.";
    case Refusal::kDenied:
      return "This buyer, or their address, is not let in.";
    case Refusal::kPurchaseTokenRequired:
      return "This SKU asks for a purchase token: FrontDoorService.EnterSale gives it.";
    case Refusal::kDrawDecides:
      return "A draw decides who gets this SKU: FrontDoorService.EnterDraw takes entries.";
    case Refusal::kDrawFull:
      return "The draw of this SKU has as many entries as one may have.";
    case Refusal::kReservationIdReused:
      return "This reservation id was used before with another payload; choose a new one.";
    case Refusal::kExhaustedHere:
      return "This node has no unit left; try another one, or shortly again.";
    case Refusal::kOverloaded:
      return "Too many requests wait here; try another node, or shortly again.";
    case Refusal::kLedgerUnavailable:
      return "The ledger does not answer, or what this needs is locked there; nothing was reserved.";
    case Refusal::kCommitUnknown:
      return "The ledger's answer was lost; repeat with the same reservation id to learn the outcome.";
    case Refusal::kDraining:
      return "This node is draining; try another one.";
    case Refusal::kSkuMoving:
      return "This SKU is being moved to another shard; try again in a moment.";
    case Refusal::kDeadlinePassed:
      return "The deadline passed before the claim was sent to the ledger; nothing was reserved.";
    case Refusal::kClaimsAreQueued:
      return "Claims for this SKU are queued: set accept_queued, and ask for the decision with GetClaim.";
    case Refusal::kQueueUnavailable:
      return "Claims for this SKU are queued now, and the queue takes none at the moment; nothing was done.";
    case Refusal::kClaimDiscarded:
      return "An operator has discarded this claim, which could not be decided; nothing was reserved.";
    default:
      return TextOfGroups(refusal);
  }
}

const char* YesOrNo(bool yes) { return yes ? "true" : "false"; }

ErrorMetadata SkuMetadata(const std::string& sku_id) {
  return sku_id.empty() ? ErrorMetadata{} : ErrorMetadata{{"sku_id", sku_id}};
}

// A refusal with its variables, but for the SKU.
struct Wording {
  std::string text;
  ErrorMetadata metadata = {};
};

// At the front door and at a full queue, if the time is known. Rounded up: whoever comes earlier is refused again.
void AddRetryAfter(const quota::Refused& refused, Wording* wording) {
  if (refused.retry_after <= absl::ZeroDuration()) return;
  const absl::Duration wait = absl::Ceil(refused.retry_after, absl::Milliseconds(1));
  absl::StrAppend(&wording->text, " Try again in ", absl::FormatDuration(wait), ".");
  wording->metadata.emplace_back("retry_after_ms", absl::StrCat(absl::ToInt64Milliseconds(wait)));
}

// Of the front door's limits and lottery, and of purchase tokens.
Wording DoorWordingOf(const quota::Refused& refused) {
  Wording wording;
  switch (refused.refusal) {
    case Refusal::kNotAdmitted:
      wording.text = "The lottery of this SKU has no room for this buyer now.";
      break;
    case Refusal::kPurchaseTokenInvalid:
      wording.text = "The purchase token is not good for this claim; EnterSale gives another one.";
      if (!refused.about.empty()) wording.metadata.emplace_back("problem", refused.about);
      break;
    default:
      wording.text = refused.about.empty() ? "There were too many tries."
                                           : absl::StrCat("There were too many tries: limit by ", refused.about, ".");
      if (!refused.about.empty()) wording.metadata.emplace_back("limit", refused.about);
  }
  AddRetryAfter(refused, &wording);
  return wording;
}

// What is promised to be in the metadata is there, also if it is empty.
Wording LimitedWordingOf(const quota::Refused& refused) {
  const bool read_only = refused.about == "READ_ONLY";
  const absl::string_view what = read_only ? "Nothing can be reserved or changed now" : "Nothing can be reserved now";
  return {absl::StrCat(what, refused.pause_reason.empty() ? "." : ": ", refused.pause_reason),
          {{"mode", refused.about}, {"service_reason", refused.pause_reason}}};
}

Wording TooManyGroupsWordingOf(const quota::Refused& refused) {
  if (refused.about.empty()) return {std::string(TextOf(refused.refusal))};
  const bool of_user = refused.about == "user";
  return {of_user
              ? "This buyer has opened a group with this offer that still forms: send them there."
              : "This SKU has as many groups as may form at a time: let this buyer join one of these, or come again "
                "when some are over.",
          {{"limit", refused.about}}};
}

Wording WordingOf(const quota::Refused& refused) {
  switch (refused.refusal) {
    case Refusal::kSoldOut:
      return {"Every unit is sold or held.", {{"holds_may_lapse", YesOrNo(refused.holds_may_lapse)}}};
    case Refusal::kInsufficientUnits:
      // A claim that was queued: how many there were is not kept.
      if (refused.available == 0) {
        return {"There are fewer units left.", {{"holds_may_lapse", YesOrNo(refused.holds_may_lapse)}}};
      }
      return {absl::StrCat("Only ", refused.available, refused.available == 1 ? " unit is" : " units are", " left."),
              {{"available", absl::StrCat(refused.available)}, {"holds_may_lapse", YesOrNo(refused.holds_may_lapse)}}};
    case Refusal::kSaleNotOpen: {
      if (refused.opens_at == absl::InfinitePast()) return {"The sale of this SKU is not open yet."};
      const std::string time = absl::FormatTime(absl::RFC3339_full, refused.opens_at, absl::UTCTimeZone());
      return {absl::StrCat("The sale of this SKU opens at ", time, "."), {{"opens_at", time}}};
    }
    case Refusal::kSalePaused:
      return {refused.pause_reason.empty() ? "The sale of this SKU is paused."
                                           : absl::StrCat("The sale of this SKU is paused: ", refused.pause_reason),
              {{"pause_reason", refused.pause_reason}}};
    case Refusal::kQuantityAboveUserLimit:
      if (refused.per_user_limit == 0) return {"This is more than one buyer may have of this SKU."};
      return {absl::StrCat("One buyer may have at most ", refused.per_user_limit, " of this SKU."),
              {{"per_user_limit", absl::StrCat(refused.per_user_limit)}}};
    case Refusal::kUserLimitReached:
      if (refused.per_user_limit == 0) return {"This buyer's reservations of this SKU leave no room."};
      return {absl::StrCat("This buyer's reservations leave no room: at most ", refused.per_user_limit,
                           " of this SKU per buyer."),
              {{"per_user_limit", absl::StrCat(refused.per_user_limit)}}};
    case Refusal::kExhaustedHere:
      if (refused.about.empty()) return {std::string(TextOf(refused.refusal))};
      return {"This node cannot judge who may buy now; ask another one."};
    case Refusal::kDrawNotOpen:
      if (refused.about.empty()) return {"No draw of this SKU takes entries now."};
      return {absl::StrCat("No draw of this SKU takes entries now: the last one is ", refused.about, "."),
              {{"state", refused.about}}};
    case Refusal::kServiceLimited:
      return LimitedWordingOf(refused);
    case Refusal::kQueueFull: {
      Wording wording = {"So many claims are queued that this one would probably be in vain."};
      AddRetryAfter(refused, &wording);
      return wording;
    }
    case Refusal::kNotAdmitted:
    case Refusal::kPurchaseTokenInvalid:
    case Refusal::kRateLimited:
      return DoorWordingOf(refused);
    case Refusal::kTooManyGroups:
      return TooManyGroupsWordingOf(refused);
    default:
      return {std::string(TextOf(refused.refusal))};
  }
}

// A node that is full or drains refuses every SKU alike.
bool IsAboutItsSku(Refusal refusal) {
  switch (refusal) {
    case Refusal::kCartSpansShards:
    case Refusal::kSkuNotFound:
    case Refusal::kQuantityAboveUserLimit:
    case Refusal::kUserLimitReached:
    case Refusal::kSaleNotOpen:
    case Refusal::kSaleClosed:
    case Refusal::kSalePaused:
    case Refusal::kInsufficientUnits:
    case Refusal::kNotAdmitted:
    case Refusal::kPurchaseTokenRequired:
    case Refusal::kPurchaseTokenInvalid:
    case Refusal::kSoldOut:
    case Refusal::kDrawDecides:
    case Refusal::kDrawNotOpen:
    case Refusal::kDrawFull:
    case Refusal::kRateLimited:
    case Refusal::kExhaustedHere:
    case Refusal::kSkuMoving:
    case Refusal::kClaimsAreQueued:
    case Refusal::kQueueUnavailable:
    case Refusal::kQueueFull:
    case Refusal::kClaimDiscarded:
    case Refusal::kOfferNotFound:
    case Refusal::kOfferClosed:
    case Refusal::kTooManyGroups:
      return true;
    default:
      return false;
  }
}

// Beside UNAVAILABLE, whose time follows from the reason.
bool TellsWhenToComeAgain(const quota::Refused& refused) {
  const bool by_the_door = refused.refusal == Refusal::kRateLimited || refused.refusal == Refusal::kNotAdmitted;
  return by_the_door && refused.retry_after > absl::ZeroDuration();
}

absl::Status BuildRefusal(const quota::Refused& refused, absl::string_view sku_id) {
  if (refused.refusal == Refusal::kCartSpansShards) {
    const absl::Status error = FieldError(ReasonOf(refused.refusal), "lines",
                                          "must be of SKUs on one shard: this one is on another than the first");
    return sku_id.empty() ? error : WithMetadata(error, "sku_id", std::string(sku_id));
  }
  Wording wording = WordingOf(refused);
  if (!sku_id.empty()) wording.metadata.emplace_back("sku_id", sku_id);
  const v1::ErrorReason reason = ReasonOf(refused.refusal);
  if (!TellsWhenToComeAgain(refused)) return MakeError(reason, wording.text, wording.metadata);
  // Not SealedWithDelay: it is the buyer who may come again, and no program by itself.
  google::rpc::Status rpc = RpcStatus(CodeOf(reason), reason, wording.text, wording.metadata);
  AddRetryInfo(absl::Ceil(refused.retry_after, absl::Milliseconds(1)), &rpc);
  return Sealed(rpc);
}

// Refusals that this thread has built, because buyers of a few SKUs are refused a million times for the same reason.
// Each has one place; another one that belongs there takes it.
class BuiltRefusals {
 public:
  const absl::Status& Get(const quota::Refused& refused, absl::string_view sku_id) {
    // To what the answer tells, so that the same answers share a place. The front door has rounded already.
    const absl::Duration wait = absl::Ceil(refused.retry_after, absl::Milliseconds(1));
    if (wait == refused.retry_after) return GetRounded(refused, sku_id);
    quota::Refused rounded = refused;
    rounded.retry_after = wait;
    return GetRounded(rounded, sku_id);
  }

 private:
  // By the time to wait, too: otherwise those of one SKU would take turns in one place. The lottery has 81 times to
  // wait, and limits have some hundreds.
  const absl::Status& GetRounded(const quota::Refused& refused, absl::string_view sku_id) {
    Built& built = places_[absl::HashOf(sku_id, refused.refusal, refused.retry_after) % places_.size()];
    if (built.error.ok() || built.sku_id != sku_id || !(built.refused == refused)) {
      built = {refused, std::string(sku_id), BuildRefusal(refused, sku_id)};
    }
    return built.error;
  }

  struct Built {
    quota::Refused refused;
    std::string sku_id;
    absl::Status error;
  };
  static constexpr size_t kPlaces = 512;
  // Not an array: what is local to a thread is taken from its stack.
  std::vector<Built> places_ = std::vector<Built>(kPlaces);
};

absl::Status UnknownOutcome(const std::string& sku_id, Repeatable repeatable) {
  if (repeatable == Repeatable::kYes) {
    return MakeError(v1::ERROR_REASON_COMMIT_UNKNOWN, "The ledger's answer was lost; repeat the call.",
                     SkuMetadata(sku_id));
  }
  return Sealed(RpcStatus(absl::StatusCode::kUnknown, v1::ERROR_REASON_COMMIT_UNKNOWN,
                          "The ledger's answer was lost: the change may or may not have been made. Look before "
                          "repeating it.",
                          SkuMetadata(sku_id)));
}

absl::Status LedgerUnavailable(const absl::Status& status, const std::string& sku_id) {
  ErrorMetadata metadata = SkuMetadata(sku_id);
  const std::string shard = storage::ShardOf(status);
  if (!shard.empty()) metadata.emplace_back("shard", shard);
  const bool up = storage::LedgerIsUp(status);
  return MakeError(v1::ERROR_REASON_LEDGER_UNAVAILABLE,
                   up || shard.empty() ? std::string(up ? kLedgerIsBusy : kLedgerIsDown)
                                       : absl::StrCat("The shard ", shard,
                                                      " does not answer, and this needs every shard; nothing changed."),
                   metadata);
}

absl::Status SkuExists(const absl::Status& status, const std::string& sku_id) {
  ErrorMetadata metadata = SkuMetadata(sku_id);
  const std::string shard = storage::ShardOf(status);
  if (shard.empty()) return MakeError(v1::ERROR_REASON_SKU_ALREADY_EXISTS, "A SKU with this id exists.", metadata);
  metadata.emplace_back("shard", shard);
  return MakeError(v1::ERROR_REASON_SKU_ALREADY_EXISTS,
                   absl::StrCat("A SKU with this id is on the shard ", shard,
                                ", or was: if the shard has forgotten it, create it there again."),
                   metadata);
}

}  // namespace

absl::Status MakeError(v1::ErrorReason reason, absl::string_view message, const ErrorMetadata& metadata) {
  const absl::StatusCode code = CodeOf(reason);
  const google::rpc::Status rpc = RpcStatus(code, reason, message, metadata);
  return code == absl::StatusCode::kUnavailable ? SealedWithDelay(rpc, DelayOf(reason)) : Sealed(rpc);
}

absl::Status FieldError(v1::ErrorReason reason, absl::string_view field, absl::string_view description) {
  google::rpc::Status rpc = RpcStatus(absl::StatusCode::kInvalidArgument, reason, absl::StrCat(field, " ", description),
                                      {{"field", std::string(field)}});
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(description));
  rpc.add_details()->PackFrom(bad_request);
  return Sealed(rpc);
}

absl::Status InvalidField(absl::string_view field, absl::string_view description) {
  return FieldError(v1::ERROR_REASON_FIELD_INVALID, field, description);
}

absl::Status WithMetadata(const absl::Status& error, const std::string& key, const std::string& value) {
  google::rpc::Status rpc = ToRpcStatus(error);
  google::rpc::ErrorInfo info;
  // It is the first detail: see RpcStatus.
  CHECK(rpc.details(0).UnpackTo(&info));
  (*info.mutable_metadata())[key] = value;
  rpc.mutable_details(0)->PackFrom(info);
  absl::Status changed = error;
  changed.SetPayload(kDetailsUrl, absl::Cord(rpc.SerializeAsString()));
  return changed;
}

absl::Status RefusalError(const quota::Refused& refused, absl::string_view sku_id) {
  thread_local BuiltRefusals built;
  return built.Get(refused, IsAboutItsSku(refused.refusal) ? sku_id : "");
}

absl::Status ShardNotFound(const std::string& shard) {
  return MakeError(v1::ERROR_REASON_SHARD_NOT_FOUND, absl::StrCat("There is no shard of the name ", shard, "."),
                   {{"shard", shard}});
}

absl::Status LedgerError(const absl::Status& status, const std::string& sku_id, Repeatable repeatable) {
  if (storage::IsUnknownCommit(status)) return UnknownOutcome(sku_id, repeatable);
  if (storage::IsRetryTransaction(status)) {
    return MakeError(v1::ERROR_REASON_OVERLOADED, "Other changes were in the way; nothing changed. Try again.",
                     SkuMetadata(sku_id));
  }
  if (storage::IsSkuMoving(status)) return RefusalError({.refusal = Refusal::kSkuMoving}, sku_id);
  if (storage::IsNoSuchShard(status)) return ShardNotFound(std::string(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kCancelled:
      return RefusalError({.refusal = Refusal::kDraining});
    case absl::StatusCode::kDeadlineExceeded:
      return MakeError(v1::ERROR_REASON_DEADLINE_PASSED, "The deadline passed before the ledger was asked.");
    case absl::StatusCode::kUnavailable:
      return LedgerUnavailable(status, sku_id);
    case absl::StatusCode::kResourceExhausted:
      return MakeError(v1::ERROR_REASON_OVERLOADED, "Too many requests wait for the ledger; try again shortly.",
                       SkuMetadata(sku_id));
    case absl::StatusCode::kNotFound:
      return MakeError(v1::ERROR_REASON_SKU_NOT_FOUND, "There is no such SKU.", SkuMetadata(sku_id));
    case absl::StatusCode::kAlreadyExists:
      return SkuExists(status, sku_id);
    case absl::StatusCode::kInvalidArgument:
      return FieldError(v1::ERROR_REASON_FIELD_INVALID, "request", "has a value that the ledger refuses");
    case absl::StatusCode::kAborted:
      return MakeError(v1::ERROR_REASON_QUOTA_VERSION_CHANGED, "The quota has changed meanwhile; read it again.",
                       SkuMetadata(sku_id));
    default:
      LOG(ERROR) << "ledger: unexpected error for SKU '" << sku_id << "': " << status;
      return MakeError(v1::ERROR_REASON_INTERNAL, "An internal error; the node's log says more.");
  }
}

absl::Status CoordinationError(const absl::Status& status) {
  LOG(WARNING) << "coordination: " << status;
  return MakeError(v1::ERROR_REASON_COORDINATION_UNAVAILABLE, "The coordination service does not answer.");
}

std::string ReasonName(v1::ErrorReason reason) {
  return std::string(absl::StripPrefix(v1::ErrorReason_Name(reason), kReasonPrefix));
}

v1::ErrorReason ReasonOfError(const absl::Status& error) {
  const google::rpc::Status rpc = ToRpcStatus(error);
  google::rpc::ErrorInfo info;
  v1::ErrorReason reason = v1::ERROR_REASON_INTERNAL;
  if (rpc.details(0).UnpackTo(&info)) v1::ErrorReason_Parse(absl::StrCat(kReasonPrefix, info.reason()), &reason);
  return reason;
}

std::string MetadataOfError(const absl::Status& error, const std::string& key) {
  google::rpc::ErrorInfo info;
  if (!ToRpcStatus(error).details(0).UnpackTo(&info)) return "";
  const auto value = info.metadata().find(key);
  return value == info.metadata().end() ? "" : value->second;
}

google::rpc::Status ToRpcStatus(const absl::Status& error) {
  google::rpc::Status rpc;
  if (!rpc.ParseFromString(SerializedDetails(error)) || rpc.details_size() == 0) {
    LOG(ERROR) << "an error without details: " << error;
    return RpcStatus(absl::StatusCode::kInternal, v1::ERROR_REASON_INTERNAL,
                     "An internal error; the node's log says more.", {});
  }
  return rpc;
}

std::string SerializedDetails(const absl::Status& error) {
  const absl::optional<absl::Cord> details = error.GetPayload(kDetailsUrl);
  return details.has_value() ? std::string(*details) : std::string();
}

std::string SerializedRpcStatus(const absl::Status& error) {
  std::string details = SerializedDetails(error);
  return details.empty() ? ToRpcStatus(error).SerializeAsString() : details;
}

std::string ReasonName(const absl::Status& error) {
  if (error.ok()) return "";
  const google::rpc::Status rpc = ToRpcStatus(error);
  google::rpc::ErrorInfo info;
  for (const auto& detail : rpc.details()) {
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

absl::Duration RetryDelay(const absl::Status& error) {
  const absl::optional<absl::Cord> text = error.GetPayload(kRetryDelayUrl);
  int64_t milliseconds = 0;
  if (!text.has_value() || !absl::SimpleAtoi(std::string(*text), &milliseconds)) return absl::ZeroDuration();
  return absl::Milliseconds(milliseconds);
}

}  // namespace tranche::server
