// Against a real HTTP server in this process.
#include "server/outbound/http_captcha_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "tests/support/http_receiver.h"
#include "tests/support/logged_lines.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"

namespace tranche::server {
namespace {

using testing::HttpAnswer;
using testing::HttpReceiver;
using testing::HttpRequestSeen;

constexpr char kSecret[] = "s3cret+key";

class HttpCaptchaVerifierTest : public ::testing::Test {
 protected:
  HttpCaptchaVerifierTest() { testing::ReplaceFile(scratch_.path() / "secret", std::string(kSecret) + "\n"); }

  std::unique_ptr<HttpCaptchaVerifier> VerifierOf(const HttpReceiver& provider,
                                                  absl::Duration timeout = absl::Seconds(30)) {
    auto secret = TokenFile::Open((scratch_.path() / "secret").string());
    EXPECT_TRUE(secret.ok()) << secret.status();
    HttpCaptchaOptions options;
    options.url = provider.url();
    options.site_key = "site";
    options.secret = *std::move(secret);
    options.timeout = timeout;
    return std::make_unique<HttpCaptchaVerifier>(std::move(options), &clock_);
  }

  static CaptchaVerdict VerifyNow(HttpCaptchaVerifier& verifier, const std::string& response = "r",
                                  const std::string& address = "") {
    CaptchaVerdict verdict = CaptchaVerdict::kNone;
    absl::Notification done;
    verifier.Verify(response, address, [&](CaptchaVerdict told) {
      verdict = told;
      done.Notify();
    });
    done.WaitForNotification();
    return verdict;
  }

  storage::FakeClock clock_;
  testing::ScratchDir scratch_{"captcha"};
};

TEST_F(HttpCaptchaVerifierTest, SendsAFormAndKeepsTheConnection) {
  HttpRequestSeen seen;  // written before the answer is sent
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    seen = request;
    return HttpAnswer{.body = R"({"success": true, "hostname": "shop.example"})"};
  });
  const auto verifier = VerifierOf(provider);
  EXPECT_EQ(verifier->site_key(), "site");
  EXPECT_EQ(VerifyNow(*verifier, "a b&c=d%", "2001:db8::1"), CaptchaVerdict::kSolved);
  EXPECT_EQ(seen.body, "secret=s3cret%2Bkey&response=a%20b%26c%3Dd%25&remoteip=2001%3Adb8%3A%3A1");
  EXPECT_EQ(seen.headers["content-type"], "application/x-www-form-urlencoded");
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kSolved);
  EXPECT_EQ(seen.body, "secret=s3cret%2Bkey&response=r") << "an address that is not known is not sent";
  EXPECT_EQ(seen.connection, 1);
  EXPECT_EQ(verifier->counts().answered, 2);
}

TEST_F(HttpCaptchaVerifierTest, WhatAnAnswerMeans) {
  const std::string refused = R"({"success": false, "error-codes": ["invalid-input-response"]})";
  const std::string long_body = R"({"success": true})" + std::string(HttpCaptchaVerifier::kMostAnswerBytes, ' ');
  const std::pair<HttpAnswer, CaptchaVerdict> cases[] = {
      {{.body = refused}, CaptchaVerdict::kRefused},
      {{.body = R"({"success": false})"}, CaptchaVerdict::kRefused},
      {{.body = R"({"success": false, "error-codes": ["invalid-input-secret"]})"}, CaptchaVerdict::kUnknown},
      {{.body = R"({"success": false, "error-codes": ["internal-error"]})"}, CaptchaVerdict::kUnknown},
      {{.body = R"({"success": "true"})"}, CaptchaVerdict::kUnknown},
      {{.body = "{}"}, CaptchaVerdict::kUnknown},
      {{.body = "<html>"}, CaptchaVerdict::kUnknown},
      {{.body = long_body}, CaptchaVerdict::kUnknown},
      {{.status = 500, .body = R"({"success": true})"}, CaptchaVerdict::kUnknown},
      {{.status = 302, .headers = "Location: /elsewhere\r\n"}, CaptchaVerdict::kUnknown},
      {{.hang_up = true}, CaptchaVerdict::kUnknown},
  };
  for (const auto& [answer, verdict] : cases) {
    HttpReceiver provider([answer = answer](const HttpRequestSeen&) { return answer; });
    const auto verifier = VerifierOf(provider);
    EXPECT_EQ(VerifyNow(*verifier), verdict) << answer.status << " " << answer.body.substr(0, 80);
    EXPECT_EQ(verifier->counts().answered, verdict == CaptchaVerdict::kUnknown ? 0 : 1);
    EXPECT_EQ(verifier->counts().failed, verdict == CaptchaVerdict::kUnknown ? 1 : 0);
  }
}

