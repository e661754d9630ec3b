"""Many lists become one: candidates, features, fusion, learned ranker, diversity, rules and explanations."""
