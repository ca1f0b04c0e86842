-- Runs last of the procedures: only the application role may execute the functions above. It may not execute the
-- migrator's own functions, nor those that only other procedures, or only operators, call.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tranche FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tranche TO tranche_app;
REVOKE EXECUTE ON FUNCTION tranche.begin_migration(text[]), tranche.check_procedures(text[], text[]),
  tranche.record_migration(text, text, text),
  tranche.refuse_older_migrator(), tranche.schema_version() FROM tranche_app;
REVOKE EXECUTE ON FUNCTION tranche.add_group_members(uuid[], uuid[], text[], uuid[], text[]),
  tranche.await_pool(text), tranche.await_standby(), tranche.awaited_standbys(text),
  tranche.book_awards(bigint, integer),
  tranche.confirm_seats(uuid[], timestamptz, text[]), tranche.due_groups(timestamptz, text[], integer), tranche.end_empty_groups(uuid[]), tranche.end_group_holds(uuid[], text[], text[]),
  tranche.lock_due_groups(timestamptz, integer), tranche.lock_group_holds(uuid[], boolean), tranche.verify_groups(text, text),
  tranche.change_lottery_round(text, integer, boolean, text), tranche.check_arriving(text, uuid),
  tranche.confirm_late_member(tranche.reservation, text, bigint, text, text),
  tranche.confirm_retired(uuid, text, bigint, text, text), tranche.count_access_entries(timestamptz),
  tranche.due_holds(timestamptz, timestamptz, uuid, integer), tranche.ended_holders(integer),
  tranche.find_draw(text, bigint), tranche.give_up_copy(text, text, text),
  tranche.judge_joins(uuid[], uuid[], text[], text[], uuid[], text[]),
  tranche.is_unfulfilled(text, uuid, text), tranche.known_reservation(uuid), tranche.ledger_line(), tranche.lock_group_seats(uuid[], boolean),
  tranche.lock_reservations(uuid[], boolean, boolean, boolean),
  tranche.lock_sku(text), tranche.lock_units(text, bigint), tranche.next_front_version(),
  tranche.next_sku_of_buyer(text, text, boolean, integer),
  tranche.pin_draws(bigint[], boolean, boolean),
  tranche.pin_skus(text[], boolean), tranche.pool_ended_slots(text, bigint), tranche.random_key(),
  tranche.rebook_reservation(tranche.reservation, tranche.sku, text, text),
  tranche.request_refund(uuid, text, text, bigint, text, text), tranche.return_units(text[], bigint[]),
  tranche.settle_awards(bigint, integer),
  tranche.sku_terms(tranche.sku), tranche.sku_totals(text),
  tranche.take_group_seats(uuid[], text[], text[], timestamptz), tranche.take_units(text, bigint, integer[]),
  tranche.wake_outbox(uuid[], text[]),
  tranche.write_outbox(text, tranche.reservation[], timestamptz, jsonb, text[])
  FROM tranche_app;
