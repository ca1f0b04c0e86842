// A front node with TLS at all its ports: whom it serves, and what becomes of connections when its files change.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/http_get.h"
#include "tests/support/mini_cluster.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"
#include "tranche/uuid.h"
#include "tranche/v1/admin_service.grpc.pb.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(60);
// Between two looks.
constexpr absl::Duration kRest = absl::Milliseconds(10);

int PortOf(const std::string& endpoint) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port)) << endpoint;
  return port;
}

// Whether it became true in time.
bool Await(const std::function<bool()>& condition) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > give_up) return false;
    absl::SleepFor(kRest);
  }
  return true;
}

std::unique_ptr<grpc::ClientContext> Context() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  return context;
}

// One node, which requires certificates of everybody, for all tests. Each leaves it with files that belong together.
class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    files_ = std::make_unique<ScratchDir>("tls");
    authority_ = std::make_unique<TestAuthority>();
    WriteAuthority();
    WriteOwn(authority_->Issue());
    MiniClusterOptions options;
    options.nodes = 1;
    options.balancers = 0;
    options.workers = 0;
    options.metrics = true;
    options.admin_ports = true;
    options.node_args = {"--tls-certificate",
                         Path("node.crt"),
                         "--tls-key",
                         Path("node.key"),
                         "--tls-client-ca",
                         Path("ca.crt"),
                         "--tls-require-client-certificate",
                         "on"};
    auto cluster = MiniCluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    const auto metrics = cluster_->MetricsAddress(cluster_->node(0));
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    metrics_port_ = PortOf(*metrics);
  }
  static void TearDownTestSuite() {
    if (cluster_ != nullptr) {
      EXPECT_TRUE(cluster_->Stop().ok());
    }
    cluster_.reset();
    authority_.reset();
    files_.reset();
  }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  static std::string Path(const std::string& name) { return (files_->path() / name).string(); }
  static void WriteAuthority() { ReplaceFile(Path("ca.crt"), authority_->certificate_pem()); }
  static void WriteOwn(const IssuedCertificate& issued) {
    ReplaceFile(Path("node.crt"), issued.certificate_pem);
    ReplaceFile(Path("node.key"), issued.key_pem);
  }

  // As a client of gRPC; `own` empty: without a certificate.
  static std::shared_ptr<grpc::Channel> Channel(const std::string& endpoint, const IssuedCertificate& own) {
    return grpc::CreateChannel(endpoint, grpc::SslCredentials({.pem_root_certs = authority_->certificate_pem(),
                                                               .pem_private_key = own.key_pem,
                                                               .pem_cert_chain = own.certificate_pem}));
  }
  static IssuedCertificate Shop() {
    return authority_->Issue({.name = "shop", .alternatives = {"URI:spiffe://shop/web"}});
  }
  static grpc::Status Get(const std::shared_ptr<grpc::Channel>& channel) {
    v1::GetReservationRequest request;
    request.set_reservation_id(MakeUuidV7());
    v1::GetReservationResponse response;
    return v1::ReservationService::NewStub(channel)->GetReservation(Context().get(), request, &response);
  }
  static grpc::Status ListNodes(const std::shared_ptr<grpc::Channel>& channel) {
    v1::ListNodesResponse response;
    return v1::AdminService::NewStub(channel)->ListNodes(Context().get(), v1::ListNodesRequest(), &response);
  }
  static grpc::Status HealthOf(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    return grpc::health::v1::Health::NewStub(channel)->Check(Context().get(), request, &response);
  }

  // What new connections to the port for buyers see.
  static absl::StatusOr<TlsAnswer> CallHttp2(const IssuedCertificate& own) {
    return CallTls(PortOf(cluster_->endpoint(0)), {.authority_pem = authority_->certificate_pem(),
                                                   .own = own,
                                                   .alpn = "h2",
                                                   .send = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                                   .read_all = false});
  }
  static absl::StatusOr<TlsAnswer> CallMetrics(const std::string& path, const IssuedCertificate& own) {
    return CallTls(metrics_port_, {.authority_pem = authority_->certificate_pem(),
                                   .own = own,
                                   .send = "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n"});
  }
  static bool AwaitSerial(const std::string& serial) {
    const IssuedCertificate shop = Shop();
    const auto has = [&serial](const absl::StatusOr<TlsAnswer>& answer) {
      return answer.ok() && answer->server_serial == serial;
    };
    return Await([&] { return has(CallHttp2(shop)) && has(CallMetrics("/livez", shop)); });
  }

  static std::unique_ptr<ScratchDir> files_;
  static std::unique_ptr<TestAuthority> authority_;
  static std::unique_ptr<MiniCluster> cluster_;
  static int metrics_port_;
};

std::unique_ptr<ScratchDir> TlsTest::files_;
std::unique_ptr<TestAuthority> TlsTest::authority_;
std::unique_ptr<MiniCluster> TlsTest::cluster_;
int TlsTest::metrics_port_ = 0;

TEST_F(TlsTest, ServesThoseWithACertificateOfTheAuthorityAndNobodyElse) {
  const std::string endpoint = cluster_->endpoint(0);
  EXPECT_EQ(Get(Channel(endpoint, Shop())).error_code(), grpc::StatusCode::NOT_FOUND) << "it is served";
  EXPECT_EQ(Get(Channel(endpoint, {})).error_code(), grpc::StatusCode::UNAVAILABLE) << "without a certificate";
  const TestAuthority other("Other authority");
  EXPECT_EQ(Get(Channel(endpoint, other.Issue())).error_code(), grpc::StatusCode::UNAVAILABLE) << "of others";
  EXPECT_EQ(Get(grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials())).error_code(),
            grpc::StatusCode::UNAVAILABLE)
      << "in plain text";
  const auto http2 = CallHttp2(Shop());
  ASSERT_TRUE(http2.ok()) << http2.status();
  EXPECT_EQ(http2->alpn, "h2");
}

