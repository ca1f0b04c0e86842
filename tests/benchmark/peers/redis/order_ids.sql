SELECT id FROM redis_peer.orders;
