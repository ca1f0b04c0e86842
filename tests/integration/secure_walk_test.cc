// A plain cluster becomes a secured one while it sells, in the order of docs/security.md, "From a plain cluster to a
// secured one". Its steps have the same names here.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/sessions.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr int kNodes = 3;
// The half of the nodes that is secured first, and the other one.
constexpr int kFirstHalf[] = {0, 1};
constexpr int kOtherHalf = 2;
// More than a minute can sell.
constexpr int64_t kStock = 300'000;
// Units at a node that callers are to be moved to.
constexpr int64_t kSomeUnits = 1000;
// Buyers whom each service serves before a step counts as survived.
constexpr int kSomeBuyers = 20;
// How often a service asks for an outcome that nobody could tell.
constexpr int kRepetitions = 5;
constexpr size_t kToldFailures = 10;
constexpr char kPostgresPassword[] = "s3cret-of-postgresql";
constexpr char kZookeeperAuth[] = "tranche:s3cret-of-zookeeper";

// A service of the shop: one buyer after the other reserves and pays, through the client that it has at the time.
class ShopService {
 public:
  ShopService(std::string name, std::shared_ptr<Client> client)
      : name_(std::move(name)), client_(std::move(client)), thread_([this] { Sell(); }) {}
  ~ShopService() { Stop(); }

  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  // From the next buyer on. The client before is closed when the buyer who uses it is done.
  void SwitchTo(std::shared_ptr<Client> client) {
    absl::MutexLock lock(&mutex_);
    client_.swap(client);
  }

  // Whether buyers who come from now on can pay.
  bool GoesOn() {
    absl::MutexLock lock(&mutex_);
    // One may have reserved before.
    const size_t goal = paid_.size() + kSomeBuyers + 1;
    const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return paid_.size() >= goal; };
    return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
  }

  std::set<std::string> reserved() {
    absl::MutexLock lock(&mutex_);
    return reserved_;
  }
  std::set<std::string> paid() {
    absl::MutexLock lock(&mutex_);
    return paid_;
  }
  // What the first buyers were told who got nothing, or could not pay.
  std::vector<std::string> failures() {
    absl::MutexLock lock(&mutex_);
    return failures_;
  }

 private:
  void Sell() {
    for (int n = 0; !stopping_; ++n) {
      const std::shared_ptr<Client> client = CurrentClient();
      const auto reservation =
          Reserve(*client, {.sku = "tv", .user = absl::StrCat(name_, "-", n), .reservation_id = MakeUuidV7()});
      const absl::Status paid = reservation.ok() ? Pay(*client, *reservation) : reservation.status();
      absl::MutexLock lock(&mutex_);
      if (reservation.ok()) reserved_.insert(reservation->reservation_id);
      if (paid.ok()) paid_.insert(reservation->reservation_id);
      if (!paid.ok() && failures_.size() < kToldFailures) failures_.push_back(paid.ToString());
    }
  }

  static absl::StatusOr<Reservation> Reserve(Client& client, CreateReservation claim) {
    absl::StatusOr<Reservation> answer = client.Create(claim);
    claim.retry_of_unknown = true;
    for (int i = 0; i < kRepetitions && IsOutcomeUnknown(answer.status()); ++i) answer = client.Create(claim);
    return answer;
  }

  static absl::Status Pay(Client& client, const Reservation& reservation) {
    const ConfirmReservation payment{.reservation_id = reservation.reservation_id,
                                     .payment_reference = absl::StrCat("pay-", reservation.reservation_id),
                                     .amount_minor = reservation.amount_minor,
                                     .currency = reservation.currency};
    absl::StatusOr<Confirmation> answer = client.Confirm(payment);
    for (int i = 0; i < kRepetitions && IsOutcomeUnknown(answer.status()); ++i) answer = client.Confirm(payment);
    if (!answer.ok() || answer->outcome == ConfirmOutcome::kConfirmed) return answer.status();
    return absl::InternalError(ConfirmOutcomeName(answer->outcome));
  }

  std::shared_ptr<Client> CurrentClient() {
    absl::MutexLock lock(&mutex_);
    return client_;
  }

  const std::string name_;
  std::atomic<bool> stopping_{false};
  absl::Mutex mutex_;
  std::shared_ptr<Client> client_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> reserved_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> paid_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the others
};