TEST_F(TlsTest, OperatorsHaveAPortOfTheirOwn) {
  const auto buyers = Channel(cluster_->endpoint(0), Shop());
  const auto operators = Channel(cluster_->admin_endpoint(0), Shop());
  EXPECT_NE(cluster_->endpoint(0), cluster_->admin_endpoint(0));
  EXPECT_EQ(ListNodes(buyers).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(ListNodes(operators).ok());
  EXPECT_EQ(Get(operators).error_code(), grpc::StatusCode::NOT_FOUND) << "tranchectl shows reservations, too";
  EXPECT_EQ(HealthOf(buyers, "tranche.v1.AdminService").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(HealthOf(operators, "tranche.v1.AdminService").ok());
  EXPECT_TRUE(HealthOf(operators, "tranche.v1.ReservationService").ok());
  EXPECT_EQ(ListNodes(Channel(cluster_->admin_endpoint(0), {})).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, MetricsAreServedWithTheSameCertificates) {
  const auto page = CallMetrics("/metrics", Shop());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(page->bytes, HasSubstr("HTTP/1.1 200 OK\r\n"));
  const std::string name = "tranche_tls_certificate_expires_timestamp_seconds";
  const auto samples = SamplesOf(page->bytes.substr(page->bytes.find("\r\n\r\n") + 4));
  ASSERT_TRUE(samples.contains(name));
  EXPECT_LT(absl::AbsDuration(absl::FromUnixSeconds(static_cast<int64_t>(samples.at(name))) -
                              (absl::Now() + absl::Hours(24))),
            absl::Hours(1));
  EXPECT_FALSE(CallMetrics("/livez", {}).ok()) << "without a certificate";
  EXPECT_FALSE(CallMetrics("/livez", TestAuthority("Other authority").Issue()).ok());
  EXPECT_FALSE(HttpGet(metrics_port_, "/livez").ok()) << "in plain text";
}

// A stream over a connection of its own.
class ClaimStream {
 public:
  explicit ClaimStream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::ReservationService::NewStub(channel)), stream_(stub_->StreamReservations(context_.get())) {}
  // Whether a claim is answered, with whatever.
  bool Answers() {
    v1::StreamReservationsRequest request;
    request.mutable_create()->set_reservation_id(MakeUuidV7());
    request.mutable_create()->set_sku_id("nothing");
    request.mutable_create()->set_user_id("somebody");
    request.mutable_create()->set_quantity(1);
    v1::StreamReservationsResponse response;
    return stream_->Write(request) && stream_->Read(&response);
  }

 private:
  const std::unique_ptr<grpc::ClientContext> context_ = Context();
  const std::unique_ptr<v1::ReservationService::Stub> stub_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::StreamReservationsRequest, v1::StreamReservationsResponse>>
      stream_;
};

TEST_F(TlsTest, AStreamLivesWhileCertificateAndAuthorityChange) {
  ClaimStream stream(Channel(cluster_->endpoint(0), Shop()));
  ASSERT_TRUE(stream.Answers());
  const IssuedCertificate renewed = authority_->Issue();
  WriteOwn(renewed);
  ASSERT_TRUE(AwaitSerial(renewed.serial));
  EXPECT_TRUE(stream.Answers());

  const IssuedCertificate shop_before = Shop();
  const std::unique_ptr<TestAuthority> before = std::exchange(authority_, std::make_unique<TestAuthority>("Next one"));
  const IssuedCertificate next = authority_->Issue();
  WriteAuthority();
  WriteOwn(next);
  ASSERT_TRUE(AwaitSerial(next.serial));
  EXPECT_FALSE(CallHttp2(shop_before).ok()) << "its authority is not trusted any more";
  EXPECT_FALSE(CallMetrics("/livez", shop_before).ok());
  EXPECT_TRUE(stream.Answers());
}

TEST_F(TlsTest, HalfOfAPairKeepsTheOldOneAndTheLogSaysSo) {
  const std::string said = "the files that were read before stay in use";
  const auto at_first = CallHttp2(Shop());
  ASSERT_TRUE(at_first.ok()) << at_first.status();
  const int said_before = cluster_->node(0).LogLinesWith(said);
  const IssuedCertificate renewed = authority_->Issue();
  ReplaceFile(Path("node.crt"), renewed.certificate_pem);
  ASSERT_TRUE(Await([&] { return cluster_->node(0).LogLinesWith(said) > said_before; }));
  for (const auto& answer : {CallHttp2(Shop()), CallMetrics("/livez", Shop())}) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->server_serial, at_first->server_serial);
  }
  EXPECT_EQ(cluster_->node(0).LogLinesWith(said), said_before + 1) << "once";
  ReplaceFile(Path("node.key"), renewed.key_pem);
  EXPECT_TRUE(AwaitSerial(renewed.serial));
  EXPECT_EQ(cluster_->node(0).LogLinesWith("PRIVATE KEY"), 0);
}

}  // namespace
}  // namespace tranche::testing
