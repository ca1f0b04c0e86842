#include "tests/support/mini_postgres.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "storage/postgres/embedded_sql.h"
#include "storage/postgres/migrator.h"
#include "tests/support/free_port.h"

namespace tranche::testing {
namespace {

constexpr absl::Duration kInitTimeout = absl::Seconds(60);
// The server refuses to run as root; this user comes with the package.
constexpr char kSystemUser[] = "postgres";
// The folder of the socket file lets in only this user and root. "hostssl" alone: no address has a line without TLS.
constexpr char kSecuredAccess[] =
    "local all postgres trust\n"
    "hostssl all all 127.0.0.1/32 scram-sha-256\n";

// Where Debian keeps the newest version's server programs.
std::filesystem::path ProgramDir() {
  std::filesystem::path newest;
  int newest_version = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    int version = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &version) || version <= newest_version) continue;
    if (!std::filesystem::exists(entry.path() / "bin" / "postgres")) continue;
    newest_version = version;
    newest = entry.path() / "bin";
  }
  return newest;
}

struct ProcessStat {
  char state = 'X';  // as of a process that is gone
  pid_t parent = 0;
};

ProcessStat StatOf(const std::string& pid) {
  // "pid (name) state ppid ...": the name may hold anything, so look after the last bracket.
  const std::string stat = FileContents(absl::StrCat("/proc/", pid, "/stat"));
  const size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return {};
  std::istringstream rest(stat.substr(bracket + 1));
  ProcessStat found;
  rest >> found.state >> found.parent;
  return found;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    if (absl::SimpleAtoi(name, &pid) && StatOf(name).parent == parent) children.push_back(pid);
  }
  return children;
}

absl::StatusOr<std::string> InitDb(const ScratchDir& scratch) {
  const std::filesystem::path programs = ProgramDir();
  if (programs.empty())
    return absl::NotFoundError("no PostgreSQL server under /usr/lib/postgresql: install postgresql");
  const std::string data_dir = scratch.MakeSubdir("data", kSystemUser).string();
  const std::string log_file = (scratch.path() / "initdb.log").string();
  absl::StatusOr<std::unique_ptr<ChildProcess>> initdb = ChildProcess::Start({
      .args = {(programs / "initdb").string(), "--no-sync", "--no-instructions", "-A", "trust", "-U",
               MiniPostgres::kSuperuser, "-E", "UTF8", "--locale=C.UTF-8", "-D", data_dir},
      .env = {},
      .working_dir = data_dir,
      .log_file = log_file,
      .user = kSystemUser,
  });
  if (!initdb.ok()) return initdb.status();
  const absl::StatusOr<int> exit_status = (*initdb)->Wait(kInitTimeout);
  if (!exit_status.ok()) return exit_status.status();
  if (*exit_status == 0) return data_dir;
  return absl::InternalError(absl::StrCat("initdb failed:\n", FileContents(log_file)));
}

// Other SQL makes other data.
std::string NameOfMadeData() {
  std::string all = storage::EmbeddedBookkeeping().text;
  for (const auto* files : {&storage::EmbeddedMigrations(), &storage::EmbeddedProcedures()}) {
    for (const storage::SqlFile& file : *files) absl::StrAppend(&all, "\n", file.name, "\n", file.text);
  }
  return absl::StrCat("postgres-", absl::Hex(std::hash<std::string>()(all)));
}

// One process at a time has it. The kernel takes it from a process that dies.
class FileLock {
 public:
  explicit FileLock(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    PCHECK(fd_ >= 0) << path;
    while (flock(fd_, LOCK_EX) != 0) PCHECK(errno == EINTR) << path;
  }
  ~FileLock() { close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  const int fd_;
};

// Or a zombie: it has no memory any more, and whoever is to reap it may take a second.
bool Gone(pid_t pid) {
  const char state = StatOf(absl::StrCat(pid)).state;
  return state == 'X' || state == 'Z';
}

}  // namespace

