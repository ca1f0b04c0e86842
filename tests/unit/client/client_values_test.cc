// The client's plain values: ids, errors, options.

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "client/internal/attempt_verdict.h"
#include "client/internal/status_translation.h"
#include "client/internal/tls_advice.h"
#include "google/rpc/error_details.pb.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"
#include "tranche/options.h"
#include "tranche/uuid.h"
#include "tranche/v1/error_reason.pb.h"

namespace tranche {
namespace {

TEST(MakeUuidV7Test, IsWellFormedUniqueAndOrdered) {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> ids;
  std::string last_time;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = MakeUuidV7();
    ASSERT_TRUE(std::regex_match(id, form)) << id;
    EXPECT_TRUE(ids.insert(id).second);
    EXPECT_LE(last_time, id.substr(0, 13));
    last_time = id.substr(0, 13);
  }
}

TEST(ReasonTest, EveryReasonOfTheApiHasItsCounterpart) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<tranche::v1::ErrorReason>();
  ASSERT_GT(descriptor->value_count(), 20);
  for (int i = 1; i < descriptor->value_count(); ++i) {
    const std::string wire = descriptor->value(i)->name().substr(std::string("ERROR_REASON_").size());
    const absl::Status status = internal::NodeError(absl::StatusCode::kUnavailable, wire);
    EXPECT_EQ(static_cast<int>(ReasonOf(status)), descriptor->value(i)->number()) << wire;
    EXPECT_EQ(ReasonName(ReasonOf(status)), wire);
  }
  EXPECT_EQ(static_cast<int>(Reason::kSoldOut), tranche::v1::ERROR_REASON_SOLD_OUT);
  EXPECT_EQ(static_cast<int>(Reason::kDeadlinePassed), tranche::v1::ERROR_REASON_DEADLINE_PASSED);
  EXPECT_EQ(static_cast<int>(Reason::kCallerUnknown), tranche::v1::ERROR_REASON_CALLER_UNKNOWN);
  EXPECT_EQ(static_cast<int>(Reason::kRoleMissing), tranche::v1::ERROR_REASON_ROLE_MISSING);
}

TEST(ReasonTest, ForeignAndNewReasonsAreUnspecified) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), Reason::kUnspecified);
  EXPECT_EQ(ReasonOf(absl::UnavailableError("x")), Reason::kUnspecified);
  const absl::Status newer = internal::NodeError(absl::StatusCode::kUnavailable, "FROM_THE_FUTURE");
  EXPECT_EQ(ReasonOf(newer), Reason::kUnspecified);
  EXPECT_EQ(ReasonNameOf(newer), "FROM_THE_FUTURE");
}