TEST_F(HttpCaptchaVerifierTest, AWrongSecretIsToldOperatorsButNeverShown) {
  HttpReceiver provider([](const HttpRequestSeen&) {
    return HttpAnswer{.body = R"({"success": false, "error-codes": ["invalid-input-secret"]})"};
  });
  testing::LoggedLines logged;
  auto verifier = VerifierOf(provider);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  verifier.reset();
  ASSERT_EQ(logged.lines().size(), 1U) << "at most one a minute";
  EXPECT_THAT(logged.lines()[0], ::testing::HasSubstr("--captcha-secret-file"));
  EXPECT_FALSE(absl::StrContains(logged.lines()[0], "s3cret"));
}

TEST_F(HttpCaptchaVerifierTest, ALateAnswerIsNone) {
  absl::Notification over;
  HttpReceiver provider([&](const HttpRequestSeen&) {
    over.WaitForNotification();
    return HttpAnswer{.body = R"({"success": true})"};
  });
  const auto verifier = VerifierOf(provider, absl::Milliseconds(200));
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(verifier->counts().late, 1);
  over.Notify();
}

TEST_F(HttpCaptchaVerifierTest, OneThatFailsIsNotAskedForAWhile) {
  std::atomic<bool> works{false};
  HttpReceiver provider([&](const HttpRequestSeen&) {
    return works ? HttpAnswer{.body = R"({"success": true})"} : HttpAnswer{.status = 503};
  });
  const auto verifier = VerifierOf(provider);
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) VerifyNow(*verifier);
  EXPECT_FALSE(verifier->available());
  EXPECT_TRUE(verifier->counts().open);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(verifier->counts().skipped, 1);
  works = true;
  clock_.AdvanceBy(CircuitBreaker::kFirstOpen);
  EXPECT_TRUE(verifier->available()) << "otherwise nobody would come with a probe";
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kSolved);
  EXPECT_FALSE(verifier->counts().open);
}

TEST_F(HttpCaptchaVerifierTest, ManyAtOnceAreAllAnswered) {
  HttpReceiver provider([](const HttpRequestSeen&) { return HttpAnswer{.body = R"({"success": true})"}; });
  const auto verifier = VerifierOf(provider);
  constexpr int kMany = 50;
  std::atomic<int> solved{0};
  absl::BlockingCounter left(kMany);
  for (int i = 0; i < kMany; ++i) {
    verifier->Verify("r", "", [&](CaptchaVerdict verdict) {
      solved += verdict == CaptchaVerdict::kSolved ? 1 : 0;
      left.DecrementCount();
    });
  }
  left.Wait();
  EXPECT_EQ(solved, kMany);
}

TEST_F(HttpCaptchaVerifierTest, TooManyAtOnceAreNotSentAndAllEndWhenItIsDestroyed) {
  absl::Notification over;
  HttpReceiver provider([&](const HttpRequestSeen&) {
    over.WaitForNotification();
    return HttpAnswer{};
  });
  auto verifier = VerifierOf(provider);
  std::atomic<int> unknown{0};
  const auto count = [&](CaptchaVerdict verdict) { unknown += verdict == CaptchaVerdict::kUnknown ? 1 : 0; };
  const int most = static_cast<int>(HttpCaptchaVerifier::kMostRequests);
  for (int i = 0; i < most; ++i) verifier->Verify("r", "", count);
  EXPECT_EQ(verifier->counts().skipped, 0);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(verifier->counts().skipped, 1);
  verifier.reset();
  EXPECT_EQ(unknown, most);
  over.Notify();
}

}  // namespace
}  // namespace tranche::server
