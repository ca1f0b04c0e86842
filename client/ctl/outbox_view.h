// Showing messages of the outbox and the sinks they are for.
#pragma once

#include "client/ctl/session.h"

namespace tranche::ctl {

void PrintOutbox(Session& session, const tranche::v1::ListOutboxMessagesResponse& messages);
// With everything that there is to know about it.
void PrintOutboxMessage(Session& session, const tranche::v1::OutboxMessage& message);
void PrintSinks(Session& session, const tranche::v1::ListSinksResponse& sinks);

}  // namespace tranche::ctl
