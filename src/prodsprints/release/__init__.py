"""The main job: a repository's commit becomes what serves an environment, or is rolled back."""
