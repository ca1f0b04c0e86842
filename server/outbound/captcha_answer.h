// How a captcha's provider is asked, in the form that Turnstile, hCaptcha and reCAPTCHA share: a POST of a form with
// `secret`, `response` and `remoteip`, answered with JSON that has `success`. Pure functions.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "server/admission/outside_checks.h"

namespace tranche::server {

// The form, as application/x-www-form-urlencoded. `address`: the buyer's; "": it is not sent.
std::string CaptchaForm(absl::string_view secret, absl::string_view response, absl::string_view address);

struct CaptchaReading {
  CaptchaVerdict verdict = CaptchaVerdict::kUnknown;
  // For kUnknown alone: a sentence for operators. One of few for each HTTP status: nothing that others chose.
  std::string fault = {};
};
// What an answer says of the buyer. `status` is HTTP's; `whole`: `body` came to its end. Whatever a buyer can cause by
// what they send is a verdict about them; kUnknown says that the provider fails, or does not know us.
CaptchaReading ReadCaptchaAnswer(long status, bool whole, absl::string_view body);

}  // namespace tranche::server
