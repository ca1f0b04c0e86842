\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 5);
SELECT holder('tv', 5) AS node \gset
CREATE FUNCTION ordered(p_incarnation bigint, p_id integer, p_references text[]) RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM tranche.commit_reservations(p_incarnation, true, uids(p_id), '{tv}', '{u1}', '{1}', p_references) $$;

SELECT is(ordered(:node, 1, '{A-1}'), 'CREATED');
SELECT is(ordered(:node, 2, '{""}'), 'CREATED');
SELECT is(outcome(:node, 3, 'tv', 'u1'), 'CREATED', 'a server that knows nothing of references');
SELECT is((SELECT array_agg(order_reference ORDER BY reservation_id) FROM tranche.reservation), '{A-1,NULL,NULL}');

-- Part of the payload, for callers that know of it.
SELECT is(ordered(:node, 1, '{A-1}'), 'REPLAYED');
SELECT is(ordered(:node, 1, '{A-2}'), 'CONFLICT');
SELECT is(ordered(:node, 1, '{""}'), 'CONFLICT');
SELECT is(ordered(:node, 1, '{}'), 'CONFLICT', 'a batch without any');
SELECT is(ordered(:node, 2, '{}'), 'REPLAYED');
SELECT is(ordered(:node, 3, '{A-1}'), 'CONFLICT');
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'REPLAYED', 'an old server repeats what a new one has sent');

-- A cart's lines.
SELECT is((SELECT string_agg(outcome, ' ' ORDER BY idx)
           FROM tranche.commit_cart(:node, uids(4, 5), '{tv,tv}', '{u2,u2}', '{1,1}', '{B-1,B-1}')), 'CREATED CREATED');
SELECT is((SELECT string_agg(order_reference, ' ') FROM tranche.reservation WHERE user_id = 'u2'), 'B-1 B-1');

-- Where it is returned.
SELECT is((SELECT order_reference FROM tranche.find_reservations(uids(1))), 'A-1');
SELECT is((SELECT string_agg(order_reference, ' ') FROM tranche.list_reservations('tv', 'u1', NULL, '', false, '', 0, uid(0), 10)),
          'A-1');
SELECT is(confirm(uids(1)), '{"DONE CONFIRMED 2"}');
SELECT is((SELECT order_reference FROM tranche.payment_entries(uids(1))), 'A-1');
SELECT is((SELECT order_reference FROM tranche.export_payments(NULL, 0, 4102444800000000, 10)
           WHERE reservation_id = uid(1) AND kind IS NOT NULL), 'A-1');
SELECT is((SELECT payload->>'order_reference' FROM tranche.outbox WHERE reservation_id = uid(1)), 'A-1');
SELECT is(cancel(uids(2)), '{"DONE CANCELLED 2"}');
SELECT is((SELECT payload ? 'order_reference' FROM tranche.outbox WHERE reservation_id = uid(2)), false);
SELECT * FROM finish();
