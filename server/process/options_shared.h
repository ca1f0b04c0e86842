// Flags that several binaries have, and what their values must be. Checks return "", or what is wrong with the text.
#pragma once

#include <string>

#include "server/process/options.h"
#include "server/process/options_parser.h"

namespace tranche::server {

// HOST:PORT; the port may be 0.
std::string CheckAddress(const std::string& text);
// HOST:PORT with a port that one can connect to.
std::string CheckAddressWithPort(const std::string& text);
// A file with a secret as its only line, which nobody else may read. The answer never quotes it.
std::string CheckSecretFile(const std::string& path);
// 1 to 128 printable characters.
std::string CheckName(const std::string& text);

void AddPostgres(OptionsParser& parser, std::string* dsn, std::string* password_file);
void AddPatience(OptionsParser& parser, BackendOptions* options);
void AddLogFormat(OptionsParser& parser, LogFormat* format);
void AddBackends(OptionsParser& parser, BackendOptions* options);
// --advertise, --node-name and --port-file.
void AddNodeName(OptionsParser& parser, ServerOptions* options);
// How whoever holds slices sells from them.
void AddSelling(OptionsParser& parser, ServerOptions* options);
void AddDrainTimeout(OptionsParser& parser, ServerOptions* options);
void AddMetrics(OptionsParser& parser, MetricsOptions* options);
// `doors`: what is served so.
void AddTls(OptionsParser& parser, TlsOptions* options, const std::string& doors);

}  // namespace tranche::server
