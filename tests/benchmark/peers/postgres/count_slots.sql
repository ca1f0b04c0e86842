SELECT coalesce(sum(units_left), 0)::bigint FROM peers.slot;