absl::Status ExecuteSql(const std::string& dsn, const std::string& sql) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(dsn.c_str()), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) return absl::UnavailableError(PQerrorMessage(connection.get()));
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
  return absl::InternalError(PQresultErrorMessage(result.get()));
}

absl::Status EnsureRoles(const std::string& superuser_dsn) {
  // One lock for all who share a server: roles belong to the server, not to the database.
  return ExecuteSql(superuser_dsn, R"(
    SELECT pg_advisory_lock(7264001);
    DO $$
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tranche_app') THEN
        CREATE ROLE tranche_app NOLOGIN;
      END IF;
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tranche_node') THEN
        CREATE ROLE tranche_node LOGIN PASSWORD 'tranche_node' IN ROLE tranche_app;
      END IF;
    END
    $$)");
}

MiniPostgres::MiniPostgres(MiniPostgresOptions options) : options_(std::move(options)) {
  if (!options_.security) return;
  const std::filesystem::path sockets = scratch_.MakeSubdir("sockets", kSystemUser);
  std::filesystem::permissions(sockets, std::filesystem::perms::owner_all);
  socket_dir_ = sockets.string();
}

MiniPostgres::~MiniPostgres() {
  // Not by ChildProcess alone: the server's own children would go on writing into the folder that is removed next.
  if (running()) LOG_IF(ERROR, !Kill().ok()) << "PostgreSQL on port " << port_ << " outlives its kill";
}

std::string MiniPostgres::Dsn(const std::string& database, const std::string& user) const {
  const bool by_socket = options_.security && user == kSuperuser;
  std::string dsn = absl::StrCat("host=", by_socket ? socket_dir_ : "127.0.0.1", " port=", port_, " user=", user,
                                 " dbname=", database, " connect_timeout=5");
  if (options_.security && !by_socket)
    absl::StrAppend(&dsn, " sslmode=verify-full sslrootcert=", options_.security->ca_file);
  return dsn;
}

absl::Status MiniPostgres::CreateDatabase(const std::string& name) {
  return ExecuteSql(Dsn("postgres"), absl::StrCat("CREATE DATABASE \"", name, "\""));
}

// Initdb and the migrations take two seconds of CPU, copying what they made a tenth of that.
absl::StatusOr<std::string> MiniPostgres::MakeData() {
  absl::StatusOr<std::string> made = InitDb(scratch_);
  if (!made.ok()) return made;
  data_dir_ = *std::move(made);
  // What is copied again and again is to be small: one segment of write-ahead log, if it may not keep others to reuse.
  if (absl::Status started = StartOnFreePort({"min_wal_size=32MB"}); !started.ok()) return started;
  if (absl::Status roles = EnsureRoles(Dsn("postgres")); !roles.ok()) return roles;
  const absl::Status created = ExecuteSql(Dsn("postgres"), "CREATE DATABASE tranche STRATEGY file_copy");
  if (!created.ok()) return created;
  if (const auto migrated = storage::Migrate(dsn()); !migrated.ok()) return migrated.status();
  if (absl::Status stopped = Stop(); !stopped.ok()) return stopped;
  return data_dir_;
}

absl::StatusOr<std::string> MiniPostgres::FindOrMakeData() {
  const char* const folder = std::getenv("TRANCHE_TEST_MADE_DATA");
  if (folder == nullptr || *folder == '\0') return MakeData();
  const std::string shared = absl::StrCat(folder, "/", NameOfMadeData());
  const FileLock lock(shared + ".lock");
  std::error_code failed;
  if (std::filesystem::exists(shared, failed)) return shared;
  const absl::StatusOr<std::string> made = MakeData();
  if (!made.ok()) return made;
  // A process that is killed while it copies leaves no half of it.
  const std::string copy = shared + ".new";
  if (absl::Status copied = CopyData(*made, copy); !copied.ok()) return copied;
  std::filesystem::rename(copy, shared, failed);
  if (failed) return absl::InternalError(absl::StrCat("cannot rename ", copy, ": ", failed.message()));
  return shared;
}

