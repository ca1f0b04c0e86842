// tranchectl over TLS, as somebody: the flags, and the next steps when it does not work.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/tls_door.h"
#include "tests/support/tranchectl_runner.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TestAuthority;

// Notes who calls, and answers as it is told.
class Admin final : public v1::AdminService::Service {
 public:
  explicit Admin(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~Admin() override { server_->Shutdown(std::chrono::system_clock::now()); }
  const std::string& address() const { return address_; }

  grpc::Status GetSku(grpc::ServerContext* context, const v1::GetSkuRequest* request,
                      v1::GetSkuResponse* response) override {
    callers.Note(*context);
    response->mutable_sku()->set_sku_id(request->sku_id());
    return answer;
  }

  Callers callers;
  grpc::Status answer;

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class TranchectlTlsTest : public ::testing::Test, protected testing::TranchectlRunner {
 protected:
  TranchectlTlsTest() {
    files_.Trust(authority_.certificate_pem());
    files_.Show(ForClient(authority_, "olga"));
    files_.Say("a-token");
  }

  // `sku show tv` with these flags before it.
  int ShowAt(const std::string& endpoints, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"sku", "show", "tv"});
    return RunCtlAt(endpoints, flags);
  }
  std::vector<std::string> AllFlags() const {
    return {"--tls-ca",  files_.ca(),  "--tls-certificate", files_.certificate(),
            "--tls-key", files_.key(), "--token-file",      files_.token()};
  }

  const TestAuthority authority_{"the authority"};
  const ClientFiles files_;
  Admin admin_{TlsDoor(ForNode(authority_), authority_.certificate_pem())};
};

TEST_F(TranchectlTlsTest, SaysWhoCallsWithFlagsOrTheEnvironment) {
  EXPECT_EQ(ShowAt(admin_.address(), AllFlags()), 0) << err_;
  EXPECT_EQ(admin_.callers.last_name(), "olga");
  EXPECT_EQ(admin_.callers.last_authorization(), "Bearer a-token");

  const std::vector<std::pair<const char*, std::string>> variables = {
      {"TRANCHE_CLIENT_TLS_CA", files_.ca()},
      {"TRANCHE_CLIENT_TLS_CERTIFICATE", files_.certificate()},
      {"TRANCHE_CLIENT_TLS_KEY", files_.key()},
      {"TRANCHE_TOKEN_FILE", files_.token()},
      {"TRANCHE_TLS_CERTIFICATE", "/of/a/server.pem"}};  // not read
  for (const auto& [name, value] : variables) setenv(name, value.c_str(), 1);
  EXPECT_EQ(ShowAt(admin_.address(), {}), 0) << err_;
  for (const auto& [name, value] : variables) unsetenv(name);
  EXPECT_EQ(admin_.callers.calls(), 2);
}

TEST_F(TranchectlTlsTest, AFailedHandshakeHasANextStep) {
  const TestAuthority other("another authority");
  Admin stranger(TlsDoor(ForNode(other), ""));
  EXPECT_EQ(ShowAt(stranger.address(), {"--tls-ca", files_.ca()}), 2);
  EXPECT_THAT(err_, HasSubstr("next: check that --tls-ca"));

  Admin elsewhere(TlsDoor(ForNode(authority_, {"DNS:node.test"}), ""));
  EXPECT_EQ(ShowAt(elsewhere.address(), {"--tls-ca", files_.ca()}), 2);
  EXPECT_THAT(err_, HasSubstr("--tls-server-name"));
  EXPECT_EQ(ShowAt(elsewhere.address(), {"--tls-ca", files_.ca(), "--tls-server-name", "node.test"}), 0) << err_;

  EXPECT_EQ(ShowAt(admin_.address(), {"--tls-ca", files_.ca()}), 2) << "the node asks for a certificate";
  EXPECT_THAT(err_, HasSubstr("(--tls-certificate)"));
  EXPECT_EQ(ShowAt(admin_.address(), {}), 2);
  EXPECT_THAT(err_, HasSubstr("the node expects TLS (--tls-ca)"));

  Admin plaintext(grpc::InsecureServerCredentials());
  EXPECT_EQ(ShowAt(plaintext.address(), {"--tls-ca", files_.ca()}), 2);
  EXPECT_THAT(err_, HasSubstr("leave out --tls-ca"));
  EXPECT_EQ(admin_.callers.calls() + stranger.callers.calls() + plaintext.callers.calls(), 0);
}

TEST_F(TranchectlTlsTest, WhoIsNotKnownOrNotAllowedIsToldWhatToDoAndOnlyOnce) {
  Admin second(TlsDoor(ForNode(authority_), authority_.certificate_pem()));
  const std::string both = absl::StrCat(admin_.address(), ",", second.address());
  admin_.answer = {grpc::StatusCode::UNAUTHENTICATED, "who is it?"};
  EXPECT_EQ(ShowAt(both, AllFlags()), 2);
  EXPECT_THAT(err_, HasSubstr("next: say who you are with --token-file"));
  admin_.answer = {grpc::StatusCode::PERMISSION_DENIED, "needs the role operator"};
  EXPECT_EQ(ShowAt(both, AllFlags()), 2);
  EXPECT_THAT(err_, HasSubstr("next: the node knows you"));
  EXPECT_EQ(admin_.callers.calls(), 2);
  EXPECT_EQ(second.callers.calls(), 0) << "another node would say the same";
}

TEST_F(TranchectlTlsTest, FlagsThatDoNotGoTogetherAreRefusedBeforeACall) {
  EXPECT_EQ(ShowAt("192.0.2.1:7401", {"--token-file", files_.token()}), 1);
  EXPECT_THAT(err_, HasSubstr("in plaintext"));
  EXPECT_EQ(ShowAt(admin_.address(), {"--tls-ca", files_.ca(), "--tls-key", files_.key()}), 1);
  EXPECT_THAT(err_, HasSubstr("missing is --tls-certificate"));
  EXPECT_EQ(ShowAt(admin_.address(), {"--tls-server-name", "node.test"}), 1);
  EXPECT_THAT(err_, HasSubstr("needs TLS"));
  EXPECT_EQ(ShowAt(admin_.address(), {"--tls-ca", "/nowhere/ca.pem"}), 1);
  EXPECT_THAT(err_, HasSubstr("/nowhere/ca.pem"));
  EXPECT_EQ(admin_.callers.calls(), 0);
  EXPECT_THAT(err_, Not(HasSubstr("a-token")));
}

}  // namespace
}  // namespace tranche
