SELECT coalesce(sum(quantity), 0) FROM redis_peer.orders;
