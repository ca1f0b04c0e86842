#include "server/process/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/process/admin_address.h"
#include "server/process/dsn.h"
#include "storage/base/address.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class OptionsTest : public ::testing::Test {
 protected:
  ~OptionsTest() override {
    for (const std::string& name : environment_) unsetenv(name.c_str());
    std::filesystem::remove(file_);
  }

  void SetEnvironment(const std::string& name, const std::string& value) {
    environment_.push_back(name);
    setenv(name.c_str(), value.c_str(), 1);
  }

  std::string WriteFile(const std::string& text) {
    file_ = std::filesystem::temp_directory_path() / absl::StrCat("tranche_options_test.", getpid());
    std::ofstream(file_) << text;
    return file_.string();
  }

  std::optional<int> Parse(std::vector<std::string> args, bool with_servers = true) {
    args.insert(args.begin(), "tranched");
    if (with_servers) args.insert(args.end(), {"--postgres", "host=db", "--zookeeper", "zk:2181"});
    std::vector<const char*> argv;
    for (const std::string& arg : args) argv.push_back(arg.c_str());
    out_.str("");
    err_.str("");
    return ParseServerOptions(static_cast<int>(argv.size()), argv.data(), &options_, out_, err_);
  }

  // The one line of complaint about these arguments; "" if it is not one line or the exit status is not 1.
  std::string Complaint(const std::vector<std::string>& args, bool with_servers = true) {
    if (Parse(args, with_servers) != 1) return "";
    const std::string line = err_.str();
    return line.find('\n') == line.size() - 1 ? line : "";
  }

  ServerOptions options_;
  std::ostringstream out_;
  std::ostringstream err_;

 private:
  std::vector<std::string> environment_;
  std::filesystem::path file_;
};

TEST_F(OptionsTest, FlagsAreRead) {
  ASSERT_EQ(Parse({"--lanes", "3", "--listen", "[::1]:0", "--reflection", "off", "--admin=off"}), std::nullopt);
  EXPECT_EQ(options_.lanes, 3);
  EXPECT_EQ(options_.listen, "[::1]:0");
  EXPECT_FALSE(options_.reflection);
  EXPECT_FALSE(options_.admin);
  EXPECT_EQ(options_.backends.postgres, "host=db");
}

TEST_F(OptionsTest, WhatIsLoggedAndHow) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.log_format, LogFormat::kText);
  EXPECT_EQ(options_.access_log, AccessLogMode::kOff);
  ASSERT_EQ(Parse({"--log-format", "json", "--access-log", "errors", "--access-log-sample", "20"}), std::nullopt)
      << err_.str();
  EXPECT_EQ(options_.log_format, LogFormat::kJson);
  EXPECT_EQ(options_.access_log, AccessLogMode::kErrors);
  EXPECT_EQ(options_.access_log_sample, 20);
  EXPECT_THAT(Complaint({"--log-format", "xml"}), HasSubstr("must be json or text"));
  EXPECT_THAT(Complaint({"--access-log", "1"}), HasSubstr("must be all or errors or off"));
  EXPECT_FALSE(Complaint({"--access-log-sample", "0"}).empty());
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("TRANCHE_LOG_FORMAT"));
}

TEST_F(OptionsTest, TheLogFormatIsReadFromTheEnvironment) {
  SetEnvironment("TRANCHE_LOG_FORMAT", "json");
  ASSERT_EQ(Parse({}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.log_format, LogFormat::kJson);
}

TEST_F(OptionsTest, MetricsAreOffUnlessTheyHaveAnAddress) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.metrics.listen, "");
  EXPECT_EQ(options_.metrics.skus, 50);
  SetEnvironment("TRANCHE_METRICS_LISTEN", "[::1]:9100");
  ASSERT_EQ(Parse({"--metrics-skus", "7", "--metrics-port-file", "/run/port"}), std::nullopt);
  EXPECT_EQ(options_.metrics.listen, "[::1]:9100");
  EXPECT_EQ(options_.metrics.port_file, "/run/port");
  EXPECT_EQ(options_.metrics.skus, 7);
  EXPECT_THAT(Complaint({"--metrics-listen", "9100"}), HasSubstr("HOST:PORT"));

  const char* const arguments[] = {"program", "--postgres", "host=db", "--zookeeper", "zk:2181"};
  BalancerProcessOptions balancer;
  EXPECT_EQ(ParseBalancerOptions(5, arguments, &balancer, out_, err_), std::nullopt) << err_.str();
  EXPECT_EQ(balancer.metrics.listen, "[::1]:9100");
  WorkerProcessOptions worker;
  EXPECT_EQ(ParseWorkerOptions(3, arguments, &worker, out_, err_), std::nullopt) << err_.str();
  EXPECT_EQ(worker.metrics.listen, "[::1]:9100");
}

