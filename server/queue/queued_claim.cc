#include "server/queue/queued_claim.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
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

using internal::v1::QueuedClaim_Join;
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
  if (bytes.size() != id.bytes.size()) return DamagedMessage("an id is not 16 bytes");
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  if (id.is_nil()) return DamagedMessage("an id is nil");
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

absl::Status CheckMessageLines(const internal::v1::QueuedClaim& message) {
  if (message.has_join()) {
    if (!message.lines().empty()) return DamagedMessage("it joins a group, and has other lines");
    return message.cart() ? DamagedMessage("a cart joins no group") : absl::OkStatus();
  }
  if (message.lines().empty() || message.lines_size() > storage::kMaxCartLines)
    return DamagedMessage("the number of lines");
  if (!message.cart() && message.lines_size() != 1) return DamagedMessage("it has several lines and is no cart");
  return absl::OkStatus();
}

absl::Status CheckMessage(const internal::v1::QueuedClaim& message) {
  RETURN_IF_ERROR(CheckMessageLines(message));
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

absl::StatusOr<ReservationClaim> ReadMessageJoin(const internal::v1::QueuedClaim& message) {
  const QueuedClaim_Join& join = message.join();
  ASSIGN_OR_RETURN(ReservationClaim claim, ReadMessageLine(join.line(), message));
  ASSIGN_OR_RETURN(const storage::Uuid group_id, ReadMessageId(join.group_id()));
  const std::string& offer_id = join.offer_id();
  // As the API has it: the same as a SKU's.
  if (!offer_id.empty() && !IsSkuId(offer_id)) return DamagedMessage("an offer's id");
  claim.group = std::make_shared<const storage::GroupJoin>(storage::GroupJoin{group_id, offer_id});
  return claim;
}

absl::StatusOr<std::vector<ReservationClaim>> ReadMessageLines(const internal::v1::QueuedClaim& message) {
  std::vector<ReservationClaim> lines;
  if (message.has_join()) {
    ASSIGN_OR_RETURN(ReservationClaim join, ReadMessageJoin(message));
    lines.push_back(std::move(join));
    return lines;
  }
  absl::flat_hash_set<storage::Uuid> ids;
  for (const QueuedClaim_Line& line : message.lines()) {
    ASSIGN_OR_RETURN(ReservationClaim read, ReadMessageLine(line, message));
    if (!ids.insert(read.reservation_id).second) return DamagedMessage("a reservation id twice");
    lines.push_back(std::move(read));
  }
  return lines;
}

void FillMessageId(const storage::Uuid& id, std::string* bytes) {
  bytes->assign(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

void FillMessageLine(const ReservationClaim& claim, QueuedClaim_Line* line) {
  FillMessageId(claim.reservation_id, line->mutable_reservation_id());
  line->set_sku_id(claim.sku_id);
  line->set_quantity(claim.quantity);
}

void AddMessageLine(const ReservationClaim& claim, internal::v1::QueuedClaim* message) {
  if (claim.group == nullptr) return FillMessageLine(claim, message->add_lines());
  QueuedClaim_Join* const join = message->mutable_join();
  FillMessageLine(claim, join->mutable_line());
  FillMessageId(claim.group->group_id, join->mutable_group_id());
  join->set_offer_id(claim.group->offer_id);
}

}  // namespace

std::string ToMessage(const QueuedClaim& claim) {
  internal::v1::QueuedClaim message;
  for (const ReservationClaim& line : claim.lines) {
    CHECK(line.group == nullptr || (claim.lines.size() == 1 && !claim.cart)) << "a join is a claim of its own";
    AddMessageLine(line, &message);
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
  ASSIGN_OR_RETURN(claim.lines, ReadMessageLines(message));
  const TraceTag trace = ReadMessageTrace(message);
  for (ReservationClaim& line : claim.lines) line.trace = trace;
  return claim;
}

}  // namespace tranche::server
