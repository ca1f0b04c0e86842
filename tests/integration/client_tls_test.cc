// The SDK over TLS: who is trusted, who calls, and what happens when certificates and tokens are renewed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/tls_door.h"
#include "tests/support/test_certificates.h"
#include "tranche/client.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TestAuthority;

// Any claim.
const CreateReservation kClaim = {.sku = "tv", .user = "alice"};

class ClientTlsTest : public ::testing::Test {
 protected:
  ClientTlsTest() {
    files_.Trust(authority_.certificate_pem());
    files_.Show(ForClient(authority_, "shop"));
    files_.Say("first-token");
  }

  // A node that asks for certificates of `clients`, and notes who calls.
  std::unique_ptr<FakeFrontNode> StartNode(const testing::IssuedCertificate& own, const std::string& clients) {
    auto node =
        std::make_unique<FakeFrontNode>(FakeFrontNode::StreamHandler(), google::rpc::Status(), TlsDoor(own, clients));
    node->on_caller = [this](const grpc::ServerContext& context) { callers_.Note(context); };
    return node;
  }
  std::unique_ptr<FakeFrontNode> StartNode() { return StartNode(ForNode(authority_), authority_.certificate_pem()); }

  // With all files, as `change` has them.
  absl::StatusOr<std::unique_ptr<Client>> Open(
      std::vector<std::string> endpoints, const std::function<void(ClientOptions&)>& change = [](ClientOptions&) {}) {
    ClientOptions options;
    options.endpoints = std::move(endpoints);
    options.request_timeout = absl::Seconds(5);
    options.tls = TlsOptions{
        .ca_file = files_.ca(), .certificate_file = files_.certificate(), .key_file = files_.key(), .server_name = ""};
    options.token_file = files_.token();
    change(options);
    return Client::Open(options);
  }

  // The error of a client that gives up at once.
  std::string ErrorAt(const std::string& endpoint, const std::function<void(ClientOptions&)>& change) {
    const auto client = Open({endpoint}, [&](ClientOptions& options) {
      options.retry.max_attempts = 1;
      change(options);
    });
    EXPECT_TRUE(client.ok()) << client.status();
    const absl::Status status = (*client)->Create(kClaim).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_FALSE(IsOutcomeUnknown(status)) << status;
    return std::string(status.message());
  }

  TestAuthority authority_{"the first authority"};
  ClientFiles files_;
  Callers callers_;
};

TEST_F(ClientTlsTest, CallsShowTheCertificateAndTheToken) {
  const auto node = StartNode();
  const auto client = Open({node->address()});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto reservation = (*client)->Create(kClaim);
  ASSERT_TRUE(reservation.ok()) << reservation.status();
  EXPECT_EQ(callers_.last_name(), "shop");
  EXPECT_EQ(callers_.last_authorization(), "Bearer first-token");
}

TEST_F(ClientTlsTest, StreamsAndWatchesDoToo) {
  const auto node = StartNode();
  node->on_watch = [](grpc::ServerContext*, auto*) { return grpc::Status::OK; };
  const auto client = Open({node->address()});
  ASSERT_TRUE(client.ok()) << client.status();
  {
    const auto stream = (*client)->OpenStream();
    absl::Notification answered;
    stream->Create(kClaim, [&](absl::StatusOr<Reservation> answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      answered.Notify();
    });
    answered.WaitForNotification();
  }
  EXPECT_EQ(node->streams(), 1);
  EXPECT_EQ(node->unary_calls(), 0);
  EXPECT_EQ(callers_.last_authorization(), "Bearer first-token");
  const auto watch = (*client)->Watch("id");
  EXPECT_TRUE(watch->Next(absl::Seconds(20)).ok());
  EXPECT_EQ(node->watches(), 1);
  EXPECT_EQ(callers_.calls(), 2);
  EXPECT_EQ(callers_.last_name(), "shop");
}

TEST_F(ClientTlsTest, ANodeOfAnotherAuthorityIsNotTrusted) {
  const TestAuthority other("another authority");
  const auto node = StartNode(ForNode(other), authority_.certificate_pem());
  EXPECT_THAT(ErrorAt(node->address(), [](ClientOptions&) {}), HasSubstr("check tls.ca_file"));
  EXPECT_EQ(callers_.calls(), 0);
}

TEST_F(ClientTlsTest, ANodeWhoseCertificateHasExpiredIsNotTrusted) {
  const auto node = StartNode(ForNode(authority_, NodeNames(), -absl::Hours(1)), authority_.certificate_pem());
  EXPECT_THAT(ErrorAt(node->address(), [](ClientOptions&) {}), HasSubstr("has expired"));
}

TEST_F(ClientTlsTest, ANodeHasTheNameOfItsEndpointOrTheOneThatIsAskedFor) {
  const auto node = StartNode(ForNode(authority_, {"DNS:node.test"}), authority_.certificate_pem());
  EXPECT_THAT(ErrorAt(node->address(), [](ClientOptions&) {}), HasSubstr("for other names"));
  const auto client = Open({node->address()}, [](ClientOptions& options) { options.tls->server_name = "node.test"; });
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->Create(kClaim).ok());
}

