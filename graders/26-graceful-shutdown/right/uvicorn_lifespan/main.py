"""Starts the server or the worker, in this very process."""

import sys

if sys.argv[1] == "worker":
    import worker

    sys.exit(worker.main())
import server

server.main()
