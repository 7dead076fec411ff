# ops.sh reads this file, which is beside it.
network=lantern-net
volume=lantern-data