TEST_F(OptionsTest, TheFrontDoorTrustsNoProxyUnlessItIsTold) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.trusted_proxies, 0);
  EXPECT_EQ(options_.door_memory_mib, 64);
  ASSERT_EQ(Parse({"--trusted-proxies", "2", "--door-memory-mib", "4096"}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.trusted_proxies, 2);
  EXPECT_EQ(options_.door_memory_mib, 4096);
  for (const char* bad : {"-1", "11", "one"}) EXPECT_FALSE(Complaint({"--trusted-proxies", bad}).empty()) << bad;
  for (const char* bad : {"0", "4097"}) EXPECT_FALSE(Complaint({"--door-memory-mib", bad}).empty()) << bad;
}

TEST_F(OptionsTest, TheRiskScorersTokenStaysPrivate) {
  const std::string token = WriteFile("token\n");
  std::filesystem::permissions(token, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  ASSERT_EQ(Parse({"--risk-scorer", "127.0.0.1:9100", "--risk-scorer-token-file", token}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.risk_scorer, "127.0.0.1:9100");
  EXPECT_EQ(options_.risk_scorer_token_file, token);
  const std::vector<std::string> beyond = {"--risk-scorer", "risk.example:9100", "--risk-scorer-token-file", token};
  EXPECT_THAT(Complaint(beyond), HasSubstr("--risk-scorer-tls on"));
  std::vector<std::string> with_tls = beyond;
  with_tls.insert(with_tls.end(), {"--risk-scorer-tls", "on"});
  EXPECT_EQ(Parse(with_tls), std::nullopt) << err_.str();
}

TEST_F(OptionsTest, TheRiskScorersFlagsNeedOne) {
  EXPECT_THAT(Complaint({"--risk-scorer-tls", "on"}), HasSubstr("need --risk-scorer"));
  EXPECT_FALSE(Complaint({"--risk-scorer", "risk.example"}).empty());
}

TEST_F(OptionsTest, ACaptchaNeedsItsThreeFlagsAndKeepsItsSecret) {
  const std::string secret = WriteFile("secret\n");
  std::filesystem::permissions(secret, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto with_url = [&](const std::string& url) {
    return std::vector<std::string>{"--captcha-url", url, "--captcha-site-key", "k", "--captcha-secret-file", secret};
  };
  for (const char* good : {"https://captcha.example/siteverify", "http://127.0.0.1:8080/siteverify",
                           "http://localhost/siteverify", "http://[::1]:8080"}) {
    EXPECT_EQ(Parse(with_url(good)), std::nullopt) << good << ": " << err_.str();
  }
  for (const char* bad : {"http://captcha.example/siteverify", "http://127.0.0.1@captcha.example/", "https://",
                          "ftp://127.0.0.1/", "http://127.0.0.1.captcha.example/"}) {
    EXPECT_FALSE(Complaint(with_url(bad)).empty()) << bad;
  }
  options_ = {};
  EXPECT_THAT(Complaint({"--captcha-url", "https://captcha.example/siteverify"}), HasSubstr("give all three"));
  options_ = {};
  EXPECT_THAT(Complaint({"--captcha-site-key", "k"}), HasSubstr("give all three"));
}

TEST_F(OptionsTest, TlsNeedsACertificateWithItsKey) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_FALSE(options_.tls.enabled());
  ASSERT_EQ(Parse({"--tls-certificate", "c", "--tls-key", "k", "--tls-client-ca", "a",
                   "--tls-require-client-certificate", "on"}),
            std::nullopt)
      << err_.str();
  EXPECT_TRUE(options_.tls.enabled());
  EXPECT_EQ(options_.tls.files.authorities, "a");
  EXPECT_TRUE(options_.tls.require_client_certificate);
}

TEST_F(OptionsTest, TlsThatDoesNotFitTogetherIsRefused) {
  EXPECT_THAT(Complaint({"--tls-certificate", "c"}), HasSubstr("give both or neither"));
  options_ = {};
  EXPECT_THAT(Complaint({"--tls-key", "k"}), HasSubstr("give both or neither"));
  options_ = {};
  EXPECT_THAT(Complaint({"--tls-client-ca", "a"}), HasSubstr("--tls-client-ca is of no use"));
  options_ = {};
  EXPECT_THAT(Complaint({"--tls-certificate", "c", "--tls-key", "k", "--tls-require-client-certificate", "on"}),
              HasSubstr("needs --tls-client-ca"));
  SetEnvironment("TRANCHE_TLS_KEY", "k");
  const char* const arguments[] = {"program", "--postgres", "host=db", "--zookeeper", "zk:2181"};
  BalancerProcessOptions balancer;
  EXPECT_EQ(ParseBalancerOptions(5, arguments, &balancer, out_, err_), 1);
  WorkerProcessOptions worker;
  EXPECT_EQ(ParseWorkerOptions(3, arguments, &worker, out_, err_), 1);
}

// HOST:PORT, "same" or "off"; or the complaint.
std::string WhereOperatorsGo(const ServerOptions& options) {
  const auto admin = FindAdminAddress(options);
  if (!admin.ok()) return std::string(admin.status().message());
  if (admin->kind == AdminAddress::Kind::kNone) return "off";
  return admin->kind == AdminAddress::Kind::kAtListen ? "same" : admin->address;
}

TEST_F(OptionsTest, OperatorsGoToTheNextPortOfThisMachine) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(WhereOperatorsGo(options_), "127.0.0.1:7401");
  ASSERT_EQ(Parse({"--listen", "0.0.0.0:9000"}), std::nullopt) << err_.str();
  EXPECT_EQ(WhereOperatorsGo(options_), "127.0.0.1:9001");
  ASSERT_EQ(Parse({"--listen", "[::]:0", "--access-file", "f", "--tls-certificate", "c", "--tls-key", "k"}),
            std::nullopt)
      << err_.str();
  EXPECT_EQ(WhereOperatorsGo(options_), "[::]:0");
  EXPECT_THAT(Complaint({"--listen", "127.0.0.1:65535"}), HasSubstr("give --admin-listen"));
}

TEST_F(OptionsTest, OperatorsGoWhereTheyAreTold) {
  ASSERT_EQ(Parse({"--admin-listen", "same"}), std::nullopt) << err_.str();
  EXPECT_EQ(WhereOperatorsGo(options_), "same");
  ASSERT_EQ(Parse({"--admin-listen", "localhost:1"}), std::nullopt) << err_.str();
  EXPECT_EQ(WhereOperatorsGo(options_), "localhost:1");
  ASSERT_EQ(Parse({"--admin", "off", "--listen", "0.0.0.0:7400"}), std::nullopt) << err_.str();
  EXPECT_EQ(WhereOperatorsGo(options_), "off");
  EXPECT_THAT(Complaint({"--admin-listen", "here"}), HasSubstr("HOST:PORT"));
}

TEST_F(OptionsTest, AdminServiceIsNotOpenToEverybody) {
  for (const char* address : {"0.0.0.0:7401", "10.0.0.1:7401", "[::]:7401", "admin.internal:7401", "128.0.0.1:1"}) {
    options_ = {};
    EXPECT_THAT(Complaint({"--admin-listen", address}), HasSubstr("would be open to everybody")) << address;
    EXPECT_EQ(Parse({"--admin-listen", address, "--access-file", "f", "--tls-certificate", "c", "--tls-key", "k"}),
              std::nullopt)
        << err_.str();
    options_ = {};
    EXPECT_THAT(Complaint({"--admin-listen", address, "--access-file", "f"}), HasSubstr("as plain text"));
  }
  options_ = {};
  const std::string at_listen = Complaint({"--listen", "0.0.0.0:7400", "--admin-listen", "same"});
  EXPECT_THAT(at_listen, HasSubstr("0.0.0.0:7400"));
  EXPECT_THAT(at_listen, HasSubstr("--admin off"));
}

TEST_F(OptionsTest, OthersReachANodeByEitherAddress) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_FALSE(IsReachedByOthers(options_));
  options_.access_file = "f";
  options_.admin_listen = "10.0.0.1:7401";
  EXPECT_TRUE(IsReachedByOthers(options_));
  options_.admin = false;
  EXPECT_FALSE(IsReachedByOthers(options_));
  options_.listen = "0.0.0.0:7400";
  EXPECT_TRUE(IsReachedByOthers(options_));
}

