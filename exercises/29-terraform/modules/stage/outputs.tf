output "urls" {
  value = { for name, web in dockerlite_container.web : name => "http://${web.address}" }
}
