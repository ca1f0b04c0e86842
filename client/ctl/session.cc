#include "client/ctl/session.h"

#include <google/protobuf/util/json_util.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/ctl/hints.h"
#include "client/ctl/parse.h"
#include "storage/base/status_macros.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

constexpr absl::Duration kHintPatience = absl::Seconds(2);  // a hint is not worth a longer wait
constexpr absl::Duration kWatchPause = absl::Seconds(1);    // before a watch that broke off is begun again

}  // namespace

std::string DescribeError(const absl::Status& error) {
  const std::string reason = ReasonNameOf(error);
  return absl::StrCat(reason.empty() ? absl::StatusCodeToString(error.code()) : reason, ": ",
                      std::string(error.message()));
}

bool IsNameOfARead(absl::string_view request_name) {
  for (const char* verb : {"Get", "List", "LookUp", "Dump", "Verify", "Preview", "Explain"}) {
    if (absl::StartsWith(request_name, verb)) return true;
  }
  return false;
}

void Session::GiveReason(const std::string& text) {
  if (reason.empty() && ParseReason(text).ok()) reason = text;
}

void Session::PrintJson(const google::protobuf::Message& message) { PrintJson(message, /*whitespace=*/true); }

void Session::PrintJsonLine(const google::protobuf::Message& message) {
  PrintJson(message, /*whitespace=*/false);
  out_ << "\n";
}

void Session::PrintJson(const google::protobuf::Message& message, bool whitespace) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = whitespace;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) {
    FailLocally(absl::StrCat("cannot print the answer as JSON: ", std::string(status.message())));
    return;
  }
  out_ << text;
}

void Session::FailLocally(absl::string_view message) {
  err_ << "tranchectl: " << message << "\n";
  exit_code = kExitLocal;
}

void Session::FailRemotely(const absl::Status& status) {
  err_ << "tranchectl: " << DescribeError(status) << "\n";
  if (nodes_ != nullptr) {
    for (const std::string& error : nodes_->other_errors()) err_ << "also: " << error << "\n";
  }
  const bool changed_nothing = last_call_ != CallKind::kChange || nodes_ == nullptr || !nodes_->reached();
  const std::optional<Cause> cause = AskForCause(status);
  if (cause.has_value()) err_ << "cause: " << cause->text << "\n";
  const std::string hint = cause.has_value() ? cause->next_step : NextStepFor(status, changed_nothing);
  if (!hint.empty()) err_ << "next: " << hint << "\n";
  // What the cluster takes for wrong usage is wrong usage.
  exit_code = absl::IsInvalidArgument(status) ? kExitLocal : kExitRemote;
}

std::optional<Cause> Session::AskForCause(const absl::Status& status) {
  if (!MayHaveACause(status)) return std::nullopt;
  const auto sku = AskForSku(ErrorMetadata(status, "sku_id").value_or(""));
  if (!sku.has_value()) return std::nullopt;
  const auto state = AskForStatus();
  return state.has_value() ? CauseOf(status, *sku, *state) : std::nullopt;
}

std::optional<tranche::v1::Sku> Session::AskForSku(const std::string& sku_id) {
  if (sku_id.empty()) return std::nullopt;
  tranche::v1::GetSkuRequest request;
  request.set_sku_id(sku_id);
  tranche::v1::GetSkuResponse response;
  const absl::Status asked =
      CallFor(CallKind::kQuickRead, kHintPatience, [&](const auto& channel, grpc::ClientContext* context) {
        return tranche::v1::AdminService::Stub(channel).GetSku(context, request, &response);
      });
  if (!asked.ok()) return std::nullopt;
  return response.sku();
}

bool Session::SkuExists(const std::string& sku_id) {
  tranche::v1::GetSkuRequest request;
  request.set_sku_id(sku_id);
  const auto sku = Admin(&tranche::v1::AdminService::Stub::GetSku, request);
  if (ReasonOf(sku.status()) != Reason::kSkuNotFound) return true;
  FailRemotely(sku.status());
  return false;
}

