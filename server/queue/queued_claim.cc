#include "server/queue/queued_claim.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/id_format.h"
#include "server/plain_utf8.h"
#include "server/queue/claim_queue.h"
#include "server/trace_parent.h"
#include "storage/base/log_trace.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/internal/v1/queued_claim.pb.h"

namespace tranche::server {
namespace {

using internal::v1::QueuedClaim_Line;
using storage::ReservationClaim;

// As the API has them.
constexpr size_t kMaxMessageReferenceBytes = 128;
constexpr size_t kMaxTraceRequestIdBytes = 128;

absl::Status DamagedMessage(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("this is no claim that can be decided: ", what));
}

absl::StatusOr<storage::Uuid> ReadMessageId(const std::string& bytes) {
  storage::Uuid id;
  if (bytes.size() != id.bytes.size()) return DamagedMessage("a reservation id is not 16 bytes");
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  if (id.is_nil()) return DamagedMessage("a reservation id is nil");
  return id;
}

// It is for people alone: what is wrong with it is left out.
TraceTag ReadMessageTrace(const internal::v1::QueuedClaim& message) {
  LogTrace trace;
  const absl::string_view trace_id = TraceIdOf(message.traceparent());
  if (!trace_id.empty()) {
    trace.trace_id = std::string(trace_id);
    trace.traceparent = message.traceparent();
  }
  const std::string& request_id = message.request_id();
  const bool good = request_id.size() <= kMaxTraceRequestIdBytes &&
                    std::all_of(request_id.begin(), request_id.end(),
                                [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
  if (good) trace.request_id = request_id;
  if (trace.trace_id.empty() && trace.request_id.empty()) return nullptr;
  return std::make_shared<const LogTrace>(std::move(trace));
}

absl::Status CheckMessage(const internal::v1::QueuedClaim& message) {
  if (message.lines().empty() || message.lines_size() > storage::kMaxCartLines)
    return DamagedMessage("the number of lines");
  if (!message.cart() && message.lines_size() != 1) return DamagedMessage("it has several lines and is no cart");
  const std::string& user_id = message.user_id();
  if (!IsUserId(user_id) || !IsVisibleUtf8(user_id)) return DamagedMessage("the buyer's id");
  const std::string& reference = message.order_reference();
  if (reference.size() > kMaxMessageReferenceBytes || !IsPlainUtf8(reference))
    return DamagedMessage("the order reference");
  if (message.deadline_us() <= 0) return DamagedMessage("it has no deadline");
  return absl::OkStatus();
}

absl::StatusOr<ReservationClaim> ReadMessageLine(const QueuedClaim_Line& line,
                                                 const internal::v1::QueuedClaim& message) {
  ReservationClaim claim;
  ASSIGN_OR_RETURN(claim.reservation_id, ReadMessageId(line.reservation_id()));
  if (!IsSkuId(line.sku_id())) return DamagedMessage("a SKU's id");
  if (line.quantity() < 1) return DamagedMessage("a quantity below 1");
  claim.sku_id = line.sku_id();
  claim.user_id = message.user_id();
  claim.quantity = line.quantity();
  claim.order_reference = message.order_reference();
  claim.has_token = message.has_token();
  return claim;
}

}  // namespace

std::string ToMessage(const QueuedClaim& claim) {
  internal::v1::QueuedClaim message;
  for (const ReservationClaim& line : claim.lines) {
    QueuedClaim_Line* const added = message.add_lines();
    added->set_reservation_id(line.reservation_id.bytes.data(), line.reservation_id.bytes.size());
    added->set_sku_id(line.sku_id);
    added->set_quantity(line.quantity);
  }
  message.set_cart(claim.cart);
  message.set_enqueued_at_us(absl::ToUnixMicros(claim.enqueued_at));
  message.set_deadline_us(absl::ToUnixMicros(claim.deadline));
  if (claim.lines.empty()) return message.SerializeAsString();
  const ReservationClaim& first = claim.lines.front();
  message.set_user_id(first.user_id);
  message.set_order_reference(first.order_reference);
  message.set_has_token(first.has_token);
  if (first.trace != nullptr) {
    message.set_traceparent(first.trace->traceparent);
    message.set_request_id(first.trace->request_id);
  }
  return message.SerializeAsString();
}

absl::StatusOr<QueuedClaim> ReadMessage(absl::string_view text) {
  if (text.size() > kMaxQueuedBytes) return DamagedMessage("it is too long");
  internal::v1::QueuedClaim message;
  if (!message.ParseFromArray(text.data(), static_cast<int>(text.size()))) return DamagedMessage("it cannot be parsed");
  RETURN_IF_ERROR(CheckMessage(message));
  QueuedClaim claim;
  claim.cart = message.cart();
  claim.enqueued_at = absl::FromUnixMicros(message.enqueued_at_us());
  claim.deadline = absl::FromUnixMicros(message.deadline_us());
  const TraceTag trace = ReadMessageTrace(message);
  absl::flat_hash_set<storage::Uuid> ids;
  for (const QueuedClaim_Line& line : message.lines()) {
    ASSIGN_OR_RETURN(ReservationClaim read, ReadMessageLine(line, message));
    if (!ids.insert(read.reservation_id).second) return DamagedMessage("a reservation id twice");
    read.trace = trace;
    claim.lines.push_back(std::move(read));
  }
  return claim;
}

}  // namespace tranche::server
