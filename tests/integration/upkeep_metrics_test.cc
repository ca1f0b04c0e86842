// What a balancer and a worker show of their work, as processes on real servers.
#include <curl/curl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/integration/sale_fixture.h"
#include "tests/integration/shops.h"
#include "tests/support/between_looks.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

// A worker is not ready when no round has succeeded for 30 s.
constexpr absl::Duration kPatience = absl::Seconds(90);
constexpr long kAnswerWithinS = 10;

size_t Append(char* data, size_t size, size_t count, void* body) {
  static_cast<std::string*>(body)->append(data, size * count);
  return size * count;
}

struct HttpPage {
  long status = 0;  // 0: no answer
  std::string body;
};

HttpPage Fetch(int port, const std::string& path) {
  HttpPage page;
  const std::string url = absl::StrCat("http://127.0.0.1:", port, path);
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, kAnswerWithinS);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &page.body);
  const CURLcode result = curl_easy_perform(curl);
  EXPECT_EQ(result, CURLE_OK) << url << ": " << curl_easy_strerror(result);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &page.status);
  curl_easy_cleanup(curl);
  return page;
}

class UpkeepMetricsTest : public SaleTest {
 protected:
  // Two nodes, and a balancer and a worker that show their metrics; the worker's sink is the shop.
  void Start() {
    const std::string secret_file = dir_.path() / "secret";
    std::ofstream(secret_file) << WebShop::kSecret << "\n";
    ASSERT_EQ(chmod(secret_file.c_str(), 0600), 0);
    const std::filesystem::path balancer_port = dir_.path() / "balancer.port",
                                worker_port = dir_.path() / "worker.port";
    MiniClusterOptions options;
    options.zookeeper_session_timeout = absl::Seconds(2);
    options.balancer_args = {"--metrics-listen", "127.0.0.1:0", "--metrics-port-file", balancer_port};
    options.worker_args = {"--metrics-listen",
                           "127.0.0.1:0",
                           "--metrics-port-file",
                           worker_port,
                           "--sink",
                           "default=webhook:" + shop_.url(),
                           "--sink-secret-file",
                           "default=" + secret_file};
    StartCluster(options);
    const auto balancer = cluster_->balancer(0).WaitForPort(balancer_port, kServerStartTimeout);
    const auto worker = cluster_->worker(0).WaitForPort(worker_port, kServerStartTimeout);
    ASSERT_TRUE(balancer.ok() && worker.ok()) << balancer.status() << worker.status();
    balancer_ = *balancer;
    worker_ = *worker;
  }

  // Of one series, with its labels as they are written; -1 if it is not there.
  static double Value(int port, const std::string& series) {
    const HttpPage page = Fetch(port, "/metrics");
    EXPECT_EQ(page.status, 200);
    double value = -1;
    for (const absl::string_view line : absl::StrSplit(page.body, '\n')) {
      if (!absl::StartsWith(line, series + " ")) continue;
      EXPECT_TRUE(absl::SimpleAtod(line.substr(series.size() + 1), &value)) << line;
    }
    return value;
  }
  static std::set<std::string> NamesAt(int port) {
    std::set<std::string> names;
    for (const absl::string_view line : absl::StrSplit(Fetch(port, "/metrics").body, '\n')) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      if (words.size() == 4 && words[0] == "#" && words[1] == "TYPE") names.insert(words[2]);
    }
    return names;
  }
  static void AwaitTrue(const std::string& what, const std::function<bool()>& is_so) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!is_so()) {
      ASSERT_LT(absl::Now(), give_up) << "never: " << what;
      RestBetweenLooks();
    }
  }
  static void AwaitValue(int port, const std::string& series, double expected) {
    AwaitTrue(absl::StrCat(series, " is ", expected), [&] { return Value(port, series) == expected; });
  }
  static void AwaitStatus(int port, const std::string& path, long expected) {
    AwaitTrue(absl::StrCat(path, " answers ", expected), [&] { return Fetch(port, path).status == expected; });
  }

  ScratchDir dir_{"upkeep-metrics"};
  WebShop shop_;
  int balancer_ = 0;
  int worker_ = 0;
};

