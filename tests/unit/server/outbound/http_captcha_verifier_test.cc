// Against a real HTTP server in this process.
#include "server/outbound/http_captcha_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
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
constexpr char kSolvedJson[] = R"({"success": true})";
constexpr absl::Duration kAwhile = absl::Seconds(30);

// The verifier's thread looks at it at any time.
class ClockOfCaptchaTest : public storage::Clock {
 public:
  absl::Time Now() const override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  void AdvanceBy(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::UnixEpoch() + absl::Hours(24 * 365);
};

bool IsProbe(const HttpRequestSeen& request) { return absl::StrContains(request.body, "response=tranche-probe"); }

// How many probes the provider has had.
class ProbesSeen {
 public:
  void Add() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  bool Await(int count, absl::Duration patience = kAwhile) const {
    absl::MutexLock lock(&mutex_);
    const auto seen = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return count_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&seen), patience);
  }

 private:
  mutable absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A probe that was answered is taken in a moment later.
bool AwaitAvailable(const HttpCaptchaVerifier& verifier, bool available) {
  const absl::Time give_up = absl::Now() + kAwhile;
  while (verifier.available() != available && absl::Now() < give_up) std::this_thread::yield();
  return verifier.available() == available;
}

class HttpCaptchaVerifierTest : public ::testing::Test {
 protected:
  HttpCaptchaVerifierTest() { testing::ReplaceFile(scratch_.path() / "secret", std::string(kSecret) + "\n"); }

  std::unique_ptr<HttpCaptchaVerifier> VerifierOf(
      const HttpReceiver& provider, absl::Duration timeout = kAwhile, const std::function<void()>& before = [] {}) {
    auto secret = TokenFile::Open((scratch_.path() / "secret").string());
    EXPECT_TRUE(secret.ok()) << secret.status();
    HttpCaptchaOptions options;
    options.url = provider.url();
    options.site_key = "site";
    options.secret = *std::move(secret);
    options.timeout = timeout;
    before();
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

  ClockOfCaptchaTest clock_;
  testing::ScratchDir scratch_{"captcha"};
};

TEST_F(HttpCaptchaVerifierTest, SendsAForm) {
  HttpRequestSeen seen;  // written before the answer is sent
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (!IsProbe(request)) seen = request;
    return HttpAnswer{.body = kSolvedJson};
  });
  const auto verifier = VerifierOf(provider);
  EXPECT_EQ(verifier->site_key(), "site");
  EXPECT_EQ(VerifyNow(*verifier, "a b", "2001:db8::1"), CaptchaVerdict::kSolved);
  EXPECT_EQ(seen.body, "secret=s3cret%2Bkey&response=a%20b&remoteip=2001%3Adb8%3A%3A1");
  EXPECT_EQ(seen.headers["content-type"], "application/x-www-form-urlencoded");
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kSolved);
  EXPECT_EQ(seen.body, "secret=s3cret%2Bkey&response=r") << "an address that is not known is not sent";
  EXPECT_EQ(verifier->counts().answered, 2) << "without the probes";
}

TEST_F(HttpCaptchaVerifierTest, ProbesByItselfAtTheStartAndThenNowAndThen) {
  ProbesSeen probes;
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (IsProbe(request)) probes.Add();
    return HttpAnswer{.body = R"({"success": false})"};
  });
  const auto verifier = VerifierOf(provider);
  ASSERT_TRUE(probes.Await(1));
  clock_.AdvanceBy(HttpCaptchaVerifier::kProbeEvery);
  ASSERT_TRUE(probes.Await(2));
  EXPECT_TRUE(verifier->available());
  EXPECT_EQ(verifier->counts().answered, 0);
}

TEST_F(HttpCaptchaVerifierTest, ItsOwnProbeBringsItBackAndBuyersAreNotUsedForThat) {
  std::atomic<bool> works{false};
  std::atomic<int> questions{0};
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (!IsProbe(request)) ++questions;
    return works ? HttpAnswer{.body = R"({"success": false})"} : HttpAnswer{.status = 503};
  });
  const auto verifier = VerifierOf(provider);
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) VerifyNow(*verifier);
  EXPECT_TRUE(AwaitAvailable(*verifier, false));
  EXPECT_TRUE(verifier->counts().open());
  const int asked = questions;
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_GE(verifier->counts().skipped, 1);
  works = true;
  // Further than any wait: a probe may have failed before it worked.
  clock_.AdvanceBy(CircuitBreaker::kLongestOpen);
  EXPECT_TRUE(AwaitAvailable(*verifier, true));
  EXPECT_EQ(questions, asked);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kRefused);
}

TEST_F(HttpCaptchaVerifierTest, AProviderThatIsTooSlowForBuyersIsNotBroughtBackByAProbe) {
  ProbesSeen probes;
  absl::Notification over;
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (IsProbe(request)) probes.Add();
    over.WaitForNotificationWithTimeout(absl::Milliseconds(100));  // the answer is this slow
    return HttpAnswer{.body = kSolvedJson};
  });
  const auto verifier = VerifierOf(provider, absl::Milliseconds(1));
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) VerifyNow(*verifier);
  ASSERT_TRUE(AwaitAvailable(*verifier, false));
  // From when a probe has failed, it waits anew: so the clock goes on until the next one comes.
  const absl::Time give_up = absl::Now() + kAwhile;
  while (!probes.Await(3, absl::Milliseconds(20)) && absl::Now() < give_up) {
    clock_.AdvanceBy(CircuitBreaker::kLongestOpen);
  }
  ASSERT_TRUE(probes.Await(3, absl::ZeroDuration())) << "it begins once the second was taken in";
  EXPECT_FALSE(verifier->available());
  over.Notify();
}

