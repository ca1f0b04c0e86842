-- Not peers.orders: while it is taken for empty, plans would read it whole.
ANALYZE peers.stock, peers.unit, peers.slot;
