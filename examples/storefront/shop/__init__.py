"""The demo shop that every version folder starts: catalogue, cart and checkout over HTTP, standard library only."""
