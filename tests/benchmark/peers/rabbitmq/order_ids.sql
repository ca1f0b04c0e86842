SELECT id FROM rabbitmq_peer.orders;
