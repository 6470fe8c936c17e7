"""Programs that show the product at work: a demo shop with good and bad versions, and a load generator."""
