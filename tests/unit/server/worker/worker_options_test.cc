#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "server/process/options.h"
#include "server/process/sink_spec.h"

namespace tranche::server {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class WorkerOptionsTest : public ::testing::Test {
 protected:
  std::optional<int> Parse(std::vector<std::string> args) {
    args.insert(args.begin(), {"tranche-worker", "--postgres", "host=db"});
    std::vector<const char*> argv;
    for (const std::string& arg : args) argv.push_back(arg.c_str());
    out_.str("");
    err_.str("");
    return ParseWorkerOptions(static_cast<int>(argv.size()), argv.data(), &options_, out_, err_);
  }
  // The one line of complaint.
  std::string Complaint(const std::vector<std::string>& args) {
    EXPECT_EQ(Parse(args), 1);
    const std::string line = err_.str();
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    return line;
  }

  WorkerProcessOptions options_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(WorkerOptionsTest, SinksAreRepeatable) {
  ASSERT_EQ(Parse({"--sink", "default=webhook:https://shop.example/hook?a=b", "--sink", "books=grpc:[::1]:9000",
                   "--sink-secret-file", "default=/etc/key", "--expire=off", "--draw=off", "--retain-days", "2",
                   "--audit-retain-days", "0", "--remind-before-s", "120"}),
            std::nullopt)
      << err_.str();
  ASSERT_THAT(options_.sinks, SizeIs(2));
  EXPECT_EQ(options_.sinks[0].name, "default");
  EXPECT_EQ(options_.sinks[0].target, "https://shop.example/hook?a=b");
  EXPECT_EQ(options_.sinks[0].secret_file, "/etc/key");
  EXPECT_EQ(options_.sinks[1].kind, SinkSpec::Kind::kGrpc);
  EXPECT_EQ(options_.sinks[1].target, "[::1]:9000");
  EXPECT_FALSE(options_.expire);
  EXPECT_FALSE(options_.draw);
  EXPECT_EQ(options_.remind_before_s, 120);
  EXPECT_TRUE(options_.archive);
  EXPECT_EQ(options_.retain_days, 2);
  EXPECT_EQ(options_.audit_retain_days, 0) << "for ever";
}

TEST_F(WorkerOptionsTest, SinksComeFromTheEnvironmentToo) {
  setenv("TRANCHE_SINK", "a=grpc:h:1 b=grpc:h:2", 1);
  EXPECT_EQ(Parse({}), std::nullopt) << err_.str();
  unsetenv("TRANCHE_SINK");
  EXPECT_THAT(options_.sinks, SizeIs(2));
}

TEST_F(WorkerOptionsTest, WhatIsWrongWithASinkIsSaidInALine) {
  EXPECT_THAT(Complaint({"--sink", "books"}), HasSubstr("NAME=webhook:URL"));
  EXPECT_THAT(Complaint({"--sink", "Books=grpc:h:1"}), HasSubstr("name of 1 to 32"));
  EXPECT_THAT(Complaint({"--sink", "books=smtp:h:1"}), HasSubstr("grpcs:, amqp: or amqps:"));
  EXPECT_THAT(Complaint({"--sink", "books=grpc:h"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(Complaint({"--sink", "books=webhook:ftp://h"}), HasSubstr("https://"));
  EXPECT_THAT(Complaint({"--sink", "a=grpc:h:1", "--sink", "a=grpc:h:2"}), HasSubstr("twice"));
  EXPECT_THAT(Complaint({"--sink", "a=webhook:https://u:secret@h"}), HasSubstr("--sink-secret-file a=FILE"));
  EXPECT_THAT(Complaint({"--sink-secret-file", "a=/etc/key"}), HasSubstr("names no webhook"));
  EXPECT_THAT(Complaint({"--sink", "a=webhook:ftp://u:secret@h"}), Not(HasSubstr("secret@")));
  EXPECT_THAT(Complaint({"--sink-timeout-ms", "5000", "--sink-lease-ms", "9999"}), HasSubstr("at least twice"));
  EXPECT_THAT(Complaint({"--retain-days", "0"}), HasSubstr("retain-days"));
}

TEST_F(WorkerOptionsTest, SinksOverTlsHaveTheirFiles) {
  ASSERT_EQ(Parse({"--sink",
                   "books=grpcs:books.example:9000",
                   "--sink-ca",
                   "books=/ca.pem",
                   "--sink-certificate",
                   "books=/own.pem",
                   "--sink-key",
                   "books=/own.key",
                   "--sink-token-file",
                   "books=/token",
                   "--sink",
                   "hook=webhook:https://shop.example",
                   "--sink-secret-file",
                   "hook=/secret",
                   "--sink-ca",
                   "hook=/hook-ca.pem",
                   "--sink",
                   "near=grpc:127.0.0.1:9000",
                   "--sink-token-file",
                   "near=/near-token"}),
            std::nullopt)
      << err_.str();
  ASSERT_THAT(options_.sinks, SizeIs(3));
  const SinkSpec& books = options_.sinks[0];
  EXPECT_EQ(books.kind, SinkSpec::Kind::kGrpc);
  EXPECT_TRUE(books.tls);
  EXPECT_EQ(books.target, "books.example:9000");
  EXPECT_EQ(books.certificates.authorities, "/ca.pem");
  EXPECT_EQ(books.certificates.certificate, "/own.pem");
  EXPECT_EQ(books.certificates.key, "/own.key");
  EXPECT_EQ(books.token_file, "/token");
  EXPECT_EQ(options_.sinks[1].certificates.authorities, "/hook-ca.pem");
  EXPECT_FALSE(options_.sinks[2].tls);
  EXPECT_EQ(options_.sinks[2].token_file, "/near-token");
}

TEST_F(WorkerOptionsTest, ABrokersExchangeIsASink) {
  ASSERT_EQ(Parse({"--sink", "events=amqps:rabbit-1:5671,rabbit-2:5671/tranche.events?vhost=shop/eu", "--sink-ca",
                   "events=/ca.pem", "--sink-user", "events=/user", "--sink", "near=amqp:[::1]:5672/all", "--sink-user",
                   "near=/near-user"}),
            std::nullopt)
      << err_.str();
  ASSERT_THAT(options_.sinks, SizeIs(2));
  const SinkSpec& events = options_.sinks[0];
  EXPECT_EQ(events.kind, SinkSpec::Kind::kAmqp);
  EXPECT_TRUE(events.tls);
  EXPECT_EQ(events.target, "rabbit-1:5671,rabbit-2:5671");
  EXPECT_EQ(events.exchange, "tranche.events");
  EXPECT_EQ(events.vhost, "shop/eu");
  EXPECT_EQ(events.certificates.authorities, "/ca.pem");
  EXPECT_EQ(events.user_file, "/user");
  EXPECT_FALSE(options_.sinks[1].tls);
  EXPECT_EQ(options_.sinks[1].target, "[::1]:5672");
  EXPECT_EQ(options_.sinks[1].vhost, "/");
}

TEST_F(WorkerOptionsTest, WhatIsWrongWithABrokerIsSaidInALine) {
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1"}), HasSubstr("HOST:PORT/EXCHANGE"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h/x"}), HasSubstr("HOST:PORT/EXCHANGE"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1,/x"}), HasSubstr("HOST:PORT/EXCHANGE"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1/"}), HasSubstr("name of an exchange"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1/a+b"}), HasSubstr("name of an exchange"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1/x?host=shop"}), HasSubstr("?vhost=VHOST"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp://user:secret@h:1/x"}), Not(HasSubstr("secret@")));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1/x", "--sink-user", "a=/user"}), HasSubstr("use amqps:"));
  EXPECT_THAT(Complaint({"--sink", "a=amqp:h:1/x", "--sink-ca", "a=/ca.pem"}), HasSubstr("names no sink with TLS"));
  EXPECT_THAT(Complaint({"--sink", "a=grpc:h:1", "--sink-user", "a=/user"}), HasSubstr("names no AMQP sink"));
}

TEST_F(WorkerOptionsTest, FilesThatDoNotFitTheirSinkAreRefused) {
  const std::string far = "a=grpc:books.example:9000";
  EXPECT_THAT(Complaint({"--sink", far, "--sink-ca", "a=/ca.pem"}), HasSubstr("--sink-ca a names no sink with TLS"));
  EXPECT_THAT(Complaint({"--sink", far, "--sink-token-file", "a=/token"}), HasSubstr("use grpcs:"));
  EXPECT_THAT(Complaint({"--sink", "a=grpcs:h:1", "--sink-key", "a=/key"}), HasSubstr("--sink-certificate a=FILE"));
  EXPECT_THAT(Complaint({"--sink", "a=grpcs:h:1", "--sink-ca", "b=/ca.pem"}), HasSubstr("names no sink"));
  EXPECT_THAT(Complaint({"--sink", "a=grpcs:h:1", "--sink-ca", "/ca.pem"}), HasSubstr("NAME=FILE"));
  const std::vector<std::string> hook = {"--sink", "a=webhook:http://h", "--sink-secret-file", "a=/secret"};
  std::vector<std::string> plaintext = hook;
  plaintext.insert(plaintext.end(), {"--sink-ca", "a=/ca.pem"});
  EXPECT_THAT(Complaint(plaintext), HasSubstr("names no sink with TLS"));
  std::vector<std::string> token = hook;
  token.insert(token.end(), {"--sink-token-file", "a=/token"});
  EXPECT_THAT(Complaint(token), HasSubstr("names no gRPC sink"));
}

TEST_F(WorkerOptionsTest, TheOnlySinkIsNotAdvisedToBeRemoved) {
  EXPECT_THAT(AdviceAboutOtherSink("default", /*only_one=*/true), Not(HasSubstr("sink remove")));
  EXPECT_THAT(AdviceAboutOtherSink("books", /*only_one=*/false), HasSubstr("outbox sink remove books --yes"));
}

TEST_F(WorkerOptionsTest, HelpTeaches) {
  EXPECT_EQ(Parse({"--help"}), 0);
  for (const char* word :
       {"--sink", "--draw", "HMAC-SHA256", "openssl rand", "OutboxSinkService", "--retain-days", "SIGTERM"}) {
    EXPECT_THAT(out_.str(), HasSubstr(word));
  }
}

}  // namespace
}  // namespace tranche::server
