-- A message has the trace of the call that made the change, and of no other.
\ir helpers.psql
SELECT no_plan();

-- 'n:kind:trace' of the messages about the numbered reservations.
CREATE FUNCTION traces(VARIADIC ns integer[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(n || ':' || o.kind || ':' || coalesce(o.trace, '-'), ' ' ORDER BY n, o.revision, o.sink)
   FROM unnest(ns) AS n JOIN tranche.outbox o ON o.reservation_id = uid(n) $$;

SELECT sku('tv', 12, 2);
SELECT holder('tv', 10) AS node \gset
SELECT is(outcomes(:node, true, uids(VARIADIC array_agg(n)), array_agg('tv'::text), array_agg('u' || n), array_agg(1)),
          array_fill('CREATED'::text, '{10}'))
FROM generate_series(1, 10) AS n;

-- In a batch each has its own; what is not changed tells nothing.
SELECT is((SELECT array_agg(outcome ORDER BY idx)
           FROM tranche.confirm_reservations(uids(3, 99, 1, 2), '{p,p,p,p}', '{500,500,500,1}', '{EUR,EUR,EUR,EUR}', true,
                                             ARRAY['three', 'none', NULL, 'mismatch'])),
          '{DONE,NOT_FOUND,DONE,PAYMENT_MISMATCH}');
SELECT is(traces(1, 2, 3), '1:reservation.confirmed:- 3:reservation.confirmed:three');
SELECT is((SELECT outcome FROM tranche.confirm_reservations(uids(3), '{p}', '{500}', '{EUR}', true, '{again}')), 'REPLAYED');
SELECT is(traces(3), '3:reservation.confirmed:three', 'a repeat leaves the first one''s');
UPDATE tranche.sku SET max_extensions = 2;
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.extend_reservations(uids(4, 5), '{1,1}', '{60,60}', true, ARRAY['four', 'five'])),
          '{DONE,DONE}');
SELECT is((SELECT array_agg(outcome ORDER BY idx) FROM tranche.cancel_reservations(uids(5, 4), '{why,why}', true, ARRAY[NULL, 'later'])),
          '{DONE,DONE}');
SELECT is(traces(4, 5), '4:reservation.extended:four 4:reservation.cancelled:later 5:reservation.extended:five 5:reservation.cancelled:-');

-- Each sink's copy has it.
INSERT INTO tranche.outbox_sink (name) VALUES ('second');
SELECT is((SELECT outcome FROM tranche.confirm_reservations(uids(6), '{p}', '{500}', '{EUR}', true, '{six}')), 'DONE');
SELECT is(traces(6), '6:reservation.confirmed:six 6:reservation.confirmed:six');
DELETE FROM tranche.outbox WHERE sink = 'second';
DELETE FROM tranche.outbox_sink WHERE name = 'second';

-- As servers of before call it.
SELECT is(confirm(uids(7)), '{"DONE CONFIRMED 2"}');
SELECT is(traces(7), '7:reservation.confirmed:-');

-- Late payments: the expiry has none. What is booked again and what is to be refunded have the payment's.
SELECT make_due(8, 9);
SELECT is(expire(), '2 false');
SELECT is((SELECT outcome FROM tranche.confirm_late(uid(8), 'late', 500, 'EUR', 'eight') WHERE outcome IS NOT NULL), 'REBOOKED');
SELECT is((SELECT string_agg(o.kind || ':' || o.trace, ' ') FROM tranche.outbox o
           WHERE o.reservation_id = (SELECT rebooked_as FROM tranche.late_payment WHERE reservation_id = uid(8))),
          'reservation.rebooked:eight');
UPDATE tranche.sku SET state = 'CLOSED';
SELECT is((SELECT outcome FROM tranche.reconcile_payment(uid(9), 'late', 500, 'EUR', 'alice', 'nine')), 'PAID_UNFULFILLED');
SELECT is(traces(8, 9), '8:reservation.expired:- 9:reservation.expired:- 9:payment.refund_requested:nine');
SELECT is((SELECT outcome FROM tranche.confirm_late(uid(10), 'late', 500, 'EUR', 'ten')), 'DONE', 'a payment that is not late after all');
SELECT is(traces(10), '10:reservation.confirmed:ten');

-- Of a reservation that was archived.
DELETE FROM tranche.outbox WHERE reservation_id = uid(9);
INSERT INTO tranche.reservation_archive (reservation_id, sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id, created_at,
                                         expires_at, revision, extensions, finished_at)
SELECT uid(20), 'tv', 'u20', 1, 'EXPIRED', 500, 'EUR', 0, now(), now(), 2, 0, now();
SELECT is((SELECT outcome FROM tranche.confirm_late(uid(20), 'late', 500, 'EUR', 'twenty')), 'PAID_UNFULFILLED');
SELECT is(traces(20), '20:payment.refund_requested:twenty');

-- Whoever delivers or looks at a message sees it.
SELECT is((SELECT trace FROM tranche.get_outbox(uid(3), 2, 'default')), 'three');
SELECT is((SELECT trace FROM tranche.list_outbox('default', 'PENDING', uid(0), 0, '', 100) WHERE reservation_id = uid(3)), 'three');
SELECT is((SELECT trace FROM tranche.claim_outbox('default', 100, 60000) WHERE reservation_id = uid(3)), 'three');
SELECT is(tranche.fail_outbox(uids(3), '{2}', '{default}', '{no}', '{NULL}'), 1::bigint);
SELECT is((SELECT trace FROM tranche.list_outbox('', 'DEAD', uid(0), 0, '', 100)), 'three');

-- It goes with the message to another shard.
SELECT page AS page FROM tranche.export_outbox('tv', uid(2), 1) \gset
SELECT is((SELECT trace FROM unnest(:'page'::tranche.outbox[])), 'three');

SELECT throws_ok($$ UPDATE tranche.outbox SET trace = repeat('x', 257) $$, '23514', NULL, 'it is bounded');
SELECT * FROM finish();
