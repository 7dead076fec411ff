mock_provider "dockerlite" {
  mock_resource "dockerlite_container" {
    defaults = { address = "127.0.0.1:9" }
  }
}

run "urls" {
  variables {
    db_password = "mock"
  }

  assert {
    condition     = output.urls["prod"]["b"] == "http://127.0.0.1:9/"
    error_message = "The output urls is wrong."
  }
}