TEST_F(ClientTlsTest, AClientThatTheNodeDoesNotKnowIsToldWhatToCheck) {
  const auto node = StartNode();
  const auto without = [](ClientOptions& options) { options.tls->certificate_file = options.tls->key_file = ""; };
  EXPECT_THAT(ErrorAt(node->address(), without), HasSubstr("client's certificate"));
  const TestAuthority other("another authority");
  files_.Show(ForClient(other, "shop"));
  EXPECT_THAT(ErrorAt(node->address(), [](ClientOptions&) {}), HasSubstr("client's certificate"));
  EXPECT_EQ(callers_.calls(), 0);
}

TEST_F(ClientTlsTest, PlaintextAndTlsTellEachOtherApart) {
  const auto plaintext = [](ClientOptions& options) { options.tls.reset(); };
  EXPECT_THAT(ErrorAt(StartNode()->address(), plaintext), HasSubstr("the node expects TLS"));
  FakeFrontNode node;
  EXPECT_THAT(ErrorAt(node.address(), [](ClientOptions&) {}), HasSubstr("does not speak TLS"));
}

// The clients' authority is replaced by another one, and so is the client's certificate.
TEST_F(ClientTlsTest, RenewedCertificatesServeNewCallsWhileAStreamGoesOn) {
  const TestAuthority next("the next authority");
  const std::string both = authority_.certificate_pem() + next.certificate_pem();
  const auto node = StartNode(ForNode(authority_), both);
  // Not trusted before the renewal.
  const auto renewed_node = StartNode(ForNode(next), both);
  const auto client = Open({node->address()});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto both_nodes = Open({node->address(), renewed_node->address()});
  ASSERT_TRUE(both_nodes.ok()) << both_nodes.status();
  const auto stream = (*client)->OpenStream();
  const auto create_on_stream = [&] {
    absl::Notification answered;
    stream->Create(kClaim, [&](absl::StatusOr<Reservation> answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      answered.Notify();
    });
    answered.WaitForNotification();
  };
  create_on_stream();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE((*both_nodes)->Create(kClaim).ok());
  EXPECT_EQ(renewed_node->unary_calls(), 0);

  files_.Trust(both);
  files_.Show(ForClient(next, "renewed-shop"));
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE((*client)->Create(kClaim).ok());
    return callers_.last_name() == "renewed-shop";
  }));
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE((*both_nodes)->Create(kClaim).ok());
    return renewed_node->unary_calls() > 0;
  }));
  create_on_stream();
  EXPECT_EQ(node->streams(), 1) << "the stream kept its connection";

  // Once more, so that channels are replaced that were themselves a replacement.
  files_.Show(ForClient(next, "shop-renewed-again"));
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE((*client)->Create(kClaim).ok());
    return callers_.last_name() == "shop-renewed-again";
  }));
  create_on_stream();
  EXPECT_EQ(node->streams(), 1);
}

TEST_F(ClientTlsTest, AHalfWrittenSetIsNotTaken) {
  const auto node = StartNode();
  const auto client = Open({node->address()});
  ASSERT_TRUE(client.ok()) << client.status();
  const testing::IssuedCertificate next = ForClient(authority_, "renewed-shop");
  testing::ReplaceFile(files_.certificate(), next.certificate_pem);
  // The token is looked at as often as the certificates are, and shows when that has been done.
  files_.Say("second-token");
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE((*client)->Create(kClaim).ok());
    return callers_.last_authorization() == "Bearer second-token";
  }));
  EXPECT_EQ(callers_.last_name(), "shop");
  testing::ReplaceFile(files_.key(), next.key_pem);
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE((*client)->Create(kClaim).ok());
    return callers_.last_name() == "renewed-shop";
  }));
}

TEST_F(ClientTlsTest, FilesThatCannotBeUsedAreNamedAtOnce) {
  const auto message = [&](const std::function<void(ClientOptions&)>& change) {
    return std::string(Open({"127.0.0.1:1"}, change).status().message());
  };
  EXPECT_THAT(message([](ClientOptions& options) { options.tls->ca_file = "/nowhere/ca.pem"; }),
              HasSubstr("/nowhere/ca.pem"));
  EXPECT_THAT(message([](ClientOptions& options) { options.token_file = "/nowhere/token"; }),
              HasSubstr("/nowhere/token"));
  files_.Say("two words");
  const std::string no_token = message([](ClientOptions&) {});
  EXPECT_THAT(no_token, HasSubstr("one line"));
  EXPECT_THAT(no_token, Not(HasSubstr("words")));
}

TEST_F(ClientTlsTest, ATokenGoesInPlaintextOnlyToThisMachine) {
  FakeFrontNode node;
  node.on_caller = [this](const grpc::ServerContext& context) { callers_.Note(context); };
  const auto plaintext = [](ClientOptions& options) { options.tls.reset(); };
  const auto client = Open({node.address()}, plaintext);
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->Create(kClaim).ok());
  EXPECT_EQ(callers_.last_authorization(), "Bearer first-token");
  // The proxy is there for others: nobody listens at this port.
  setenv("http_proxy", "http://127.0.0.1:1", /*overwrite=*/1);
  const auto beside_the_proxy = Open({node.address()}, plaintext);
  ASSERT_TRUE(beside_the_proxy.ok()) << beside_the_proxy.status();
  EXPECT_TRUE((*beside_the_proxy)->Create(kClaim).ok()) << "the token went to the proxy";
  unsetenv("http_proxy");
  const absl::Status refused = Open({node.address(), "192.0.2.1:7400"}, plaintext).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("192.0.2.1:7400"));
}

}  // namespace
}  // namespace tranche
