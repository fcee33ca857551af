"""What every test gets: a closed network (see the sockets that tests may open) and plain factories by import."""
