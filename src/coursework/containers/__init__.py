"""Images, containers and what they leave behind, through the Docker SDK."""
