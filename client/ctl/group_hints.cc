#include "client/ctl/group_hints.h"

namespace tranche::ctl {

std::string NextStepForGroup(Reason reason) {
  switch (reason) {
    case Reason::kGroupNotFound:
      return "the id is mistyped, its opening is still queued or was refused, or the group ended so long ago that it "
             "was retired; `tranchectl group list SKU` shows those that form, and with --state the others";
    case Reason::kGroupOver:
      return "`tranchectl group show` shows what became of it";
    case Reason::kGroupFull:
      return "`tranchectl group list SKU` shows others that form";
    case Reason::kAlreadyInGroup:
      return "`tranchectl group show` shows with which reservation";
    case Reason::kOfferNotFound:
      return "`tranchectl group offer list SKU` shows the offers there are";
    case Reason::kOfferClosed:
      return "`tranchectl group offer create` makes another one";
    case Reason::kInGroup:
      return "a hold in a group lasts as long as its offer says, and is not extended";
    case Reason::kNotInGroup:
      return "`tranchectl reservation cancel` cancels it";
    case Reason::kTooManyGroups:
      return "`tranchectl group list SKU` shows those that form";
    case Reason::kOfferExists:
    case Reason::kTooManyOffers:
      return "`tranchectl group offer list SKU` shows the offers there are";
    default:
      return "";
  }
}

}  // namespace tranche::ctl
