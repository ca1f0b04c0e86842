#include "client/ctl/session.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/ctl/hints.h"
#include "client/ctl/parse.h"
#include "tranche/error.h"

namespace tranche::ctl {
namespace {

// Who did it, for the audit log.
std::string Actor() {
  const char* user = std::getenv("USER");
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(user != nullptr && *user != '\0' ? user : "unknown", "@", host);
}

// The call cannot have had an effect.
bool DidNothing(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return false;
  const Reason reason = ReasonOf(status);
  return reason == Reason::kDraining || reason == Reason::kExhaustedHere ||
         absl::StartsWith(status.message(), "failed to connect");
}

}  // namespace

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
  const std::string reason = ReasonNameOf(status);
  err_ << "tranchectl: " << (reason.empty() ? absl::StatusCodeToString(status.code()) : reason) << ": "
       << status.message() << "\n";
  if (const std::string hint = NextStepFor(status); !hint.empty()) err_ << "next: " << hint << "\n";
  exit_code = kExitRemote;
}

absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> Session::Channels() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // So that a node that vanishes in the middle of a stream is noticed.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const auto endpoint : absl::StrSplit(endpoints, ',', absl::SkipWhitespace())) {
    channels.push_back(grpc::CreateCustomChannel(std::string(absl::StripAsciiWhitespace(endpoint)),
                                                 grpc::InsecureChannelCredentials(), arguments));
  }
  if (channels.empty()) {
    return absl::InvalidArgumentError("no endpoint given; use --endpoint host:port or TRANCHE_ENDPOINT");
  }
  return channels;
}

std::unique_ptr<grpc::ClientContext> Session::NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("tranche-actor", Actor());
  return context;
}

absl::Status Session::AtFirstThatAnswers(absl::Duration default_timeout, Attempt attempt) {
  absl::Duration limit = default_timeout;
  if (!timeout.empty()) {
    const absl::StatusOr<absl::Duration> parsed = ParseDuration(timeout);
    if (!parsed.ok()) return parsed.status();
    limit = *parsed;
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  absl::Status status = absl::InvalidArgumentError("no endpoint given; use --endpoint host:port or TRANCHE_ENDPOINT");
  for (const auto endpoint : absl::StrSplit(endpoints, ',', absl::SkipWhitespace())) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    context.AddMetadata("tranche-actor", Actor());
    const std::string address(absl::StripAsciiWhitespace(endpoint));
    int port = 0;
    const size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1) {
      return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not host:port"));
    }
    status = internal::ToAbslStatus(
        attempt(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments), &context));
    if (!DidNothing(status)) return status;
  }
  return status;
}

absl::Status Session::Watch(const tranche::v1::WatchReservationRequest& request,
                            absl::FunctionRef<void(const tranche::v1::WatchReservationResponse&)> show) {
  return AtFirstThatAnswers(
      absl::InfiniteDuration(), [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context) {
        const auto reader = tranche::v1::ReservationService::Stub(channel).WatchReservation(context, request);
        tranche::v1::WatchReservationResponse response;
        while (reader->Read(&response)) show(response);
        return reader->Finish();
      });
}

absl::Status Session::Move(const tranche::v1::MoveSkuRequest& request,
                           absl::FunctionRef<void(const tranche::v1::MoveSkuResponse&)> show) {
  return AtFirstThatAnswers(absl::InfiniteDuration(),
                            [&](const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context) {
                              const auto reader = tranche::v1::AdminService::Stub(channel).MoveSku(context, request);
                              tranche::v1::MoveSkuResponse response;
                              while (reader->Read(&response)) show(response);
                              return reader->Finish();
                            });
}

}  // namespace tranche::ctl
