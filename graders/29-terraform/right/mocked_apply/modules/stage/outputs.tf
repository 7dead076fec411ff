output "urls" {
  value = { for name, web in dockerlite_container.web : name => format("http://%s/", web.address) }
}

output "database" {
  value = dockerlite_container.db.name
}
