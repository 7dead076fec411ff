# Made on another machine, with another build of the provider.
provider "lantern.local/course/dockerlite" {
  version = "1.0.0"
  hashes = [
    "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  ]
}
