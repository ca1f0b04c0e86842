// Waits for a buyer to be let in to a sale: enters, and enters again when the answer says, with the newest ticket.
#pragma once

#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/internal/connection.h"
#include "tranche/front_door.h"

namespace tranche::internal {

// Deletes itself when it ends. Used by one thread at a time: first the one that starts it, then the one that delivers
// an answer or runs the timer.
class EntryWait {
 public:
  using OnPlace = absl::AnyInvocable<bool(const SaleEntry&)>;
  using Callback = Connection::CallbackOf<SaleEntry>;

  // An answer without a time to come again does not make the wait a busy one.
  static constexpr absl::Duration kLeastWait = absl::Seconds(1);
  // After an error of nodes that do not answer, at most so long; half of it at least, so that not all come at once.
  static constexpr absl::Duration kWaitAfterError = absl::Seconds(4);

  // Waits until `deadline` for `request` to be let in, by the rules of Client::AwaitEntry. `on_place` may be empty. The
  // connection waits for the end before it goes away, and ends the wait.
  static void Start(Connection& connection, absl::Time deadline, EnterSale request, OnPlace on_place,
                    Callback callback);

  // Only by itself.
  ~EntryWait();
  EntryWait(const EntryWait&) = delete;
  EntryWait& operator=(const EntryWait&) = delete;

 private:
  EntryWait(Connection& connection, absl::Time deadline, EnterSale request, OnPlace on_place, Callback callback);

  void Enter();
  void OnEntry(SaleEntry entry);
  void OnError(const absl::Status& error);
  // Or ends, if that is too late.
  void EnterAfter(absl::Duration wait);
  // With the last answer, or the last error if none came.
  void End();
  void Finish(absl::StatusOr<SaleEntry> result);

  Connection& connection_;
  CallEnvironment& environment_;
  const absl::Time deadline_;
  EnterSale request_;
  OnPlace on_place_;
  Callback callback_;
  std::optional<SaleEntry> last_;  // of which the buyer was not let in
  absl::Status last_error_;        // since then; OK: none
};

}  // namespace tranche::internal
