// Shows messages of the outbox and their sinks.
#pragma once

#include "client/ctl/session.h"

namespace tranche::ctl {

void PrintOutbox(Session& session, const tranche::v1::ListOutboxMessagesResponse& messages);
// Shows a message with all its details.
void PrintOutboxMessage(Session& session, const tranche::v1::OutboxMessage& message);
void PrintSinks(Session& session, const tranche::v1::ListSinksResponse& sinks);

}  // namespace tranche::ctl
