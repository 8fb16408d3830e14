"""Every fault point with every action, on one order each: `python -m ops.storm.matrix`."""
