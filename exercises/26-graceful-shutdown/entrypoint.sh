# Usage: entrypoint.sh server|worker
set -e
echo "Starting the $1 with Node $(node --version)."
node "$1.js"
