// Whom a client of the broker takes for the broker.
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/queue/amqp_connection.h"
#include "tests/support/mini_rabbitmq.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"

namespace tranche::server {
namespace {

class RabbitTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // What it has for a common name is nobody's business.
    const testing::IssuedCertificate own =
        authority_.Issue({.name = "localhost", .alternatives = {"DNS:mq.example", "IP:127.0.0.1"}});
    broker_.ServeTls(own.certificate_pem, own.key_pem);
    const absl::Status started = broker_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  absl::Status Connect(const std::string& host, const testing::TestAuthority& trusted) {
    const auto ca_file = scratch_.path() / "ca.pem";
    testing::ReplaceFile(ca_file, trusted.certificate_pem());
    BrokerOptions options;
    options.tls = true;
    options.ca_file = ca_file.string();
    return AmqpConnection::Open(options, {.host = host, .port = broker_.tls_port()}, absl::Seconds(3)).status();
  }

  testing::ScratchDir scratch_{"rabbit-tls"};
  testing::TestAuthority authority_;
  testing::MiniRabbitmq broker_;
};

TEST_F(RabbitTlsTest, TheBrokerIsWhoseAddressTheCertificateSaysAndNoOther) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  absl::Status by_address = Connect("127.0.0.1", authority_);
  while (!by_address.ok() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(50));
    by_address = Connect("127.0.0.1", authority_);
  }
  ASSERT_TRUE(by_address.ok()) << by_address;
  EXPECT_TRUE(absl::IsUnavailable(Connect("localhost", authority_))) << "only its common name";
  const testing::TestAuthority other("Another authority");
  EXPECT_TRUE(absl::IsUnavailable(Connect("127.0.0.1", other)));
}

}  // namespace
}  // namespace tranche::server
