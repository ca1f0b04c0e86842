// A thread with a connection to a broker, which it makes again whenever it is lost.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/process/broker_options.h"
#include "server/process/file_descriptor.h"
#include "server/queue/amqp_connection.h"
#include "server/queue/amqp_message.h"
#include "storage/base/address.h"

namespace tranche::server {

// The brokers in BrokerOptions::brokers; what is no HOST:PORT is left out.
std::vector<Address> BrokersOf(const BrokerOptions& options);

// Between two attempts to connect there is a pause of this kind, longer each time and with jitter.
inline constexpr absl::Duration kShortestAmqpPause = absl::Milliseconds(100);
inline constexpr absl::Duration kLongestAmqpPause = absl::Seconds(2);
// A connection that lasted for so long was a success: the next pause is a short one again.
inline constexpr absl::Duration kAmqpLasting = absl::Seconds(5);
// The most that connecting and each wait for an answer may take.
inline constexpr absl::Duration kAmqpPatience = absl::Milliseconds(1500);

// Start, Stop and the destructor: one thread. Wake: any thread, until the destructor.
class AmqpSession {
 public:
  // What it does with the connection. All on the session's thread; an error ends the connection.
  class User {
   public:
    // What a turn leaves.
    struct Rest {
      bool wants_room = false;  // there is more to send when the socket takes more
      bool more = false;        // there is more to do at once
    };

    virtual ~User() = default;
    // A connection was made.
    virtual absl::Status OnOpen(AmqpConnection& connection) = 0;
    // After Wake, and now and then: sends what waits. Must be short.
    virtual absl::StatusOr<Rest> OnTurn(AmqpConnection& connection) = 0;
    virtual absl::Status OnEvent(AmqpConnection& connection, AmqpEvent event) = 0;
    // It is lost, or could not be made, or the session is at its end. There is none until OnOpen.
    virtual void OnLost(const absl::Status& why) = 0;
  };

  // `user` outlives the session. `name` is for the log.
  AmqpSession(BrokerOptions options, std::string name, User* user);
  ~AmqpSession();
  AmqpSession(const AmqpSession&) = delete;
  AmqpSession& operator=(const AmqpSession&) = delete;

  void Start();
  // A turn soon. Does not block.
  void Wake();
  // One more turn if there is a connection, good-bye to the broker, OnLost. Blocks for two seconds at most (and for a
  // look-up of a host's name that does not end).
  void Stop();

 private:
  void Run();
  absl::Status RunConnection(const Address& broker);
  absl::Status RunOpen(AmqpConnection& connection);
  absl::StatusOr<bool> TakeEvents(AmqpConnection& connection);
  void Wait(const AmqpConnection& connection, bool wants_room);
  void Note(const absl::Status& lost);
  void NoteLasting(const AmqpConnection& connection);
  bool stopping() const;

  const BrokerOptions options_;
  const std::vector<Address> brokers_;
  const std::string name_;
  User* const user_;
  FileDescriptor wake_;
  std::atomic<bool> woken_ = false;
  // The session's thread only.
  bool told_ = false;    // the log knows that there is no connection
  bool lasted_ = false;  // the last connection was up for kAmqpLasting

  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  AmqpConnection* current_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace tranche::server
