#include "server/outbound/captcha_answer.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

TEST(CaptchaAnswerTest, TheFormIsEncodedAndAnUnknownAddressLeftOut) {
  EXPECT_EQ(CaptchaForm("s3cret+key", "a b&c=d%", "2001:db8::1"),
            "secret=s3cret%2Bkey&response=a%20b%26c%3Dd%25&remoteip=2001%3Adb8%3A%3A1");
  EXPECT_EQ(CaptchaForm("s", "r", ""), "secret=s&response=r");
}

std::string RefusedFor(const std::string& code) {
  return absl::StrCat(R"({"success": false, "error-codes": [")", code, R"("]})");
}

TEST(CaptchaAnswerTest, WhatAnAnswerMeans) {
  using Verdict = CaptchaVerdict;
  const struct {
    long status;
    std::string body;
    Verdict verdict;
  } cases[] = {
      {200, R"({"success": true, "hostname": "shop.example"})", Verdict::kSolved},
      {200, R"({"success": false})", Verdict::kRefused},
      // What buyers can cause.
      {200, RefusedFor("bad-request"), Verdict::kRefused},
      {200, RefusedFor("invalid-input-response"), Verdict::kRefused},
      {200, RefusedFor("missing-input-response"), Verdict::kRefused},
      {200, RefusedFor("a-code-of-tomorrow"), Verdict::kRefused},
      {400, RefusedFor("bad-request"), Verdict::kRefused},
      {400, "<html>", Verdict::kRefused},
      {400, R"({"success": true})", Verdict::kRefused},
      {413, "", Verdict::kRefused},
      {422, "", Verdict::kRefused},
      {200, RefusedFor("timeout-or-duplicate"), Verdict::kExpired},
      {200, RefusedFor("expired-input-response"), Verdict::kExpired},
      {400, RefusedFor("timeout-or-duplicate"), Verdict::kExpired},
      // What is the provider's fault, or ours.
      {200, RefusedFor("invalid-input-secret"), Verdict::kUnknown},
      {400, RefusedFor("missing-input-secret"), Verdict::kUnknown},
      {200, R"({"success": false, "error-codes": ["bad-request", "invalid-input-secret"]})", Verdict::kUnknown},
      {200, RefusedFor("internal-error"), Verdict::kUnknown},
      {200, R"({"success": "true"})", Verdict::kUnknown},
      {200, "{}", Verdict::kUnknown},
      {200, "<html>", Verdict::kUnknown},
      {302, "", Verdict::kUnknown},
      {401, "", Verdict::kUnknown},
      {403, RefusedFor("invalid-input-response"), Verdict::kUnknown},
      {404, "", Verdict::kUnknown},
      {405, "", Verdict::kUnknown},
      {429, "", Verdict::kUnknown},
      {500, R"({"success": true})", Verdict::kUnknown},
  };
  for (const auto& [status, body, verdict] : cases) {
    const CaptchaReading reading = ReadCaptchaAnswer(status, /*whole=*/true, body);
    EXPECT_EQ(reading.verdict, verdict) << status << " " << body;
    EXPECT_EQ(reading.fault.empty(), verdict != Verdict::kUnknown) << status << " " << body;
  }
}

TEST(CaptchaAnswerTest, AnAnswerThatIsCutOffSolvesNothing) {
  EXPECT_EQ(ReadCaptchaAnswer(200, /*whole=*/false, R"({"success": true})").verdict, CaptchaVerdict::kUnknown);
  EXPECT_EQ(ReadCaptchaAnswer(400, /*whole=*/false, "{").verdict, CaptchaVerdict::kRefused) << "the status says it";
}

TEST(CaptchaAnswerTest, AFaultSaysWhereToLook) {
  const std::string fault = ReadCaptchaAnswer(200, true, RefusedFor("invalid-input-secret")).fault;
  EXPECT_TRUE(absl::StrContains(fault, "--captcha-secret-file")) << fault;
  EXPECT_EQ(ReadCaptchaAnswer(503, true, "anything").fault, "it answers HTTP 503");
}

}  // namespace
}  // namespace tranche::server
