#include "server/handlers/status_messages.h"

#include <algorithm>

#include "server/handlers/status_problems.h"
#include "server/proto_time.h"

namespace tranche::server {

v1::ProcessStatus ToMessage(const storage::Heartbeat& heartbeat) {
  v1::ProcessStatus message;
  message.set_name(heartbeat.name);
  message.set_instance(heartbeat.instance.ToString());
  message.set_version(heartbeat.version);
  *message.mutable_start_time() = ToTimestamp(heartbeat.started_at);
  *message.mutable_age() = ToDuration(heartbeat.age);
  const bool alive = !heartbeat.ended && heartbeat.age < kMissedAfter;
  message.set_alive(alive);
  message.set_ended(heartbeat.ended);
  message.set_expires(heartbeat.expires);
  message.set_retires(heartbeat.retires);
  message.set_draws(heartbeat.draws);
  message.mutable_sinks()->Assign(heartbeat.sinks.begin(), heartbeat.sinks.end());
  // Who is gone, leads no more; its last word is in `since_led`.
  const bool leads = heartbeat.leads && alive;
  message.set_leads(leads);
  if (heartbeat.since_expiry.has_value()) *message.mutable_since_expiry() = ToDuration(*heartbeat.since_expiry);
  if (leads && heartbeat.leads_for.has_value()) *message.mutable_leads_for() = ToDuration(*heartbeat.leads_for);
  if (heartbeat.since_led.has_value()) *message.mutable_since_led() = ToDuration(*heartbeat.since_led);
  if (heartbeat.since_round.has_value()) *message.mutable_since_round() = ToDuration(*heartbeat.since_round);
  return message;
}

v1::LedgerStatus ToMessage(const storage::LedgerHealth& health) {
  v1::LedgerStatus message;
  message.set_read_only(health.read_only);
  message.set_database_bytes(health.database_bytes);
  message.set_connections_used(health.connections_used);
  message.set_connections_limit(health.connections_limit);
  message.set_standby_required(health.standbys_needed > 0);
  message.set_standbys_needed(health.standbys_needed);
  message.set_standbys(health.standbys);
  if (health.synchronous_standbys.has_value()) message.set_synchronous_standbys(*health.synchronous_standbys);
  message.set_overdue_holds(health.overdue_holds);
  *message.mutable_oldest_overdue() = ToDuration(health.oldest_overdue);
  message.set_refunds_waiting(health.refunds_waiting);
  *message.mutable_oldest_refund() = ToDuration(health.oldest_refund);
  message.set_stranded_units(health.stranded_units);
  message.set_skus(health.skus);
  message.set_open_skus(health.open_skus);
  message.set_sold_out_skus(health.sold_out_skus);
  message.set_paused_skus(health.paused_skus);
  message.set_frozen(health.frozen);
  if (health.frozen_at.has_value()) *message.mutable_freeze_time() = ToTimestamp(*health.frozen_at);
  message.set_frozen_by(health.frozen_by);
  return message;
}

v1::OutboxSink ToMessage(const storage::OutboxDepth& depth) {
  v1::OutboxSink message;
  message.set_name(depth.sink);
  message.set_pending(depth.pending);
  message.set_dead(depth.dead);
  *message.mutable_oldest_pending() = ToDuration(depth.oldest_pending);
  return message;
}

v1::GoneNode ToMessage(const storage::GoneIncarnation& gone) {
  v1::GoneNode message;
  message.set_incarnation(gone.id);
  message.set_name(gone.node_name);
  message.set_address(gone.address);
  *message.mutable_start_time() = ToTimestamp(gone.started_at);
  if (gone.ended_at.has_value()) *message.mutable_end_time() = ToTimestamp(*gone.ended_at);
  message.set_units(gone.units);
  return message;
}

v1::NodeStatus ToMessage(const quota::LiveNode& node, const NodeTraffic* report, absl::Time now) {
  v1::NodeStatus message;
  message.set_incarnation(node.incarnation);
  message.set_name(node.name);
  message.set_address(node.address);
  *message.mutable_start_time() = ToTimestamp(node.started_at);
  message.set_draining(node.asked_to_drain);
  message.set_consumer(node.consumer);
  if (report == nullptr) return message;
  // If the node's clock is ahead of ours, the age is 0, not negative.
  *message.mutable_report_age() = ToDuration(std::max(now - report->reported_at, absl::ZeroDuration()));
  message.set_cannot_commit(report->cannot_commit);
  message.mutable_shards_out_of_reach()->Assign(report->shards_out_of_reach.begin(), report->shards_out_of_reach.end());
  message.set_unhealthy(report->unhealthy);
  message.mutable_faulty_files()->Assign(report->faulty_files.begin(), report->faulty_files.end());
  message.set_grants_per_s(report->grants_per_s);
  message.set_refused_per_s(report->refused_per_s);
  return message;
}

}  // namespace tranche::server
