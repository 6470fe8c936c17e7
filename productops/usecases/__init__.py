"""One public function is one intent of a user."""
