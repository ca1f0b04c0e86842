\ir helpers.psql
\ir retire_helpers.psql
SELECT no_plan();

-- 'outcome state' of each refusal, in its order; the rows that answer without a reservation say their outcome alone.
CREATE FUNCTION refuse(p_ids uuid[], p_skus text[], p_users text[], p_quantities integer[], p_reason text DEFAULT 'SOLD_OUT',
                       p_references text[] DEFAULT '{}') RETURNS text[] LANGUAGE sql AS
$$ SELECT array_agg(concat_ws(' ', outcome, state) ORDER BY idx)
   FROM tranche.refuse_claims(p_ids, p_skus, p_users, p_quantities, p_references,
                              array_fill(p_reason, ARRAY[cardinality(p_ids)])) $$;
CREATE FUNCTION refuse_one(p_id integer, p_sku text, p_user text, p_reason text DEFAULT 'SOLD_OUT') RETURNS text LANGUAGE sql AS
$$ SELECT (refuse(uids(p_id), ARRAY[p_sku], ARRAY[p_user], '{1}', p_reason))[1] $$;

SELECT sku('tv', 10, 2), sku('radio', 5), sku('gone', 5), sku('leaving', 5);
SELECT holder('tv', 5) AS node \gset
SELECT version('tv') AS v \gset

-- The answer is the row, which is final from its birth.
SELECT results_eq($$ SELECT idx, outcome, bound, reservation_id, sku_id COLLATE "default", user_id COLLATE "default", quantity, state,
                            amount_minor, currency, incarnation_id, payment_reference, cancel_reason, extensions, revision,
                            rebooked_from, order_reference, expires_us = created_us, finished_us = created_us
                     FROM tranche.refuse_claims(uids(1), '{tv}', '{u1}', '{2}', '{A-1}', '{SOLD_OUT}') $$,
                  $$ VALUES (1, 'REFUSED', NULL::bigint, uid(1), 'tv', 'u1', 2, 'CANCELLED', 1000::bigint, 'EUR', 0::bigint, NULL,
                             'REFUSED SOLD_OUT', 0, 1, NULL::uuid, 'A-1', true, true) $$);
SELECT is(slices('tv'), format('0:5 %s:5', :node), 'no unit moves');
SELECT is(version('tv'), :v::bigint, 'and nobody need hear of it');
SELECT is(messages(1), NULL, 'nor does a sink');
SELECT conserved();

-- A batch in which everything occurs, over several SKUs, in no order.
SELECT is(outcomes(:node, true, uids(2, 3), '{tv,tv}', '{u2,u3}', '{1,1}'), '{CREATED,CREATED}');
SELECT is(cancel(uids(3), 'REFUSED SOLD_OUT'), '{"DONE CANCELLED 2"}');
SELECT move_sku('gone', 'GONE'), move_sku('leaving', 'LEAVING');
SELECT is(refuse(uids(8, 2, 3, 4, 5, 6, 7, 1), '{radio,tv,tv,none,gone,leaving,tv,tv}', '{u8,u2,u3,u4,u5,u6,u7,u1}', '{1,1,1,1,1,1,1,2}',
                 'SALE_CLOSED', '{"","","","","","","",A-1}'),
          '{"REFUSED CANCELLED","SOLD PENDING","SOLD CANCELLED",SKU_NOT_FOUND,MOVING,MOVING,"REFUSED CANCELLED","REPLAYED CANCELLED"}');
