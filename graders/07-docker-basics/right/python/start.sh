# A script may stand in front of the program, as long as it ends in exec.
exec python -u server.py "$@"
