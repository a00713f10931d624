"""What happens in the simulated workspace, and when: no answer, no network, no clock."""