absl::Status MiniPostgres::CopyMadeData() {
  static MiniPostgres maker({.fsync = Fsync::kOff});
  static const absl::StatusOr<std::string> made = maker.FindOrMakeData();
  if (!made.ok()) return made.status();
  data_dir_ = (scratch_.path() / "data").string();
  return CopyData(*made, data_dir_);
}

absl::Status MiniPostgres::Start() {
  CHECK(!running()) << "already started";
  if (port_ != 0) return StartOnPort({});
  if (data_dir_.empty()) {
    if (absl::Status copied = CopyMadeData(); !copied.ok()) return copied;
    if (absl::Status required = RequireTlsAndPassword(); !required.ok()) return required;
  }
  if (absl::Status started = StartOnFreePort({}); !started.ok()) return started;
  if (absl::Status set = TakePasswordFromFile(); !set.ok()) return set;
  // All copies would be taken for one ledger, and be as old as the first: keys of the front door may be replaced only
  // when they have a certain age.
  return ExecuteSql(dsn(), R"(
    UPDATE tranche.shard_identity SET ledger_id = gen_random_uuid();
    UPDATE tranche.front_key SET since = now();
    UPDATE tranche.outbox_sink SET created_at = now();
    UPDATE tranche.front_change SET changed_at = now())");
}

absl::Status MiniPostgres::RequireTlsAndPassword() {
  if (!options_.security) return absl::OkStatus();
  std::ofstream access(std::filesystem::path(data_dir_) / "pg_hba.conf", std::ios::trunc);  // keeps its owner
  access << kSecuredAccess;
  access.close();
  return access.good() ? absl::OkStatus() : absl::InternalError("cannot write pg_hba.conf");
}

// The server is sent only what it stores, so that no log of statements can show the password.
absl::Status MiniPostgres::TakePasswordFromFile() {
  if (!options_.security) return absl::OkStatus();
  const std::string password(absl::StripAsciiWhitespace(FileContents(options_.security->password_file)));
  if (password.empty()) return absl::NotFoundError(absl::StrCat("no password in ", options_.security->password_file));
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(Dsn("postgres").c_str()), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) return absl::UnavailableError(PQerrorMessage(connection.get()));
  const std::unique_ptr<char, decltype(&PQfreemem)> verifier(
      PQencryptPasswordConn(connection.get(), password.c_str(), kNodeRole, "scram-sha-256"), &PQfreemem);
  if (verifier == nullptr) return absl::InternalError(PQerrorMessage(connection.get()));
  return ExecuteSql(Dsn("postgres"), absl::StrCat("ALTER ROLE ", kNodeRole, " PASSWORD '", verifier.get(), "'"));
}

// A free port may be taken by another process before the server binds it.
absl::Status MiniPostgres::StartOnFreePort(const std::vector<std::string>& settings) {
  absl::Status started;
  for (int attempt = 0; attempt < 3; ++attempt) {
    port_ = PickFreePort();
    started = StartOnPort(settings);
    if (started.ok()) return started;
  }
  port_ = 0;
  return started;
}

absl::Status MiniPostgres::StartOnPort(const std::vector<std::string>& settings) {
  std::vector<std::string> args = {(ProgramDir() / "postgres").string(), "-D", data_dir_};
  std::vector<std::string> all = {absl::StrCat("port=", port_),
                                  "listen_addresses=127.0.0.1",
                                  absl::StrCat("unix_socket_directories=", socket_dir_),
                                  "shared_buffers=256MB",
                                  "max_connections=200",
                                  "max_wal_size=2GB",
                                  "deadlock_timeout=100ms",
                                  "jit=off",
                                  "log_line_prefix=%m [%p] %u@%d "};
  if (options_.fsync == Fsync::kOff) all.push_back("fsync=off");
  if (options_.security) {
    all.insert(all.end(),
               {"ssl=on", absl::StrCat("ssl_cert_file=", options_.security->certificate_file),
                absl::StrCat("ssl_key_file=", options_.security->key_file), "ssl_min_protocol_version=TLSv1.2"});
  }
  all.insert(all.end(), settings.begin(), settings.end());
  for (const std::string& setting : all) {
    args.push_back("-c");
    args.push_back(setting);
  }
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start({
      .args = args,
      .env = {},
      .working_dir = data_dir_,
      .log_file = log_file(),
      .user = kSystemUser,
  });
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  const absl::Status serving = WaitUntilServing();
  if (!serving.ok()) LOG_IF(ERROR, !Kill().ok()) << "PostgreSQL on port " << port_ << " outlives its kill";
  return serving;
}