TEST_F(OptionsTest, TokensDoNotTravelAsPlainText) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.access_file, "") << "everybody may call everything";
  for (const char* here : {"127.0.0.1:7400", "[::1]:7400", "localhost:0"}) {
    ASSERT_EQ(Parse({"--access-file", "/etc/access.json", "--listen", here}), std::nullopt) << err_.str();
    EXPECT_EQ(options_.access_file, "/etc/access.json");
  }
  for (const char* open : {"0.0.0.0:7400", "[::]:7400", "10.0.0.1:7400", "node1:7400"}) {
    EXPECT_THAT(Complaint({"--access-file", "/etc/access.json", "--listen", open}), HasSubstr("--tls-certificate"));
  }
}

TEST_F(OptionsTest, NumbersAreDecimal) {
  ASSERT_EQ(Parse({"--max-batch", "0100"}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.max_batch, 100);
  for (const char* text : {"0x10", "1e2", "true", "1.0"}) {
    EXPECT_THAT(Complaint({"--max-batch", text}), HasSubstr("decimal digits")) << text;
  }
}

TEST_F(OptionsTest, CallersWhoSetNoDeadlineHaveTwoSeconds) {
  ASSERT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.default_deadline_ms, 2000);
  ASSERT_EQ(Parse({"--default-deadline-ms", "0"}), std::nullopt);
  EXPECT_EQ(options_.default_deadline_ms, 0) << "refuses them";
}

