SELECT coalesce(sum(units_left), 0) FROM rabbitmq_peer.stock;
