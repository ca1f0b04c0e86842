-- Groups move with their SKU: one database plays both sides, one after the other, with the pages kept in between.
\ir helpers.psql
\ir group_end_helpers.psql
SELECT no_plan();

CREATE FUNCTION token(n integer) RETURNS uuid LANGUAGE sql AS $$ SELECT uid(900 + n) $$;
-- All that is to move.
CREATE FUNCTION whole(p_sku text) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(E'\n', (SELECT string_agg(o::text, ' ' ORDER BY o.offer_id) FROM tranche.group_offer o WHERE o.sku_id = p_sku),
                    (SELECT string_agg(g::text, ' ' ORDER BY g.group_id) FROM tranche.group_buy g WHERE g.sku_id = p_sku),
                    (SELECT string_agg(m::text, ' ' ORDER BY m.group_id, m.user_id)
                     FROM tranche.group_buy g JOIN tranche.group_member m ON m.group_id = g.group_id WHERE g.sku_id = p_sku)) $$;
-- The pages of a part, in a table of the same name as the round, as a mover reads them, p_limit rows each.
CREATE TABLE copied (round text, part text, nth integer, page text, exported bigint);
CREATE FUNCTION read_pages(p_round text, p_part text, p_since text, p_limit integer DEFAULT 2) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_after text := '';
  v_id    uuid := uid(0);
  v_page  record;
  v_rows  bigint := 0;
BEGIN
  FOR v_nth IN 1..1000 LOOP
    SELECT * INTO v_page FROM tranche.export_groups('tv', p_part, p_since, v_after, v_id, p_limit);
    IF v_page.exported > 0 THEN
      INSERT INTO copied VALUES (p_round, p_part, v_nth, v_page.page, v_page.exported);
      v_rows := v_rows + v_page.exported;
    END IF;
    EXIT WHEN v_page.exported < p_limit;
    v_after := v_page.last_user;
    v_id := v_page.last_id;
  END LOOP;
  RETURN v_rows;
