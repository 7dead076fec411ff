terraform {
  required_providers {
    dockerlite = { source = "lantern.local/course/dockerlite" }
  }
}

variable "env_name" { type = string }
variable "image" { type = string }
variable "db_password" { sensitive = true }
variable "replicas" { type = set(string) }
variable "volume" { type = string }

resource "dockerlite_network" "main" {
  name = "lantern-${var.env_name}"
}

resource "dockerlite_container" "db" {
  name     = "${dockerlite_network.main.name}-db"
  image    = "postgres:17"
  networks = [dockerlite_network.main.name]
  volumes  = { "/var/lib/postgresql/data" = var.volume }
  running  = true
  env = {
    POSTGRES_PASSWORD = var.db_password
    POSTGRES_USER     = "lantern"
  }
}

resource "dockerlite_container" "web" {
  for_each   = var.replicas
  depends_on = [dockerlite_container.db]
  name       = "${dockerlite_network.main.name}-web-${each.value}"
  image      = var.image
  networks   = [dockerlite_network.main.name]
  port       = 3000
  env = {
    BANNER       = "Lantern ${var.env_name}"
    DATABASE_URL = format("postgres://lantern:%s@lantern-%s-db:5432/lantern", var.db_password, var.env_name)
  }
}
