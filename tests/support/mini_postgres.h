// A private PostgreSQL server for a test.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/child_process.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {

// Whether the data would survive a loss of power. It survives a killed server in any case: the kernel has what was
// written. Tests that make many databases, or commit much, take a fraction of the time without.
enum class Fsync { kOn, kOff };

// Files of a server that is reached over the network by TLS and with a password only. All PEM, but for the password.
struct PostgresSecurity {
  std::string certificate_file;
  std::string key_file;       // for the user that the server runs as, and nobody else
  std::string ca_file;        // whom those who connect trust
  std::string password_file;  // one line: MiniPostgres::kNodeRole's
};

struct MiniPostgresOptions {
  Fsync fsync = Fsync::kOn;  // durable as in production
  std::optional<PostgresSecurity> security = std::nullopt;
};

// One server from the distribution's package, on a free port of 127.0.0.1, with its data in a scratch folder. It
// trusts every connection, unless it is secured: then
// kNodeRole needs TLS and its password, and kSuperuser comes through a socket file in a folder that only the server's
// user and root may enter. It dies with the thread that started it, at the latest. Not thread-safe. The first one of a
// process takes two seconds longer to start, unless the environment variable TRANCHE_TEST_MADE_DATA names a folder: in
// it, processes keep the migrated data for each other. Whoever sets it removes the folder.
class MiniPostgres {
 public:
  // A role that may log in and has the rights of the application role tranche_app: it may call the procedures.
  static constexpr char kNodeRole[] = "tranche_node";
  static constexpr char kSuperuser[] = "postgres";

  explicit MiniPostgres(MiniPostgresOptions options = {});
  // Stops the server at once and deletes its data.
  ~MiniPostgres();
  MiniPostgres(const MiniPostgres&) = delete;
  MiniPostgres& operator=(const MiniPostgres&) = delete;

  // Starts the server and returns when it accepts connections. The first time, it has the roles and the migrated
  // database "tranche"; after Stop or Kill it comes back with the same port and data.
  absl::Status Start();

  // Ends it in an orderly way (a fast shutdown: sessions are cut off), and waits until it is gone.
  absl::Status Stop();

  // Ends it and every one of its processes by SIGKILL, as if the machine had lost power for a moment.
  absl::Status Kill();

  // Kill, and Start again: recovery from the write-ahead log included.
  absl::Status KillAndRestart();

  // A hang: none of its processes runs any more, and its connections stay open. Then call Resume, or Kill.
  absl::Status Suspend();
  absl::Status Resume();

  // Keeps a copy of the data, and puts it back, whatever has happened since: a restore from a backup. Only while the
  // server is stopped.
  absl::Status SaveData();
  absl::Status RestoreData();

  // From now on it speaks TLS to whoever asks for it, and nobody has to; node_dsn() then asks for the server's
  // certificate. Only while the server runs.
  absl::Status OfferTls();
  // From now on the node's role gets in over TLS only, and with this password (SCRAM); node_dsn() then asks for the
  // server's certificate and still holds no password. The superuser gets in as before. Only while the server runs.
  absl::Status Lock(const std::string& password);
  // Another one for the same role.
  absl::Status SetNodePassword(const std::string& password);

  // Stops it, and starts it again as a standby that is then promoted: a failover, as far as the data shows it.
  absl::Status RestartPromoted();

  // An empty one.
  absl::Status CreateDatabase(const std::string& name);

  // The database "tranche": as its owner, and as the servers connect.
  std::string dsn() const { return Dsn("tranche"); }
  std::string node_dsn() const;

  bool running() const { return process_ != nullptr; }
  // A libpq connection string.
  std::string Dsn(const std::string& database, const std::string& user = kSuperuser) const;
  int port() const { return port_; }
  // The server's log, to be shown when a test fails.
  std::string log_file() const { return (scratch_.path() / "postgres.log").string(); }

 private:
  // How the node's role gets in, if the options do not secure the server.
  enum class Door { kOpen, kOffersTls, kLocked };

  absl::StatusOr<std::string> MakeData();
  absl::StatusOr<std::string> FindOrMakeData();
  absl::Status CopyMadeData();
  absl::Status StartOnFreePort(const std::vector<std::string>& settings);
  absl::Status StartOnPort(const std::vector<std::string>& settings);
  absl::Status WaitUntilServing();
  absl::Status RequireTlsAndPassword();
  absl::Status TakePasswordFromFile();
  absl::Status CopyData(const std::string& from, const std::string& to);
  // As the superuser, each by itself.
  absl::Status ExecuteAll(const std::vector<std::string>& statements) const;
  // Until the node's role gets in with this password; "": without one.
  absl::Status AwaitNode(const std::string& password) const;

  const MiniPostgresOptions options_;
  ScratchDir scratch_{"postgres"};
  // Empty: there is no socket file.
  std::string socket_dir_;
  std::string data_dir_;  // empty before the first Start
  int port_ = 0;          // chosen by the first Start
  Door door_ = Door::kOpen;
  std::unique_ptr<ChildProcess> process_;
};

// Creates the roles tranche_app and tranche_node where they are missing. Also for a server that is not ours.
absl::Status EnsureRoles(const std::string& superuser_dsn);

// Runs one statement on a connection of its own.
absl::Status ExecuteSql(const std::string& dsn, const std::string& sql);

}  // namespace tranche::testing
