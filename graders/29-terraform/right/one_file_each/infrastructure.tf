# One file for the root. The stages' data is in the module, which has two volumes to choose from.
terraform {
  required_version = ">= 1.9"
  required_providers {
    dockerlite = { source = "lantern.local/course/dockerlite" }
  }
}

variable "db_password" {
  description = "The password of both databases."
  type        = string
  sensitive   = true
  nullable    = false
}

variable "replicas" {
  type    = set(string)
  default = ["b", "a"]
}

variable "dev_replicas" {
  type    = set(string)
  default = ["a"]
}

variable "image" {
  type    = string
  default = "lantern/box-office:1"
}

module "prod" {
  source   = "./modules/theatre"
  stage    = { name = "prod", keeps_data = true, web = var.replicas }
  image    = var.image
  password = var.db_password
}

module "dev" {
  source   = "./modules/theatre"
  stage    = { name = "dev", keeps_data = false, web = var.dev_replicas }
  image    = var.image
  password = var.db_password
}

output "urls" {
  description = "Where each web container listens, by stage and name."
  value       = { dev = module.dev.addresses, prod = module.prod.addresses }
}

output "image" {
  value = var.image
}

moved {
  from = dockerlite_network.main
  to   = module.prod.dockerlite_network.stage
}

moved {
  from = dockerlite_volume.data
  to   = module.prod.dockerlite_volume.protected[0]
}

moved {
  from = dockerlite_container.db
  to   = module.prod.dockerlite_container.database
}

moved {
  from = dockerlite_container.web["a"]
  to   = module.prod.dockerlite_container.window["a"]
}

moved {
  from = dockerlite_container.web["b"]
  to   = module.prod.dockerlite_container.window["b"]
}
