#include "server/outbound/captcha_answer.h"

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace tranche::server {
namespace {

std::string FormEncoded(absl::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '*') {
      encoded.push_back(static_cast<char>(c));
    } else {
      encoded.push_back('%');
      encoded.push_back(kHex[c >> 4]);
      encoded.push_back(kHex[c & 0xf]);
    }
  }
  return encoded;
}

CaptchaReading Fault(std::string fault) { return {.verdict = CaptchaVerdict::kUnknown, .fault = std::move(fault)}; }

std::vector<std::string> ErrorCodesOf(const google::protobuf::Struct& answer) {
  std::vector<std::string> found;
  const auto codes = answer.fields().find("error-codes");
  if (codes == answer.fields().end()) return found;
  for (const google::protobuf::Value& code : codes->second.list_value().values()) found.push_back(code.string_value());
  return found;
}

// The first of `codes` that is among `known`; "": none.
std::string FirstOf(const std::vector<std::string>& codes, std::initializer_list<absl::string_view> known) {
  for (const absl::string_view code : known) {
    if (std::find(codes.begin(), codes.end(), code) != codes.end()) return std::string(code);
  }
  return "";
}

// Of an answer that does not say that it was solved.
CaptchaReading ReadErrorCodes(const google::protobuf::Struct& answer) {
  const std::vector<std::string> codes = ErrorCodesOf(answer);
  if (const std::string ours = FirstOf(codes, {"missing-input-secret", "invalid-input-secret"}); !ours.empty()) {
    return Fault(absl::StrCat("it answers ", ours,
                              ": see whether --captcha-secret-file belongs to --captcha-site-key, and --captcha-url "
                              "to both"));
  }
  if (!FirstOf(codes, {"internal-error"}).empty()) return Fault("it answers internal-error");
  // Turnstile and reCAPTCHA say the first, hCaptcha the others.
  if (!FirstOf(codes, {"timeout-or-duplicate", "expired-input-response", "already-seen-response"}).empty()) {
    return {.verdict = CaptchaVerdict::kExpired};
  }
  return {.verdict = CaptchaVerdict::kRefused};
}

}  // namespace

std::string CaptchaForm(absl::string_view secret, absl::string_view response, absl::string_view address) {
  std::string form = absl::StrCat("secret=", FormEncoded(secret), "&response=", FormEncoded(response));
  if (!address.empty()) absl::StrAppend(&form, "&remoteip=", FormEncoded(address));
  return form;
}

CaptchaReading ReadCaptchaAnswer(long status, bool whole, absl::string_view body) {
  const bool is_2xx = status >= 200 && status <= 299;
  // So is answered what a buyer sent: otherwise whoever sends nonsense would turn the captcha off for all.
  const bool takes_no_content = status == 400 || status == 413 || status == 422;
  if (!is_2xx && !takes_no_content) return Fault(absl::StrCat("it answers HTTP ", status));
  google::protobuf::Struct answer;
  const bool readable = whole && google::protobuf::util::JsonStringToMessage(std::string(body), &answer).ok();
  if (takes_no_content) {
    // An answer that names our secret is still about us.
    return readable ? ReadErrorCodes(answer) : CaptchaReading{.verdict = CaptchaVerdict::kRefused};
  }
  if (!whole) return Fault("its answer is cut off, or too long");
  if (!readable) return Fault("it does not answer with a JSON object");
  const auto success = answer.fields().find("success");
  if (success == answer.fields().end() || success->second.kind_case() != google::protobuf::Value::kBoolValue) {
    return Fault("its answer has no \"success\" of true or false");
  }
  if (success->second.bool_value()) return {.verdict = CaptchaVerdict::kSolved};
  return ReadErrorCodes(answer);
}

}  // namespace tranche::server