SELECT is((SELECT cancel_reason FROM tranche.find_reservations(uids(1))), 'REFUSED SOLD_OUT', 'the first is kept');
SELECT is(here(), '1 2 3 7 8');
SELECT is(refuse(uids(1), '{tv}', '{u1}', '{2}'), '{CONFLICT}', 'another order');
SELECT is(refuse(uids(1), '{tv}', '{u2}', '{2}', 'SOLD_OUT', '{A-1}'), '{CONFLICT}');
SELECT is(refuse(uids(1), '{tv}', '{u1}', '{1}', 'SOLD_OUT', '{A-1}'), '{CONFLICT}');
SELECT is(refuse(uids(1), '{radio}', '{u1}', '{2}', 'SOLD_OUT', '{A-1}'), '{CONFLICT}');
SELECT is_empty($$ SELECT FROM tranche.refuse_claims(uids(1), '{radio}', '{u1}', '{2}', '{A-1}', '{SOLD_OUT}')
                   WHERE reservation_id IS NOT NULL $$, 'whose it is, is not told');
SELECT throws_ok($$ SELECT refuse(uids(1, 1), '{tv,tv}', '{u1,u1}', '{1,1}') $$, '22023', NULL, 'a repeated id');
SELECT is(refuse('{}', '{}', '{}', '{}'), NULL, 'an empty batch');
-- What was refused of a SKU is told while that leaves.
SELECT move_sku('leaving', 'HERE');
SELECT is(refuse_one(9, 'leaving', 'u9'), 'REFUSED CANCELLED');
SELECT move_sku('leaving', 'LEAVING');
SELECT is(refuse_one(9, 'leaving', 'u9'), 'REPLAYED CANCELLED');
SELECT move_sku('leaving', 'HERE'), move_sku('gone', 'HERE');
-- Also a closed sale has its refusals, and a quantity that has no amount.
SELECT is(tranche.close_sku('radio', 'test'), true);
SELECT is(refuse_one(10, 'radio', 'u10', 'SALE_CLOSED'), 'REFUSED CANCELLED');
SELECT is(tranche.create_sku('yacht', 't', 1000000000000, 'EUR', 1, 1, 60, NULL, NULL, 1, 'test'), true);
SELECT is(refuse(uids(11), '{yacht}', '{u11}', '{2147483647}', 'QUANTITY_ABOVE_USER_LIMIT'), '{"REFUSED CANCELLED"}');
SELECT conserved();

-- The id is decided: neither is it sold again, nor does it count for the limit.
SELECT is(outcome(:node, 7, 'tv', 'u7'), 'REPLAYED');
SELECT results_eq($$ SELECT outcome, state, cancel_reason, expires_us = created_us
                     FROM tranche.commit_reservations(1, true, uids(7), '{tv}', '{u7}', '{1}') $$,
                  $$ VALUES ('REPLAYED', 'CANCELLED', 'REFUSED SALE_CLOSED', true) $$);
SELECT is(cart(:node, uids(7), '{tv}', '{1}', 'u7'), 'true REPLAYED');
SELECT is(outcomes(:node, true, uids(21, 22, 23), '{tv,tv,tv}', '{u7,u7,u7}', '{1,1,1}'), '{CREATED,CREATED,USER_LIMIT_REACHED}');
SELECT conserved();

-- Nothing can be changed of it.
SELECT is(cancel(uids(7)), '{"REPLAYED CANCELLED 1"}');
SELECT is(extend(7, 1), 'STATE CANCELLED 0');
SELECT is(confirm(uids(7)), '{"STATE CANCELLED 1"}');
SELECT is(confirm(uids(7), 'pay', 1), '{"PAYMENT_MISMATCH CANCELLED 1"}');
SELECT is(expire(), '0 false');
-- A payment for it is recorded, and to be refunded, as for any cancelled one. It is a refused claim still.
SELECT is(pay_late(7), 'STATE f CANCELLED');
SELECT is(pay_late(7), 'STATE t CANCELLED');
SELECT is(messages(7), '7:payment.refund_requested:2');
SELECT is(refuse_one(7, 'tv', 'u7'), 'REPLAYED CANCELLED');
SELECT conserved();

-- A statement of payments has none for it, unless there was one.
SELECT is((SELECT string_agg(concat_ws(' ', num(reservation_id), kind, state), ', ')
           FROM tranche.export_payments(NULL, 0, (extract(epoch FROM now() + interval '1 hour') * 1000000)::bigint, 100)),
          '7 RESERVATION CANCELLED, 7 LATE PAID_UNFULFILLED');
