terraform {
  required_providers {
    dockerlite = { source = "lantern.local/course/dockerlite" }
  }
}

locals {
  stages = {
    dev  = { names = var.dev_replicas, volume = dockerlite_volume.spare["dev"].name }
    prod = { names = var.replicas, volume = dockerlite_volume.kept.name }
  }
}

resource "dockerlite_volume" "spare" {
  for_each = toset(["dev"])
  name     = "lantern-${each.key}-data"
}

resource "dockerlite_volume" "kept" {
  name = "lantern-prod-data"
  lifecycle { prevent_destroy = true }
}

module "dev" {
  count       = var.with_dev ? 1 : 0
  source      = "./modules/stage"
  env_name    = "dev"
  image       = var.image
  db_password = var.db_password
  replicas    = local.stages.dev.names
  volume      = local.stages.dev.volume
}

module "prod" {
  source      = "./modules/stage"
  env_name    = "prod"
  image       = var.image
  db_password = var.db_password
  replicas    = local.stages.prod.names
  volume      = local.stages.prod.volume
}

moved {
  from = dockerlite_volume.data
  to   = dockerlite_volume.kept
}

moved {
  from = dockerlite_network.main
  to   = module.prod.dockerlite_network.main
}

moved {
  from = dockerlite_container.db
  to   = module.prod.dockerlite_container.db
}

moved {
  from = dockerlite_container.web
  to   = module.prod.dockerlite_container.web
}

variable "replicas" {
  type    = set(string)
  default = ["a", "b"]
}

variable "dev_replicas" {
  type    = set(string)
  default = ["a"]
}

variable "with_dev" {
  type    = bool
  default = true
}

variable "image" {
  type    = string
  default = "lantern/box-office:1"
}

variable "db_password" {
  type      = string
  sensitive = true
}

output "urls" {
  value = { for stage, urls in { dev = one(module.dev[*].urls), prod = module.prod.urls } : stage => urls }
}

output "databases" {
  value = { dev = one(module.dev[*].database), prod = module.prod.database }

  # The names of the databases, nothing secret.
  sensitive = true
}