std::optional<tranche::v1::GetStatusResponse> Session::AskForStatus() {
  const tranche::v1::GetStatusRequest request;
  tranche::v1::GetStatusResponse response;
  const absl::Status asked =
      CallFor(CallKind::kQuickRead, kHintPatience, [&](const auto& channel, grpc::ClientContext* context) {
        return tranche::v1::AdminService::Stub(channel).GetStatus(context, request, &response);
      });
  if (!asked.ok()) return std::nullopt;
  return response;
}

absl::StatusOr<Failover*> Session::Nodes() {
  if (nodes_ == nullptr) {
    ASSIGN_OR_RETURN(const std::vector<std::string> addresses, ParseEndpoints(endpoints));
    RETURN_IF_ERROR(CheckSecurityFlags(security, addresses));
    ASSIGN_OR_RETURN(std::unique_ptr<internal::ChannelSecurity> channels,
                     internal::ChannelSecurity::Open(TlsOf(security), security.token_file));
    nodes_ = std::make_unique<Failover>(addresses, reason, std::move(channels));
  }
  return nodes_.get();
}

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> Session::Channels() {
  ASSIGN_OR_RETURN(const Failover* const nodes, Nodes());
  return nodes->channels();
}

std::unique_ptr<grpc::ClientContext> Session::NewContext() const { return nodes_->NewContext(); }

absl::StatusOr<absl::Duration> Session::LimitOf(absl::Duration default_timeout) const {
  if (timeout.empty()) return default_timeout;
  return ParseDuration(timeout);
}

absl::Status Session::Call(CallKind kind, absl::Duration default_timeout, Failover::Attempt attempt) {
  ASSIGN_OR_RETURN(const absl::Duration limit, LimitOf(default_timeout));
  return CallFor(kind, limit, attempt);
}

absl::Status Session::CallFor(CallKind kind, absl::Duration limit, Failover::Attempt attempt) {
  ASSIGN_OR_RETURN(Failover* const nodes, Nodes());
  last_call_ = kind;
  return nodes->Call(kind, limit, attempt);
}

absl::Status Session::Watch(const tranche::v1::WatchReservationRequest& request,
                            absl::FunctionRef<bool(const tranche::v1::WatchReservationResponse&)> show) {
  ASSIGN_OR_RETURN(const absl::Duration limit, LimitOf(absl::InfiniteDuration()));
  const absl::Time end = absl::Now() + limit;
  // Revision and state.
  std::optional<std::pair<int32_t, tranche::v1::ReservationState>> last;
  bool told = false, read_on = true;
  while (true) {
    const absl::Status status =
        CallFor(CallKind::kLongRead, end - absl::Now(), [&](const auto& channel, grpc::ClientContext* context) {
          const auto reader = tranche::v1::ReservationService::Stub(channel).WatchReservation(context, request);
          tranche::v1::WatchReservationResponse response;
          while (reader->Read(&response)) {
            told = false;
            // A node repeats itself to keep the stream alive, and begins with the state that was seen already.
            const auto seen = std::pair(response.reservation().revision(), response.reservation().state());
            if (seen != last) read_on = show(response);
            last = seen;
            if (!read_on) context->TryCancel();
          }
          return reader->Finish();
        });
    if (!read_on) return absl::OkStatus();
    if (!last.has_value() || !absl::IsUnavailable(status) || absl::Now() + kWatchPause >= end) return status;
    if (!std::exchange(told, true)) err_ << "STALE, asking again: " << DescribeError(status) << std::endl;
    absl::SleepFor(kWatchPause);
  }
}

absl::Status Session::Move(const tranche::v1::MoveSkuRequest& request,
                           absl::FunctionRef<void(const tranche::v1::MoveSkuResponse&)> show) {
  return Call(CallKind::kChange, absl::InfiniteDuration(), [&](const auto& channel, grpc::ClientContext* context) {
    const auto reader = tranche::v1::AdminService::Stub(channel).MoveSku(context, request);
    tranche::v1::MoveSkuResponse response;
    while (reader->Read(&response)) show(response);
    return reader->Finish();
  });
}

}  // namespace tranche::ctl
