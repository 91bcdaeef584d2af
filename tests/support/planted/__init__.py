"""A corpus with known faults: real documents, and planted among them what cleaning and deduplication must find.

`PYTHONPATH=src:tests python -m support.planted --seed 7 --corpus FILE` plants with a seed, runs the stages clean and
dedup in a scratch project, and prints what they found of each kind and examples of what they missed.
tests/system/test_planted.py asserts the bars.

The rest are real documents as they come, chosen so that no two have a Jaccard of .3 or more over the sets of their
character 3-grams. Everything else is planted, and its id says its kind. What is compared here is computed here: nothing
of the pipeline's own measures is used, neither to plant nor to judge.
"""
