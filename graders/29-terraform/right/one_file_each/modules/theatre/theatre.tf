terraform {
  required_providers {
    dockerlite = {
      source  = "lantern.local/course/dockerlite"
      version = "~> 1.0"
    }
  }
}

variable "stage" {
  type = object({
    name       = string
    keeps_data = bool
    web        = set(string)
  })
}

variable "image" {}

variable "password" {
  sensitive = true
}

locals {
  name     = join("-", ["lantern", var.stage.name])
  data     = one(concat(dockerlite_volume.protected[*].name, dockerlite_volume.open[*].name))
  user     = "lantern"
  postgres = "postgres:17"
  database = "postgres://${local.user}:${var.password}@${dockerlite_container.database.name}:5432/${local.user}"
}

# A lifecycle takes no variables, so there are two, and one of them exists.
resource "dockerlite_volume" "protected" {
  count = var.stage.keeps_data ? 1 : 0
  name  = "${local.name}-data"
  lifecycle {
    prevent_destroy = true
  }
}

resource "dockerlite_volume" "open" {
  count = var.stage.keeps_data ? 0 : 1
  name  = "${local.name}-data"
}

resource "dockerlite_network" "stage" {
  name = local.name
}

resource "dockerlite_container" "database" {
  name     = "${local.name}-db"
  image    = local.postgres
  networks = [dockerlite_network.stage.name]
  volumes  = { "/var/lib/postgresql/data" = local.data }
  env      = { POSTGRES_USER = local.user, POSTGRES_PASSWORD = var.password }
}

resource "dockerlite_container" "window" {
  for_each = { for name in var.stage.web : name => "${local.name}-web-${name}" }
  name     = each.value
  image    = var.image
  networks = toset([dockerlite_network.stage.name])
  port     = 3000
  env = {
    BANNER       = "Lantern ${var.stage.name}"
    DATABASE_URL = local.database
  }
}

output "addresses" {
  value = zipmap(keys(dockerlite_container.window), [for w in values(dockerlite_container.window) : "http://${replace(w.address, "127.0.0.1", "localhost")}"])
}
