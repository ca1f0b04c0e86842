#include "server/process/admin_address.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "storage/base/address.h"
#include "storage/base/loopback.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr char kSame[] = "same";
constexpr char kLoopback[] = "127.0.0.1";
constexpr int kLastPort = 65535;

// The port after that of --listen. Operators of this machine reach it at any rate; those of others only if somebody has
// said who they are.
absl::StatusOr<std::string> DefaultAddress(const ServerOptions& options, const Address& listen) {
  if (listen.port == kLastPort) {
    return absl::InvalidArgumentError("there is no port after that of --listen for AdminService: give --admin-listen");
  }
  const Address admin{options.access_file.empty() ? kLoopback : listen.host, listen.port == 0 ? 0 : listen.port + 1};
  return admin.ToString();
}

absl::Status CheckOpenness(const ServerOptions& options, const Address& address) {
  if (!options.access_file.empty() || IsLoopbackHost(address.host)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("AdminService would be open to everybody who reaches ", address.ToString(),
                   ": give --access-file, --admin-listen 127.0.0.1:PORT, or --admin off"));
}

}  // namespace

absl::StatusOr<AdminAddress> FindAdminAddress(const ServerOptions& options) {
  if (!options.admin) return AdminAddress{};
  const std::optional<Address> listen = ParseAddress(options.listen);
  if (!listen.has_value()) return absl::InvalidArgumentError("--listen must be HOST:PORT");
  if (options.admin_listen == kSame) {
    RETURN_IF_ERROR(CheckOpenness(options, *listen));
    return AdminAddress{AdminAddress::Kind::kAtListen, options.listen};
  }
  std::string text = options.admin_listen;
  if (text.empty()) {
    ASSIGN_OR_RETURN(text, DefaultAddress(options, *listen));
  }
  const std::optional<Address> address = ParseAddress(text);
  if (!address.has_value()) return absl::InvalidArgumentError("--admin-listen must be HOST:PORT or same");
  RETURN_IF_ERROR(CheckOpenness(options, *address));
  return AdminAddress{AdminAddress::Kind::kByItself, text};
}

bool IsReachedByOthers(const ServerOptions& options) {
  const absl::StatusOr<AdminAddress> admin = FindAdminAddress(options);
  const bool by_itself = admin.ok() && admin->kind == AdminAddress::Kind::kByItself;
  return FirstBeyondLoopback({options.listen, by_itself ? admin->address : options.listen}).has_value();
}

}  // namespace tranche::server
