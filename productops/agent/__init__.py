"""The long-lived process beside the router: traffic, leases, metrics, instances."""
