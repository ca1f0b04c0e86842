// Where the buyers of calls are, for the front door.
#pragma once

#include <string>

#include "quota/sale/sale_gate.h"
#include "server/rpc/call_context.h"

namespace tranche::server {

// Thread-safe.
class VisitorAddresses {
 public:
  // Nobody asks.
  VisitorAddresses() = default;
  // `gate` outlives this. `trusted_proxies`: --trusted-proxies; see BuyerAddress.
  VisitorAddresses(const quota::SaleGate* gate, int trusted_proxies) : gate_(gate), trusted_proxies_(trusted_proxies) {}

  // Whether somebody may be kept out now. Otherwise no address is looked for: that costs more than the rest of a
  // refused claim.
  bool wanted() const { return gate_ != nullptr && gate_->closed_to_some(); }
  // "" if it is not known, or not wanted.
  std::string Of(const CallContext& call) const;

 private:
  const quota::SaleGate* gate_ = nullptr;
  int trusted_proxies_ = 0;
};

}  // namespace tranche::server