TEST_F(OptionsTest, CommandLineWinsOverEnvironmentAndThatOverFile) {
  const std::string file = WriteFile("lanes = 5\nmax-batch = 55\nmax-queue = 555\nreflection = false\n");
  SetEnvironment("TRANCHE_MAX_BATCH", "66");
  SetEnvironment("TRANCHE_MAX_QUEUE", "666");
  ASSERT_EQ(Parse({"--config", file, "--max-queue", "777"}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.lanes, 5);
  EXPECT_EQ(options_.max_batch, 66);
  EXPECT_EQ(options_.max_queue, 777);
  EXPECT_FALSE(options_.reflection);
}

TEST_F(OptionsTest, EverythingMayComeFromTheEnvironment) {
  SetEnvironment("TRANCHE_CONFIG", WriteFile("lanes = 7\n"));
  SetEnvironment("TRANCHE_POSTGRES", "postgresql://u:secret@db/tranche");
  SetEnvironment("TRANCHE_ZOOKEEPER", "zk1:2181,zk2:2181");
  ASSERT_EQ(Parse({}, /*with_servers=*/false), std::nullopt) << err_.str();
  EXPECT_EQ(options_.lanes, 7);
  EXPECT_EQ(options_.backends.zookeeper, "zk1:2181,zk2:2181");
}

TEST_F(OptionsTest, WrongValuesAreOneLineThatNamesTheFlag) {
  EXPECT_THAT(Complaint({"--lanes", "0"}), HasSubstr("--lanes"));
  EXPECT_THAT(Complaint({"--lanes", "many"}), HasSubstr("--lanes"));
  EXPECT_THAT(Complaint({"--listen", "7400"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(Complaint({"--advertise", "host:0"}), HasSubstr("--advertise"));
  EXPECT_THAT(Complaint({"--zookeeper-root", "tranche"}), HasSubstr("--zookeeper-root"));
  EXPECT_THAT(Complaint({"--node-name", "a b"}), HasSubstr("--node-name"));
  EXPECT_THAT(Complaint({"--reflection", "perhaps"}), HasSubstr("--reflection"));
  EXPECT_THAT(Complaint({"--no-such-flag"}), HasSubstr("--no-such-flag"));
  EXPECT_THAT(Complaint({"--postgers", "host=db"}, /*with_servers=*/false), HasSubstr("--postgers"));
  EXPECT_THAT(Complaint({}, /*with_servers=*/false), HasSubstr("--postgres is required"));
  EXPECT_THAT(Complaint({"--config", "/no/such/file"}), HasSubstr("/no/such/file"));
  EXPECT_THAT(Complaint({"--config", WriteFile("lames = 3\n")}), HasSubstr("lames"));
}

TEST_F(OptionsTest, AWrongValueOfTheEnvironmentNamesItsVariable) {
  SetEnvironment("TRANCHE_LANES", "many");
  EXPECT_THAT(Complaint({}), HasSubstr("tranched: TRANCHE_LANES: "));
  EXPECT_THAT(Complaint({"--lanes", "none"}), HasSubstr("tranched: --lanes: ")) << "it was typed";
  EXPECT_THAT(Complaint({"--lanes=none"}), HasSubstr("tranched: --lanes: "));
  EXPECT_THAT(Complaint({"--lanes", "2", "--max-queue", "x"}), HasSubstr("tranched: --max-queue: "));
}

TEST_F(OptionsTest, WhatIsMistypedMayBeAPassword) {
  const std::string dsn = "postgresql://tranche:hunter2@db/tranche";
  const auto expect_secret = [this](const std::vector<std::string>& arguments) {
    for (const bool with_servers : {true, false}) {
      EXPECT_EQ(Parse(arguments, with_servers), 1);
      EXPECT_THAT(err_.str(), Not(HasSubstr("hunter2")));
    }
  };
  for (const std::string& argument : {"--postgress=" + dsn, dsn}) expect_secret({argument});
  expect_secret({"--postgress", dsn});
  for (const std::string& line : {"postgres: " + dsn, "postgres \"" + dsn + "\"", dsn}) {
    expect_secret({"--config", WriteFile(line + "\n")});
  }
  EXPECT_THAT(Complaint({"--postgress=" + dsn}), HasSubstr("--postgress"));
  EXPECT_THAT(Complaint({"--config", WriteFile("postgres: " + dsn + "\n")}), HasSubstr("postgres"));
}

TEST_F(OptionsTest, ABadDsnIsNotRepeated) {
  const std::string line = Complaint({"--postgres", "host=db hunter2", "--zookeeper", "zk:1"}, /*with_servers=*/false);
  EXPECT_THAT(line, HasSubstr("--postgres"));
  EXPECT_THAT(line, Not(HasSubstr("hunter2")));
}

TEST_F(OptionsTest, APasswordIsNotForTheCommandLine) {
  for (const std::string& dsn :
       {std::string("host=db password=hunter2"), std::string("postgresql://tranche:hunter2@db/tranche"),
        std::string("postgresql://db/tranche?sslpassword=hunter2")}) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--postgres", dsn}, std::vector<std::string>{"--postgres=" + dsn}}) {
      std::vector<std::string> all = {"--zookeeper", "zk:2181"};
      all.insert(all.end(), arguments.begin(), arguments.end());
      const std::string line = Complaint(all, /*with_servers=*/false);
      EXPECT_THAT(line, HasSubstr("on the command line"));
      EXPECT_THAT(line, HasSubstr("--postgres-password-file"));
      EXPECT_THAT(line, Not(HasSubstr("hunter2")));
    }
    const std::string file = WriteFile(absl::StrCat("postgres = \"", dsn, "\"\n"));
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_EQ(Parse({"--config", file, "--zookeeper", "zk:2181"}, /*with_servers=*/false), std::nullopt) << err_.str();
    EXPECT_EQ(options_.backends.postgres, dsn);
  }
}

TEST_F(OptionsTest, AConfigFileWithAPasswordIsForItsOwner) {
  const std::string file = WriteFile("postgres = \"host=db password=hunter2\"\n");
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  const std::vector<std::string> arguments = {"--config", file, "--zookeeper", "zk:2181"};
  EXPECT_THAT(Complaint(arguments, /*with_servers=*/false), HasSubstr(absl::StrCat("chmod 600 ", file)));
  SetEnvironment("TRANCHE_CONFIG", file);
  EXPECT_THAT(Complaint({"--zookeeper", "zk:2181"}, /*with_servers=*/false), HasSubstr("chmod 600"));
  SetEnvironment("TRANCHE_POSTGRES", "host=db password=other");
  EXPECT_EQ(Parse(arguments, /*with_servers=*/false), std::nullopt) << "it does not come from there: " << err_.str();
}

TEST_F(OptionsTest, APasswordComesFromOnePlace) {
  const std::string file = WriteFile("hunter2\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  ASSERT_EQ(Parse({"--postgres-password-file", file}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.backends.postgres_password_file, file);
  SetEnvironment("TRANCHE_POSTGRES", "host=db password=hunter2");
  options_ = {};
  ASSERT_EQ(Parse({"--zookeeper", "zk:2181"}, /*with_servers=*/false), std::nullopt) << err_.str();
  const std::string line =
      Complaint({"--zookeeper", "zk:2181", "--postgres-password-file", file}, /*with_servers=*/false);
  EXPECT_THAT(line, HasSubstr("remove one of them"));
  EXPECT_THAT(Complaint({"--postgres-password-file", "/no/such/file"}), HasSubstr("--postgres-password-file"));
}

TEST_F(OptionsTest, TheIdentityForZookeeperIsUserAndPassword) {
  const auto with = [this](const std::string& line) {
    const std::string file = WriteFile(line);
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return std::vector<std::string>{"--zookeeper-auth-file", file};
  };
  EXPECT_EQ(Parse(with("tranche:hunter2\n")), std::nullopt) << err_.str();
  for (const char* const bad : {"hunter2\n", ":hunter2\n", "hunter2:\n", "a:hunter 2\n", "a:b\nhunter2\n", ""}) {
    const std::string line = Complaint(with(bad));
    EXPECT_THAT(line, HasSubstr("--zookeeper-auth-file")) << bad;
    EXPECT_THAT(line, Not(HasSubstr("hunter"))) << bad;
  }
}

TEST_F(OptionsTest, ShardHostsAreAList) {
  ASSERT_EQ(Parse({"--shard-hosts", "db1,*.db.internal,::1"}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.shard_hosts, "db1,*.db.internal,::1");
  EXPECT_THAT(Complaint({"--shard-hosts", "db1:5432;db2"}), HasSubstr("--shard-hosts"));
}

TEST_F(OptionsTest, TheBrokerOfQueuesIsNamedInFull) {
  ASSERT_EQ(Parse({}), std::nullopt) << err_.str();
  EXPECT_FALSE(options_.queue.enabled()) << "nothing is queued unless somebody wants it";
  ASSERT_EQ(Parse({"--queue-broker", "mq1:5671,[::1]:5671", "--queue-tls", "on", "--queue-ca-file", "/ca.pem",
                   "--queue-certificate", "/own.pem", "--queue-key", "/own.key", "--queue-vhost", "shop",
                   "--queue-partitions", "8", "--queue-deadline-ms", "60000"}),
            std::nullopt)
      << err_.str();
  EXPECT_EQ(options_.queue.brokers, "mq1:5671,[::1]:5671");
  EXPECT_TRUE(options_.queue.tls);
  EXPECT_EQ(options_.queue.ca_file, "/ca.pem");
  EXPECT_EQ(options_.queue.certificate_file, "/own.pem");
  EXPECT_EQ(options_.queue.key_file, "/own.key");
  EXPECT_EQ(options_.queue.vhost, "shop");
  EXPECT_EQ(options_.queue.partitions, 8);
  EXPECT_EQ(options_.queue.deadline_ms, 60000);
  options_ = {};
  EXPECT_THAT(Complaint({"--queue-broker", "mq1"}), HasSubstr("127.0.0.1:5672"));
  EXPECT_THAT(Complaint({"--queue-broker", "mq1:5672", "--queue-partitions", "0"}), HasSubstr("queue-partitions"));
  options_ = {};
  EXPECT_THAT(Complaint({"--queue-tls", "on"}), HasSubstr("need --queue-broker"));
  options_ = {};
  EXPECT_THAT(Complaint({"--queue-broker", "mq1:5672", "--queue-ca-file", "/ca.pem"}), HasSubstr("need --queue-tls"));
  options_ = {};
  EXPECT_THAT(Complaint({"--queue-broker", "mq1:5671", "--queue-tls", "on", "--queue-key", "/own.key"}),
              HasSubstr("go together"));
}

TEST_F(OptionsTest, TheBrokersPasswordIsReadByItsOwnerOnly) {
  const std::string file = WriteFile("tranche:hunter2\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::others_read);
  const std::string line = Complaint({"--queue-broker", "mq1:5672", "--queue-user-file", file});
  EXPECT_THAT(line, HasSubstr("--queue-user-file"));
  EXPECT_THAT(line, Not(HasSubstr("hunter2")));
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  EXPECT_EQ(Parse({"--queue-broker", "127.0.0.1:5672", "--queue-user-file", file}), std::nullopt) << err_.str();
  EXPECT_EQ(options_.queue.user_file, file);
}

TEST_F(OptionsTest, TheBrokersPasswordCrossesNoNetworkInPlaintextUnlessSaidSo) {
  const std::string file = WriteFile("tranche:hunter2\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  const auto with = [&](std::vector<std::string> more) {
    options_ = {};
    std::vector<std::string> arguments = {"--queue-broker", "127.0.0.1:5672,mq2:5672", "--queue-user-file", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  EXPECT_THAT(Complaint(with({})), HasSubstr("everybody between here and mq2:5672 could read the password"));
  EXPECT_EQ(Parse(with({"--queue-tls", "on"})), std::nullopt) << err_.str();
  EXPECT_EQ(Parse(with({"--queue-plaintext", "on"})), std::nullopt) << err_.str();
  EXPECT_THAT(Complaint(with({"--queue-plaintext", "on", "--queue-tls", "on"})), HasSubstr("exclude"));
}

TEST_F(OptionsTest, AConsumerNeedsABroker) {
  ConsumerOptions consumer;
  const auto parse = [&](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), {"tranche-consumer", "--postgres", "host=db", "--zookeeper", "zk:2181"});
    out_.str("");
    err_.str("");
    return ParseConsumerOptions(static_cast<int>(arguments.size()), arguments.data(), &consumer, out_, err_);
  };
  EXPECT_EQ(parse({}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("--queue-broker"));
  ASSERT_EQ(parse({"--queue-broker", "mq:5672", "--prefetch", "64", "--lanes", "3", "--listen", "10.0.0.7:7500",
                   "--drain-timeout-ms", "500"}),
            std::nullopt)
      << err_.str();
  EXPECT_EQ(consumer.node.queue.brokers, "mq:5672");
  EXPECT_EQ(consumer.prefetch, 64);
  EXPECT_EQ(consumer.node.lanes, 3);
  EXPECT_EQ(consumer.node.listen, "10.0.0.7:7500");
  EXPECT_EQ(consumer.node.drain_timeout_ms, 500);
  EXPECT_EQ(parse({"--queue-broker", "mq:5672", "--queue-deadline-ms", "1000"}), 1) << "it queues nothing";
}

// Of every program: its --help shows a line of a --config file, which must be one that it takes.
TEST_F(OptionsTest, TheLineOfAConfigFileInTheHelpIsTaken) {
  const auto expect_taken = [&](const std::string& program, auto parse) {
    const auto run = [&](std::vector<const char*> arguments) {
      arguments.insert(arguments.begin(), program.c_str());
      out_.str("");
      err_.str("");
      return parse(static_cast<int>(arguments.size()), arguments.data());
    };
    ASSERT_EQ(run({"--help"}), 0);
    std::string help = out_.str();
    absl::RemoveExtraAsciiWhitespace(&help);
    const std::string before = "File with flags, as TOML: ";
    const size_t begin = help.find(before) + before.size();
    ASSERT_GT(begin, before.size()) << help;
    const std::string line = help.substr(begin, help.find(" (Env:", begin) - begin);
    const std::string file = WriteFile(absl::StrCat(line, "\n"));
    std::vector<const char*> arguments = {"--config", file.c_str()};
    // The environment hides a key of the file.
    if (!absl::StartsWith(line, "postgres")) SetEnvironment("TRANCHE_POSTGRES", "host=db");
    SetEnvironment("TRANCHE_ZOOKEEPER", "zk:2181");
    EXPECT_EQ(run(arguments), std::nullopt) << program << ": " << line << ": " << err_.str();
  };
  expect_taken("tranche-migrate", [&](int argc, const char* const* argv) {
    MigrateOptions options;
    return ParseMigrateOptions(argc, argv, &options, out_, err_);
  });
  expect_taken("tranched", [&](int argc, const char* const* argv) {
    return ParseServerOptions(argc, argv, &options_, out_, err_);
  });
  expect_taken("tranche-balancer", [&](int argc, const char* const* argv) {
    BalancerProcessOptions options;
    return ParseBalancerOptions(argc, argv, &options, out_, err_);
  });
  SetEnvironment("TRANCHE_QUEUE_BROKER", "mq:5672");
  expect_taken("tranche-consumer", [&](int argc, const char* const* argv) {
    ConsumerOptions options;
    return ParseConsumerOptions(argc, argv, &options, out_, err_);
  });
  expect_taken("tranche-worker", [&](int argc, const char* const* argv) {
    WorkerProcessOptions options;
    return ParseWorkerOptions(argc, argv, &options, out_, err_);
  });
}

TEST_F(OptionsTest, ProbingOfNodesCanBeSwitchedOff) {
  const char* const arguments[] = {"tranche-balancer", "--postgres", "host=db", "--zookeeper", "zk:2181"};
  BalancerProcessOptions probing, not_probing;
  EXPECT_EQ(ParseBalancerOptions(5, arguments, &probing, out_, err_), std::nullopt) << err_.str();
  EXPECT_TRUE(probing.probe_nodes);
  SetEnvironment("TRANCHE_PROBE_NODES", "off");
  EXPECT_EQ(ParseBalancerOptions(5, arguments, &not_probing, out_, err_), std::nullopt) << err_.str();
  EXPECT_FALSE(not_probing.probe_nodes);
}

TEST_F(OptionsTest, EveryServerSaysWhatSigtermDoes) {
  const char* const arguments[] = {"program", "--help"};
  BalancerProcessOptions balancer;
  ConsumerOptions consumer;
  WorkerProcessOptions worker;
  const std::function<void()> helps[] = {
      [&] { ParseServerOptions(2, arguments, &options_, out_, err_); },
      [&] { ParseBalancerOptions(2, arguments, &balancer, out_, err_); },
      [&] { ParseConsumerOptions(2, arguments, &consumer, out_, err_); },
      [&] { ParseWorkerOptions(2, arguments, &worker, out_, err_); },
  };
  for (const auto& help : helps) {
    out_.str("");
    help();
    EXPECT_THAT(out_.str(), HasSubstr("SIGTERM")) << out_.str().substr(0, 80);
  }
}

TEST_F(OptionsTest, HelpTeachesAndVersionTells) {
  ASSERT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("TRANCHE_MAX_BATCH"));
  EXPECT_THAT(out_.str(), HasSubstr("=512"));
  EXPECT_EQ(err_.str(), "");
  ASSERT_EQ(Parse({"--version"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("tranched "));
}

TEST(DsnTest, TellsServerAndDatabaseAndNothingElse) {
  EXPECT_EQ(DescribeDsn("host=db port=6543 dbname=shop user=me password=hunter2"), "db:6543/shop");
  EXPECT_EQ(DescribeDsn("postgresql://me:hunter2@db:6543/shop?sslmode=require"), "db:6543/shop");
  EXPECT_EQ(DescribeDsn("postgresql://me:hun%2Fter2@db:6543/shop"), "db:6543/shop");
  for (const char* unescaped : {"postgresql://me:hun/ter2@db:6543/shop", "postgresql://me:1/ter2@db:6543/shop",
                                "postgresql://me:hun@ter2@db:6543/shop"}) {
    const auto shown = DescribeDsn(unescaped);
    EXPECT_EQ(shown.value_or("").find("hun"), std::string::npos) << *shown;
    EXPECT_EQ(shown.value_or("").find("ter2"), std::string::npos) << *shown;
  }
  EXPECT_EQ(DescribeDsn("hunter2"), std::nullopt);
  EXPECT_EQ(DescribeDsn("host=db password='hunter2"), std::nullopt);
}

TEST(DsnTest, WarnsOfAServerThatNothingProvesToBeTheRightOne) {
  for (const char* dsn :
       {"host=db dbname=shop", "host=db sslmode=require", "host=/run/pg,db", "postgresql://u@10.0.0.1/x",
        "host=localhost hostaddr=10.0.0.1", "host=db channel_binding=prefer"}) {
    EXPECT_THAT(ServerTrustWarning(dsn), HasSubstr("sslmode=verify-full")) << dsn;
  }
  for (const char* dsn : {"dbname=shop", "host=/run/postgresql", "host=127.0.0.1", "host=::1", "postgresql://[::1]/x",
                          "host=localhost", "host=db hostaddr=127.0.0.1", "host=db sslmode=verify-full",
                          "host=db sslmode=verify-ca", "host=db channel_binding=require", "host=db password='"}) {
    EXPECT_EQ(ServerTrustWarning(dsn), "") << dsn;
  }
}

TEST(AddressTest, ReadsHostAndPort) {
  EXPECT_EQ(ParseAddress("127.0.0.1:0")->port, 0);
  EXPECT_EQ(ParseAddress("[::1]:7400")->host, "[::1]");
  EXPECT_EQ(ParseAddress("node-1.shop:65535")->ToString(), "node-1.shop:65535");
  for (const char* bad : {"", ":1", "host", "host:", "host:x", "host:-1", "host:65536", "::1:7400", "a,b:1", "a b:1"}) {
    EXPECT_FALSE(ParseAddress(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace tranche::server