class SecureWalkTest : public SaleTest, protected TranchectlRunner {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = kNodes;
    options.balancers = 2;
    options.lasting_ports = true;
    StartCluster(options);
    ASSERT_NO_FATAL_FAILURE(OpenSale("tv", kStock));
    // A list of addresses may have nodes of both kinds: each service knows all of them, all the time.
    endpoints_ = cluster_->endpoints();
    for (const char* const name : {"web", "till"}) {
      services_.push_back(std::make_unique<ShopService>(name, OpenClient(std::nullopt)));
    }
    ExpectTheSaleGoesOn("before the first step");
  }

  // Step 1.
  void Prepare() {
    ReplaceFile(Path("ca.pem"), authority_.certificate_pem());
    WriteCertificate("node", authority_.Issue());
    for (const char* const name : {"shop", "operator", "nobody"}) {
      WriteCertificate(name,
                       authority_.Issue({.name = name, .alternatives = {absl::StrCat("URI:spiffe://test/", name)}}));
    }
    ReplaceFile(Path("access.json"), R"({"principals": [
      {"name": "shop", "roles": ["service"], "certificates": ["URI:spiffe://test/shop"]},
      {"name": "operator", "roles": ["operator"], "certificates": ["URI:spiffe://test/operator"]},
      {"name": "nobody", "roles": [], "certificates": ["URI:spiffe://test/nobody"]}]})");
    ReplaceFile(cluster_->postgres_password_file(), absl::StrCat(kPostgresPassword, "\n"));
    ReplaceFile(cluster_->zookeeper_auth_file(), absl::StrCat(kZookeeperAuth, "\n"));
    ASSERT_EQ(RunCtl({"access", "check", Path("access.json")}), 0) << out_ << err_;
  }

  // Step 2. The connection string of the cluster asks for TLS from now on.
  void SecureWorkersAndBalancers() {
    const absl::Status offered = cluster_->postgres().OfferTls();
    ASSERT_TRUE(offered.ok()) << offered;
    const std::vector<std::string> password = {"--postgres-password-file", cluster_->postgres_password_file().string()};
    cluster_->options().worker_args = password;
    cluster_->options().balancer_args = password;
    const absl::Status worker = cluster_->RestartWorker(0);
    ASSERT_TRUE(worker.ok()) << worker;
    RestartBalancers();
  }

  // Steps 3 and 5.
  std::vector<std::string> SecuredNodeArgs() {
    return {"--postgres-password-file",
            cluster_->postgres_password_file().string(),
            "--tls-certificate",
            Path("node.pem"),
            "--tls-key",
            Path("node.key"),
            "--tls-client-ca",
            Path("ca.pem"),
            "--access-file",
            Path("access.json")};
  }
  void Restart(int node) {
    const absl::Status restarted = cluster_->RestartNode(node);
    ASSERT_TRUE(restarted.ok()) << restarted;
    ExpectTheSaleGoesOn(absl::StrCat("after the restart of node ", node));
  }

  // Step 6.
  void ClosePostgres() {
    ASSERT_NO_FATAL_FAILURE(Await("nobody is connected without TLS", [this] { return SessionsWithoutTls() == 0; }));
    const std::string plain =
        cluster_->postgres().Dsn("tranche", MiniPostgres::kNodeRole) + " sslmode=disable password=" + kPostgresPassword;
    EXPECT_TRUE(ExecuteSql(plain, "SELECT 1").ok()) << "until now it may";
    const absl::Status locked = cluster_->postgres().Lock(kPostgresPassword);
    ASSERT_TRUE(locked.ok()) << locked;
    EXPECT_THAT(std::string(ExecuteSql(plain, "SELECT 1").message()), HasSubstr("no encryption"));
    ExpectTheSaleGoesOn("after PostgreSQL was closed");
  }

  // Step 7, with step 8 by the same restarts.
  void ProtectTree() {
    const std::vector<std::string> auth = {"--zookeeper-auth-file", cluster_->zookeeper_auth_file().string()};
    EXPECT_TRUE(Stranger()->Get(cluster_->zookeeper_root() + "/nodes", quota::Watch::kNo).ok()) << "it is open";
    Append(auth, &cluster_->options().balancer_args);
    ASSERT_NO_FATAL_FAILURE(RestartBalancers());
    const auto stranger = Stranger();
    // The root comes last.
    ASSERT_NO_FATAL_FAILURE(Await("the tree is protected", [&] {
      return absl::IsPermissionDenied(stranger->Get(cluster_->zookeeper_root(), quota::Watch::kNo).status());
    }));
    ASSERT_NO_FATAL_FAILURE(ExpectTheSaleGoesOn("when the nodes may not read the tree"));
    Append(auth, &cluster_->options().node_args);
    Append({"--tls-require-client-certificate", "on"}, &cluster_->options().node_args);
    for (int node = 0; node < kNodes; ++node) ASSERT_NO_FATAL_FAILURE(Restart(node));
  }

  void RestartBalancers() {
    for (int i = 0; i < cluster_->balancers(); ++i) {
      const absl::Status restarted = cluster_->RestartBalancer(i);
      ASSERT_TRUE(restarted.ok()) << restarted;
      ASSERT_NO_FATAL_FAILURE(ExpectTheSaleGoesOn(absl::StrCat("after the restart of balancer ", i)));
    }
  }

  static void Await(const std::string& what, const std::function<bool()>& is_so) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!is_so()) {
      ASSERT_LT(absl::Now(), give_up) << "never: " << what;
      RestBetweenLooks();
    }
  }

  void ExpectTheSaleGoesOn(const std::string& when) {
    for (const auto& service : services_) ASSERT_TRUE(service->GoesOn()) << when << ": " << Failures();
  }

  std::string Failures() {
    std::string all;
    for (const auto& service : services_) {
      for (const std::string& failure : service->failures()) absl::StrAppend(&all, failure, "\n");
    }
    return all;
  }

  // Each acknowledged reservation and payment is in the ledger, and nobody was told anything else.
  void ExpectNothingWasLost() {
    const std::set<std::string> rows = RowsOf("tv");
    const std::set<std::string> confirmed = ConfirmedRows();
    for (const auto& service : services_) {
      const std::set<std::string> reserved = service->reserved(), paid = service->paid();
      EXPECT_TRUE(std::includes(rows.begin(), rows.end(), reserved.begin(), reserved.end()));
      EXPECT_TRUE(std::includes(confirmed.begin(), confirmed.end(), paid.begin(), paid.end()));
      EXPECT_EQ(reserved, paid);
    }
    EXPECT_THAT(Failures(), IsEmpty());
    CheckLedger();
  }

  std::set<std::string> ConfirmedRows() {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction query(connection);
    std::set<std::string> ids;
    for (const auto& row : query.exec("SELECT reservation_id FROM tranche.reservation WHERE state = 'CONFIRMED'")) {
      ids.insert(row[0].c_str());
    }
    return ids;
  }

  // Of the processes at PostgreSQL.
  int SessionsWithoutTls() {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction query(connection);
    return query
        .exec_params1(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = $1 AND NOT ssl",
            MiniPostgres::kNodeRole)[0]
        .as<int>();
  }

  // A session at ZooKeeper of somebody without an identity, who may read whatever is open; its paths are whole.
  std::unique_ptr<quota::Coordination> Stranger() { return SessionAt("/", ""); }
  std::unique_ptr<quota::Coordination> SessionAt(const std::string& root, const std::string& auth_file) {
    quota::ZookeeperOptions options;
    options.servers = cluster_->zookeeper().connect_string();
    options.root = root;
    options.auth_file = auth_file;
    return quota::ZookeeperConnector(options).Connect(&observer_).value();
  }

  // That a stranger may read neither the znode `path` of the tree nor anything below it; counts the znodes.
  int ExpectProtected(quota::Coordination& owner, quota::Coordination& stranger, const std::string& path) {
    const auto names = owner.List(path.empty() ? "/" : path, quota::Watch::kNo);
    if (!names.ok()) return 0;  // it has gone
    const absl::Status seen = stranger.Get(cluster_->zookeeper_root() + path, quota::Watch::kNo).status();
    EXPECT_TRUE(absl::IsPermissionDenied(seen) || absl::IsNotFound(seen)) << path << ": " << seen;
    int count = 1;
    for (const std::string& name : *names) count += ExpectProtected(owner, stranger, absl::StrCat(path, "/", name));
    return count;
  }

  // By TLS, as the principal of this name; "": of somebody who shows no certificate.
  TlsOptions As(const std::string& name) {
    if (name.empty()) return {.ca_file = Path("ca.pem"), .certificate_file = "", .key_file = "", .server_name = ""};
    return {.ca_file = Path("ca.pem"),
            .certificate_file = Path(name + ".pem"),
            .key_file = Path(name + ".key"),
            .server_name = ""};
  }
  std::shared_ptr<Client> OpenClient(const std::optional<TlsOptions>& tls, int max_attempts = 12) {
    ClientOptions options;
    options.endpoints = endpoints_;
    options.request_timeout = absl::Seconds(10);
    options.retry.max_attempts = max_attempts;
    options.tls = tls;
    return Client::Open(options).value();
  }
  // What this caller's claim comes to, at each node once.
  absl::Status Claim(const std::optional<TlsOptions>& tls) {
    return OpenClient(tls, kNodes)->Create({.sku = "tv", .user = "stranger"}).status();
  }

  // As the operator, at a node that is secured.
  int RunCtlSecured(int node, std::vector<std::string> arguments) {
    const TlsOptions tls = As("operator");
    arguments.insert(arguments.begin(),
                     {"--tls-ca", tls.ca_file, "--tls-certificate", tls.certificate_file, "--tls-key", tls.key_file});
    return RunCtlAt(cluster_->admin_endpoint(node), std::move(arguments));
  }

  static void Append(const std::vector<std::string>& more, std::vector<std::string>* args) {
    args->insert(args->end(), more.begin(), more.end());
  }
  std::string Path(const std::string& name) { return (files_.path() / name).string(); }
  void WriteCertificate(const std::string& name, const IssuedCertificate& issued) {
    ReplaceFile(Path(name + ".pem"), issued.certificate_pem);
    ReplaceFile(Path(name + ".key"), issued.key_pem);
  }

  const ScratchDir files_{"secure-walk"};
  const TestAuthority authority_;
  DeafObserver observer_;
  std::vector<std::string> endpoints_;
  std::vector<std::unique_ptr<ShopService>> services_;
};