TEST(StatusTranslationTest, KeepsDetails) {
  google::rpc::Status details;
  details.set_code(8);
  details.set_message("all sold");
  google::rpc::ErrorInfo info;
  info.set_reason("SOLD_OUT");
  info.set_domain("tranche");
  (*info.mutable_metadata())["holds_may_lapse"] = "true";
  details.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(250'000'000);
  details.add_details()->PackFrom(retry);
  const grpc::Status wire(grpc::StatusCode::RESOURCE_EXHAUSTED, "all sold", details.SerializeAsString());
  for (const absl::Status& status : {internal::ToAbslStatus(wire), internal::ToAbslStatus(details)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(status.message(), "all sold");
    EXPECT_TRUE(IsSoldOut(status));
    EXPECT_TRUE(IsSoldOutForNow(status));
    EXPECT_EQ(RetryDelayOf(status), absl::Milliseconds(250));
    EXPECT_EQ(ErrorMetadata(status).size(), 1u);
  }
}

// As it appears in a user's log.
TEST(StatusTranslationTest, APrintedStatusIsText) {
  google::rpc::Status details;
  details.set_code(8);
  details.set_message("all sold");
  google::rpc::ErrorInfo info;
  info.set_reason("SOLD_OUT");
  info.set_domain("tranche");
  details.add_details()->PackFrom(info);
  EXPECT_EQ(internal::ToAbslStatus(details).ToString(), "RESOURCE_EXHAUSTED: all sold [tranche/reason='SOLD_OUT']");

  details.set_code(3);
  info.set_reason("QUANTITY_INVALID");
  (*info.mutable_metadata())["field"] = "quantity";
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("quantity");
  bad.mutable_field_violations(0)->set_description("must be at least 1");
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(1);
  details.clear_details();
  details.add_details()->PackFrom(info);
  details.add_details()->PackFrom(bad);
  details.add_details()->PackFrom(retry);
  const std::string text = internal::ToAbslStatus(details).ToString();
  for (const char* part : {"[tranche/reason='QUANTITY_INVALID']", "[tranche.metadata/field='quantity']",
                           "[tranche.field/quantity='must be at least 1']", "[tranche/retry_delay='1s']"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << text;
  }
  EXPECT_FALSE(absl::StrContains(text, "\\")) << "escaped bytes: " << text;
}

TEST(StatusTranslationTest, AnErrorInfoOfSomebodyElseIsNoReason) {
  google::rpc::Status details;
  details.set_code(14);
  google::rpc::ErrorInfo info;
  info.set_reason("SOLD_OUT");
  info.set_domain("proxy.example");
  details.add_details()->PackFrom(info);
  EXPECT_EQ(ReasonOf(internal::ToAbslStatus(details)), Reason::kUnspecified);
}

TEST(StatusTranslationTest, GarbageInTheDetailsIsIgnored) {
  const grpc::Status wire(grpc::StatusCode::UNAVAILABLE, "gone", "\xff\xff\xff");
  EXPECT_EQ(internal::ToAbslStatus(wire).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(internal::ToAbslStatus(wire)), Reason::kUnspecified);
}

TEST(OptionsTest, NamesTheOptionOutOfRange) {
  const auto message = [](auto change) {
    ClientOptions options;
    options.endpoints = {"localhost:1"};
    change(options);
    return std::string(Validate(options).message());
  };
  EXPECT_EQ(message([](ClientOptions&) {}), "");
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.endpoints.clear(); }), "endpoints"));
  for (const char* endpoint : {"localhost", "localhost:0", "localhost:99999", "http://localhost:7400", "a:1,b:1", ""}) {
    EXPECT_TRUE(absl::StrContains(message([&](ClientOptions& o) { o.endpoints = {endpoint}; }), "host:port"))
        << endpoint;
  }
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.endpoints.assign(65, "a:1"); }), "64"));
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.request_timeout = {}; }), "request_timeout"));
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.attempt_timeout = {}; }), "attempt_timeout"));
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.retry.max_attempts = 0; }), "max_attempts"));
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.channels_per_endpoint = 0; }), "channels"));
  for (const double ratio : {0.9, 101.0, std::nan("")}) {
    EXPECT_TRUE(absl::StrContains(message([&](ClientOptions& o) { o.throttle.ratio = ratio; }), "throttle.ratio"));
  }
  for (const absl::Duration window : {absl::Milliseconds(999), absl::Minutes(11)}) {
    EXPECT_TRUE(absl::StrContains(message([&](ClientOptions& o) { o.throttle.window = window; }), "throttle.window"));
  }
}

