#include "server/services/visitor_addresses.h"

#include "server/admission/buyer_address.h"

namespace tranche::server {

std::string VisitorAddresses::Of(const CallContext& call, absl::string_view stated) const {
  if (!wanted()) return "";
  if (std::string address = Believed(stated); !address.empty()) return address;
  const std::string forwarded = trusted_proxies_ == 0 ? "" : call.forwarded_for();
  return BuyerAddress(call.peer(), forwarded, trusted_proxies_);
}

std::string VisitorAddresses::OfRequest(absl::string_view stated, const std::string& of_call) const {
  if (!wanted()) return "";
  std::string address = Believed(stated);
  return address.empty() ? of_call : address;
}

std::string VisitorAddresses::Believed(absl::string_view stated) const {
  return stated.empty() || trusted_proxies_ == 0 ? "" : PlainAddress(stated);
}

}  // namespace tranche::server
