mock_provider "dockerlite" {}

variables {
  db_password = "not-a-real-one"
}

run "urls_follow_the_replicas" {
  command = plan

  assert {
    condition     = length(output.urls.prod) == 2 && contains(keys(output.urls.dev), "a")
    error_message = "There are URLs that are missing."
  }
}

run "one_replica_more" {
  command = plan

  variables {
    replicas = ["a", "b", "c"]
  }

  assert {
    condition     = length(output.urls["prod"]) == 3
    error_message = "The third one has no URL."
  }
}