absl::Status MiniPostgres::WaitUntilServing() {
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  const std::string dsn = Dsn("postgres");
  while (absl::Now() < deadline) {
    if (!process_->Running()) {
      return absl::UnavailableError(absl::StrCat("PostgreSQL ended at its start:\n", FileContents(log_file())));
    }
    if (PQping(dsn.c_str()) == PQPING_OK) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(10));
  }
  return absl::DeadlineExceededError(absl::StrCat("PostgreSQL does not serve:\n", FileContents(log_file())));
}

absl::Status MiniPostgres::Stop() {
  CHECK(running()) << "not started";
  if (absl::Status sent = process_->Signal(SIGINT); !sent.ok()) return sent;
  const absl::Status ended = process_->Wait(kServerStopTimeout).status();
  if (!ended.ok()) return ended;
  process_.reset();
  return absl::OkStatus();
}

absl::Status MiniPostgres::Kill() {
  CHECK(running()) << "not started";
  // Every backend has a process group of its own, so signalling the group does not reach them. The stopped postmaster
  // starts no more while they are counted. It may have ended already: then they are orphans that end by themselves.
  std::vector<pid_t> children;
  if (process_->Running() && process_->Signal(SIGSTOP).ok()) {
    children = ChildrenOf(process_->pid());
    for (const pid_t child : children) kill(child, SIGKILL);
    if (absl::Status sent = process_->Signal(SIGKILL); !sent.ok()) return sent;
  }
  const absl::Time deadline = absl::Now() + kServerStopTimeout;
  if (absl::Status ended = process_->Wait(kServerStopTimeout).status(); !ended.ok()) return ended;
  process_.reset();
  // A new server cannot start while one of them is attached to the old one's memory.
  while (!std::all_of(children.begin(), children.end(), Gone)) {
    if (absl::Now() > deadline) return absl::DeadlineExceededError("a process of PostgreSQL outlives its kill");
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::OkStatus();
}

absl::Status MiniPostgres::Suspend() {
  CHECK(running()) << "not started";
  // The postmaster first: it starts no more while its children are counted.
  if (absl::Status stopped = process_->Signal(SIGSTOP); !stopped.ok()) return stopped;
  for (const pid_t child : ChildrenOf(process_->pid())) kill(child, SIGSTOP);
  return absl::OkStatus();
}

absl::Status MiniPostgres::Resume() {
  CHECK(running()) << "not started";
  for (const pid_t child : ChildrenOf(process_->pid())) kill(child, SIGCONT);
  return process_->Signal(SIGCONT);
}

absl::Status MiniPostgres::CopyData(const std::string& from, const std::string& to) {
  CHECK(!running()) << "still running";
  std::error_code failed;
  std::filesystem::remove_all(to, failed);
  if (failed) return absl::InternalError(failed.message());
  // With its owner and its permissions, which the server checks.
  absl::StatusOr<std::unique_ptr<ChildProcess>> copy =
      ChildProcess::Start({.args = {"cp", "-a", from, to}, .env = {}, .working_dir = "", .log_file = "", .user = ""});
  if (!copy.ok()) return copy.status();
  const absl::StatusOr<int> exit_status = (*copy)->Wait(kInitTimeout);
  if (!exit_status.ok()) return exit_status.status();
  return *exit_status == 0 ? absl::OkStatus() : absl::InternalError("the data could not be copied");
}

absl::Status MiniPostgres::SaveData() { return CopyData(data_dir_, data_dir_ + ".saved"); }

absl::Status MiniPostgres::RestoreData() { return CopyData(data_dir_ + ".saved", data_dir_); }

std::string MiniPostgres::node_dsn() const {
  const std::string dsn = Dsn("tranche", kNodeRole);
  if (door_ == Door::kOpen) return dsn;
  // A server that asks for no password has nothing to bind to the connection.
  const std::string binding = door_ == Door::kLocked ? " channel_binding=require" : "";
  // The server's certificate is its own authority.
  return absl::StrCat(dsn, " sslmode=verify-full", binding, " sslrootcert=", data_dir_, "/server.crt");
}

absl::Status MiniPostgres::SetNodePassword(const std::string& password) {
  return ExecuteSql(Dsn("postgres"), absl::StrCat("ALTER ROLE ", kNodeRole, " PASSWORD '",
                                                  absl::StrReplaceAll(password, {{"'", "''"}}), "'"));
}

absl::Status MiniPostgres::ExecuteAll(const std::vector<std::string>& statements) const {
  for (const std::string& statement : statements) {
    if (absl::Status done = ExecuteSql(Dsn("postgres"), statement); !done.ok()) return done;
  }
  return absl::OkStatus();
}

// The server itself makes the files, so that they belong to its user.
absl::Status MiniPostgres::OfferTls() {
  const std::string make_certificate =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
      "-addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout server.key -out server.crt 2>openssl.log && "
      "chmod 600 server.key";
  const absl::Status offered = ExecuteAll(
      {absl::StrCat("COPY (SELECT '') TO PROGRAM 'cat >/dev/null && cd ", data_dir_, " && ", make_certificate, "'"),
       "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"});
  if (!offered.ok()) return offered;
  door_ = Door::kOffersTls;
  return AwaitNode("");
}

absl::Status MiniPostgres::Lock(const std::string& password) {
  if (door_ == Door::kOpen) {
    if (absl::Status offered = OfferTls(); !offered.ok()) return offered;
  }
  if (absl::Status set = SetNodePassword(password); !set.ok()) return set;
  const std::string rules = absl::StrCat("host all ", kSuperuser, " 127.0.0.1/32 trust\nhostssl all ", kNodeRole,
                                         " 127.0.0.1/32 scram-sha-256");
  // A line break would be written as two characters.
  const absl::Status locked = ExecuteAll(
      {absl::StrCat("COPY (SELECT unnest(string_to_array('", rules, "', E'\\n'))) TO '", data_dir_, "/pg_hba.conf'"),
       "SELECT pg_reload_conf()"});
  if (!locked.ok()) return locked;
  door_ = Door::kLocked;
  return AwaitNode(password);
}

// It reads its settings in its own time.
absl::Status MiniPostgres::AwaitNode(const std::string& password) const {
  std::string dsn = node_dsn();
  if (!password.empty()) {
    absl::StrAppend(&dsn, " password='", absl::StrReplaceAll(password, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
  }
  const absl::Time deadline = absl::Now() + kServerStartTimeout;
  absl::Status serves;
  do {
    absl::SleepFor(absl::Milliseconds(10));
    serves = ExecuteSql(dsn, "SELECT 1");
  } while (!serves.ok() && absl::Now() < deadline);
  return serves;
}

absl::Status MiniPostgres::RestartPromoted() {
  if (absl::Status stopped = Stop(); !stopped.ok()) return stopped;
  std::ofstream(std::filesystem::path(data_dir_) / "standby.signal").close();
  if (absl::Status started = Start(); !started.ok()) return started;
  return ExecuteSql(Dsn("postgres"), "SELECT pg_promote()");
}

absl::Status MiniPostgres::KillAndRestart() {
  if (absl::Status killed = Kill(); !killed.ok()) return killed;
  return Start();
}

}  // namespace tranche::testing
