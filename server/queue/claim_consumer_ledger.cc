// How a consumer waits for a ledger that does not answer.
#include "glog/logging.h"
#include "server/queue/claim_consumer.h"

namespace tranche::server {

void ClaimConsumer::Probe(absl::Time now, Work& work) {
  if (!ledger_out_ || draining_ || probe_ != 0 || now < probe_at_) return;
  HeldClaim* chosen = nullptr;
  for (auto& [number, held] : held_.all()) {
    if (held.step != HeldClaim::Step::kWaits || !held_.HasTurn(held) || Rests(held, now)) continue;
    // The oldest one, unless a later one's turn has come.
    if (chosen == nullptr) chosen = &held;
    if (number > last_probe_) {
      chosen = &held;
      break;
    }
  }
  if (chosen == nullptr) return;
  probe_ = last_probe_ = chosen->number;
  BeginNow(*chosen, work);
}

void ClaimConsumer::NoteLedgerOut(const HeldClaim& held) {
  const bool is_probe = probe_ == held.number;
  // It has answered others since: what is in the way is in the way of this one alone, such as a lock.
  if (!is_probe && answered_at_ > held.began) return;
  if (ledger_out_ && !is_probe) return;
  if (!ledger_out_) LOG(WARNING) << "queued claims of shard " << parts_.shard << " wait: its ledger does not answer";
  ledger_out_ = true;
  probe_ = 0;
  probe_at_ = parts_.clock->Now() + PauseAfter(probes_in_vain_++);
}

void ClaimConsumer::NoteLedgerAnswers() {
  answered_at_ = parts_.clock->Now();
  probes_in_vain_ = 0;
  LOG_IF(INFO, ledger_out_) << "queued claims of shard " << parts_.shard << " go on: its ledger answers";
  EndLedgerOut();
}

void ClaimConsumer::EndLedgerOut() {
  probe_ = 0;
  if (ledger_out_) goes_on_since_ = parts_.clock->Now();
  ledger_out_ = false;
}

}  // namespace tranche::server
