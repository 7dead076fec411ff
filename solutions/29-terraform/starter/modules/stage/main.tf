# Still the production of today/main.tf.
terraform {
  required_providers {
    dockerlite = { source = "lantern.local/course/dockerlite" }
  }
}

locals {
  prefix = "lantern-prod"
}

resource "dockerlite_network" "main" {
  name = local.prefix
}

resource "dockerlite_volume" "data" {
  name = "${local.prefix}-data"
}

resource "dockerlite_container" "db" {
  name     = "${local.prefix}-db"
  image    = "postgres:17"
  networks = [dockerlite_network.main.name]
  volumes  = { "/var/lib/postgresql/data" = dockerlite_volume.data.name }
  env = {
    POSTGRES_USER     = "lantern"
    POSTGRES_PASSWORD = var.db_password
  }
}

resource "dockerlite_container" "web" {
  for_each = toset(["a", "b"])
  name     = "${local.prefix}-web-${each.key}"
  image    = "lantern/box-office:1"
  networks = [dockerlite_network.main.name]
  port     = 3000
  env = {
    BANNER       = "Lantern prod"
    DATABASE_URL = "postgres://lantern:${var.db_password}@${dockerlite_container.db.name}:5432/lantern"
  }
}