TEST(OptionsTest, TlsAndTokensHaveTheirRules) {
  const auto message = [](auto change) {
    ClientOptions options;
    options.endpoints = {"localhost:1", "[::1]:1", "127.0.0.2:1"};
    options.token_file = "/etc/token";
    change(options);
    return std::string(Validate(options).message());
  };
  EXPECT_EQ(message([](ClientOptions&) {}), "") << "this machine itself";
  for (const char* endpoint : {"shop:1", "10.0.0.1:1", "[::2]:1", "localhost.example:1"}) {
    const std::string refused = message([&](ClientOptions& o) { o.endpoints.emplace_back(endpoint); });
    EXPECT_TRUE(absl::StrContains(refused, "token_file")) << endpoint;
    EXPECT_TRUE(absl::StrContains(refused, endpoint)) << refused;
    EXPECT_EQ(message([&](ClientOptions& o) {
                o.endpoints.emplace_back(endpoint);
                o.tls.emplace();
              }),
              "");
  }
  EXPECT_TRUE(absl::StrContains(message([](ClientOptions& o) { o.tls.emplace().key_file = "/key"; }), "key_file"));
  EXPECT_TRUE(
      absl::StrContains(message([](ClientOptions& o) { o.tls.emplace().certificate_file = "/own"; }), "key_file"));
  for (const char* name : {"node:7400", "a b", "https://node"}) {
    EXPECT_TRUE(
        absl::StrContains(message([&](ClientOptions& o) { o.tls.emplace().server_name = name; }), "server_name"))
        << name;
  }
  EXPECT_EQ(message([](ClientOptions& o) { o.tls.emplace().server_name = "node.internal"; }), "");
}

// As gRPC 1.51 says it.
TEST(TlsAdviceTest, KnowsGrpcsWordsForAFailedHandshake) {
  using internal::TlsTrouble;
  const std::string start = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:7400: ";
  EXPECT_EQ(
      internal::TlsTroubleIn(start + "Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate "
                                     "verify failed"),
      TlsTrouble::kNodeNotTrusted);
  EXPECT_EQ(internal::TlsTroubleIn(start + "Peer name shop is not in peer certificate"), TlsTrouble::kOtherName);
  EXPECT_EQ(internal::TlsTroubleIn(start + "Ssl handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong "
                                           "version number"),
            TlsTrouble::kNodeSpeaksPlaintext);
  EXPECT_EQ(internal::TlsTroubleIn(start + "Ssl handshake failed: SSL_ERROR_SSL: error:0A00045C:SSL routines::tlsv13 "
                                           "alert certificate required"),
            TlsTrouble::kClientNotTrusted);
  EXPECT_EQ(internal::TlsTroubleIn(start + "Socket closed"), TlsTrouble::kClosedAtOnce);
  EXPECT_EQ(internal::TlsTroubleIn(start + "Connection refused"), TlsTrouble::kNone);
  EXPECT_EQ(internal::TlsTroubleIn("Socket closed"), TlsTrouble::kNone) << "in the middle of a call";

  const absl::Status advised = internal::WithTlsAdvice(absl::UnavailableError(start + "Socket closed"));
  EXPECT_TRUE(internal::WasNotSent(advised)) << "what it is stays what it is";
  EXPECT_TRUE(absl::StrContains(advised.message(), "expects TLS"));
  EXPECT_EQ(internal::WithTlsAdvice(absl::UnavailableError("gone")).message(), "gone");
}

// Not one of the other nodes is asked.
TEST(AttemptVerdict, WhoIsNotKnownOrNotAllowedGetsNoSecondTry) {
  for (const absl::Status& status : {absl::UnauthenticatedError("who?"), absl::PermissionDeniedError("no role")}) {
    const internal::AttemptVerdict verdict = internal::Judge(status);
    EXPECT_EQ(verdict.next, internal::AttemptVerdict::Next::kDone) << status;
    EXPECT_FALSE(verdict.outcome_unknown) << status;
    EXPECT_TRUE(internal::IsRefusal(status)) << status;
  }
}

TEST(AttemptVerdict, WhoIsNotLetInDoesNotAskAgain) {
  for (const auto& [code, reason] : {std::pair{absl::StatusCode::kUnauthenticated, "CALLER_UNKNOWN"},
                                     std::pair{absl::StatusCode::kPermissionDenied, "ROLE_MISSING"}}) {
    const absl::Status denied = internal::NodeError(code, reason);
    EXPECT_EQ(internal::Judge(denied).next, internal::AttemptVerdict::Next::kDone) << reason;
    EXPECT_TRUE(internal::IsRefusal(denied)) << reason;
  }
}