END $$;
CREATE FUNCTION write_pages(p_round text, p_token uuid, VARIADIC p_parts text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_page record;
BEGIN
  FOR v_page IN SELECT c.* FROM copied c JOIN unnest(p_parts) WITH ORDINALITY AS p (part, nth) ON p.part = c.part
                WHERE c.round = p_round ORDER BY p.nth, c.nth LOOP
    PERFORM tranche.import_groups('tv', p_token, v_page.part, v_page.page);
  END LOOP;
END $$;

SELECT sku('tv', 200), sku('radio', 10);
SELECT holder('tv', 150) AS node \gset
SELECT is(offer('tv', 'o', 3) || offer('tv', 'part', 4, 'PARTIAL', 2) || offer('tv', 'x', 2) || offer('radio', 'o', 3), 'DONEDONEDONEDONE');
SELECT form(n, 'tv') FROM generate_series(1, 7) AS n;
SELECT form(8, 'radio');
SELECT is(join_group(1, :node, 11, 12, 13, 14, 15) || join_group(2, :node, 21, 22) || join_group(3, :node, 31), 'CREATEDCREATEDCREATED');
SELECT is(join_group(4, :node, 41, 42, 43), 'CREATED');
SELECT pay_seats(11, 12, 21, 31, 41, 42);
SELECT fill(4, 43);
SELECT make_over(3);
SELECT is(expire_groups(), '0 1 1 false');
-- Texts that need quoting.
UPDATE tranche.group_buy SET reason = 'no, "thanks" \ {x}', opened_by = '{"a\",b}' WHERE group_id = gid(3);

-- All of it, while it sells.
SELECT sku_row, since FROM tranche.prepare_leave('tv', token(1)) \gset
SELECT is(read_pages('all', 'GROUPS', NULL), 7::bigint);
SELECT is(read_pages('all', 'MEMBERS', NULL), 11::bigint);
SELECT is((SELECT max(exported) FROM copied WHERE part = 'MEMBERS'), 5::bigint, 'those of one group together');
-- Meanwhile a group fails and its opener opens another one; a seat is given up, and taken by somebody else; one joins, one joins again.
SELECT make_over(2);
SELECT is(expire_groups(), '0 1 2 false');
INSERT INTO tranche.group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
VALUES (gid(9), 'tv', 'o', 3, 'opener 2', now(), now() + interval '1 hour');
SELECT is(leave(11, 13), '{"DONE CANCELLED 4","DONE CANCELLED 2"}');
SELECT pay_seats(14);
SELECT is((SELECT seat_no FROM tranche.group_member WHERE reservation_id = uid(14)), 1);
SELECT is(join_group(9, :node, 91), 'CREATED');
SELECT is(outcome(:node, 16, 'tv', 'u13'), 'CREATED');
UPDATE tranche.reservation SET group_id = gid(1), amount_minor = 400 WHERE reservation_id = uid(16);
UPDATE tranche.group_member SET reservation_id = uid(16), joined_at = clock_timestamp() WHERE reservation_id = uid(13);
SELECT is(tranche.retire_groups(86400, 10), 0::bigint);

-- Fenced off.
SELECT lives_ok(format($$ SELECT tranche.begin_leave('tv', %L, 's1', 'alice') $$, token(1)));
SELECT is(leave(12), '{MOVING}');
SELECT is(read_pages('rest', 'GROUPS', :'since'), 3::bigint, 'those that changed');
SELECT is(read_pages('rest', 'MEMBERS', :'since'), 8::bigint, 'and their members');
SELECT is(read_pages('rest', 'OFFERS', NULL), 3::bigint);
CREATE TEMPORARY TABLE kept AS
SELECT (SELECT page FROM tranche.export_reservations('tv', false, NULL, '', uid(0), 1000)) AS lapsed,
       (SELECT page FROM tranche.export_reservations('tv', true, NULL, '', uid(0), 1000)) AS live,
       (SELECT page FROM tranche.export_late_payments('tv', uid(0), 1000)) AS late, whole('tv') AS whole,
       (SELECT array_agg(g)::text FROM tranche.group_buy g WHERE group_id = gid(9)) AS ninth,
       (SELECT array_agg(m)::text FROM tranche.group_member m WHERE reservation_id = uid(14)) AS fourteenth;
SELECT sku_row, slots, incarnations, retired, totals FROM tranche.export_sku('tv', token(1)) \gset

-- Gone, with all of it.
SELECT tranche.finish_leave('tv', 's1', token(1), 'alice');
SELECT is((SELECT leftovers FROM tranche.sku_whereabouts('tv')), true);
DELETE FROM tranche.reservation WHERE sku_id = 'tv';
DELETE FROM tranche.outbox WHERE sku_id = 'tv';
DELETE FROM tranche.late_payment WHERE sku_id = 'tv';
SELECT is((SELECT leftovers FROM tranche.sku_whereabouts('tv')), true, 'groups alone are left');
SELECT throws_ok(format($$ SELECT tranche.begin_arrival(%L::tranche.sku, 'home', %L) $$, :'sku_row', token(2)), 'TR002');
SELECT cmp_ok(tranche.purge_departed('tv', 10), '>', 0::bigint, 'a group with its members');
SELECT is((SELECT count(*) FROM tranche.group_buy WHERE sku_id = 'tv'), 7::bigint);
SELECT cmp_ok((SELECT sum(tranche.purge_departed('tv', 10)) FROM generate_series(1, 8)), '>', 10::numeric);
SELECT is(tranche.purge_departed('tv', 10), 0::bigint);
SELECT is((SELECT leftovers FROM tranche.sku_whereabouts('tv')), false);
SELECT is((SELECT count(*) FROM tranche.group_buy), 1::bigint, 'another SKU''s stays');
SELECT is_empty('SELECT FROM tranche.group_member');

-- Arriving.
SELECT tranche.begin_arrival(:'sku_row'::tranche.sku, 'home', token(2));
SELECT throws_ok(format($$ SELECT tranche.import_groups('tv', %L, 'GROUPS', '{}') $$, token(1)), 'TR002');
SELECT tranche.import_reservations('tv', token(2), lapsed::tranche.reservation[]),
       tranche.import_reservations('tv', token(2), live::tranche.reservation[]),
       tranche.import_late_payments('tv', token(2), late::tranche.late_payment[]) FROM kept;
SELECT write_pages('all', token(2), 'GROUPS', 'MEMBERS');
SELECT is((SELECT outcome FROM tranche.get_group(gid(1), 10)), 'GROUP_NOT_FOUND', 'nobody''s to see');
SELECT is(expire_groups(), '0 0 0 false');
PREPARE finish(uuid) AS SELECT tranche.finish_arrival(:'sku_row', $1, :'slots', :'incarnations', :'retired', :'totals', 'alice');
SELECT throws_ok(format('EXECUTE finish(%L)', token(2)), 'TR002', NULL, 'the changes and the offers are missing');
-- What is in the way of a change has changed, too, and comes again.
SELECT tranche.import_groups('tv', token(2), 'GROUPS', ninth), tranche.import_groups('tv', token(2), 'MEMBERS', fourteenth) FROM kept;
SELECT is_empty('SELECT FROM tranche.group_buy WHERE group_id = gid(2)', 'its opener has opened another one');
SELECT is_empty('SELECT FROM tranche.group_member WHERE reservation_id = uid(11)', 'somebody else has the seat');
SELECT write_pages('rest', token(2), 'GROUPS', 'MEMBERS');
SELECT throws_ok(format('EXECUTE finish(%L)', token(2)), 'TR002', NULL, 'the offers are missing');
SELECT write_pages('rest', token(2), 'GROUPS', 'MEMBERS', 'OFFERS');
SELECT is(whole('tv'), (SELECT whole FROM kept), 'also if a page comes twice');
UPDATE tranche.group_member SET seat_no = 3 WHERE reservation_id = uid(14);
SELECT throws_ok(format('EXECUTE finish(%L)', token(2)), 'TR002', NULL, 'another seat is another total');
UPDATE tranche.group_member SET seat_no = 1 WHERE reservation_id = uid(14);
SELECT lives_ok(format('EXECUTE finish(%L)', token(2)));
SELECT is((SELECT outcome FROM tranche.get_group(gid(1), 10) LIMIT 1), 'DONE');
SELECT conserved();
SELECT make_over(1);
SELECT is(expire_groups(), '0 1 4 false', 'and go on where they are');
SELECT conserved();

-- A SKU that was offered to no group has the totals that it always had.
SELECT sku('cam', 10);
SELECT is(tranche.sku_totals('cam'), '0 0 0 0 0 0');
SELECT * FROM finish();
