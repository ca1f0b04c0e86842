SELECT coalesce(sum(quantity), 0) FROM rabbitmq_peer.orders;
