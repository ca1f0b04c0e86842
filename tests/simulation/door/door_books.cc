#include "tests/simulation/door/door_books.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "server/proto_time.h"

namespace tranche::simulation {
namespace {

// The most significant byte first.
void AppendNumber(uint64_t number, int bytes, std::string* text) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text->push_back(static_cast<char>(number >> shift));
}

v1::RateLimit::Key LimitKeyOf(server::RateKeyKind kind) {
  switch (kind) {
    case server::RateKeyKind::kUser:
      return v1::RateLimit::KEY_USER;
    case server::RateKeyKind::kAddress:
      return v1::RateLimit::KEY_ADDRESS;
    case server::RateKeyKind::kToken:
      return v1::RateLimit::KEY_TOKEN;
    case server::RateKeyKind::kSku:
      return v1::RateLimit::KEY_SKU;
  }
  return v1::RateLimit::KEY_UNSPECIFIED;
}

constexpr int kDoorPollSeconds = 10;

}  // namespace

uint64_t DoorTerms::RankOf(absl::string_view sku_id, absl::string_view user_id) const {
  std::string number;
  AppendNumber(static_cast<uint64_t>(round), 8, &number);
  std::string text;
  for (const absl::string_view field :
       {absl::string_view("tranche-rank-v1"), sku_id, absl::string_view(number), user_id}) {
    AppendNumber(field.size(), 4, &text);
    text.append(field.data(), field.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash = {};
  unsigned int bytes = 0;
  HMAC(EVP_sha256(), round_key.data(), static_cast<int>(round_key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data(), &bytes);
  uint64_t rank = 0;
  for (size_t i = 0; i < 8; ++i) rank = rank << 8 | hash[i];
  return rank;
}

bool DoorTerms::Admits(uint64_t rank, int percent) const {
  // rank < floor(admitted * percent * 2^64 / 100,000,000), in whole numbers.
  const auto next = static_cast<unsigned __int128>(rank) + 1;
  const auto admitted = static_cast<unsigned __int128>(admitted_per_million.value_or(0));
  return next * 100'000'000 <= (admitted * static_cast<unsigned int>(percent)) << 64;
}

v1::FrontPolicy PolicyOf(const DoorTerms& terms) {
  v1::FrontPolicy policy;
  for (const DoorLimitTerms& limit : terms.limits) {
    v1::RateLimit* const rule = policy.add_limits();
    rule->set_key(LimitKeyOf(limit.kind));
    rule->set_tries(1);
    *rule->mutable_per() = server::ToDuration(limit.interval);
    rule->set_burst(static_cast<int32_t>(limit.burst));
  }
  if (terms.admitted_per_million.has_value()) {
    policy.mutable_lottery()->set_admitted_per_million(*terms.admitted_per_million);
  }
  if (terms.token_lifetime.has_value()) {
    *policy.mutable_purchase_token()->mutable_lifetime() = server::ToDuration(*terms.token_lifetime);
  }
  if (terms.challenge_lifetime.has_value()) {
    policy.mutable_challenge()->set_bits(kDoorChallengeBits);
    *policy.mutable_challenge()->mutable_lifetime() = server::ToDuration(*terms.challenge_lifetime);
    if (terms.delay.has_value()) *policy.mutable_challenge()->mutable_delay() = server::ToDuration(*terms.delay);
  }
  if (terms.risk.has_value()) *policy.mutable_risk() = *terms.risk;
  if (terms.room) {
    policy.mutable_room()->set_buyers_per_second(1);
    policy.mutable_room()->mutable_poll_interval()->set_seconds(kDoorPollSeconds);
  }
  return policy;
}

std::string DoorNetworkOf(const std::string& address) {
  return address.empty() ? "" : absl::StrCat(address.substr(0, address.rfind('.')), ".0/24");
}

DoorAccess DoorBooks::AccessOf(const std::string& user_id, const std::string& address, absl::Time now) const {
  for (const std::string& subject : {user_id, DoorNetworkOf(address)}) {
    const auto found = list.find(subject);
    if (found == list.end() || found->second.expires_at <= now) continue;
    return found->second.allow ? DoorAccess::kAllow : DoorAccess::kDeny;
  }
  return DoorAccess::kNone;
}

const DoorTerms* DoorBooks::TermsOf(const std::string& sku_id) const {
  const auto found = skus.find(sku_id);
  return found == skus.end() ? nullptr : &found->second;
}

}  // namespace tranche::simulation
