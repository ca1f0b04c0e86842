// What a forwarding ledger (storage/ledger/forwarding_*.h) tells its hook about the call that it forwards.
//
// The hook is a member of the class that derives from one or several of them:
//
//   template <typename Ask>
//   auto Around(const LedgerCall& call, const Ask& ask);
//
// `ask(target)` makes the call on `target`, which is any ledger of that interface, and returns its answer: a StatusOr,
// or a Status. The hook returns an answer of the same type. It may call `ask` never, once or several times, and do
// anything before and after: count, wait, fail.
#pragma once

namespace tranche::storage {

struct LedgerCall {
  enum class Effect { kRead, kChangesStock, kChangesReservations };
  enum class About { kAnything, kOneSku };

  const char* method;  // a literal
  Effect effect = Effect::kRead;
  About about = About::kAnything;

  // The ways in which the methods' calls differ.
  static constexpr LedgerCall Read(const char* method) { return {method}; }
  static constexpr LedgerCall ReadSku(const char* method) { return {method, Effect::kRead, About::kOneSku}; }
  static constexpr LedgerCall ChangeStock(const char* method) { return {method, Effect::kChangesStock}; }
  static constexpr LedgerCall ChangeSku(const char* method) { return {method, Effect::kChangesStock, About::kOneSku}; }
  static constexpr LedgerCall ChangeReservations(const char* method) { return {method, Effect::kChangesReservations}; }
};

}  // namespace tranche::storage
