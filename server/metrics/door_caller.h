// A caller of the metrics' door: a connection, in plain text or with TLS.
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/metrics/door_tls.h"
#include "server/process/file_descriptor.h"

namespace tranche::server {

// Not thread-safe. Every wait ends at its deadline, or when `closing` (an eventfd) can be read.
class DoorCaller {
 public:
  // `socket` does not block. `session` is null for plain text, and was made for this socket.
  DoorCaller(FileDescriptor socket, DoorTls::Session session, int closing);
  // Says that nothing more comes, without waiting for it to be heard.
  ~DoorCaller();
  DoorCaller(const DoorCaller&) = delete;
  DoorCaller& operator=(const DoorCaller&) = delete;

  // How many bytes came, at least one; 0 if none come any more or in time. The first call also does the handshake.
  size_t Read(char* to, size_t most, absl::Time deadline);
  // Whether all of it went to the kernel in time.
  bool Write(absl::string_view bytes, absl::Time deadline);

 private:
  // Bytes of one try; 0: again after waiting for wanted_; negative: never.
  long TryRead(char* to, size_t most);
  long TryWrite(absl::string_view bytes);
  long AfterTls(int result);
  long AfterPlain(long result, short wanted);
  bool Await(absl::Time deadline);

  const FileDescriptor socket_;
  const DoorTls::Session session_;
  const int closing_;
  short wanted_ = 0;     // for poll
  bool broken_ = false;  // nothing more can be said
};

}  // namespace tranche::server
