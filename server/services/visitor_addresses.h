// Where the buyers of calls are, for the front door.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
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
  // Of a call, or of a request that states one. "" if it is not known, or not wanted. `stated`: buyer_address of the
  // request, "" for none. It counts before the call's own, but only if a proxy is trusted: otherwise the callers are
  // the buyers, who could invent any. What is no address does not count.
  std::string Of(const CallContext& call, absl::string_view stated = {}) const;
  // The same for a request of many in one call: `of_call` is what Of says of the call alone.
  std::string OfRequest(absl::string_view stated, const std::string& of_call) const;

 private:
  // As BuyerAddress has it. "": it does not count.
  std::string Believed(absl::string_view stated) const;

  const quota::SaleGate* gate_ = nullptr;
  int trusted_proxies_ = 0;
};

}  // namespace tranche::server
