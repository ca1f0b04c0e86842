-- The balancers and workers that have run within a day, the latest beat first. Ages are by this database's clock.
--
-- Of a worker: whether it expires holds, retires reservations and carries draws on, its sinks, and the microseconds
-- from its last successful expiry to its last beat. Of a balancer: whether it leads here, for how long it did by its
-- last beat, and the microseconds from the last moment that it led, and from its last successful round, to its last
-- beat. NULL: never, or a version that does not say it.
CREATE OR REPLACE FUNCTION tranche.list_heartbeats()
RETURNS TABLE (kind text, instance uuid, name text, version text, started_us bigint, age_us bigint, ended boolean,
               expires boolean, retires boolean, sinks text, since_expiry_us bigint,
               leads boolean, leads_for_us bigint, since_led_us bigint, since_round_us bigint, draws boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT h.kind::text, h.instance, h.name, h.version, (extract(epoch FROM h.started_at) * 1000000)::bigint,
         greatest((date_part('epoch', clock_timestamp() - h.beat_at) * 1000000)::bigint, 0), h.ended_at IS NOT NULL,
         coalesce(h.details -> 'expires' = 'true', false), coalesce(h.details -> 'retires' = 'true', false),
         (SELECT string_agg(s.name, ',' ORDER BY s.name)
          FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(h.details -> 'sinks') = 'array'
                                              THEN h.details -> 'sinks' ELSE '[]' END) AS s (name)),
         n.since_expiry_us,
         h.ended_at IS NULL AND coalesce(h.details -> 'leads' = 'true', false), n.leads_for_us, n.since_led_us,
         n.since_round_us, coalesce(h.details -> 'draws' = 'true', false)
  FROM heartbeat h
  CROSS JOIN LATERAL (
    SELECT max(m.us) FILTER (WHERE m.key = 'since_expiry_us') AS since_expiry_us,
           max(m.us) FILTER (WHERE m.key = 'leads_for_us') AS leads_for_us,
           max(m.us) FILTER (WHERE m.key = 'since_led_us') AS since_led_us,
           max(m.us) FILTER (WHERE m.key = 'since_round_us') AS since_round_us
    FROM (SELECT e.key, least(greatest((e.value #>> '{}')::numeric, 0), 1e15)::bigint AS us
          FROM jsonb_each(h.details) AS e (key, value) WHERE jsonb_typeof(e.value) = 'number') AS m
  ) AS n
  ORDER BY h.beat_at DESC
  LIMIT 200
$$;
