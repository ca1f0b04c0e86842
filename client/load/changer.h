// Confirms, cancels and extends acknowledged reservations, while other requests make new ones.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/load/answer_log.h"
#include "client/load/load_options.h"
#include "client/load/stop_flag.h"
#include "tranche/client.h"

namespace tranche::load {

// Each change goes to a random node, and a few of one kind follow each other there, so that what waits in that node
// while the ledger is slow is not always a mixture of all kinds. It begins when it was meant to be sent. A change is
// sent once, only to that node, so that the answer shows the state of that node. A reservation has at most one change
// under way. After a refusal that may be temporary it is changed again later; after an unknown outcome it waits for
// ResolveUnknown. Thread-safe.
class Changer {
 public:
  struct Node {
    std::string endpoint;
    std::unique_ptr<Client> client;
  };
  // Answers by kind and outcome.
  using Totals = std::map<std::string, std::map<std::string, uint64_t>>;

  // This many changes of one kind follow each other at a node.
  static constexpr uint64_t kInARow = 3;

  // A client for each of the endpoints, without retries.
  static absl::StatusOr<std::unique_ptr<Changer>> Open(const LoadOptions& options);

  // `kinds`: those that it makes, at least one.
  Changer(double per_second, std::vector<Node> nodes,
          std::vector<ChangeKind> kinds = {ChangeKind::kConfirm, ChangeKind::kCancel, ChangeKind::kExtend})
      : per_second_(per_second), kinds_(std::move(kinds)), sent_(nodes.size()), nodes_(std::move(nodes)) {}
  ~Changer() { Stop(); }

  // Writes every answer from now on as a line of that file (see ChangeLog).
  absl::Status RecordAnswers(const std::string& path) { return answers_.Open(path); }
  // False: not everything could be written.
  bool CloseAnswers() { return answers_.Close(); }

  // Adds an acknowledged reservation, which may be changed from now on. Dropped if very many wait already.
  void Offer(Reservation reservation);
  // The same for those of an earlier run, however many. Those that are not pending are left out.
  void OfferAll(std::vector<Reservation> reservations);

  // Sends changes at random (Poisson) times until Stop().
  void Start();
  // Returns when all are answered.
  void Stop();
  // Sends the next change for that node (by its index), for the reservation that has waited longest. `began`: when it
  // was meant to be sent. False: none waits.
  bool SendNext(size_t node, absl::Time began = absl::Now());

  // Sends changes of unknown outcome again, to any node, until each has an answer, `rounds` are over or `stop` is set.
  void ResolveUnknown(Client& client, int rounds, const StopFlag& stop);

  Totals totals() const;

 private:
  struct Changed {
    std::string outcome;
    Reservation reservation;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<Changed>)>;

  static void Send(Client& client, const Change& change, Done done);
  void Run();
  void Record(const Change& change, const std::string& node, absl::Time began, const absl::StatusOr<Changed>& answer);
  // Sends it again and waits for the answer.
  void ResolveAll(Client& client, const std::vector<Change>& unknown);

  const double per_second_;
  const std::vector<ChangeKind> kinds_;
  absl::Notification stop_;
  std::thread thread_;
  ChangeLog answers_;

  mutable absl::Mutex mutex_;
  std::deque<Reservation> waiting_ ABSL_GUARDED_BY(mutex_);
  std::vector<Change> unknown_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> sent_ ABSL_GUARDED_BY(mutex_);  // by node
  int64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  Totals totals_ ABSL_GUARDED_BY(mutex_);
  // Last: their destructors wait for calls that use the others.
  const std::vector<Node> nodes_;
};

}  // namespace tranche::load
