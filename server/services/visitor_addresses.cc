#include "server/services/visitor_addresses.h"

#include "server/admission/buyer_address.h"

namespace tranche::server {

std::string VisitorAddresses::Of(const CallContext& call) const {
  if (!wanted()) return "";
  const std::string forwarded = trusted_proxies_ == 0 ? "" : call.forwarded_for();
  return BuyerAddress(call.peer(), forwarded, trusted_proxies_);
}

}  // namespace tranche::server