TEST(AttemptVerdict, WhomTheFrontDoorRefusesIsNotSentToAnotherNode) {
  for (const auto& [code, reason] : {std::pair{absl::StatusCode::kResourceExhausted, "RATE_LIMITED"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "DENIED"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "NOT_ADMITTED"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "PURCHASE_TOKEN_REQUIRED"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "PURCHASE_TOKEN_INVALID"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "DRAW_DECIDES"},
                                     std::pair{absl::StatusCode::kFailedPrecondition, "DRAW_NOT_OPEN"}}) {
    const absl::Status refused = internal::NodeError(code, reason, absl::Milliseconds(10));
    EXPECT_EQ(internal::Judge(refused).next, internal::AttemptVerdict::Next::kDone) << reason;
    EXPECT_FALSE(internal::Judge(refused).avoid_node) << reason;
    EXPECT_TRUE(internal::IsRefusal(refused)) << reason;
  }
}

// What the throttle goes by.
TEST(AttemptVerdict, OnlyOverloadAndSilenceAreSignsOfOverload) {
  using absl::StatusCode;
  using internal::LoadSign;
  const auto sign = [](const absl::Status& status) { return internal::Judge(status).load; };
  EXPECT_EQ(sign(internal::NodeError(StatusCode::kUnavailable, "OVERLOADED")), LoadSign::kOverload);
  EXPECT_EQ(sign(internal::NodeError(StatusCode::kDeadlineExceeded, "DEADLINE_PASSED")), LoadSign::kOverload);
  EXPECT_EQ(sign(absl::DeadlineExceededError("Deadline Exceeded")), LoadSign::kOverload);
  EXPECT_EQ(sign(absl::ResourceExhaustedError("too many pings")), LoadSign::kOverload);

  EXPECT_EQ(sign(absl::OkStatus()), LoadSign::kAccepted);
  EXPECT_EQ(sign(internal::NodeError(StatusCode::kUnavailable, "EXHAUSTED_HERE")), LoadSign::kAccepted);
  for (const char* reason : {"SOLD_OUT", "RATE_LIMITED", "TOO_MANY_STREAMS", "NOT_ADMITTED", "SKU_NOT_FOUND"}) {
    EXPECT_EQ(sign(internal::NodeError(StatusCode::kResourceExhausted, reason)), LoadSign::kAccepted) << reason;
  }

  for (const char* reason : {"LEDGER_UNAVAILABLE", "COMMIT_UNKNOWN", "DRAINING", "SKU_MOVING", "INTERNAL", "NEWER"}) {
    EXPECT_EQ(sign(internal::NodeError(StatusCode::kUnavailable, reason)), LoadSign::kNone) << reason;
  }
  for (const absl::Status& lost : {internal::Refused(), internal::ConnectionLost(), absl::CancelledError("leaving")}) {
    EXPECT_EQ(sign(lost), LoadSign::kNone) << lost;
  }
}

TEST(RetryDelayOf, IsAlsoReadFromTheMetadata) {
  absl::Status refused = internal::NodeError(absl::StatusCode::kFailedPrecondition, "NOT_ADMITTED");
  EXPECT_FALSE(RetryDelayOf(refused).has_value());
  internal::SetMetadata(refused, "retry_after_ms", "20500");
  EXPECT_EQ(RetryDelayOf(refused), absl::Milliseconds(20'500));
  internal::SetRetryDelay(refused, absl::Seconds(3));
  EXPECT_EQ(RetryDelayOf(refused), absl::Seconds(3)) << "RetryInfo says it first";
}

TEST(AttemptVerdict, ANameThatDoesNotResolveWasAskedNothing) {
  for (const char* words : {"failed to connect to all addresses", "DNS resolution failed for shop:7400: not found"}) {
    EXPECT_FALSE(internal::Judge(absl::UnavailableError(words)).outcome_unknown) << words;
  }
  EXPECT_TRUE(internal::Judge(absl::UnavailableError("Socket closed")).outcome_unknown);
}

}  // namespace
}  // namespace tranche