TEST_F(HttpCaptchaVerifierTest, WhatBuyersSendNeverOpensTheBreaker) {
  for (const HttpAnswer& answer :
       {HttpAnswer{.status = 400}, HttpAnswer{.status = 413}, HttpAnswer{.status = 422},
        HttpAnswer{.body = R"({"success": false, "error-codes": ["bad-request"]})"},
        HttpAnswer{.body = R"({"success": false, "error-codes": ["missing-input-response"]})"}}) {
    HttpReceiver provider([answer](const HttpRequestSeen&) { return answer; });
    const auto verifier = VerifierOf(provider);
    for (int i = 0; i < 3 * CircuitBreaker::kFailuresToOpen; ++i) {
      EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kRefused) << answer.status << " " << answer.body;
    }
    EXPECT_TRUE(verifier->available());
    EXPECT_EQ(verifier->counts().answered, 3 * CircuitBreaker::kFailuresToOpen);
  }
}

TEST_F(HttpCaptchaVerifierTest, WhatIsNoAnswerIsAFailure) {
  const std::string long_body = kSolvedJson + std::string(HttpCaptchaVerifier::kMostAnswerBytes, ' ');
  for (const HttpAnswer& answer : {HttpAnswer{.body = long_body}, HttpAnswer{.body = "<html>"},
                                   HttpAnswer{.status = 500, .body = kSolvedJson}, HttpAnswer{.hang_up = true}}) {
    HttpReceiver provider([answer](const HttpRequestSeen&) { return answer; });
    const auto verifier = VerifierOf(provider);
    EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown) << answer.status << " " << answer.body.substr(0, 80);
    EXPECT_EQ(verifier->counts().answered, 0);
    EXPECT_EQ(verifier->counts().failed, 1);
  }
}

TEST_F(HttpCaptchaVerifierTest, AWrongSecretIsToldOperatorsOnceAMinuteAndNeverShown) {
  HttpReceiver provider([](const HttpRequestSeen&) {
    return HttpAnswer{.body = R"({"success": false, "error-codes": ["invalid-input-secret"]})"};
  });
  testing::LoggedLines logged;
  auto verifier = VerifierOf(provider);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  clock_.AdvanceBy(absl::Minutes(1));
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  verifier.reset();
  ASSERT_EQ(logged.lines().size(), 2U) << "one a minute";
  for (const std::string& line : logged.lines()) {
    EXPECT_THAT(line, ::testing::HasSubstr("--captcha-secret-file"));
    EXPECT_FALSE(absl::StrContains(line, "s3cret"));
  }
}

TEST_F(HttpCaptchaVerifierTest, AConnectionThatFailsIsToldOnceAMinute) {
  auto provider = std::make_unique<HttpReceiver>([](const HttpRequestSeen&) { return HttpAnswer{}; });
  testing::LoggedLines logged;
  auto verifier = VerifierOf(*provider, kAwhile, [&] { provider.reset(); });
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  verifier.reset();
  ASSERT_EQ(logged.lines().size(), 1U);
  EXPECT_THAT(logged.lines()[0], ::testing::HasSubstr("the captcha's provider gives no verdict"));
}

TEST_F(HttpCaptchaVerifierTest, ALateAnswerIsNone) {
  absl::Notification over;
  HttpReceiver provider([&](const HttpRequestSeen&) {
    over.WaitForNotification();
    return HttpAnswer{.body = kSolvedJson};
  });
  const auto verifier = VerifierOf(provider, absl::Milliseconds(200));
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kUnknown);
  EXPECT_EQ(verifier->counts().late, 1);
  over.Notify();
}

TEST_F(HttpCaptchaVerifierTest, ManyAtOnceAreAskedSideBySide) {
  constexpr int kMany = 50;
  absl::BlockingCounter come(kMany);
  absl::Notification all;
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (!IsProbe(request)) {
      come.DecrementCount();
      all.WaitForNotificationWithTimeout(kAwhile);
    }
    return HttpAnswer{.body = kSolvedJson};
  });
  const auto verifier = VerifierOf(provider);
  std::atomic<int> solved{0};
  absl::BlockingCounter left(kMany);
  for (int i = 0; i < kMany; ++i) {
    verifier->Verify("r", "", [&](CaptchaVerdict verdict) {
      solved += verdict == CaptchaVerdict::kSolved ? 1 : 0;
      left.DecrementCount();
    });
  }
  come.Wait();
  EXPECT_EQ(solved, 0) << "none is answered before all have come";
  all.Notify();
  left.Wait();
  EXPECT_EQ(solved, kMany);
}

TEST_F(HttpCaptchaVerifierTest, ANewSecretIsUsedWithoutARestart) {
  std::atomic<bool> seen{false};
  HttpReceiver provider([&](const HttpRequestSeen& request) {
    if (absl::StartsWith(request.body, "secret=another&")) seen = true;
    return HttpAnswer{.body = kSolvedJson};
  });
  const auto verifier = VerifierOf(provider);
  VerifyNow(*verifier);
  EXPECT_FALSE(seen);
  testing::ReplaceFile(scratch_.path() / "secret", "another\n");
  const absl::Time give_up = absl::Now() + kAwhile;
  while (!seen && absl::Now() < give_up) VerifyNow(*verifier);
  EXPECT_TRUE(seen);
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
  EXPECT_EQ(VerifyNow(*verifier), CaptchaVerdict::kBusy);
  EXPECT_EQ(verifier->counts().skipped, 1);
  verifier.reset();
  EXPECT_EQ(unknown, most);
  over.Notify();
}

}  // namespace
}  // namespace tranche::server
