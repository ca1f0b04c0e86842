// Keeps, shows and makes the corrections that a reconciliation proposes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/ctl/session.h"
#include "client/reconcile/difference.h"

namespace tranche::ctl {

class Corrections {
 public:
  // Corrections beyond `most` are counted, not kept.
  explicit Corrections(int64_t most) : most_(most) {}

  void Propose(const reconcile::Difference& difference);

  // Whether there are more than may be made at once.
  bool too_many() const { return proposed_ > most_; }
  int64_t proposed() const { return proposed_; }

  void PrintProposals(Session& session) const;
  // Makes them in the order in which they were proposed, so that the payment that should count is sent first. Stops at
  // the first error; what was made until then stays made, and making it again is harmless.
  absl::Status Apply(Session& session);
  // How many corrections had which result, by the names of CorrectionOutcome without their prefix.
  const std::map<std::string, int64_t>& outcomes() const { return outcomes_; }
  // Whether everything was done as proposed.
  bool complete() const { return undone_ == 0; }

 private:
  void Count(Session& session, const v1::Correction& correction, const v1::ApplyCorrectionsResponse::Result& result);

  const int64_t most_;
  int64_t proposed_ = 0;
  int64_t undone_ = 0;
  std::vector<v1::Correction> corrections_;
  std::map<std::string, int64_t> by_advice_;
  std::map<std::string, int64_t> outcomes_;
};

}  // namespace tranche::ctl