TEST_F(UpkeepMetricsTest, ASaleWithALapsedHoldADeliveryAndADeadNode) {
  Start();
  OpenSale("tv", 10, /*hold=*/absl::Seconds(1));
  OpenSale("radio", 20);
  ASSERT_TRUE(client_->Create({.sku = "tv", .user = "lapses"}).ok());
  const auto held = client_->Create({.sku = "radio", .user = "cancels"});
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_TRUE(client_->Cancel({.reservation_id = held->reservation_id}).ok());
  AwaitValue(worker_, R"(tranche_holds_expired_total{shard="home"})", 1);
  AwaitValue(worker_, R"(tranche_deliveries_total{shard="home",sink="default",outcome="delivered"})", 2);
  EXPECT_EQ(shop_.taken().size(), 2u);
  EXPECT_EQ(Value(worker_, R"(tranche_delivery_delay_seconds_count{shard="home",sink="default"})"), 2);
  EXPECT_GE(Value(worker_, R"(tranche_delivery_seconds_count{shard="home",sink="default"})"), 1);
  EXPECT_EQ(Value(worker_, R"(tranche_sink_healthy{shard="home",sink="default"})"), 1);
  EXPECT_GE(Value(worker_, R"(tranche_expiry_rounds_total{shard="home",outcome="done"})"), 1);
  EXPECT_EQ(Value(worker_, R"(tranche_reservations_retired_total{shard="home",kept="archived"})"), 0);
  EXPECT_EQ(Value(worker_, R"(tranche_ledger_up{shard="home"})"), 1);
  EXPECT_GE(Value(worker_, R"(tranche_connections{shard="home",pool="worker",state="used"})"), 0);

  EXPECT_EQ(Value(balancer_, R"(tranche_balancer_leads{shard="home"})"), 1);
  // Not all 30: a node that is asked first takes some by itself.
  EXPECT_GE(Value(balancer_, R"(tranche_units_moved_total{shard="home",reason="pool"})"), 1);
  EXPECT_GE(Value(balancer_, R"(tranche_announcement_seconds_count{shard="home"})"), 2);
  EXPECT_GE(Value(balancer_, R"(tranche_balancer_round_seconds_count{shard="home"})"), 1);
  EXPECT_EQ(Value(balancer_, R"(tranche_zookeeper_up{shard="home"})"), 1);
  EXPECT_EQ(Value(balancer_, R"(tranche_ledger_up{shard="home"})"), 1);
  AwaitValue(balancer_, R"(tranche_nodes_registered{shard="home"})", 2);

  WaitUntilShared("tv", 8);
  WaitUntilShared("radio", 18);
  ASSERT_TRUE(cluster_->KillNode(0).ok());
  AwaitTrue("the dead node's incarnation is reclaimed", [&] {
    return Value(balancer_, R"(tranche_incarnations_reclaimed_total{shard="home",evidence="probe"})") +
               Value(balancer_, R"(tranche_incarnations_reclaimed_total{shard="home",evidence="session"})") ==
           1;
  });
  EXPECT_EQ(Value(balancer_, R"(tranche_slices_reclaimed_total{shard="home"})"), 2) << "of two SKUs";
  AwaitValue(balancer_, R"(tranche_nodes{shard="home"})", 1);
  CheckLedger();
}

// The table of docs/metrics.md, by name.
TEST_F(UpkeepMetricsTest, ThePageTellsOfEveryMetric) {
  std::ifstream file(TRANCHE_DOCS "/metrics.md");
  std::stringstream page;
  page << file.rdbuf();
  ASSERT_FALSE(page.str().empty());
  Start();
  for (const int port : {balancer_, worker_}) {
    // Those of the shards come when these are served.
    std::set<std::string> names;
    AwaitTrue("all metrics are there", [&] { return (names = NamesAt(port)).size() >= 10; });
    for (const std::string& name : names) EXPECT_THAT(page.str(), HasSubstr("`" + name + "`"));
  }
}

TEST_F(UpkeepMetricsTest, NobodyIsReadyWithoutTheLedgerAndAllAreAfterwards) {
  Start();
  for (const int port : {balancer_, worker_}) {
    AwaitStatus(port, "/readyz", 200);
    EXPECT_EQ(Fetch(port, "/livez").status, 200);
  }
  ASSERT_TRUE(cluster_->postgres().Stop().ok());
  AwaitStatus(balancer_, "/readyz", 503);
  AwaitStatus(worker_, "/readyz", 503);
  EXPECT_THAT(Fetch(worker_, "/readyz").body, HasSubstr("the last round of expiry that succeeded"));
  for (const int port : {balancer_, worker_}) {
    EXPECT_EQ(Value(port, R"(tranche_ledger_up{shard="home"})"), 0);
    EXPECT_EQ(Fetch(port, "/livez").status, 200) << "a restart would not help";
  }
  EXPECT_GT(Value(balancer_, R"(tranche_balancer_rounds_total{shard="home",outcome="failed"})"), 0);
  EXPECT_GE(Value(worker_, R"(tranche_expiry_seconds_since_round{shard="home"})"), 30);
  ASSERT_TRUE(cluster_->postgres().Start().ok());
  for (const int port : {balancer_, worker_}) AwaitStatus(port, "/readyz", 200);
}

TEST_F(UpkeepMetricsTest, AWorkerEndsAlthoughItsLedgerHangs) {
  Start();
  AwaitStatus(worker_, "/readyz", 200);
  ASSERT_TRUE(cluster_->postgres().Suspend().ok());
  // It gives up after the longest statement, the longest delivery and a second.
  const absl::StatusOr<int> ended = cluster_->worker(0).Terminate(absl::Seconds(25));
  EXPECT_TRUE(cluster_->postgres().Resume().ok());
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(*ended, 0);
}

}  // namespace
}  // namespace tranche::testing
