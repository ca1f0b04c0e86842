#include "client/ctl/hints.h"

#include "absl/strings/str_cat.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

constexpr char kLookBeforeYouRepeat[] =
    "whether it was done is not known: look (sku show, quota show) before you repeat it";

std::string NextStepForTransport(const absl::Status& status, bool changed_nothing) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      if (!changed_nothing) return kLookBeforeYouRepeat;
      return "is a front node running there? Set --endpoint or TRANCHE_ENDPOINT to host:port of one";
    case absl::StatusCode::kDeadlineExceeded:
      if (changed_nothing)
        return "--timeout waits longer; --endpoint HOST:PORT,HOST:PORT asks another node when one is silent";
      return absl::StrCat(kLookBeforeYouRepeat, "; --timeout waits longer");
    case absl::StatusCode::kUnimplemented:
      return "the node is of another version, or no Tranche node";
    default:
      return "";
  }
}

}  // namespace

std::string NextStepFor(const absl::Status& status, bool changed_nothing) {
  switch (ReasonOf(status)) {
    case Reason::kUnspecified:
      return ReasonNameOf(status).empty() ? NextStepForTransport(status, changed_nothing) : "";
    case Reason::kSkuNotFound:
      return "`tranchectl sku list` shows the SKUs there are";
    case Reason::kSkuAlreadyExists:
      return "`tranchectl sku show` shows it; `tranchectl stock add` adds units to it";
    case Reason::kNodeNotFound:
      return "`tranchectl node list` shows the live nodes";
    case Reason::kShardNotFound:
      return "`tranchectl shard list` shows the shards there are";
    case Reason::kShardState:
      // Of a move; otherwise it is about a database that cannot be added.
      if (ErrorMetadata(status, "sku_id").has_value()) return "`tranchectl sku show` shows where it is";
      return "`tranchectl shard list` shows the shards there are";
    case Reason::kSinkNotFound:
      return "`tranchectl outbox sink list` shows the sinks there are";
    case Reason::kOutboxMessageNotFound:
      return "it has been delivered or discarded; `tranchectl outbox list` shows what has not";
    case Reason::kReservationNotFound:
      return "it was never committed, or the id is mistyped";
    case Reason::kReservationState:
      if (ErrorMetadata(status, "refund_requested").has_value()) return "the message that asks for it is in the outbox";
      return "`tranchectl reservation get` shows it; only a PENDING one can be changed";
    case Reason::kPaymentMismatch:
      return "`tranchectl reservation get` shows what it costs";
    case Reason::kTooManyExtensions:
    case Reason::kHoldTooLong:
      return "`tranchectl sku show` shows the bounds";
    case Reason::kExtensionOutOfOrder:
      return "somebody else extended it meanwhile: preview again without --yes";
    case Reason::kSoldOut:
      return "`tranchectl stock add` adds units";
    case Reason::kExhaustedHere:
      return "units are on their way: try again in a moment";
    case Reason::kSkuMoving:
      return "try again in a moment";
    case Reason::kQuotaVersionChanged:
      return "somebody else moved units meanwhile: preview again without --yes";
    case Reason::kStockChanged:
      return "somebody else changed the stock meanwhile: preview again without --yes";
    case Reason::kNodeDraining:
      return "`tranchectl node undrain` lets it serve again; or choose another node";
    case Reason::kInsufficientUnits:
      return absl::StrCat("ask for fewer",
                          ErrorMetadata(status, "available").has_value()
                              ? absl::StrCat(": ", *ErrorMetadata(status, "available"), " are available")
                              : "");
    case Reason::kFieldInvalid:
      return ErrorMetadata(status, "field").has_value() ? absl::StrCat("correct ", *ErrorMetadata(status, "field"))
                                                        : "";
    case Reason::kSaleClosed:
      return "a closed SKU stays closed: create another one";
    case Reason::kLedgerUnavailable:
      return "check PostgreSQL; nothing was changed";
    case Reason::kCommitUnknown:
      return "look (sku show, quota show) whether it was done before you repeat it";
    case Reason::kCoordinationUnavailable:
      return "check ZooKeeper; the nodes keep selling what they hold meanwhile";
    case Reason::kOverloaded:
    case Reason::kDraining:
      return "try again, or at another node with --endpoint";
    case Reason::kInternal:
      return "the node's log says more";
    default:
      return "";
  }
}

}  // namespace tranche::ctl
