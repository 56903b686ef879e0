"""The risks as data: claims, ratings, reviews, and the heat map."""
