"""What is done to many hosts: plan, rollout, verify, usage."""
