// What the front door may ask outside of Tranche, before it judges somebody who wants to enter a sale. Both answer in
// bounded time whatever happens, and neither decides: without an answer the policy's own rules go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "tranche/v1/risk_scorer.pb.h"

namespace tranche::server {

// The shop's scorer. Thread-safe.
class RiskScorer {
 public:
  virtual ~RiskScorer() = default;
  // `scored` is called once, inline or on another thread, within 20 ms but for delays of the machine: 0 to 100, or
  // nullopt without an answer in time, or at once if too many are being asked about. It must not block.
  virtual void Score(const v1::ScoreBuyerRequest& buyer, absl::AnyInvocable<void(std::optional<int>)> scored) = 0;
};

enum class CaptchaVerdict : uint8_t {
  kNone,     // nothing was shown, or nobody asked the provider about it
  kSolved,   // the provider takes it
  kRefused,  // the provider does not
  kExpired,  // it was taken before, or is too old: refused, but no sign of anything
  kUnknown,  // the provider could not be asked
  kBusy,     // too many are being asked about: come again soon
};

// The captcha's provider. Thread-safe.
class CaptchaVerifier {
 public:
  virtual ~CaptchaVerifier() = default;
  // What the provider's widget needs. Public.
  virtual const std::string& site_key() const = 0;
  // False while it is not asked, since it has failed: then challenges are asked for instead.
  virtual bool available() const = 0;
  // `verified` is called once, inline or on another thread, within 200 ms but for delays of the machine; never with
  // kNone. It must not block. `address`: the buyer's, "" if it is not known.
  virtual void Verify(absl::string_view response, absl::string_view address,
                      absl::AnyInvocable<void(CaptchaVerdict)> verified) = 0;
};

}  // namespace tranche::server