SELECT is((SELECT string_agg(concat_ws(' ', num(reservation_id), state, paid_us), ', ') FROM tranche.payment_entries(uids(1))),
          '1 CANCELLED');

-- Buyers see it among what has lapsed.
SELECT is((SELECT string_agg(concat_ws(' ', num(reservation_id), state, lapsed, cancel_reason), ', ')
           FROM tranche.list_reservations('', 'u1', NULL, '', false, '', 0, NULL, 10)), '1 CANCELLED t REFUSED SOLD_OUT');

-- It moves with its SKU: who moves it waits for refusals that are under way, and copies them.
SELECT open_session('s'), open_session('t');
SELECT pid('s') AS s_pid, pid('t') AS t_pid \gset
SELECT since FROM tranche.prepare_leave('tv', uid(901)) \gset
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', $$SELECT refuse_one(12, 'tv', 'u12')$$), 'REFUSED CANCELLED');
SELECT send('t', $$SELECT 'done' FROM tranche.begin_leave('tv', uid(901), 'east', 'test')$$);
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'done');
SELECT is(refuse_one(13, 'tv', 'u13'), 'MOVING');
SELECT matches((SELECT page FROM tranche.export_reservations('tv', false, :'since', '', uid(0), 100)), 'u12.*REFUSED SOLD_OUT');
SELECT is(tranche.cancel_leave('tv', uid(901), 'test'), true);

-- Whoever comes first decides, and the other one hears of it.
SELECT is(tranche.move_units('tv', ARRAY[:node]::bigint[], ARRAY[3]::bigint[], NULL, 'test'), true);
SELECT dblink_exec('s', 'BEGIN');
SELECT is(ask('s', $$SELECT refuse_one(30, 'tv', 'u30')$$), 'REFUSED CANCELLED');
SELECT send('t', format($$SELECT outcome(%s, 30, 'tv', 'u30')$$, :node));
SELECT is(blocks(:'t_pid'), true);
SELECT dblink_exec('s', 'COMMIT');
SELECT is(receive('t'), 'REPLAYED');
SELECT is(state(30), 'CANCELLED');
SELECT dblink_exec('t', 'BEGIN');
SELECT is(ask('t', format($$SELECT outcome(%s, 31, 'tv', 'u31')$$, :node)), 'CREATED');
SELECT send('s', $$SELECT refuse_one(31, 'tv', 'u31')$$);
SELECT is(blocks(:'s_pid'), true);
SELECT dblink_exec('t', 'COMMIT');
SELECT is(receive('s'), 'SOLD PENDING');
-- A sale that is taken back leaves the id to the refusal.
SELECT dblink_exec('t', 'BEGIN');
SELECT is(ask('t', format($$SELECT outcome(%s, 32, 'tv', 'u32')$$, :node)), 'CREATED');
SELECT send('s', $$SELECT refuse_one(32, 'tv', 'u32')$$);
SELECT is(blocks(:'s_pid'), true);
SELECT dblink_exec('t', 'ROLLBACK');
SELECT is(receive('s'), 'REFUSED CANCELLED');
SELECT conserved();

-- Retention drops them as all others, and the books still balance.
DELETE FROM tranche.outbox;
UPDATE tranche.reservation
SET created_at = created_at - interval '25 hours', expires_at = expires_at - interval '25 hours',
    finished_at = finished_at - interval '25 hours'
WHERE cancel_reason LIKE 'REFUSED %' AND expires_at = created_at;
SELECT is(retire(), 9::bigint);
SELECT is(archived(), '1 7 8 9 10 11 12 30 32');
SELECT is((SELECT sum(live_units) FROM tranche.retired_units), 0::numeric);
SELECT conserved();
SELECT is(pay_late(1, 'late', 1000), 'STATE f CANCELLED', 'also of the archive');
SELECT conserved();
SELECT * FROM finish();
