// Shows what groups a SKU is offered in.
#pragma once

#include <optional>
#include <string>

#include "client/ctl/session.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::ctl {

// A row each.
void PrintGroupOffers(Session& session, const tranche::v1::ListGroupOffersResponse& offers);

struct GroupOfferChange {
  std::optional<tranche::v1::GroupOffer> before = {};  // nullopt: it was not there
  tranche::v1::GroupOffer after;
  bool preview = false;
  std::string warning = {};  // of a preview: what the change means
};
// For a preview, also how to apply it (on stderr).
void PrintGroupOfferChange(Session& session, const GroupOfferChange& change);

}  // namespace tranche::ctl
