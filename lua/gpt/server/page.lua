return "<!doctype html><title>luagpt</title>"