TEST_F(SecureWalkTest, LosesNoCallOfASaleThatGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  ASSERT_NO_FATAL_FAILURE(SecureWorkersAndBalancers());

  // 3: half of the nodes; and the way back, with one of them.
  const MiniClusterOptions plain = cluster_->options();
  cluster_->options().admin_ports = true;
  cluster_->options().node_args = SecuredNodeArgs();
  for (const int node : kFirstHalf) ASSERT_NO_FATAL_FAILURE(Restart(node));
  const MiniClusterOptions secured = std::exchange(cluster_->options(), plain);
  ASSERT_NO_FATAL_FAILURE(Restart(kFirstHalf[1]));
  cluster_->options() = secured;
  ASSERT_NO_FATAL_FAILURE(Restart(kFirstHalf[1]));

  // 4: the callers, one service at a time.
  ASSERT_NO_FATAL_FAILURE(WaitUntilShared("tv", kNodes * kSomeUnits));
  ASSERT_EQ(RunCtlSecured(kFirstHalf[0], {"sku", "list"}), 0) << out_ << err_;
  for (const auto& service : services_) {
    service->SwitchTo(OpenClient(As("shop")));
    ASSERT_NO_FATAL_FAILURE(ExpectTheSaleGoesOn("when a service speaks TLS"));
  }
  ASSERT_NO_FATAL_FAILURE(Restart(kOtherHalf));  // 5
  EXPECT_EQ(ReasonOf(Claim(As(""))), Reason::kCallerUnknown);
  ASSERT_NO_FATAL_FAILURE(ClosePostgres());
  ASSERT_NO_FATAL_FAILURE(ProtectTree());

  const absl::Status in_plain_text = Claim(std::nullopt);
  EXPECT_TRUE(absl::IsUnavailable(in_plain_text) && !IsOutcomeUnknown(in_plain_text)) << in_plain_text;
  EXPECT_TRUE(absl::IsUnavailable(Claim(As("")))) << "without a certificate";
  EXPECT_EQ(ReasonOf(Claim(As("nobody"))), Reason::kRoleMissing);
  const auto owner = SessionAt(cluster_->zookeeper_root(), cluster_->zookeeper_auth_file().string());
  EXPECT_GT(ExpectProtected(*owner, *Stranger(), ""), 10);
  ASSERT_EQ(RunCtlSecured(kOtherHalf, {"status", "--exit-when-healthy", "--interval", "100ms", "--timeout", "30s"}), 0)
      << out_ << err_;
  for (const auto& service : services_) service->Stop();
  ExpectNothingWasLost();
}

}  // namespace
}  // namespace tranche::testing
