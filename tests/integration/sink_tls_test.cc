// Sinks over TLS: who calls the receiver, and what happens when certificates and tokens are renewed.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/worker/grpc_sink.h"
#include "server/worker/webhook_sink.h"
#include "tests/integration/https_receiver.h"
#include "tests/integration/tls_door.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using tranche::testing::TestAuthority;

class AcceptingReceiver final : public v1::OutboxSinkService::Service {
 public:
  explicit AcceptingReceiver(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~AcceptingReceiver() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status Deliver(grpc::ServerContext* context, const v1::DeliverRequest* request,
                       v1::DeliverResponse* response) override {
    callers.Note(*context);
    for (int i = 0; i < request->messages_size(); ++i) {
      response->add_results()->set_verdict(v1::DeliverResponse::VERDICT_ACCEPTED);
    }
    return grpc::Status::OK;
  }

  Callers callers;

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class SinkTlsTest : public ::testing::Test {
 protected:
  SinkTlsTest() {
    files_.Trust(authority_.certificate_pem());
    files_.Show(ForClient(authority_, "worker"));
    files_.Say("first-token");
  }

  // Looks at its files before each call.
  std::unique_ptr<GrpcSink> SinkTo(const std::string& address) {
    GrpcSinkOptions options;
    options.name = "books";
    options.address = address;
    options.tls = true;
    auto certificates =
        CertificateFiles::Open({.certificate = files_.certificate(), .key = files_.key(), .authorities = files_.ca()},
                               {.look_every = absl::ZeroDuration()});
    EXPECT_TRUE(certificates.ok()) << certificates.status();
    options.certificates = *std::move(certificates);
    auto token = TokenFile::Open(files_.token(), {.look_every = absl::ZeroDuration()});
    EXPECT_TRUE(token.ok()) << token.status();
    options.token = *std::move(token);
    return std::make_unique<GrpcSink>(std::move(options));
  }

  CertificatePaths Paths() const {
    return {.certificate = files_.certificate(), .key = files_.key(), .authorities = files_.ca()};
  }
  // Looks at its files before each delivery.
  static WebhookOptions WebhookTo(const std::string& url, const CertificatePaths& paths) {
    WebhookOptions options;
    options.name = "shop";
    options.url = url;
    options.secrets = {"a-secret-of-this-test"};
    auto certificates = CertificateFiles::Open(paths, {.look_every = absl::ZeroDuration()});
    EXPECT_TRUE(certificates.ok()) << certificates.status();
    options.certificates = *std::move(certificates);
    return options;
  }

  static Delivery DeliverOne(Sink& sink) {
    storage::OutboxMessage message;
    message.key = {*storage::Uuid::Parse("00000000-0000-4000-8000-000000000001"), 2, "shop"};
    message.payload = "{}";
    message.attempts = 1;
    return sink.Deliver(absl::MakeConstSpan(&message, 1), [] { return true; }).front();
  }

  const TestAuthority authority_{"the first authority"};
  const ClientFiles files_;
};

TEST_F(SinkTlsTest, DeliversAndSurvivesTheRenewalOfEverything) {
  const TestAuthority next("the next authority");
  const std::string both = authority_.certificate_pem() + next.certificate_pem();
  auto receiver = std::make_unique<AcceptingReceiver>(TlsDoor(ForNode(authority_), both));
  const auto sink = SinkTo(receiver->address());
  EXPECT_EQ(DeliverOne(*sink).outcome, DeliveryOutcome::kDelivered);
  EXPECT_EQ(receiver->callers.last_name(), "worker");
  EXPECT_EQ(receiver->callers.last_authorization(), "Bearer first-token");

  files_.Trust(both);
  files_.Show(ForClient(next, "renewed-worker"));
  files_.Say("second-token");
  const Delivery renewed = DeliverOne(*sink);
  EXPECT_EQ(renewed.outcome, DeliveryOutcome::kDelivered) << renewed.error;
  EXPECT_EQ(receiver->callers.last_name(), "renewed-worker");
  EXPECT_EQ(receiver->callers.last_authorization(), "Bearer second-token");

  // A half-written set leaves the sink as it was.
  tranche::testing::ReplaceFile(files_.certificate(), "-----BEGIN CERTIFICATE-----\nMII");
  EXPECT_EQ(DeliverOne(*sink).outcome, DeliveryOutcome::kDelivered);
  EXPECT_EQ(receiver->callers.last_name(), "renewed-worker");
}

TEST_F(SinkTlsTest, ATokenInPlaintextGoesThroughNoProxy) {
  AcceptingReceiver receiver(grpc::InsecureServerCredentials());
  GrpcSinkOptions options;
  options.name = "books";
  options.address = receiver.address();
  auto token = TokenFile::Open(files_.token());
  ASSERT_TRUE(token.ok()) << token.status();
  options.token = *std::move(token);
  GrpcSink sink(std::move(options));
  setenv("http_proxy", "http://127.0.0.1:1", /*overwrite=*/1);  // nobody listens there
  const Delivery delivery = DeliverOne(sink);
  unsetenv("http_proxy");
  EXPECT_EQ(delivery.outcome, DeliveryOutcome::kDelivered) << delivery.error;
  EXPECT_EQ(receiver.callers.last_authorization(), "Bearer first-token");
}

TEST_F(SinkTlsTest, AReceiverThatIsNotTrustedGetsNothing) {
  const TestAuthority other("another authority");
  AcceptingReceiver receiver(TlsDoor(ForNode(other), authority_.certificate_pem()));
  const Delivery delivery = DeliverOne(*SinkTo(receiver.address()));
  EXPECT_EQ(delivery.outcome, DeliveryOutcome::kSinkFailed);
  EXPECT_THAT(delivery.error, HasSubstr("certificate verify failed"));
  EXPECT_EQ(receiver.callers.calls(), 0);
}

TEST_F(SinkTlsTest, AWebhookTrustsItsAuthorityAndShowsItsCertificate) {
  HttpsReceiver receiver(ForNode(authority_), authority_.certificate_pem());
  WebhookSink sink(WebhookTo(receiver.url(), Paths()), storage::Clock::Real());
  const Delivery delivery = DeliverOne(sink);
  EXPECT_EQ(delivery.outcome, DeliveryOutcome::kDelivered) << delivery.error;
  EXPECT_EQ(receiver.last_caller(), "worker");

  CertificatePaths machine = Paths();
  machine.authorities = "";
  WebhookSink distrustful(WebhookTo(receiver.url(), machine), storage::Clock::Real());
  EXPECT_EQ(DeliverOne(distrustful).outcome, DeliveryOutcome::kSinkFailed) << "the machine does not know the authority";
  CertificatePaths nobody = Paths();
  nobody.certificate = nobody.key = "";
  WebhookSink anonymous(WebhookTo(receiver.url(), nobody), storage::Clock::Real());
  EXPECT_EQ(DeliverOne(anonymous).outcome, DeliveryOutcome::kSinkFailed) << "the receiver asks for a certificate";
  EXPECT_EQ(receiver.answered(), 1);
}

TEST_F(SinkTlsTest, AWebhookTakesANewAuthorityAndANewCertificate) {
  const TestAuthority next("the next authority");
  const std::string both = authority_.certificate_pem() + next.certificate_pem();
  HttpsReceiver receiver(ForNode(authority_), both);
  WebhookSink sink(WebhookTo(receiver.url(), Paths()), storage::Clock::Real());
  EXPECT_EQ(DeliverOne(sink).outcome, DeliveryOutcome::kDelivered);

  receiver.Show(ForNode(next));
  EXPECT_EQ(DeliverOne(sink).outcome, DeliveryOutcome::kSinkFailed);
  files_.Trust(both);
  files_.Show(ForClient(next, "renewed-worker"));
  const Delivery renewed = DeliverOne(sink);
  EXPECT_EQ(renewed.outcome, DeliveryOutcome::kDelivered) << renewed.error;
  EXPECT_EQ(receiver.last_caller(), "renewed-worker");

  // A half-written set leaves the sink as it was.
  tranche::testing::ReplaceFile(files_.certificate(), "-----BEGIN CERTIFICATE-----\nMII");
  EXPECT_EQ(DeliverOne(sink).outcome, DeliveryOutcome::kDelivered);
  EXPECT_EQ(receiver.last_caller(), "renewed-worker");
}

}  // namespace
}  // namespace tranche::server
